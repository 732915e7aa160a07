//! Units that are tested with the bench's values and shipped with others: the final image is written last, read back,
//! and never started.
//!
//! The unit is the simulator in a process of its own, and its port is taken for a real one. What lies in its flash is
//! read by this test from the file that holds it, and what it did from its own journal.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use goldline::{
    clock::Clock,
    process::ChildGuard,
    profile::Chip,
    simulated::simulated,
    testbed::authority::{Authority, AuthorityPem},
};
use goldline_nvs::Image;
use rstest::rstest;
use serde_json::Value;

use super::{
    elsewhere::free_address,
    program::{Ended, FIRMWARE, PROFILE, Station, check},
};

/// Where the profile puts the unit's values.
const NVS: std::ops::Range<usize> = 0x10000..0x16000;
/// Where ESP-IDF's own data, the OTA data and the product's storage lie, which a firmware that ran writes into.
const LEFT_TO_FIRMWARE: [std::ops::Range<usize>; 4] =
    [0x9000..0xf000, 0xf000..0x1_0000, 0x1_6000..0x1_8000, 0x32_0000..0x3f_0000];
const BENCH_BROKER: &str = "mqtts://broker.bench.example.test:8883";
const BENCH_SSID: &str = "BenchOfTheTest";
const BENCH_PASSWORD: &str = "PasswordOfTheBench";
const BROKER: &str = "mqtts://broker.production.example.test:8883";
const PASSWORD: &str = "MarkerOfASecret";
/// A run takes seconds; a hanging program must not hang the tests.
const DEADLINE: Duration = Duration::from_secs(120);

fn edited(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (old, new)| {
        let edited = text.replacen(old, new, 1);
        assert_ne!(edited, text, "{old}");
        edited
    })
}

fn profile() -> String {
    let bench = format!(
        "[bench_values]\nmqtt_broker = \"{BENCH_BROKER}\"\nwifi_ssid = \"{BENCH_SSID}\"\n\
         wifi_password = \"{BENCH_PASSWORD}\"\nbroker_ca = \"{{bench.root_certificate}}\"\n\n[nvs]\n"
    );
    edited(
        PROFILE,
        &[
            ("{ model = \"espvault\" }", "{ file = \"app.elf\" }"),
            ("policy = \"redirected\"", "policy = \"test_then_final\""),
            (
                "[values.mqtt_username]",
                "[values.broker_ca]\nsource = \"site\"\nmultiline = true\nmax_bytes = 3000\n\n[values.mqtt_username]",
            ),
            (
                "value = \"{mqtt_password}\" },\n",
                "value = \"{mqtt_password}\" },\n  { key = \"broker_ca\", encoding = \"string\", value = \"{broker_ca}\" },\n",
            ),
            ("[nvs]\n", &bench),
        ],
    )
}

/// A product whose firmware takes its CA from NVS, and what its maker has.
fn product() -> (Station, AuthorityPem) {
    let station = Station::new();
    station.write("espvault.toml", profile());
    let maker = Authority::create(Clock::system()).expect("an authority");
    let firmware = edited(
        FIRMWARE,
        &[
            ("\"password\"]", "\"password\", \"broker_ca\"]"),
            (
                "[wifi]",
                "broker_ca = { key = \"broker_ca\", type = \"string\", max_bytes = 3000 }\n\n[wifi]",
            ),
            ("uri = \"broker\"", "uri = \"broker\"\nca = \"broker_ca\""),
        ],
    );
    let chip = simulated(Chip::Esp32).expect("it is simulated");
    let app = goldline_simulator::firmware::compile(&firmware, maker.root_pem(), chip);
    station.write("app.elf", app.expect("the firmware compiles"));
    station.write("root.pem", maker.root_pem());
    station.write("password", PASSWORD);
    let values = format!(
        "[values]\nmqtt_broker = \"{BROKER}\"\nwifi_ssid = \"Shop\"\n\
         wifi_password = {{ file = \"password\" }}\nbroker_ca = {{ file = \"root.pem\" }}\n"
    );
    station.write("line.toml", values);
    (station, maker.to_pem().clone())
}

