//! `--save-credentials`: what a unit was given, in a file for its owner alone.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use super::program::Station;

const SAVED: &str = "credentials.json";

#[test]
fn the_credentials_of_every_unit_are_saved_for_their_owner_alone() {
    let station = Station::new();
    let devices = ["--device", "simulator:"].repeat(2);
    let command = ["run", "zeroconf-ca", "--json", "--save-credentials", SAVED];
    let ended = station.unit([&command, devices.as_slice()].concat());
    assert_eq!(ended.code(), 0, "{}", ended.stdout);
    let path = station.path(SAVED);
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let saved: Value = serde_json::from_slice(&fs::read(&path).expect("readable")).expect("JSON");
    let units = saved.as_array().expect("a list");
    assert_eq!(units.len(), 2);
    let value = |unit: usize, name: &str| units[unit]["values"][name].as_str().expect("a text");
    for unit in 0..2 {
        let psk = value(unit, "psk");
        assert!(psk.len() == 64 && psk.bytes().all(|digit| digit.is_ascii_hexdigit()), "{saved:#}");
        assert!(value(unit, "issued.certificate").starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(!ended.stdout.contains(psk) && !ended.stderr.contains(psk));
        for file in station.files(&station.state()) {
            let bytes = fs::read(&file).expect("readable");
            let shown = bytes.windows(psk.len()).any(|window| window == psk.as_bytes());
            assert!(!shown, "{} shows a secret", file.display());
        }
    }
    assert_ne!(value(0, "psk"), value(1, "psk"), "each unit has a key of its own");
    assert_ne!(value(0, "uuid"), value(1, "uuid"));
}

/// The run makes that folder itself.
#[test]
fn the_credentials_may_lie_beside_the_record() {
    let station = Station::new();
    let ended = station.unit(["run", "--out", "out", "--save-credentials", "./out/saved.json"]);
    assert_eq!(ended.code(), 0, "{}", ended.said());
    assert!(station.path("out/saved.json").exists() && station.path("out/record.json").exists());
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_the_unit_is_touched() {
    let station = Station::new();
    let ended =
        station.unit(["run", "zeroconf-ca", "--json", "--save-credentials", "nowhere/file.json"]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{}", ended.said());
    assert!(ended.said().contains("nowhere/file.json"), "{}", ended.said());
}
