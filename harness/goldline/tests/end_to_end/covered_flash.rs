//! What may lie in the flash of a unit, and what must not: damage that no step of the unit's shows.

use std::fs;

use rstest::rstest;
use serde_json::Value;

use super::{
    program::{Ended, check},
    provision_and_check::Bench,
};

/// Where the profile puts what.
const OTA_DATA: usize = 0x16000;
const OTA_0: usize = 0x20000;
const OTA_1: usize = 0x1a_0000;
const SLOT: usize = 0x18_0000;

fn code(record: &Value) -> &str {
    record["diagnosis"]["code"].as_str().unwrap_or("PASS")
}

#[track_caller]
fn fails(ended: &Ended, expected: &str) -> Value {
    let record = ended.json();
    assert_eq!((ended.code(), code(&record)), (1, expected), "{record:#}");
    record
}

/// The record of the second slot, as ESP-IDF's otatool writes it.
fn second_slot() -> Vec<u8> {
    let mut record = 2_u32.to_le_bytes().to_vec();
    record.extend([0xFF; 24]);
    record.extend(0x55F6_3774_u32.to_le_bytes());
    record
}

/// Another application that the boot loader takes, and its own version of the product.
#[test]
fn a_unit_that_would_start_another_application_is_not_booted() {
    let bench = Bench::new();
    bench.provision();
    bench.alter(|flash| {
        flash.copy_within(OTA_0..OTA_0 + SLOT, OTA_1);
        flash[OTA_DATA..OTA_DATA + 32].copy_from_slice(&second_slot());
    });
    let record = fails(&bench.unit(&["check"]), "flash.wrong_slot");
    assert_eq!(check(&record, "wifi_join")["outcome"], "not_run");
    let message = record["diagnosis"]["message"].as_str().expect("a message");
    assert!(message.contains("ota_1") && message.contains("planned is ota_0"), "{message}");
}

#[rstest]
#[case::other_slot(OTA_1, "flash.not_erased")]
#[case::behind_the_application(OTA_0 + SLOT - 64, "flash.not_erased")]
#[case::between_partitions(0x18000, "flash.not_erased")]
#[case::behind_the_last_partition(0x3f_0000, "flash.not_erased")]
#[case::before_the_boot_loader(0x800, "flash.not_erased")]
#[case::behind_the_boot_loader(0x7f00, "flash.not_erased")]
#[case::behind_the_table(0x8d00, "flash.not_erased")]
#[case::ota_data(OTA_DATA, "flash.not_erased")]
#[case::calibration(0xf000, "PASS")]
#[case::file_system(0x32_0000, "PASS")]
fn a_secret_of_an_earlier_life_is_found(#[case] at: usize, #[case] expected: &str) {
    let bench = Bench::new();
    bench.provision();
    let secret = b"OtherWifiSecret9\0 of an earlier life";
    bench.alter(|flash| flash[at..at + secret.len()].copy_from_slice(secret));
    let checked = bench.unit(&["check"]);
    let record = checked.json();
    assert_eq!(code(&record), expected, "{record:#}");
    assert!(!checked.stdout.contains("OtherWifi"), "the secret is shown");
}

#[test]
fn a_blank_unit_is_told_as_blank_by_the_station_that_provisioned_it_and_by_any_other() {
    let bench = Bench::new();
    bench.provision();
    bench.alter(|flash| flash.fill(0xFF));
    let other = Bench::new();
    for blank in [&bench, &other] {
        let record = fails(&blank.unit(&["check"]), "flash.blank");
        let action = record["diagnosis"]["action"].as_str().expect("an action");
        assert!(action.contains("goldline provision"), "{action}");
    }
}

#[test]
fn a_unit_that_the_station_does_not_know_is_no_matter_of_permissions() {
    let bench = Bench::new();
    bench.provision();
    let other = Bench { flash: bench.flash.clone(), ..Bench::new() };
    let ended = other.unit(&["check"]);
    let record = ended.json();
    assert_eq!((ended.code(), code(&record)), (3, "station.unit_unknown"), "{record:#}");
    let action = record["diagnosis"]["action"].as_str().expect("an action");
    assert!(action.contains("provision") && !action.contains("permissions"), "{action}");
}