/// A unit of another process, which outlives the bench's program.
struct Unit {
    process: ChildGuard,
    device: String,
    wire: String,
}

impl Unit {
    fn serve(station: &Station, port: &[&str], options: &[&str]) -> Self {
        let wire = free_address();
        let mut command = station.command();
        command.args(["simulator", "serve", "--flash-file", "unit.flash", "--journal", "unit.log"]);
        command.args(["--network", &wire]).args(port).args(options);
        let mut process =
            ChildGuard::spawn(command.stdout(Stdio::piped())).expect("the unit starts");
        let output = process.child().stdout.take().expect("stdout is a pipe");
        let mut device = String::new();
        BufReader::new(output).read_line(&mut device).expect("it says its port");
        Self { process, device: device.trim_end().to_owned(), wire }
    }

    /// One whose port has modem lines.
    fn behind_rfc2217(station: &Station, options: &[&str]) -> Self {
        Self::serve(station, &["--rfc2217", "127.0.0.1:0"], options)
    }

    fn words<'a>(&'a self, command: &'a str) -> Vec<&'a str> {
        let words = [command, "espvault.toml", "--json", "--station", "line.toml"];
        let device = ["--network", &self.wire, "--device", &self.device];
        words.into_iter().chain(device).collect()
    }

    fn command(&self, station: &Station, command: &str) -> Ended {
        station.unit(self.words(command))
    }
}

