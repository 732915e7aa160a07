//! Giving one part of a unit anew, and taking everything: what must stay stays, what must go is gone.

use std::{fs, ops::Range};

use rstest::rstest;

use super::program::{Ended, Station, check};

const DEVICE: &str = "simulator:?flash-file=unit.flash";

fn run(station: &Station, words: &[&str]) -> Ended {
    station.unit([words, &["--json", "--device", DEVICE]].concat())
}

fn assert_passes(station: &Station, words: &[&str]) -> serde_json::Value {
    let ended = run(station, words);
    let record = ended.json();
    assert_eq!(ended.code(), 0, "{words:?}: {record:#}");
    record
}

/// The unit's NVS partition, as a file of its own.
fn nvs(station: &Station, place: Range<usize>, name: &str) -> Vec<u8> {
    let flash = fs::read(station.path("unit.flash")).expect("the flash");
    station.write(name, &flash[place.clone()]);
    flash[place].to_vec()
}

/// The keys that differ between two of them.
fn changed(station: &Station) -> Vec<String> {
    let ended = station.goldline(["nvs", "diff", "before.bin", "after.bin"]);
    let names = ended.stdout.lines().filter_map(|line| line.split_whitespace().nth(1));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

const HIGH: Range<usize> = 0xA2_0000..0xA3_0000;

#[rstest]
#[case::image("zeroconf", 0x9000..0x1_9000, "zc")]
#[case::certificate("zeroconf-ca", HIGH, "deviceprovision")]
#[case::console("zeroconf-ca-console", HIGH, "deviceprovision")]
#[case::blank("safesignal", 0x9000..0xF000, "safesignal")]
fn a_new_network_leaves_every_other_key_as_it_was(
    #[case] profile: &str,
    #[case] place: Range<usize>,
    #[case] namespace: &str,
) {
    let station = Station::new();
    assert_passes(&station, &["run", profile]);
    nvs(&station, place.clone(), "before.bin");
    let words = ["reprovision", profile, "--only", "wifi", "--set", "wifi_ssid=Elsewhere"];
    let record = assert_passes(&station, &words);
    let evidence = check(&record, "nvs_readback")["evidence"].to_string();
    assert!(evidence.contains("keys are as they were before"), "{evidence}");
    nvs(&station, place, "after.bin");
    assert_eq!(changed(&station), [format!("{namespace}/wifi_ssid")]);
    assert_passes(&station, &["check", profile]);
}

/// The sample CA's certificates are valid for a year.
#[test]
fn a_certificate_is_renewed_when_it_is_valid_for_too_short_a_time() {
    let station = Station::new();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/zeroconf-ca.toml");
    let shipped = fs::read_to_string(path).expect("it ships");
    station.write("zeroconf-ca.toml", &shipped);
    assert_passes(&station, &["run", "zeroconf-ca.toml"]);
    nvs(&station, HIGH, "before.bin");
    let words = ["reprovision", "zeroconf-ca.toml", "--only", "certificate"];
    let kept = assert_passes(&station, &words);
    let evidence = check(&kept, "ca_registration")["evidence"].to_string();
    assert!(evidence.contains("it was kept"), "{evidence}");
    nvs(&station, HIGH, "after.bin");
    assert!(changed(&station).is_empty());

    // A day more than any certificate of that CA has left once it was issued.
    let longer = shipped.replace("minimum_validity_days = 30", "minimum_validity_days = 365");
    station.write("zeroconf-ca.toml", longer);
    let renewed = run(&station, &words);
    nvs(&station, HIGH, "after.bin");
    let record = renewed.json();
    let message = record["diagnosis"]["message"].as_str().unwrap_or_default();
    assert_eq!(record["verdict"], "ERROR", "{record:#}");
    assert!(message.contains("certificate"), "it is judged by the new minimum too: {message}");
    assert!(changed(&station).is_empty(), "a certificate that is not good enough is not written");
}

#[test]
fn a_part_that_a_product_has_not_and_a_value_of_another_part_are_refused() {
    let station = Station::new();
    let refused = |words: &[&str]| {
        let ended = station.unit(words);
        assert_eq!(ended.code(), 2, "{}", ended.said());
        ended.said()
    };
    let said = refused(&["reprovision", "safesignal", "--only", "certificate"]);
    assert!(said.contains("has no part \"certificate\""), "{said}");
    let said = refused(&["reprovision", "zeroconf-ca", "--only", "wifi", "--set", "uuid=x"]);
    assert!(said.contains("\"uuid\" does not belong to the part \"wifi\""), "{said}");
    let said = refused(&["factory-reset", "zeroconf"]);
    assert!(said.contains("has no factory reset"), "{said}");
}

#[test]
fn a_factory_reset_leaves_no_byte_of_a_credential_and_the_unit_can_be_provisioned_again() {
    let station = Station::new();
    let place = 0x9000..0xF000;
    let secrets = ["SafeSignal-Edge", "esp32-prod-001", "tenant-a", "building-a", "room-1"];
    let holds = |bytes: &[u8], text: &str| {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    assert_passes(&station, &["run", "safesignal"]);
    let before = nvs(&station, place.clone(), "before.bin");
    for secret in secrets {
        assert!(holds(&before, secret), "{secret} was never there");
    }
    let record = assert_passes(&station, &["factory-reset", "safesignal"]);
    assert_eq!(check(&record, "factory_reset")["outcome"], "pass");
    let after = nvs(&station, place, "after.bin");
    for secret in secrets {
        assert!(!holds(&after, secret), "{secret} is left");
    }
    assert_passes(&station, &["run", "safesignal"]);
}

#[test]
fn a_careless_factory_reset_fails_and_names_what_is_left() {
    let station = Station::new();
    assert_passes(&station, &["run", "safesignal"]);
    let words = ["factory-reset", "safesignal", "--fault", "firmware.reset_leaves_credentials"];
    let ended = run(&station, &words);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains("wifi_pass"), "{message}");
    assert_eq!(record["diagnosis"]["code"], "factory_reset.leftover");
}

/// The station that resets a unit need not be the last one that provisioned it.
#[test]
fn a_value_that_only_the_unit_knew_is_found_as_well() {
    let station = Station::new();
    assert_passes(&station, &["run", "safesignal"]);
    fs::rename(station.path("state"), station.path("own-state")).expect("it exists");
    assert_passes(&station, &["run", "safesignal", "--set", "wifi_ssid=Elsewhere-only"]);
    fs::rename(station.path("state"), station.path("state-of-another")).expect("it exists");
    fs::rename(station.path("own-state"), station.path("state")).expect("it exists");

    let words = ["factory-reset", "safesignal", "--fault", "firmware.reset_leaves_credentials"];
    let record = run(&station, &words).json();
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains("an earlier value of wifi_ssid"), "{message}");
    assert!(!record.to_string().contains("Elsewhere-only"), "{record:#}");
}

