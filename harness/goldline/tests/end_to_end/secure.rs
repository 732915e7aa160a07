//! `goldline secure` and the check `security_state`: the real espefuse burns what is printed into simulated eFuses,
//! and what was burnt is judged.
//!
//! A simulated chip does not run plain firmware once secure boot or flash encryption is burnt, nor does a real one:
//! units that are run here have keys, JTAG and the download mode alone, and the rest is read through the loader.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use goldline::process::ChildGuard;
use rstest::rstest;
use serde_json::Value;

use super::{
    program::{Ended, PROFILE, Station, check},
    remote::esptool,
    resets::serve_unit,
};

const EFUSES: &str = "unit.efuse";
const FLASH: &str = "unit.flash";

/// The folder of espefuse and espsecure.
fn programs() -> Option<PathBuf> {
    Some(esptool()?.parent().expect("a program lies in a folder").to_owned())
}

/// The shipped profile of that chip with a demand.
fn demanding(station: &Station, chip: &str, demand: &str) {
    let profile = PROFILE.replacen("model = \"esp32\"", &format!("model = \"{chip}\""), 1);
    // The H2 has no radio for WiFi.
    let profile = match chip {
        "esp32h2" => without_radio(&profile),
        _ => profile,
    };
    let check = "\n[[check]]\nid = \"security_state\"\n";
    station.write("espvault.toml", format!("{profile}{check}\n[security]\n{demand}\n"));
}

fn without_radio(profile: &str) -> String {
    let of_radio = |line: &&str| line.contains("rssi") || line.contains("without_radio");
    let lines: Vec<&str> = profile.lines().filter(|line| !of_radio(line)).collect();
    lines.join("\n").replacen("id = \"wifi_join\"", "id = \"network_join\"", 1)
}

/// A unit in its loader, in a process of its own.
fn unit(station: &Station, chip: &str) -> ChildGuard {
    serve_unit(station, &["--chip", chip, "--efuse-file", EFUSES, "--flash-file", FLASH])
}

/// The same unit in the process of the run.
fn in_process(more: &str) -> String {
    format!("simulator:?efuse-file={EFUSES}{more}")
}

/// What is printed for the unit that is served.
fn secure(station: &Station, arguments: &[&str]) -> Ended {
    // Nobody presses its buttons while it waits.
    let device = format!("serial:{}?reset=none:0", station.path("unit").display());
    let words = ["secure", "espvault.toml", "--device", &device];
    station.goldline(words.into_iter().chain(arguments.iter().copied()))
}

/// The commands that are printed.
fn commands(station: &Station, arguments: &[&str]) -> Vec<Vec<String>> {
    let ended = secure(station, &[&["--json"], arguments].concat());
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    let lines = ended.json()["commands"].as_array().expect("a list").clone();
    let words = |line: Value| serde_json::from_value(line["command"].clone()).expect("words");
    lines.into_iter().map(words).collect()
}

/// Runs a printed command; nobody types BURN here.
fn carry_out(station: &Station, programs: &Path, command: &[String]) {
    let mut line = Command::new(programs.join(&command[0]));
    line.current_dir(station.path(""));
    if command[0] == "espefuse" {
        line.arg("--do-not-confirm");
    }
    let ended = Ended::of(line.args(&command[1..]));
    assert_eq!(ended.code(), 0, "{command:?}: {}\n{}", ended.stdout, ended.stderr);
}

fn run(station: &Station, device: &str) -> Value {
    let ended = station.unit(["run", "espvault.toml", "--json", "--device", device]);
    ended.json()
}

fn blamed(record: &Value) -> (&str, &str) {
    let diagnosis = &check(record, "security_state")["diagnosis"];
    let text = |name: &str| diagnosis[name].as_str().unwrap_or_else(|| panic!("{record:#}"));
    (text("code"), text("message"))
}

/// A fuse that a command burns, by the name in it.
fn fuse_of(command: &[String]) -> &str {
    let names = ["burn-efuse", "burn-key"];
    let at = command.iter().position(|word| names.contains(&word.as_str())).expect("it burns");
    &command[at + 1]
}