fn flash(station: &Station) -> Vec<u8> {
    fs::read(station.path("unit.flash")).expect("the unit's flash")
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// What the unit did since something of its flash was changed for the last time.
fn since_last_write(station: &Station) -> Vec<String> {
    let journal = fs::read_to_string(station.path("unit.log")).expect("the unit's journal");
    let lines: Vec<&str> = journal.lines().collect();
    let last =
        lines.iter().rposition(|line| line.starts_with("write") || line.starts_with("erase"));
    let after = last.expect("something was written") + 1;
    lines[after..].iter().map(|line| (*line).to_owned()).collect()
}

/// The one base64 line of a certificate that no other has.
fn line_of(pem: &str) -> &str {
    pem.lines().rev().nth(2).expect("a certificate has lines")
}

fn bench_root(station: &Station) -> String {
    fs::read_to_string(station.state().join("ca/root.pem")).expect("the bench's CA")
}

/// The flash holds what the unit is shipped with, and nothing of the bench's, in no byte of it.
fn is_shipped(station: &Station, maker: &AuthorityPem) {
    let flash = flash(station);
    let image = Image::decode(&flash[NVS]).expect("an NVS partition");
    let view = image.device_view();
    let text = |key: &str| {
        let found = view.get("vault", key).unwrap_or_else(|| panic!("no {key}"));
        found.as_str().expect("a text").to_owned()
    };
    assert_eq!(text("mqtt_broker"), BROKER);
    assert_eq!(text("wifi_ssid"), "Shop");
    assert_eq!(text("wifi_password"), PASSWORD);
    assert_eq!(text("broker_ca").trim_end(), maker.root_certificate.trim_end());
    assert_eq!(text("device_id"), "VAULT-00001");
    for text in [BENCH_BROKER, "bench.example.test", BENCH_SSID, BENCH_PASSWORD] {
        assert!(!holds(&flash, text), "{text} is aboard");
    }
    assert!(!holds(&flash, line_of(&bench_root(station))), "the bench's CA is aboard");
    for sample in ["ProductionWiFi", "SecurePassword123", "prod.broker.com", "DeviceSecretKey"] {
        assert!(!holds(&flash[NVS], sample), "{sample} is aboard");
    }
    for range in LEFT_TO_FIRMWARE {
        assert!(flash[range.clone()].iter().all(|byte| *byte == 0xFF), "{range:x?}: it ran");
    }
}

fn passes(ended: &Ended) -> Value {
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    record
}

#[test]
fn a_unit_passes_only_with_its_final_image_aboard_and_never_started_with_it() {
    let (station, maker) = product();
    let unit = Unit::behind_rfc2217(&station, &[]);
    let record = passes(&unit.command(&station, "run"));
    is_shipped(&station, &maker);
    assert_eq!(since_last_write(&station), Vec::<String>::new(), "it was started");
    assert_eq!(record["shipped"]["holds"], "final", "{record:#}");
    assert_eq!(record["shipped"]["final"], "held", "{record:#}");
    assert_eq!(record["endpoints"][0]["shipped"], BROKER);
    assert_eq!(record["endpoints"][0]["policy"], "test_then_final");
    assert_eq!(check(&record, "mqtt_connect")["outcome"], "pass");
    let covered = check(&record, "flash_integrity")["measurements"].to_string();
    assert!(covered.contains("bytes_covered_at_last"), "{covered}");
    // It ran for its test, which it was given the bench's values for.
    let journal = fs::read_to_string(station.path("unit.log")).expect("the unit's journal");
    assert!(journal.contains("start boot"), "{journal}");

    // It reaches nothing then, and needs no network that it could reach.
    let alone = ["check", "espvault.toml", "--json", "--station", "line.toml"];
    let record = passes(&station.unit(alone.into_iter().chain(["--device", &unit.device])));
    assert_eq!(record["shipped"]["holds"], "final", "{record:#}");
    let not_proven = record["not_proven"].to_string();
    assert!(not_proven.contains("mqtt_connect"), "{not_proven}");
    assert!(!since_last_write(&station).contains(&"start boot".to_owned()), "it was started");
    for file in station.files(&station.state()) {
        assert!(!holds(&fs::read(&file).expect("a file"), PASSWORD), "{}", file.display());
    }
}

/// A unit that failed its test keeps what it was tested with, and everybody is told.
#[test]
fn a_unit_that_fails_its_test_is_never_given_its_final_image() {
    let (station, _) = product();
    let unit = Unit::behind_rfc2217(&station, &["--fault", "firmware.mqtt_password"]);
    let ended = unit.command(&station, "run");
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "mqtt.bad_credentials", "{record:#}");
    assert_eq!(record["shipped"]["holds"], "bench_values", "{record:#}");
    assert!(holds(&flash(&station)[NVS], BENCH_BROKER));
    let checked = unit.command(&station, "check").json();
    assert_eq!(checked["verdict"], "ERROR", "{checked:#}");
    assert_eq!(checked["diagnosis"]["code"], "endpoint.bench_would_ship", "{checked:#}");
}