/// "Wrong WiFi Password" of the product's guide. The network's own password is another than the site's: no unit is
/// to blame for that, and none passes with it.
#[test]
fn a_password_that_was_wrong_for_the_network_is_mended_by_the_console() {
    let station = Station::new();
    station.write("wrong", "a-password-with-a-typo");
    let words = ["run", "safesignal", "--set", "wifi_password=@wrong", "--fault", "ap.password"];
    let ended = run(&station, &words);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "testbed.access_point");
    let place = 0x9000..0xF000;
    nvs(&station, place.clone(), "before.bin");
    assert_mended(&station);
    nvs(&station, place, "after.bin");
    assert_eq!(changed(&station), ["safesignal/wifi_pass"]);
}

/// Here the network is known to be sound, and the unit is at fault.
#[test]
fn a_unit_with_a_wrong_password_fails_and_passes_when_the_console_gave_it_the_right_one() {
    let station = Station::new();
    let ended = run(&station, &["run", "safesignal", "--fault", "firmware.wifi_password"]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "wifi.wrong_password", "{record:#}");
    let evidence = check(&record, "wifi_join")["evidence"].to_string();
    assert!(evidence.contains("witness: the bench joined"), "{evidence}");
    assert_mended(&station);
}

/// The console is given the network's password, and the access point of the bench sees the unit join with it.
fn assert_mended(station: &Station) {
    station.write("right", "the-password-of-the-network");
    let words = ["reprovision", "safesignal", "--only", "wifi", "--set", "wifi_password=@right"];
    let record = assert_passes(station, &words);
    assert_eq!(record["network"]["radio"], "proven", "{record:#}");
    assert_eq!(check(&record, "wifi_join")["outcome"], "pass");
    let stages = record["stages"].as_array().expect("stages");
    assert!(stages.iter().any(|stage| stage["name"] == "console_wifi"), "{record:#}");
    assert_passes(station, &["check", "safesignal"]);
}
