//! Mistakes in the sections of each way to provision: refused with file, line and column, and a word on
//! what is expected.

use std::fs;

use rstest::rstest;

use super::program::Station;

#[rstest]
#[case::ca_key(
    "zeroconf-ca",
    "type = \"esp32s3\"\nmin",
    "typ = \"esp32s3\"\nmin",
    "unknown key `typ`"
)]
#[case::ca_scheme(
    "zeroconf-ca",
    "url = \"{ca_url}\"",
    "url = \"ftp://ca.example.test\"",
    "expected http or https"
)]
#[case::ca_value(
    "zeroconf-ca",
    "uuid = \"{uuid}\"\npsk",
    "uuid = \"{uid}\"\npsk",
    "unknown value \"uid\""
)]
#[case::ca_validity(
    "zeroconf-ca",
    "minimum_validity_days = 30",
    "minimum_validity_days = -3",
    "invalid value"
)]
#[case::ca_production(
    "zeroconf-ca",
    "url = \"{ca_url}\"",
    "production = true\nurl = \"http://ca.example.test\"",
    "https"
)]
#[case::quoting(
    "zeroconf-ca",
    "quoting = \"verbatim\"",
    "quoting = \"sometimes\"",
    "expected one of verbatim"
)]
#[case::no_answer("zeroconf-ca", "expect = [\"OK\"]", "expect = []", "at least one text")]
#[case::no_time("zeroconf-ca", "within_s = 5", "within_s = 0", "expected 1 to 600")]
#[case::namespace(
    "zeroconf-ca",
    "\"deviceprovision\"",
    "\"deviceprovisioning\"",
    "18 characters long"
)]
#[case::part(
    "zeroconf-ca",
    "[\"issued.certificate\"]",
    "[\"issued.cert\"]",
    "unknown value \"issued.cert\""
)]
#[case::column(
    "zeroconf",
    "global_uuid = \"{uuid}\"",
    "global_id = \"{uuid}\"",
    "unknown key `global_id`"
)]
#[case::no_column("zeroconf", "global_uuid = \"{uuid}\"\n", "", "missing key `global_uuid`")]
#[case::pattern("ble-gateway", "([0-9A-F]{12})\"", "([0-9A-F]{12}\"", "unclosed group")]
#[case::no_group("ble-gateway", "([0-9A-F]{12})\"", "[0-9A-F]{12}\"", "has 0 groups")]
#[case::check(
    "ble-gateway",
    "\"server_trust\"",
    "\"server_turst\"",
    "unknown check \"server_turst\""
)]
#[case::encryption(
    "espvault-hmac",
    "scheme = \"hmac\"",
    "scheme = \"hamc\"",
    "expected one of nvs_keys, hmac"
)]
fn a_mistake_is_told_with_its_place(
    #[case] profile: &str,
    #[case] old: &str,
    #[case] new: &str,
    #[case] said: &str,
) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/");
    let shipped = fs::read_to_string(format!("{folder}{profile}.toml")).expect("it ships");
    assert!(shipped.contains(old), "the profile has no {old} to replace");
    let station = Station::new();
    station.write("wrong.toml", shipped.replacen(old, new, 1));
    for command in [["profile", "check"].as_slice(), &["run"]] {
        let ended = station.goldline(command.iter().chain(&["wrong.toml"]));
        assert_eq!(ended.code(), 2, "{}", ended.said());
        let place = ended.said().split("wrong.toml:").nth(1).map(str::to_owned).unwrap_or_default();
        let digits = place.split(':').take(2).filter(|part| part.parse::<usize>().is_ok());
        assert_eq!(digits.count(), 2, "line and column in {}", ended.said());
        assert!(ended.said().contains(said), "{}", ended.said());
    }
}

/// The sections are there, and the chip is another one.
#[rstest]
#[case::wifi("espvault", &[("model = \"esp32\"", "model = \"esp32h2\"")], "esp32h2 has no WiFi, which the check wifi_join needs")]
#[case::portal("ble-gateway", &[("model = \"esp32s3\"", "model = \"esp32h2\"")], "esp32h2 has no WiFi, which the method portal needs")]
#[case::keys("espvault-hmac", &[("model = \"esp32s3\"", "model = \"esp32\"")], "esp32 has no HMAC peripheral, which the scheme hmac needs")]
#[case::keys_of_a_c2("espvault-hmac", &[("model = \"esp32s3\"", "model = \"esp32c2\"")], "esp32c2 has no HMAC peripheral")]
fn what_a_chip_lacks_is_told_with_its_place(
    #[case] profile: &str,
    #[case] edits: &[(&str, &str)],
    #[case] said: &str,
) {
    let station = Station::new();
    station.write("wrong.toml", shipped(profile, edits));
    for command in [["profile", "check"].as_slice(), &["run"]] {
        let ended = station.goldline(command.iter().chain(&["wrong.toml"]));
        assert_eq!(ended.code(), 2, "{}", ended.said());
        assert!(
            ended.said().contains(said) && ended.said().contains("wrong.toml:"),
            "{}",
            ended.said()
        );
    }
}

const WIFI_JOIN: &str = "id = \"wifi_join\"\nwithout_radio = \"network_join\"\n\
    limits = { join_ms = { upper = 15000 }, rssi = { lower = -75, upper = -10 } }";
const NETWORK_JOIN: &str = "id = \"network_join\"\nlimits = { join_ms = { upper = 15000 } }";

/// On a cable that chip passes too.
#[test]
fn a_chip_without_wifi_may_be_on_a_cable() {
    let station = Station::new();
    let edits = [("model = \"esp32\"", "model = \"esp32h2\""), (WIFI_JOIN, NETWORK_JOIN)];
    station.write("espvault.toml", shipped("espvault", &edits));
    let checked = station.goldline(["profile", "check", "espvault.toml"]);
    assert_eq!(checked.code(), 0, "{}", checked.said());
}

fn shipped(profile: &str, edits: &[(&str, &str)]) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/");
    let mut text = fs::read_to_string(format!("{folder}{profile}.toml")).expect("it ships");
    for (old, new) in edits {
        assert!(text.contains(old), "the profile has no {old} to replace");
        text = text.replacen(old, new, 1);
    }
    text
}

/// All files that a profile names, and all that is wrong with them, at once.
#[test]
fn a_profiles_files_are_looked_into() {
    let station = Station::new();
    station.write("notes.bin", "no image at all\n");
    station.write("model.toml", "[app]\nname = 3\n");
    let edits = [
        ("app = { model = \"ble-gateway\" }", "app = { file = \"missing.elf\" }"),
        ("bootloader = \"esp-idf\"", "bootloader = \"notes.bin\""),
        ("app = { model = \"ble-gateway-next\" }", "app = { model = \"./model.toml\" }"),
        ("app = { model = \"ble-gateway-bad\" }", "app = { file = \"notes.bin\" }"),
    ];
    station.write("ble-gateway.toml", shipped("ble-gateway", &edits));
    let ended = station.goldline(["profile", "check", "ble-gateway.toml"]);
    assert_eq!(ended.code(), 2, "{}", ended.said());
    for said in ["missing.elf", "model.toml\" does not compile"] {
        assert!(ended.said().contains(said), "no {said} in {}", ended.said());
    }
    let texts = ended.said().matches("it is no ESP image but a text").count();
    assert_eq!(texts, 2, "{}", ended.said());
}
