//! Secrets appear in nothing that the program prints or keeps, and what it keeps is its owner's only.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use rstest::rstest;
use serde_json::Value;

use super::program::{Ended, PROFILE, Station};

/// Stand for the site's and the unit's secrets; no other text contains them.
const PASSPHRASE: &str = "MarkerPassphrase7351";
const PASSWORD: &str = "MarkerBrokerPassword9204";
/// The samples of the shipped profile.
const SAMPLES: [&str; 2] = ["SecurePassword123", "DeviceSecretKey"];

/// Runs with both markers, given as a file and as a variable.
fn run_with_markers(station: &Station, arguments: &[&str]) -> Ended {
    station.write("passphrase", PASSPHRASE);
    let settings = [
        "--set",
        "wifi_password=@passphrase",
        "--set",
        "mqtt_password=$PASSWORD",
        "--out",
        "report",
    ];
    let mut command = station.unit_command([arguments, &settings].concat());
    Ended::of(command.env("PASSWORD", PASSWORD))
}

fn assert_none(secrets: &[&str], text: &[u8], place: &Path) {
    let text = String::from_utf8_lossy(text);
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} stands in {}", place.display());
        // As a program that escapes or encodes it would show it.
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(
            !text.to_lowercase().contains(&hex),
            "{secret} stands in {} in hex",
            place.display()
        );
    }
}

fn assert_hidden(station: &Station, ended: &Ended, secrets: &[&str]) {
    assert_none(secrets, ended.stdout.as_bytes(), Path::new("standard output"));
    assert_none(secrets, ended.stderr.as_bytes(), Path::new("standard error"));
    let mut files = station.files(&station.state());
    files.extend(station.files(&station.path("report")));
    assert!(files.len() > 8, "record, log, journal, CA, key, ledger: {files:?}");
    for file in files {
        assert_none(secrets, &fs::read(&file).expect("a readable file"), &file);
    }
}

#[rstest]
#[case::pass(&["--json"])]
#[case::pass_for_a_person(&[])]
#[case::refused_by_the_network(&["--json", "--fault", "firmware.wifi_password"])]
#[case::refused_by_the_broker(&["--json", "--fault", "firmware.mqtt_password"])]
#[case::network_of_the_bench(&["--json", "--fault", "ap.password"])]
#[case::broker_of_the_bench(&["--json", "--fault", "broker.down"])]
#[case::damaged_nvs(&["--json", "--fault", "flash.nvs_bit"])]
#[case::missing_key(&["--json", "--fault", "flash.nvs_key_missing"])]
#[case::boot_loop(&["--json", "--fault", "firmware.boot_loop"])]
fn given_secrets_are_shown_nowhere(#[case] arguments: &[&str]) {
    let station = Station::new();
    let ended = run_with_markers(&station, &[&["run"], arguments].concat());
    assert!([0, 1, 3].contains(&ended.code()), "{ended:?}");
    assert_hidden(&station, &ended, &[PASSPHRASE, PASSWORD]);
}

#[test]
fn samples_are_shown_nowhere() {
    let station = Station::new();
    let ended = station.unit(["run", "--json", "--out", "report"]);
    assert_hidden(&station, &ended, &SAMPLES);
}

/// The markers do reach the unit: a test that looks for them in vain elsewhere is no accident.
#[test]
fn the_markers_are_the_units_own_secrets() {
    let station = Station::new();
    let device = ["provision", "--device", "simulator:?flash-file=unit.flash"];
    assert_eq!(run_with_markers(&station, &device).code(), 0);
    let flash = fs::read(station.path("unit.flash")).expect("the flash");
    for secret in [PASSPHRASE, PASSWORD] {
        let found = flash.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(found, "{secret} is not in the unit");
    }
}

#[rstest]
#[case::given(&["run"])]
#[case::made(&["run", "--lot", "A"])]
fn what_the_station_keeps_is_its_owners_only(#[case] command: &[&str]) {
    let station = Station::new();
    assert_eq!(station.unit(command).code(), 0);
    let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!(mode(&station.state()), 0o700);
    for file in station.files(&station.state()) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        let folder = file.parent().expect("a folder");
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
}

/// The firmware is at fault; what it printed must not travel any further, and the check says so.
#[test]
fn a_secret_that_the_unit_prints_is_found_and_goes_nowhere() {
    let station = Station::new();
    station.write("espvault.toml", PROFILE);
    let out = station.path("out");
    let fault = ["run", "espvault.toml", "--json", "--fault", "firmware.secret_in_log", "--out"];
    let ended = station.unit(fault.into_iter().chain([out.to_str().expect("UTF-8")]));
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &Value::from("FAIL")), "{record}");
    assert_eq!(record["diagnosis"]["code"], "secret.in_log");
    let log = fs::read_to_string(out.join("console.log")).expect("the serial log");
    assert!(log.contains("‹wifi_password›"), "{log}");
    for text in [&log, &ended.stdout, &ended.stderr] {
        assert!(!text.contains("SecurePassword123"), "{text}");
    }
}

/// The broker's record of what a unit calls itself is the unit's own text.
#[test]
fn a_unit_that_calls_itself_by_a_secret_does_not_spread_it() {
    let station = Station::new();
    let confused = PROFILE.replace(
        "{ key = \"device_id\", encoding = \"string\", value = \"{device_id}\" }",
        "{ key = \"device_id\", encoding = \"string\", value = \"{mqtt_password}\" }",
    );
    assert_ne!(confused, PROFILE);
    station.write("espvault.toml", confused);
    let ended = run_with_markers(&station, &["run", "espvault.toml", "--json"]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &Value::from("FAIL")), "{record}");
    assert_none(&[PASSPHRASE, PASSWORD], ended.stdout.as_bytes(), Path::new("standard output"));
    for file in station.files(&station.state()) {
        assert_none(&[PASSPHRASE, PASSWORD], &fs::read(&file).expect("readable"), &file);
    }
}
