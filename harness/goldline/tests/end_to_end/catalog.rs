//! What the program tells about itself: faults, profiles, help and version.

use std::collections::BTreeSet;

use rstest::rstest;

use super::program::{PROFILE, Station};

#[test]
fn every_fault_has_a_name_its_layer_and_a_sentence() {
    let ended = Station::new().goldline(["simulator", "faults", "--json"]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    let faults = ended.json();
    let faults = faults.as_array().expect("a list");
    let mut names = BTreeSet::new();
    for fault in faults {
        let fields: Vec<_> = fault.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["layer", "name", "what"], "{fault}");
        let text = |field: &str| fault[field].as_str().expect("a text");
        assert_eq!(text("name").split('.').next(), Some(text("layer")), "{fault}");
        assert!(text("what").ends_with('.') && text("what").contains(' '), "{fault}");
        assert!(names.insert(text("name")), "{fault} is listed twice");
    }
    for name in [
        "flash.app_bit",
        "flash.nvs_bit",
        "flash.nvs_key_missing",
        "firmware.wifi_password",
        "firmware.mqtt_password",
        "firmware.wrong_ca",
        "firmware.boot_loop",
        "radio.deaf",
        "ap.absent",
        "ap.password",
        "broker.unknown_ca",
        "broker.down",
        "wire.silent",
        "wire.vanish",
    ] {
        assert!(names.contains(name), "no {name}");
    }
}

#[test]
fn a_person_reads_the_same_faults() {
    let station = Station::new();
    let text = station.goldline(["simulator", "faults"]).stdout;
    for fault in
        station.goldline(["simulator", "faults", "--json"]).json().as_array().expect("a list")
    {
        for field in ["name", "what"] {
            let part = fault[field].as_str().expect("a text");
            assert!(text.contains(part), "no {part} in {text}");
        }
    }
}

#[test]
fn profiles_are_listed_with_what_they_are_for() {
    let ended = Station::new().goldline(["profile", "list"]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    let line = ended.stdout.lines().find(|line| line.starts_with("espvault ")).expect("espvault");
    assert!(line.contains("EspVault Universal Node on esp32"), "{line}");
}

#[test]
fn a_profile_of_ones_own_is_listed_checked_and_run_by_name() {
    let station = Station::new();
    std::fs::create_dir(station.path("profiles")).expect("a folder");
    let own = PROFILE.replacen("name = \"espvault\"", "name = \"mine\"", 1);
    station.write("profiles/mine.toml", own);
    let listed = station.goldline(["profile", "list", "--profiles", "profiles"]);
    assert!(listed.stdout.lines().any(|line| line.starts_with("mine ")), "{listed:?}");
    let checked = station.goldline(["profile", "check", "mine", "--profiles", "profiles"]);
    assert_eq!(checked.code(), 0, "{checked:?}");
    let run = station.unit(["run", "mine", "--json", "--profiles", "profiles"]);
    assert_eq!((run.code(), &run.json()["profile"]), (0, &"mine".into()));
}

#[test]
fn a_profile_is_explained_without_its_secrets() {
    let ended = Station::new().goldline(["profile", "explain", "espvault"]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    for part in
        ["0x010000", "wifi_password", "mqtts://", "mqtt_connect", "redirected", "-75 to -10"]
    {
        assert!(ended.stdout.contains(part), "no {part} in {}", ended.stdout);
    }
    for secret in ["SecurePassword123", "DeviceSecretKey"] {
        assert!(!ended.stdout.contains(secret), "{}", ended.stdout);
    }
}

#[rstest]
#[case::help(&["--help"], "Exit codes:")]
#[case::help_of_a_command(&["run", "--help"], "--dry-run")]
#[case::version(&["--version"], env!("CARGO_PKG_VERSION"))]
fn help_and_version_are_no_errors(#[case] arguments: &[&str], #[case] part: &str) {
    let ended = Station::new().goldline(arguments);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    assert!(ended.stdout.contains(part), "{}", ended.stdout);
}
