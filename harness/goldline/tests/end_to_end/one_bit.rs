//! One wrong bit on the wire never fails a unit: an address, a signal, an id, an answer or an echo that came
//! once is asked for once more, and so is what was written. What comes again is the unit's.

use rstest::rstest;
use serde_json::Value;

use super::program::{Ended, PROFILE, Station, check};

const SAFESIGNAL: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/safesignal.toml"));

/// A unit in the console of which one bit of this text is wrong, once: the lowest of its last byte.
fn with_a_bit_in(station: &Station, profile: &str, text: &str) -> Ended {
    let device = format!("simulator:?bit-in={text}");
    station.unit(["run", profile, "--json", "--device", &device])
}

fn passes(ended: &Ended) -> Value {
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    record
}

fn fails(ended: &Ended, code: &str) -> Value {
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    record
}

/// The stages that took more than one attempt.
fn twice(record: &Value) -> Vec<&str> {
    let stages = record["stages"].as_array().expect("stages");
    let twice = stages.iter().filter(|stage| stage["attempts"] != 1);
    twice.map(|stage| stage["name"].as_str().expect("a name")).collect()
}

fn evidence(record: &Value, of: &str) -> String {
    check(record, of)["evidence"].to_string()
}

/// The quick tier takes the first of them.
fn seeds(quick: u64, full: u64) -> std::ops::Range<u64> {
    match std::env::var("GOLDLINE_TIER").is_ok_and(|tier| tier == "full") {
        true => 0..full,
        false => 0..quick,
    }
}

#[rstest]
fn a_bit_in_any_line_fails_no_unit(
    #[values("safesignal", "zeroconf-ca-console", "ble-gateway")] profile: &str,
) {
    let mut repeated = 0;
    for seed in seeds(7, 60) {
        let seed = seed.to_string();
        let words = ["run", profile, "--json", "--fault", "wire.bit_console", "--seed", &seed];
        let record = Station::new().unit(words).json();
        assert_eq!(record["verdict"], "PASS", "seed {seed}: {record:#}");
        repeated += usize::from(!twice(&record).is_empty());
    }
    println!("{profile}: {repeated} took a second attempt");
}

/// The installer's alert was asked for once only: a bit in that line was the unit's. Where nothing is given back,
/// a value that arrived wrong shows only in what the unit does with it. And one that was stored over a secret leaves
/// that in the flash: nobody's unit is good or bad then.
#[rstest]
#[case("safesignal", true, false)]
#[case("safesignal", false, false)]
#[case("safesignal-certificates", true, false)]
#[case("zeroconf-ca-console", true, true)]
fn a_bit_in_what_is_typed_fails_no_unit(
    #[case] product: &str,
    #[case] echo: bool,
    #[case] leaves_secrets: bool,
) {
    let (mut repeated, mut left) = (0, 0);
    for seed in seeds(8, 40) {
        let station = Station::new();
        let file = with_echo(&station, product, echo);
        let seed = seed.to_string();
        let words = ["run", &file, "--json", "--fault", "wire.bit_typed", "--seed", &seed];
        let record = station.unit(words).json();
        repeated += usize::from(!twice(&record).is_empty());
        if leaves_secrets && record["verdict"] == "ERROR" {
            assert_eq!(record["diagnosis"]["code"], "port.garbled", "seed {seed}: {record:#}");
            let message = record["diagnosis"]["message"].as_str().expect("a sentence");
            assert!(message.contains("was typed twice, so that a secret"), "{message}");
            left += 1;
            continue;
        }
        assert_eq!(record["verdict"], "PASS", "seed {seed}: {record:#}");
    }
    println!("{product}: {repeated} took a second attempt, {left} left a secret");
    assert!(repeated > 1, "the bit was hit: {repeated}");
}

/// What it does with its values twice is its own doing.
#[test]
fn a_bad_unit_is_bad_however_its_values_were_given() {
    let station = Station::new();
    let file = with_echo(&station, "safesignal", false);
    let ended = station.unit(["run", &file, "--json", "--fault", "firmware.wifi_password"]);
    let record = fails(&ended, "wifi.wrong_password");
    assert!(twice(&record).contains(&"console_provision"), "{record:#}");
}

/// Its answer to the first of two lines was taken for that to the second.
#[rstest]
fn a_late_answer_is_none_to_the_line_that_is_typed_again(#[values(true, false)] echo: bool) {
    let station = Station::new();
    let file = with_echo(&station, "safesignal", echo);
    let late = station.unit(["run", &file, "--json", "--fault", "firmware.console_late"]);
    fails(&late, "console.no_answer");
}

/// The shipped product, with a firmware that gives back what is typed or does not; the profile's file.
fn with_echo(station: &Station, product: &str, echo: bool) -> String {
    let fixture = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/");
        std::fs::read_to_string(format!("{folder}{name}")).expect("it ships")
    };
    let firmware = fixture(&format!("firmware/{product}.toml"));
    assert!(firmware.contains("echo = true"), "this one gives back what is typed");
    let firmware = firmware.replace("echo = true", &format!("echo = {echo}"));
    let firmware = station.write("firmware.toml", firmware);
    let model = format!("model = \"{product}\"");
    let changed = format!("model = \"{}\"", firmware.display());
    let file = format!("{product}.toml");
    station.write(&file, fixture(&format!("profiles/{file}")).replace(&model, &changed));
    file
}