/// Wherever it dies between the test and the end, the unit is none that may be shipped.
#[rstest]
#[case::before_its_test("boot, with the values of its test aboard")]
#[case::in_its_test("mqtt_connect, with the values of its test aboard")]
#[case::when_it_was_judged("judge_test, with the values of its test aboard")]
#[case::half_erased("erase_tested")]
#[case::half_written("write_final_factory")]
#[case::not_read_back("read_back_final")]
#[case::not_left("hold")]
fn a_unit_whose_run_was_killed_does_not_pass(#[case] stage: &str) {
    let (station, maker) = product();
    let unit = Unit::behind_rfc2217(&station, &[]);
    let mut command = station.unit_command(unit.words("run"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = ChildGuard::spawn(&mut command).expect("the program starts");
    let began = Instant::now();
    let noted = format!("\"stage\":\"{stage}\"");
    let journal = || fs::read_to_string(station.state().join("journal.jsonl")).unwrap_or_default();
    while !journal().contains(&noted) {
        let ended = run.child().try_wait().expect("it can be asked");
        if stage == "hold" && ended.is_some_and(|status| status.success()) {
            break;
        }
        assert!(ended.is_none() && began.elapsed() < DEADLINE, "{stage}: {}", journal());
        std::thread::sleep(Duration::from_millis(1));
    }
    run.child().kill().expect("it runs");
    run.child().wait().expect("it is gone");
    let checked = unit.command(&station, "check").json();
    if stage == "hold" && checked["verdict"] == "PASS" {
        // All was done before the kill came: it is as it should be, and the station knew.
        is_shipped(&station, &maker);
        return;
    }
    assert_eq!(checked["verdict"], "ERROR", "{checked:#}");
    assert_eq!(checked["diagnosis"]["code"], "station.run_interrupted", "{checked:#}");
    let message = checked["diagnosis"]["message"].as_str().expect("words");
    assert!(message.contains("was interrupted at "), "{message}");
    // Made again, it is as any other.
    passes(&unit.command(&station, "run"));
    is_shipped(&station, &maker);
}

/// Pulled in the middle of its final image.
#[test]
fn a_unit_whose_port_is_lost_while_it_is_finished_does_not_pass() {
    let (station, _) = product();
    let mut unit = Unit::behind_rfc2217(&station, &[]);
    let mut command = station.unit_command(unit.words("run"));
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let run = command.spawn().expect("the program starts");
    let began = Instant::now();
    let journal = || fs::read_to_string(station.state().join("journal.jsonl")).unwrap_or_default();
    while !journal().contains("\"stage\":\"erase_tested\"") {
        assert!(began.elapsed() < DEADLINE, "{}", journal());
        std::thread::sleep(Duration::from_millis(1));
    }
    unit.process.child().kill().expect("it runs");
    let record = Ended::from(run.wait_with_output().expect("it ends")).json();
    assert_eq!(record["verdict"], "ERROR", "{record:#}");
    assert_eq!(record["shipped"]["holds"], "unknown", "{record:#}");
    assert_eq!(record["shipped"]["final"], "may_have_booted", "{record:#}");
}

/// What the test left in the flash is found there at last, where it cannot be written over.
#[test]
fn a_unit_whose_flash_does_not_take_its_final_image_fails() {
    let (station, _) = product();
    let unit = Unit::behind_rfc2217(&station, &["--fault", "flash.worn_out"]);
    let ended = unit.command(&station, "run");
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    // Its test was passed: it is the final image that is not there.
    assert_eq!(record["shipped"]["holds"], "unknown", "{record:#}");
    assert_eq!(check(&record, "mqtt_connect")["outcome"], "pass", "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("words");
    assert!(message.contains("as it is shipped"), "{message}");
    let checked = unit.command(&station, "check").json();
    assert_eq!(checked["verdict"], "ERROR", "{checked:#}");
}

/// Nothing outside of the chip holds one whose port is its own.
#[test]
fn a_unit_with_a_usb_of_its_own_may_have_booted() {
    let (station, maker) = product();
    let unit = Unit::serve(&station, &["--rfc2217", "127.0.0.1:0", "--native-usb"], &[]);
    let device = format!("{}?reset=usb-jtag", unit.device);
    let unit = Unit { device, ..unit };
    let record = passes(&unit.command(&station, "run"));
    is_shipped(&station, &maker);
    assert_eq!(record["shipped"]["final"], "may_have_booted", "{record:#}");
    let why = record["shipped"]["why"].as_str().expect("words");
    assert!(why.contains("its own USB"), "{why}");
}

/// On a terminal without modem lines a program of the jig resets it.
#[test]
fn a_unit_that_a_program_resets_may_have_booted() {
    let (station, maker) = product();
    let mut unit = Unit::serve(&station, &["--pty", "unit"], &[]);
    let pid = unit.process.child().id();
    let script = format!(
        "#!/bin/sh\ncase $1 in download) kill -USR2 {pid} ;; application) kill -USR1 {pid} ;; esac\n"
    );
    let jig = station.executable("jig", script);
    unit.device = format!("serial:unit?reset=command:{}", jig.display());
    let record = passes(&unit.command(&station, "run"));
    is_shipped(&station, &maker);
    assert_eq!(since_last_write(&station), Vec::<String>::new(), "it was started");
    assert_eq!(record["shipped"]["final"], "may_have_booted", "{record:#}");
    let why = record["shipped"]["why"].as_str().expect("words");
    assert!(why.contains("a program of the jig"), "{why}");
}

/// Each would be shipped, and is refused before anything is touched.
#[rstest]
#[case::the_bench_s_address(
    |station: &Station| line(station, &format!("mqtt_broker = \"{BENCH_BROKER}\"")),
    "\"mqtt_broker\" is the same as the bench's"
)]
#[case::the_bench_s_network(
    |station: &Station| line(station, &format!("wifi_ssid = \"{BENCH_SSID}\"")),
    "\"wifi_ssid\" is the same as the bench's"
)]
#[case::the_bench_s_ca(
    |station: &Station| {
        // The state is made, and with it the bench's CA.
        let _made = station.unit(["run", "espvault", "--json"]);
        station.write("root.pem", bench_root(station));
    },
    "\"broker_ca\" is the same as the bench's"
)]
#[case::the_bench_s_ca_with_another(
    |station: &Station| {
        let _made = station.unit(["run", "espvault", "--json"]);
        let own = fs::read_to_string(station.path("root.pem")).expect("the maker's");
        station.write("root.pem", own + &bench_root(station));
    },
    "trusts the bench's own CA"
)]
#[case::no_certificate(
    |station: &Station| drop(station.write("root.pem", "no certificate at all, nor anything else")),
    "\"broker_ca\" is the CA that units are shipped with"
)]
#[case::no_ca(
    |station: &Station| {
        let maker = Authority::create(Clock::system()).expect("an authority");
        let names = ["broker.production.example.test".to_owned()];
        let issued = maker.issue_server(&names, time::Duration::days(30)).expect("it issues");
        station.write("root.pem", issued.signed.certificate);
    },
    "is no CA's"
)]
#[case::expired(
    |station: &Station| {
        let long_ago = time::OffsetDateTime::now_utc() - time::Duration::days(5000);
        let maker = Authority::create(Clock::fixed(long_ago)).expect("an authority");
        station.write("root.pem", maker.root_pem());
    },
    "\"broker_ca\" is the CA that units are shipped with"
)]
#[case::of_another_broker(
    |station: &Station| {
        let other = Authority::create(Clock::system()).expect("an authority");
        broker_shows(station, &other, "broker.production.example.test");
    },
    "would refuse the production's broker mqtts://broker.production.example.test:8883"
)]
#[case::nothing_that_the_broker_shows(
    |station: &Station| {
        let line = fs::read_to_string(station.path("line.toml")).expect("the station's");
        station.write("line.toml", line + "\n[final]\nbroker_shows = \"nowhere.pem\"\n");
    },
    "[final] broker_shows: cannot read"
)]
#[case::a_sample(
    |station: &Station| {
        let text = fs::read_to_string(station.path("line.toml")).expect("the station's");
        station.write("line.toml", text.replace("wifi_ssid = \"Shop\"\n", ""));
    },
    "\"wifi_ssid\" is not given"
)]
#[case::a_secret_sample(
    |station: &Station| drop(station.write("password", "SecurePassword123")),
    "is the sample of the profile"
)]
#[case::an_application_that_knows_the_bench(
    |station: &Station| {
        let firmware = edited(FIRMWARE, &[("tag = \"vault\"", &format!("tag = \"{BENCH_BROKER}\""))]);
        let maker = Authority::create(Clock::system()).expect("an authority");
        let chip = simulated(Chip::Esp32).expect("it is simulated");
        let app = goldline_simulator::firmware::compile(&firmware, maker.root_pem(), chip);
        station.write("app.elf", app.expect("the firmware compiles"));
    },
    "the application holds the bench's value of \"mqtt_broker\""
)]
fn what_would_be_shipped_of_the_bench_is_refused(#[case] spoil: fn(&Station), #[case] words: &str) {
    let (station, _) = product();
    spoil(&station);
    let unit = Unit::behind_rfc2217(&station, &[]);
    for command in ["run", "provision"] {
        let ended = unit.command(&station, command);
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(ended.said().contains(words), "{}", ended.said());
        assert!(!ended.said().contains(PASSWORD));
    }
    let journal = fs::read_to_string(station.path("unit.log")).expect("the unit's journal");
    assert_eq!(journal, "start download\n", "it was touched");
}