/// Each command is printed until it is done, whatever happened to the unit's supply in between; without any one of
/// them, the unit fails, and the fuse is named.
#[rstest]
#[case::esp32("esp32", "jtag = \"disabled\"\ndownload_mode = \"enabled\"", 1)]
#[case::esp32c3("esp32c3", "jtag = \"disabled\"\nkeys = { BLOCK_KEY2 = \"HMAC_UP\" }", 3)]
#[case::esp32s3("esp32s3", "jtag = \"disabled\"\nkeys = { BLOCK_KEY0 = \"HMAC_DOWN_ALL\" }", 3)]
#[case::esp32s2("esp32s2", "jtag = \"disabled\"\nsecure_boot = \"off\"", 1)]
#[case::esp32c2("esp32c2", "jtag = \"disabled\"\nflash_encryption = \"off\"", 1)]
#[case::esp32c6("esp32c6", "jtag = \"disabled\"\ndownload_mode = \"enabled\"", 2)]
fn what_is_printed_makes_the_unit_what_is_demanded(
    #[case] chip: &str,
    #[case] demand: &str,
    #[case] count: usize,
) {
    let Some(programs) = programs() else { return };
    let station = Station::new();
    demanding(&station, chip, demand);
    station.write("key.bin", [0x5A; 32]);
    let keys = ["--key-file", "BLOCK_KEY2=key.bin", "--key-file", "BLOCK_KEY0=key.bin"];
    let served = unit(&station, chip);
    let all = commands(&station, &keys);
    drop(served);
    assert_eq!(all.len(), count, "{all:?}");
    let fuses = |done: usize| station.path(&format!("{done}.efuse"));
    for (done, command) in all.iter().enumerate() {
        // The supply was gone since the last command.
        let _unit = unit(&station, chip);
        assert_eq!(commands(&station, &keys), all[done..]);
        fs::copy(station.path(EFUSES), fuses(done)).expect("what was burnt so far");
        carry_out(&station, &programs, command);
    }
    {
        let _unit = unit(&station, chip);
        let ended = secure(&station, &[]);
        assert_eq!(ended.code(), 0, "{ended:?}");
        assert!(ended.stdout.contains("nothing is left to burn"), "{}", ended.stdout);
    }
    let record = run(&station, &in_process(""));
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    for (left_out, command) in all.iter().enumerate() {
        fs::copy(fuses(left_out), station.path(EFUSES)).expect("without this one");
        for later in &all[left_out + 1..] {
            let _unit = unit(&station, chip);
            carry_out(&station, &programs, later);
        }
        let record = run(&station, &in_process(""));
        let (code, message) = blamed(&record);
        assert_eq!(
            (&record["verdict"], code),
            (&"FAIL".into(), "security.not_burnt"),
            "{record:#}"
        );
        assert!(message.contains(fuse_of(command)), "{command:?}: {message}");
        let others = all.iter().filter(|other| *other != command);
        assert!(
            others.map(|other| fuse_of(other)).all(|other| !message.contains(other)),
            "{message}"
        );
    }
}