#[rstest]
#[case::address("safesignal", "sta ip: 12", "wifi_join", "its address is 137.")]
#[case::signal("safesignal.toml", "rssi: -4", "wifi_join", "rssi is -55")]
#[case::id("ble-gateway", "Device ID: 2", "device_id", "calls itself 340AC4000110")]
fn what_only_one_line_says_is_heard_once_more(
    #[case] profile: &str,
    #[case] text: &str,
    #[case] of: &str,
    #[case] at_first: &str,
) {
    let station = Station::new();
    station.write("safesignal.toml", SAFESIGNAL.replace("lower = -75", "lower = -50"));
    let record = passes(&with_a_bit_in(&station, profile, text));
    let said = evidence(&record, of);
    assert!(said.contains("at the 1st attempt") && said.contains(at_first), "{said}");
    let stages = twice(&record);
    let boot = if of == "device_id" { "boot_to_provision" } else { "boot" };
    assert_eq!(stages, [boot, if of == "device_id" { "device_id" } else { of }], "{record:#}");
}

#[test]
fn the_report_says_that_a_unit_was_heard_twice() {
    let station = Station::new();
    let ended = station.unit(["run", "safesignal", "--device", "simulator:?bit-in=sta ip: 12"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains("wifi_join at the 2nd attempt"), "{}", ended.stdout);
}

/// The firmware wrote its values; only its word for that was damaged.
#[test]
fn a_firmware_that_writes_the_values_is_heard_once_more() {
    let station = Station::new();
    let shipped = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/profiles/ble-gateway-factory.toml"
    ));
    station.write("ble-gateway-factory.toml", shipped.replace("within_s = 20", "within_s = 3"));
    let ended = with_a_bit_in(&station, "ble-gateway-factory.toml", "Factory provisio");
    assert_eq!(twice(&passes(&ended)).len(), 2, "{ended:?}");
}

/// A defect that is there twice is no hearsay, and one that no wire makes is not asked about again.
#[rstest]
#[case::weak("radio.weak", "wifi.out_of_limits", true)]
#[case::loops("firmware.boot_loop", "boot.loop", false)]
#[case::no_network("radio.no_ip", "wifi.not_joined", false)]
fn what_comes_again_is_the_units(#[case] fault: &str, #[case] code: &str, #[case] again: bool) {
    let ended = Station::new().unit(["run", "espvault", "--json", "--fault", fault]);
    let record = fails(&ended, code);
    assert_eq!(twice(&record).contains(&"boot"), again, "{record:#}");
    assert_eq!(evidence(&record, "wifi_join").contains("at the 1st attempt"), again);
}

/// The bench's own words, garbled, were the unit's leak; and the password was shown but for one letter.
#[rstest]
#[case::in_the_command("provision_set_wif")]
#[case::in_the_secret("passwor")]
fn an_echo_with_one_bit_wrong_is_no_leak_and_shows_none(#[case] text: &str) {
    let station = Station::new();
    let ended = with_a_bit_in(&station, "safesignal", text);
    let record = passes(&ended);
    assert_eq!(twice(&record), ["console_provision"], "{record:#}");
    assert!(!ended.stdout.contains("your-wifi"), "{record:#}");
    for file in station.files(&station.state()) {
        let bytes = std::fs::read(&file).expect("a file of the station");
        let shown = bytes.windows(9).any(|window| window == b"your-wifi");
        assert!(!shown, "{}", file.display());
    }
}

#[rstest]
#[case::answer("credentials save", "console_provision")]
#[case::status("  Tenant:    ", "console_status")]
#[case::prompt("esp32>", "")]
fn a_line_that_was_answered_wrong_once_is_typed_again(#[case] text: &str, #[case] stage: &str) {
    let record = passes(&with_a_bit_in(&Station::new(), "safesignal", text));
    assert_eq!(twice(&record).concat(), stage, "{record:#}");
}

#[test]
fn a_profile_may_forbid_that_a_line_is_typed_twice() {
    let station = Station::new();
    let once = SAFESIGNAL.replace("[console]\n", "[console]\nretype = false\n");
    station.write("safesignal.toml", once);
    let ended = with_a_bit_in(&station, "safesignal.toml", "credentials save");
    let record = fails(&ended, "console.unexpected_answer");
    assert!(twice(&record).is_empty(), "{record:#}");
}

/// What was answered twice says so.
#[test]
fn a_line_that_is_answered_wrong_twice_fails_and_says_so() {
    let words = ["run", "safesignal", "--json", "--fault", "firmware.console_garbled"];
    let record = fails(&Station::new().unit(words), "console.unexpected_answer");
    let said = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(said.ends_with("the line was typed twice"), "{said}");
}