/// The station knows what the production's broker shows: a certificate of that CA for that name.
fn broker_shows(station: &Station, ca: &Authority, name: &str) {
    let issued = ca.issue_server(&[name.to_owned()], time::Duration::days(30));
    station.write("broker.pem", issued.expect("it issues").signed.chain);
    let line = fs::read_to_string(station.path("line.toml")).expect("the station's");
    station.write("line.toml", line + "\n[final]\nbroker_shows = \"broker.pem\"\n");
}

/// As a unit with its final CA would judge it, and by the name that it asks for.
#[rstest]
#[case::its_own("broker.production.example.test", true)]
#[case::another_name("other.example.test", false)]
fn what_the_productions_broker_shows_is_judged_by_the_final_ca(
    #[case] name: &str,
    #[case] is_trusted: bool,
) {
    let (station, pem) = product();
    let maker = Authority::load(pem, Clock::system()).expect("it is whole");
    broker_shows(&station, &maker, name);
    let unit = Unit::behind_rfc2217(&station, &[]);
    let ended = unit.command(&station, "run");
    match is_trusted {
        true => drop(passes(&ended)),
        false => {
            assert_eq!(ended.code(), 2, "{ended:?}");
            assert!(
                ended.said().contains("would refuse the production's broker"),
                "{}",
                ended.said()
            );
        }
    }
}

