//! Firmware that restarts itself when it does not find what it needs: whose fault that is, a witness tells.

use std::{fs, path::Path};

use rstest::rstest;
use serde_json::Value;

use super::program::Station;

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    fs::read_to_string(folder.join(name)).expect("it is there")
}

/// A product whose firmware restarts after two attempts, at its network and at its broker.
fn run(product: &str, fault: &str) -> (i32, Value) {
    let station = Station::new();
    let firmware = fixture(&format!("firmware/{product}.toml"));
    assert!(firmware.contains("attempts = 5\n") && firmware.contains("\n[mqtt]\n"));
    let firmware = firmware
        .replace("attempts = 5\n", "attempts = 2\nrestarts = true\n")
        .replace("\n[mqtt]\n", "\n[mqtt]\nrestarts_after = 2\n");
    let firmware = station.write("firmware.toml", firmware);
    let profile = fixture(&format!("profiles/{product}.toml"));
    let model = format!("model = \"{product}\"");
    let changed = format!("model = \"{}\"", firmware.display());
    let file = format!("{product}.toml");
    station.write(&file, profile.replacen(&model, &changed, 1));
    let faults = ["--fault", fault].into_iter().filter(|_| !fault.is_empty());
    let ended = station.unit(["run", &file, "--json"].into_iter().chain(faults));
    (ended.code(), ended.json())
}

/// The first of these was FAIL `boot.loop`, "check the supply voltage", with the access point off.
#[rstest]
#[case::no_network("espvault", "ap.absent", 3, "testbed.access_point")]
#[case::another_password("espvault", "ap.password", 3, "testbed.access_point")]
#[case::no_broker("espvault", "broker.down", 3, "testbed.broker")]
#[case::a_strange_broker("espvault", "broker.unknown_ca", 3, "testbed.broker")]
#[case::its_own_password("espvault", "firmware.wifi_password", 1, "wifi.wrong_password")]
#[case::its_own_account("espvault", "firmware.mqtt_password", 1, "mqtt.bad_credentials")]
#[case::its_own_radio("espvault", "radio.deaf", 1, "wifi.access_point_not_found")]
#[case::a_crash_beside("espvault", "firmware.boot_loop", 1, "boot.loop")]
#[case::on_its_console("safesignal", "broker.down", 3, "testbed.broker")]
fn who_restarts_for_want_of_a_service_is_not_blamed_for_it(
    #[case] product: &str,
    #[case] fault: &str,
    #[case] exit: i32,
    #[case] code: &str,
) {
    let (found, record) = run(product, fault);
    assert_eq!((found, &record["diagnosis"]["code"]), (exit, &code.into()), "{record:#}");
    let checks = record["checks"].as_array().expect("checks").iter();
    let failed = checks.filter(|check| check["outcome"] == "fail").count();
    assert_eq!(failed, usize::from(exit == 1), "{record:#}");
}

#[rstest]
fn a_sound_unit_that_would_restart_passes(#[values("espvault", "safesignal")] product: &str) {
    let (code, record) = run(product, "");
    assert_eq!((code, &record["verdict"]), (0, &"PASS".into()), "{record:#}");
}