/// The unit did restart, so that its line cannot be typed again: all is done again from its boot.
#[test]
fn the_answer_of_a_unit_that_restarts_is_heard_once_more() {
    let station = Station::new();
    let brief = SAFESIGNAL.replace("within_s = 10\nrestarts", "within_s = 2\nrestarts");
    station.write("safesignal.toml", brief);
    let record = passes(&with_a_bit_in(&station, "safesignal.toml", "Factory rese"));
    let again = ["boot_to_provision", "console_provision", "console_factory_reset"];
    assert_eq!(twice(&record), again, "{record:#}");
}

/// Requests that begin a write carry no sum of their own: one bit puts all that follows elsewhere.
#[rstest]
#[case(30)]
#[case(66)]
fn what_a_wire_damaged_is_written_once_more(#[case] seed: u64) {
    let run = |profile: &str| {
        let station = Station::new();
        let once = PROFILE.replace("[images]", "[flash]\nrewrite = false\n\n[images]");
        station.write("espvault.toml", once);
        let seed = seed.to_string();
        station.unit(["run", profile, "--json", "--fault", "wire.bit_request", "--seed", &seed])
    };
    let record = passes(&run("espvault"));
    let said = evidence(&record, "nvs_readback");
    assert!(said.contains("it was written once more, since it differed at 0x10000"), "{said}");
    assert_eq!(twice(&record), ["read_back"], "{record:#}");
    // Where nothing may be written twice, the same wire fails the unit, and it is said where.
    let record = fails(&run("espvault.toml"), "nvs.key_missing");
    assert!(!evidence(&record, "nvs_readback").contains("once more"), "{record:#}");
}

/// A defect of the flash is there again, and the bytes are named.
#[rstest]
#[case::app("flash.app_bit", &["read_back"])]
#[case::stuck("flash.stuck_bit", &["read_back"])]
// It is another one each time that it is asked for.
#[case::weak("flash.weak_sector", &["erase", "read_back"])]
fn flash_that_differs_again_fails(#[case] fault: &str, #[case] repeated: &[&str]) {
    let ended = Station::new().unit(["run", "--json", "--fault", fault]);
    let record = fails(&ended, "flash.region_differs");
    let said = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(said.starts_with("ota_0 differs before the first boot at 0x"), "{said}");
    assert!(
        said.contains("byte") && said.contains("again after it was written once more"),
        "{said}"
    );
    assert_eq!(twice(&record), repeated, "{record:#}");
}

#[rstest]
#[case::bit("flash.nvs_bit", "nvs.damaged")]
#[case::key("flash.nvs_key_missing", "nvs.key_missing")]
#[case::erase("flash.erase_failed", "nvs.damaged")]
fn so_does_nvs(#[case] fault: &str, #[case] code: &str) {
    // With this seed it is a sector of NVS that cannot be erased.
    let words = ["run", "--json", "--fault", fault, "--seed", "1"];
    let record = fails(&Station::new().unit(words), code);
    let said = evidence(&record, "nvs_readback");
    assert!(said.contains("it was written once more, since it differed at 0x"), "{said}");
    assert_eq!(twice(&record), ["read_back"], "{record:#}");
}

/// A unit that is only checked is not written to.
#[test]
fn a_check_writes_nothing() {
    let station = Station::new();
    let device = format!("simulator:?flash-file={}", station.path("unit.flash").display());
    passes(&station.unit(["run", "--json", "--device", &device]));
    let words = ["check", "espvault", "--json", "--device", &device, "--fault", "flash.app_bit"];
    let record = fails(&station.unit(words), "flash.region_differs");
    assert!(!record.to_string().contains("written once more"), "{record:#}");
}

/// The seed's places and moments stay bad units, and the same seed repeats.
#[rstest]
#[case::vanish("wire.vanish", 3, "ERROR")]
#[case::erase("flash.erase_failed", 1, "FAIL")]
#[case::loops("firmware.boot_loop", 1, "FAIL")]
#[case::hangs("chip.watchdog", 1, "FAIL")]
#[case::browns_out("chip.brown_out", 1, "FAIL")]
fn a_moment_of_the_seeds_changes_no_verdict(
    #[case] fault: &str,
    #[case] code: i32,
    #[case] verdict: &str,
) {
    for seed in seeds(2, 12) {
        let seed = (seed + 1).to_string();
        // One station: the CA that an application holds is in what is said of its bytes.
        let station = Station::new();
        let run = || station.unit(["run", "--json", "--fault", fault, "--seed", &seed]);
        let (first, second) = (run(), run());
        let record = first.json();
        assert_eq!((first.code(), &record["verdict"]), (code, &verdict.into()), "{record:#}");
        // A crash's line holds the unit's clock.
        let (said, again) = (record["diagnosis"].clone(), second.json()["diagnosis"].clone());
        assert_eq!(said["code"], again["code"], "seed {seed} repeats");
        assert!(!fault.starts_with("flash") || said == again, "{said} {again}");
    }
}