/// Puts a line in place of the one that gives the same value.
fn line(station: &Station, new: &str) {
    let text = fs::read_to_string(station.path("line.toml")).expect("the station's");
    let key = new.split_whitespace().next().expect("a key");
    let given = text.lines().map(|line| if line.starts_with(key) { new } else { line });
    station.write("line.toml", given.collect::<Vec<_>>().join("\n"));
}

/// What is only provisioned is given its final image at once, and is not started either.
#[test]
fn a_unit_that_is_only_provisioned_is_never_started() {
    let (station, maker) = product();
    let unit = Unit::behind_rfc2217(&station, &[]);
    let ended = unit.command(&station, "provision");
    assert_eq!(ended.code(), 0, "{ended:?}");
    is_shipped(&station, &maker_of(&station, maker));
    let journal = fs::read_to_string(station.path("unit.log")).expect("the unit's journal");
    assert!(!journal.contains("start boot"), "{journal}");
    assert_eq!(ended.json()["shipped"]["final"], "held");
}

/// The bench has no CA of which anything could be aboard before its first run made one.
fn maker_of(station: &Station, maker: AuthorityPem) -> AuthorityPem {
    assert!(station.state().join("ca/root.pem").exists());
    maker
}

#[test]
fn a_journal_of_a_unit_takes_no_other_files_place() {
    let station = Station::new();
    station.write("unit.log", "of another");
    let ended = station.goldline(["simulator", "serve", "--journal", "unit.log"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("choose a name that is free"), "{}", ended.said());
    assert_eq!(fs::read_to_string(station.path("unit.log")).expect("it is there"), "of another");
}

#[test]
fn a_dry_run_shows_both_plans_and_touches_nothing() {
    let (station, _) = product();
    let words = ["run", "espvault.toml", "--station", "line.toml", "--dry-run"];
    let device = ["--network", "wire:127.0.0.1:1", "--device", "rfc2217://127.0.0.1:9"];
    let ended = station.unit(words.into_iter().chain(device));
    assert_eq!(ended.code(), 0, "{ended:?}");
    let shown = ended.stdout;
    let place = |words: &str| shown.find(words).unwrap_or_else(|| panic!("no {words} in {shown}"));
    let order = [
        "bench values, for the test alone",
        "vault/mqtt_broker : string = {mqtt_broker}, the bench's",
        "reset into the application",
        "judge the test",
        "erase what the test may have written",
        "final: write the unit's NVS image",
        "as it is shipped",
        "leave the unit in its loader",
    ];
    assert!(order.map(place).is_sorted(), "{shown}");
    assert!(!shown.contains(BENCH_PASSWORD) && !shown.contains(PASSWORD), "{shown}");
    assert!(!station.state().exists());
}

/// Whatever a product keeps in its NVS, encrypted or issued by a CA or fetched while it is tested.
#[rstest]
#[case::plain("espvault", &[("mqtt_broker", BENCH_BROKER), ("wifi_ssid", BENCH_SSID)])]
#[case::encrypted("espvault-encrypted", &[("mqtt_broker", BENCH_BROKER), ("wifi_ssid", BENCH_SSID)])]
#[case::by_efuse("espvault-hmac", &[("mqtt_broker", BENCH_BROKER), ("mqtt_password", "PasswordOfTheBroker")])]
#[case::with_a_certificate("espvault-certificates", &[("mqtt_broker", BENCH_BROKER)])]
#[case::that_calls_its_ca("zeroconf", &[("ca_url", "https://ca.bench.example.test"), ("wifi_ssid", BENCH_SSID)])]
fn a_simulated_unit_of_every_product_that_can_be_finished_is(
    #[case] name: &str,
    #[case] bench: &[(&str, &str)],
) {
    let station = Station::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/");
    let text = fs::read_to_string(format!("{folder}{name}.toml")).expect("it ships");
    let lines: Vec<String> =
        bench.iter().map(|(name, text)| format!("{name} = \"{text}\"\n")).collect();
    let section = format!("[bench_values]\n{}\n[nvs]\n", lines.concat());
    let policy = ("policy = \"redirected\"", "policy = \"test_then_final\"");
    station.write("own.toml", edited(&text, &[policy, ("[nvs]\n", &section)]));
    let device = ["--device", "simulator:?flash-file=unit.flash"];
    let run = |command| station.unit([command, "own.toml", "--json"].into_iter().chain(device));
    let record = passes(&run("run"));
    assert_eq!(record["shipped"]["holds"], "final", "{record:#}");
    let flash = flash(&station);
    for (name, text) in bench {
        assert!(!holds(&flash, text), "{name} is aboard");
    }
    passes(&run("check"));
    for command in [&["reprovision", "--only", "wifi"][..], &["factory-reset"]] {
        let refused = station.unit([command, &["own.toml"], &device].concat());
        assert_eq!(refused.code(), 2, "{refused:?}");
    }
}

/// What the unit's own firmware stores cannot be written without it.
#[rstest]
#[case::typed("safesignal", "its values are typed into its console")]
#[case::posted("ble-gateway", "its values go into its web portal")]
#[case::by_firmware("ble-gateway-factory", "a provisioning firmware writes its values")]
#[case::joined_by_console("zeroconf-ca", "some of its values are typed into its console")]
fn a_product_that_stores_its_values_itself_is_refused_with_the_reason(
    #[case] name: &str,
    #[case] words: &str,
) {
    let station = Station::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/");
    let text = fs::read_to_string(format!("{folder}{name}.toml")).expect("it ships");
    station.write(
        "own.toml",
        edited(&text, &[("policy = \"redirected\"", "policy = \"test_then_final\"")]),
    );
    let ended = station.goldline(["profile", "check", "own.toml"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains(words), "{}", ended.said());
    assert!(ended.said().contains("needs [bench_values]"), "{}", ended.said());
}
