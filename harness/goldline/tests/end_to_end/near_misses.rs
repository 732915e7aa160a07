//! Firmware that does almost what it should: each of these once passed, or told a secret.

use std::fs;

use rstest::rstest;
use serde_json::Value;

use super::program::{Ended, Station};

const PSK: &str = "7d8e9f0a1b2c3d4e5f6a7b8c9d0e1f2a";

fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/");
    fs::read_to_string(format!("{folder}{name}")).expect("it ships")
}

/// Runs a shipped product with one change of its firmware.
fn run(station: &Station, product: &str, edit: (&str, &str), more: &[&str]) -> Ended {
    let firmware = fixture(&format!("firmware/{product}.toml"));
    assert!(firmware.contains(edit.0), "the firmware has no {} to replace", edit.0);
    let firmware = station.write("firmware.toml", firmware.replacen(edit.0, edit.1, 1));
    let profile = fixture(&format!("profiles/{product}.toml"));
    let model = format!("model = \"{product}\"");
    let changed = format!("model = \"{}\"", firmware.display());
    let file = format!("{product}.toml");
    let profile = profile.replacen(&model, &changed, 1).replace("service_s = 20", "service_s = 2");
    station.write(&file, profile);
    station.unit([&["run", &file, "--json"], more].concat())
}

#[rstest]
#[case::id_in_another_line(
    "ble-gateway",
    ("\"Device ID: {device_id}\"", "\"Chip {device_id}\""),
    &["--device", "simulator:?mac=a4:cf:12:34:56:78"],
    "device_id.missing",
    "printed no device id"
)]
#[case::places_exchanged(
    "safesignal",
    ("tenant_id = \"{tenant}\", building_id = \"{building}\", room_id = \"{room}\"",
     "tenant_id = \"{building}\", building_id = \"{room}\", room_id = \"{tenant}\""),
    &[],
    "alert.missing",
    "is not this unit's"
)]
#[case::another_mac(
    "zeroconf",
    ("mac = \"{device_id}\"", "mac = \"0A1B2C3D4E5F\""),
    &[],
    "ca.not_registered",
    "registered the MAC 0a:1b:2c:3d:4e:5f"
)]
fn a_near_miss_fails(
    #[case] product: &str,
    #[case] edit: (&str, &str),
    #[case] more: &[&str],
    #[case] code: &str,
    #[case] said: &str,
) {
    let station = Station::new();
    let ended = run(&station, product, edit, more);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains(said), "{message}");
}

/// The CA repeats in its refusal what it was sent; a name that it takes is compared with the plan's.
#[rstest]
#[case::refused(("mac = \"{device_id}\"", "mac = \"{psk}\""))]
#[case::taken(("type = \"zero-config\"", "type = \"{psk}\""))]
fn a_key_in_the_wrong_field_is_told_to_nobody(#[case] edit: (&str, &str)) {
    let station = Station::new();
    let ended = run(&station, "zeroconf", edit, &["--out", "out"]);
    let record = ended.json();
    assert_eq!(record["verdict"], "FAIL", "{record:#}");
    assert!(!ended.stdout.contains(PSK) && !ended.stderr.contains(PSK), "{}", ended.stdout);
    let files = [station.files(&station.state()), station.files(&station.path("out"))].concat();
    for file in files {
        let bytes = fs::read(&file).expect("readable");
        let shown = bytes.windows(PSK.len()).any(|window| window == PSK.as_bytes());
        assert!(!shown, "{} shows the key", file.display());
    }
}

/// A key is printed line by line, and no line alone is the value.
#[test]
fn a_private_key_that_the_unit_prints_goes_no_further() {
    let station = Station::new();
    let profile = fixture("profiles/espvault-certificates.toml");
    let firmware = fixture("firmware/espvault-certificates.toml");
    let talkative = firmware.replacen("[wifi]\n", "[says]\njoined = [\"{key}\"]\n\n[wifi]\n", 1);
    assert_ne!(firmware, talkative);
    let firmware = station.write("firmware.toml", talkative);
    let model = format!("model = \"{}\"", firmware.display());
    let profile = profile.replacen("model = \"espvault-certificates\"", &model, 1);
    station.write("espvault-certificates.toml", profile);
    let saved = ["--save-credentials", "saved.json", "--out", "out"];
    let command = ["run", "espvault-certificates.toml", "--json"];
    let ended = station.unit([command.as_slice(), &saved].concat());
    let record = ended.json();
    assert_eq!(record["diagnosis"]["code"], "secret.in_log", "{record:#}");
    let saved = fs::read(station.path("saved.json")).expect("saved");
    let saved: Value = serde_json::from_slice(&saved).expect("JSON");
    let key = saved[0]["values"]["issued.private_key"].as_str().expect("a key");
    let line = key.lines().nth(1).expect("a PEM text has lines");
    for file in station.files(&station.path("out")) {
        let text = String::from_utf8_lossy(&fs::read(&file).expect("readable")).into_owned();
        assert!(!text.contains(line), "{} shows the key", file.display());
    }
}

/// A CA takes a UUID in either case.
#[test]
fn a_uuid_in_capitals_is_the_same_unit_and_its_key_is_looked_at() {
    let setting = ["--set", "uuid=110E3DC9-FA05-568F-A05A-98D00891029D"];
    let run = |more: &[&str]| {
        let command = [&["run", "zeroconf", "--json"], setting.as_slice(), more].concat();
        Station::new().unit(command).json()
    };
    assert_eq!(run(&[])["verdict"], "PASS");
    let wrong = run(&["--fault", "firmware.ca_call_wrong_psk"]);
    let message = wrong["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains("psk is not the one"), "{message}");
}

/// Whom it is, is in the record all the same.
#[test]
fn a_blank_unit_that_this_station_never_saw_is_named() {
    let ended = Station::new().unit(["check", "espvault", "--json"]);
    let record = ended.json();
    assert_eq!(record["verdict"], "FAIL", "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "flash.blank", "{record:#}");
    assert_eq!(record["unit"]["mac"], "24:0a:c4:00:01:10");
}