/// Everything at once, to the last command, which closes the door behind it.
#[rstest]
#[case::esp32("esp32", "", "disabled", "UART_DOWNLOAD_DIS")]
#[case::esp32s2("esp32s2", "KEYS", "disabled", "DIS_DOWNLOAD_MODE")]
#[case::esp32s3("esp32s3", "KEYS", "secure", "ENABLE_SECURITY_DOWNLOAD")]
#[case::esp32c2("esp32c2", "", "secure", "ENABLE_SECURITY_DOWNLOAD")]
#[case::esp32c3("esp32c3", "KEYS", "secure", "ENABLE_SECURITY_DOWNLOAD")]
#[case::esp32c6("esp32c6", "KEYS", "disabled", "DIS_DOWNLOAD_MODE")]
#[case::esp32h2("esp32h2", "KEYS", "secure", "ENABLE_SECURITY_DOWNLOAD")]
fn a_unit_is_locked_for_good_and_the_loader_goes_last(
    #[case] chip: &str,
    #[case] keys: &str,
    #[case] download: &str,
    #[case] last: &str,
) {
    let Some(programs) = programs() else { return };
    let station = Station::new();
    let keys = keys.replace(
        "KEYS",
        "keys = { BLOCK_KEY0 = \"XTS_AES_128_KEY\", BLOCK_KEY1 = \"SECURE_BOOT_DIGEST0\" }",
    );
    let demand = format!(
        "secure_boot = \"v2\"\nflash_encryption = \"release\"\ndownload_mode = \"{download}\"\njtag = \"disabled\"\n{keys}"
    );
    demanding(&station, chip, &demand);
    let scheme = if chip == "esp32c2" { "ecdsa256" } else { "rsa3072" };
    let words =
        ["espsecure", "generate-signing-key", "--version", "2", "--scheme", scheme, "key.pem"];
    carry_out(&station, &programs, &words.map(str::to_owned));
    let files = ["--key-file", "BLOCK_KEY1=key.pem", "--key-file", "secure_boot=key.pem"];
    let _unit = unit(&station, chip);
    let all = commands(&station, &files);
    assert_eq!(fuse_of(all.last().expect("some")), last, "{all:?}");
    let at = |words: &[&str]| {
        let is =
            |command: &Vec<String>| words.iter().all(|word| command.iter().any(|it| it == word));
        all.iter().position(is).unwrap_or_else(|| panic!("{words:?} is missing in {all:?}"))
    };
    let boots_signed =
        at(&["burn-efuse", if chip == "esp32" { "ABS_DONE_1" } else { "SECURE_BOOT_EN" }]);
    let burns_keys = all.iter().rposition(|it| it.iter().any(|word| word.starts_with("burn-key")));
    assert!(burns_keys.expect("keys") < boots_signed, "{all:?}");
    for (done, command) in all[..all.len() - 1].iter().enumerate() {
        carry_out(&station, &programs, command);
        // What only makes a file is printed as long as nothing is burnt with it.
        let burns = command[0] == "espefuse";
        assert!(!burns || commands(&station, &files) == all[done + 1..], "after {command:?}");
    }
    carry_out(&station, &programs, all.last().expect("some"));
    let ended = secure(&station, &files);
    assert_eq!((ended.code(), ended.stdout.as_str()), (3, ""), "{ended:?}");
    let said = ended.said();
    let expected = match download {
        "secure" => "is in Secure Download Mode",
        _ => "no loader answered SYNC",
    };
    assert!(said.contains(expected), "{said}");
}

/// What a demand forbids is never asked for, and nothing undoes it.
#[rstest]
#[case::jtag("esp32", "jtag = \"enabled\"", "JTAG_DISABLE")]
#[case::soft_jtag("esp32s3", "jtag = \"enabled\"", "SOFT_DIS_JTAG")]
#[case::first_secure_boot("esp32", "secure_boot = \"off\"", "ABS_DONE_0")]
#[case::secure_boot("esp32c6", "secure_boot = \"off\"", "SECURE_BOOT_EN")]
#[case::encryption("esp32c2", "flash_encryption = \"off\"", "SPI_BOOT_CRYPT_CNT")]
#[case::another_key("esp32c3", "keys = { BLOCK_KEY4 = \"HMAC_UP\" }", "KEY_PURPOSE_4")]
fn what_is_burnt_too_much_cannot_be_undone(
    #[case] chip: &str,
    #[case] demand: &str,
    #[case] fuse: &str,
) {
    let station = Station::new();
    demanding(&station, chip, demand);
    let device = format!("simulator:?flash-file=flash&chip={chip}&burnt={fuse}");
    let ended = station.goldline(["secure", "espvault.toml", "--device", &device]);
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(ended.stdout.contains(fuse) && !ended.stdout.contains("espefuse"), "{}", ended.stdout);
    let ended = station.goldline(["secure", "espvault.toml", "--json", "--device", &device]);
    let report = ended.json();
    assert_eq!(
        (&report["state"], &report["commands"]),
        (&"irreversible".into(), &Value::Array(vec![]))
    );
}