/// It carries the unit's credentials as constants, and is longer than what replaces it.
#[test]
fn nothing_of_a_longer_provisioning_firmware_stays() {
    let read = |path: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/");
        fs::read_to_string(format!("{folder}{path}")).expect("a shipped file")
    };
    let bench = Bench::new();
    let filler: String =
        (0..400).map(|n| format!("\"filler {n:04} {}\", ", "x".repeat(60))).collect();
    let firmware = read("firmware/ble-gateway-factory.toml");
    let long = firmware.replacen("before = [\"\", ", &format!("before = [\"\", {filler}"), 1);
    assert_ne!(long, firmware, "the description has changed");
    bench.station.write("firmware.toml", long);
    let profile = read("profiles/ble-gateway-factory.toml");
    let changed = profile.replace("model = \"ble-gateway-factory\"", "model = \"./firmware.toml\"");
    assert_ne!(changed, profile, "the profile has changed");
    bench.station.write("gateway.toml", changed);
    let credentials = bench.station.path("credentials.json");
    let saved = credentials.to_str().expect("UTF-8");
    let ended = bench.unit(&["run", "gateway.toml", "--lot", "A", "--save-credentials", saved]);
    assert_eq!(ended.code(), 0, "{}", ended.stdout);
    let saved: Value = serde_json::from_slice(&fs::read(&credentials).expect("they are saved"))
        .expect("they are JSON");
    let flash = fs::read(&bench.flash).expect("the flash file");
    let behind_nvs = &flash[0xe000..];
    for name in ["wifi_password", "mqtt_password"] {
        let secret = saved[0]["values"][name].as_str().expect("a value").as_bytes();
        let found = behind_nvs.windows(secret.len()).position(|window| window == secret);
        assert_eq!(found, None, "{name} stays in the application's partition");
    }
    let checked = bench.unit(&["check", "gateway.toml"]);
    assert_eq!(checked.code(), 0, "{}", checked.stdout);
}

#[rstest]
#[case("espvault")]
#[case("espvault-encrypted")]
#[case("espvault-hmac")]
#[case("espvault-certificates")]
#[case("zeroconf")]
#[case("zeroconf-ca")]
#[case("zeroconf-ca-console")]
#[case("zeroconf-portal")]
#[case("safesignal")]
#[case("safesignal-certificates")]
#[case("ble-gateway")]
#[case("ble-gateway-portal")]
#[case("ble-gateway-factory")]
fn a_sound_unit_of_every_product_passes_as_often_as_it_is_checked(#[case] profile: &str) {
    let bench = Bench::new();
    for work in ["run", "check", "check"] {
        let ended = bench.unit(&[work, profile]);
        assert_eq!(ended.code(), 0, "{work}: {}", ended.stdout);
        let record = ended.json();
        let measured = check(&record, "flash_integrity")["measurements"].as_array().cloned();
        let measured = measured.expect("measurements");
        let covered = |name: &str| {
            let found = measured.iter().find(|measured| measured["name"] == name);
            found.unwrap_or_else(|| panic!("no {name} in {record:#}"))["value"].clone()
        };
        assert_eq!(covered("bytes_covered_before_boot"), covered("flash_size"));
        assert_eq!(covered("bytes_covered_after_boot"), covered("flash_size"));
        assert!(measured.iter().any(|measured| measured["name"] == "started_slot"), "{record:#}");
    }
}

/// What the unit had before is given up, and lies nowhere in its flash.
#[test]
fn a_new_network_leaves_nothing_of_the_old_one() {
    let bench = Bench::new();
    let old = "the password of the old network";
    let file = bench.station.write("old", old);
    let given = format!("wifi_password=@{}", file.display());
    let ended = bench.unit(&["run", "zeroconf-ca", "--set", &given]);
    assert_eq!(ended.code(), 0, "{}", ended.stdout);
    let lies = |text: &str| {
        let flash = fs::read(&bench.flash).expect("the flash file");
        flash.windows(text.len()).any(|window| window == text.as_bytes())
    };
    assert!(lies(old), "the test looks for nothing");
    let file = bench.station.write("new", "the password of the new network");
    let given = format!("wifi_password=@{}", file.display());
    let words = ["reprovision", "zeroconf-ca", "--only", "wifi", "--set", &given];
    let ended = bench.unit(&words);
    assert_eq!(ended.code(), 0, "{}", ended.stdout);
    assert!(!lies(old), "the old password stays in the flash");
}