/// The address of a simulated unit for which none is named.
const MAC: &str = "24:0a:c4:00:01:10";
const LOCKING: &str = "download_mode = \"secure\"\njtag = \"disabled\"\nsecure_boot = \"off\"";

/// A unit of a product that is locked at last, tested and not locked yet.
fn tested(station: &Station, demand: &str) -> String {
    demanding(station, "esp32c3", demand);
    let device = in_process(&format!("&flash-file={FLASH}"));
    let words = ["run", "espvault.toml", "--json", "--without", "security_state"];
    let record = station.unit(words.into_iter().chain(["--device", &device])).json();
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    let gone = &record["not_proven"][0];
    assert_eq!(gone["id"], "security_state", "{record:#}");
    assert!(gone["because"].as_str().is_some_and(|why| why.contains("--locked")), "{gone}");
    device
}

fn check_locked(station: &Station, device: &str, more: &[&str]) -> Ended {
    let words = ["check", "espvault.toml", "--json", "--device", device];
    station.unit(words.iter().chain(more))
}

fn measured<'a>(record: &'a Value, name: &str) -> &'a Value {
    let measured = check(record, "security_state")["measurements"].as_array().expect("some");
    &measured.iter().find(|one| one["name"] == name).expect("it was measured")["value"]
}

/// What a locked loader still tells is compared, what it does not is not claimed, and the unit joins as it is shipped.
#[test]
fn a_locked_unit_passes_by_what_it_does_and_the_record_says_what_is_not_proven() {
    let station = Station::new();
    let device = tested(&station, LOCKING);
    let locked = format!("{device}&burnt=ENABLE_SECURITY_DOWNLOAD,DIS_PAD_JTAG,DIS_USB_JTAG");
    let ended = check_locked(&station, &locked, &["--locked", MAC]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(measured(&record, "download_mode"), "secure");
    assert_eq!(measured(&record, "secure_boot"), "off");
    assert_eq!(measured(&record, "jtag"), "not_proven");
    let gone: Vec<&str> = (record["not_proven"].as_array().expect("a list").iter())
        .map(|one| one["id"].as_str().expect("a name"))
        .collect();
    assert_eq!(gone, ["flash_integrity", "nvs_readback"], "{record:#}");
    let words = ["check", "espvault.toml", "--device", &locked, "--locked", MAC];
    let ended = station.unit(words);
    assert!(ended.stdout.contains("not proven of a locked unit: jtag"), "{}", ended.stdout);

    // Nobody says which unit it is: that is no fault of the unit.
    let ended = check_locked(&station, &locked, &[]);
    let record = ended.json();
    assert_eq!(ended.code(), 3, "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "security.locked", "{record:#}");
    assert!(record["diagnosis"]["action"].to_string().contains("--locked MAC"), "{record:#}");
}

/// It is not locked after all.
#[test]
fn an_open_unit_that_is_said_to_be_locked_fails_and_the_fuse_is_named() {
    let station = Station::new();
    let device = tested(&station, LOCKING);
    let open = format!("{device}&burnt=DIS_PAD_JTAG,DIS_USB_JTAG");
    let ended = check_locked(&station, &open, &["--locked", MAC]);
    let record = ended.json();
    let (code, message) = blamed(&record);
    assert_eq!((ended.code(), code), (1, "security.not_burnt"), "{record:#}");
    assert!(message.contains("ENABLE_SECURITY_DOWNLOAD"), "{message}");
    // What it does counts too.
    let locked = format!("{device}&burnt=ENABLE_SECURITY_DOWNLOAD");
    let fault = ["--locked", MAC, "--fault", "firmware.mqtt_password"];
    let ended = check_locked(&station, &locked, &fault);
    let record = ended.json();
    assert_eq!(ended.code(), 1, "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "mqtt.bad_credentials", "{record:#}");
    assert_eq!(check(&record, "security_state")["outcome"], "not_run", "{record:#}");
}

/// No loader answers: of fuses nothing is known, and nothing is claimed.
#[test]
fn a_unit_without_a_loader_proves_what_it_does_and_no_fuse() {
    let station = Station::new();
    let device = tested(&station, "download_mode = \"disabled\"\njtag = \"disabled\"");
    // A loader that answers is the proof that it was not locked.
    let ended = check_locked(&station, &device, &["--locked", MAC]);
    let record = ended.json();
    assert_eq!((ended.code(), blamed(&record).0), (1, "security.not_burnt"), "{record:#}");
    let locked = format!("{device}&burnt=DIS_DOWNLOAD_MODE");
    let ended = check_locked(&station, &locked, &["--locked", MAC]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    for what in ["download_mode", "jtag"] {
        assert_eq!(measured(&record, what), "not_proven");
    }
    let ended = check_locked(&station, &locked, &[]);
    let record = ended.json();
    assert_eq!(ended.code(), 3, "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "port.no_answer", "{record:#}");
}

/// Whoever names another unit is told by what this one does.
#[test]
fn a_locked_unit_that_is_taken_for_another_one_fails() {
    let station = Station::new();
    let device = tested(&station, LOCKING);
    let other = "24:0a:c4:00:01:11";
    let words = ["run", "espvault.toml", "--json", "--without", "security_state", "--lot", "L"];
    let another = format!("simulator:?mac={other}&flash-file=other.flash");
    let record = station.unit(words.into_iter().chain(["--device", &another])).json();
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    let locked = format!("{device}&burnt=ENABLE_SECURITY_DOWNLOAD,DIS_PAD_JTAG,DIS_USB_JTAG");
    let ended = check_locked(&station, &locked, &["--locked", other]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
}

#[rstest]
#[case::run("run", &["--locked", MAC], "--locked is of one unit, in goldline check")]
#[case::not_a_mac("check", &["--locked", "unit 7"], "--locked: ")]
#[case::without("run", &["--without", "mqtt_connect"], "this one can prove mqtt_connect")]
fn what_is_asked_of_no_locked_unit_is_refused(
    #[case] command: &str,
    #[case] more: &[&str],
    #[case] message: &str,
) {
    let station = Station::new();
    demanding(&station, "esp32c3", LOCKING);
    let ended = station.unit([command, "espvault.toml"].iter().chain(more));
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains(message), "{}", ended.said());
}

#[rstest]
#[case::nothing("", "[security] demands nothing")]
#[case::key_of_esp32(
    "keys = { BLOCK_KEY0 = \"HMAC_UP\" }",
    "esp32 has no key blocks with purposes"
)]
#[case::secure_download_of_esp32("download_mode = \"secure\"", "esp32 has no secure download mode")]
#[case::first_version("secure_boot = \"v1\"", "expected one of off, v2")]
fn a_demand_that_no_unit_meets_is_refused(#[case] demand: &str, #[case] message: &str) {
    let station = Station::new();
    demanding(&station, "esp32", demand);
    let ended = station.goldline(["profile", "check", "espvault.toml"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains(message), "{}", ended.said());
}

#[rstest]
#[case::no_digest("secure_boot = \"v2\"", "secure_boot = \"v2\" needs a key block")]
#[case::no_key(
    "flash_encryption = \"release\"",
    "flash_encryption = \"release\" needs a key block"
)]
#[case::half_a_key(
    "flash_encryption = \"release\"\nkeys = { BLOCK_KEY0 = \"XTS_AES_256_KEY_1\" }",
    "esp32c3 has no flash encryption with 512 bits"
)]
#[case::twice(
    "keys = { BLOCK_KEY0 = \"HMAC_UP\", BLOCK_KEY1 = \"HMAC_UP\" }",
    "two key blocks are HMAC_UP"
)]
#[case::flawed("keys = { BLOCK_KEY5 = \"XTS_AES_128_KEY\" }", "BLOCK_KEY5 cannot hold")]
fn a_demand_that_would_leave_the_chip_dead_is_refused(#[case] demand: &str, #[case] message: &str) {
    let station = Station::new();
    demanding(&station, "esp32c3", demand);
    let ended = station.goldline(["profile", "check", "espvault.toml"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains(message), "{}", ended.said());
}
