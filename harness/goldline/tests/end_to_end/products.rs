//! Profiles that do not say what the product's firmware does: the profile and the firmware are two
//! sides of one document, and a difference between them must show.

use rstest::rstest;

use super::program::{FIRMWARE, PROFILE, Station, check};

/// The shipped profile with edits, and short waits for what never comes.
fn profile(station: &Station, edits: &[(&str, &str)]) {
    let waits = [
        ("boot_s = 10", "boot_s = 1"),
        ("wifi_s = 20", "wifi_s = 1"),
        ("mqtt_s = 20", "mqtt_s = 1"),
        ("command_s = 10", "command_s = 1"),
    ];
    let profile = edits.iter().chain(&waits).fold(PROFILE.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "the profile has no {old} to replace");
        text.replacen(old, new, 1)
    });
    station.write("espvault.toml", profile);
}

#[rstest]
#[case::key(
    "key = \"mqtt_password\"",
    "key = \"mqtt_pass\"",
    "wifi_join",
    "firmware.configuration"
)]
#[case::namespace(
    "namespace = \"vault\"",
    "namespace = \"volt\"",
    "wifi_join",
    "firmware.configuration"
)]
#[case::partition(
    "partition = \"factory\"\nnamespace",
    "partition = \"nvs\"\nnamespace",
    "wifi_join",
    "firmware.configuration"
)]
#[case::encoding(
    "\"device_id\", encoding = \"string\", value = \"{device_id}\"",
    "\"device_id\", encoding = \"u32\", value = \"{number}\"",
    "wifi_join",
    "firmware.configuration"
)]
#[case::client_id(
    "client_id = \"{device_id}\"",
    "client_id = \"{mqtt_username}\"",
    "mqtt_connect",
    "mqtt.identity_differs"
)]
#[case::subscription(
    "subscriptions = [\"vault/command\"]",
    "subscriptions = [\"vault/config\"]",
    "mqtt_connect",
    "mqtt.subscription_missing"
)]
#[case::reply(
    "reply_contains = [\"{nonce}\"",
    "reply_contains = [\"{nonce}\", \"ready\"",
    "mqtt_connect",
    "mqtt.command_unanswered"
)]
#[case::reply_topic(
    "reply_topic = \"vault/event\"",
    "reply_topic = \"vault/reply\"",
    "mqtt_connect",
    "mqtt.command_unanswered"
)]
#[case::signal("rssi = { lower = -75", "rssi = { lower = -40", "wifi_join", "wifi.out_of_limits")]
#[case::time_to_join(
    "join_ms = { upper",
    "join_ms = { lower = 14000, upper",
    "wifi_join",
    "wifi.out_of_limits"
)]
fn a_firmware_that_does_otherwise_fails(
    #[case] old: &str,
    #[case] new: &str,
    #[case] blamed: &str,
    #[case] code: &str,
) {
    let station = Station::new();
    profile(&station, &[(old, new)]);
    let ended = station.unit(["run", "espvault.toml", "--json"]);
    assert_eq!(ended.code(), 1, "{}", ended.stdout);
    let record = ended.json();
    assert_eq!(record["verdict"], "FAIL");
    assert_eq!(check(&record, blamed)["diagnosis"]["code"], code, "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
}

/// It said "client_id is "VAULT-00001" , expected any to any".
#[test]
fn a_wrong_name_is_told_beside_the_planned_one() {
    let station = Station::new();
    profile(&station, &[("client_id = \"{device_id}\"", "client_id = \"{mqtt_username}\"")]);
    let record = station.unit(["run", "espvault.toml", "--json"]).json();
    let expected = "the unit's client id is VAULT-00001, planned is device_vault_00001";
    assert_eq!(record["diagnosis"]["message"], expected);
}

/// Any device's configuration counted as the unit's own.
#[test]
fn a_unit_that_fetches_another_ones_configuration_fails() {
    let station = Station::new();
    let read = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/");
        std::fs::read_to_string(format!("{folder}{name}")).expect("it ships")
    };
    let firmware = read("firmware/ble-gateway.toml")
        .replace("config.example.test/{device_id}", "config.example.test/A1B2C3D4E5F6");
    let firmware = station.write("firmware.toml", firmware);
    let profile = read("profiles/ble-gateway.toml")
        .replacen("model = \"ble-gateway\"", &format!("model = \"{}\"", firmware.display()), 1)
        .replace("service_s = 20", "service_s = 2");
    station.write("ble-gateway.toml", profile);
    let ended = station.unit(["run", "ble-gateway.toml", "--json"]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains("the configuration of A1B2C3D4E5F6"), "{message}");
}

/// ESP-IDF's own first boot writes into the partition `nvs`: the second check called that a bad unit.
#[test]
fn a_unit_whose_values_share_a_partition_with_the_system_passes_again() {
    let station = Station::new();
    let firmware = FIRMWARE.replacen("partition = \"factory\"", "partition = \"nvs\"", 1);
    let firmware = station.write("firmware.toml", firmware);
    let model = format!("{{ model = \"{}\" }}", firmware.display());
    profile(
        &station,
        &[
            ("{ model = \"espvault\" }", &model),
            ("partition = \"factory\"\nnamespace", "partition = \"nvs\"\nnamespace"),
        ],
    );
    let device = ["espvault.toml", "--json", "--device", "simulator:?flash-file=unit.flash"];
    for command in ["provision", "check", "check", "run", "check"] {
        let ended = station.unit([&[command], device.as_slice()].concat());
        assert_eq!(ended.code(), 0, "{command}: {}", ended.stdout);
    }
}

/// The shipped gateway with an edit, and a short wait for a fetch that never comes.
fn gateway(edit: (&str, &str)) -> serde_json::Value {
    let station = Station::new();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/ble-gateway.toml");
    let shipped = std::fs::read_to_string(path).expect("it ships");
    assert!(shipped.contains(edit.0), "the profile has no {}", edit.0);
    let profile = shipped.replacen(edit.0, edit.1, 1).replace("service_s = 20", "service_s = 3");
    station.write("ble-gateway.toml", profile);
    station.unit(["run", "ble-gateway.toml", "--json"]).json()
}

/// The guide's curl calls the API over HTTPS, and its log shows a fetch over HTTP. One address for both was
/// `config.not_fetched`: the bench answered at the port of the API only.
#[rstest]
#[case::api_over_https(
    "sample = \"https://config.example.test\"",
    "sample = \"https://config.example.test\""
)]
#[case::both_in_the_clear(
    "sample = \"https://config.example.test\"",
    "sample = \"http://config.example.test\""
)]
#[case::api_of_another_name(
    "sample = \"https://config.example.test\"",
    "sample = \"https://api.example.test\""
)]
#[case::api_at_another_port(
    "sample = \"https://config.example.test\"",
    "sample = \"https://config.example.test:8443\""
)]
fn the_api_and_the_units_fetch_may_differ(#[case] shipped: &str, #[case] other: &str) {
    let record = gateway((shipped, other));
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    assert_eq!(check(&record, "remote_config")["outcome"], "pass", "{record:#}");
}

/// This firmware fetches in the clear, so it gets nothing from a server that is to be asked over HTTPS.
#[test]
fn a_unit_that_fetches_in_the_clear_where_the_plan_says_https_fails() {
    let record =
        gateway(("url = \"{config_server}/{device_id}\"", "url = \"{api_server}/{device_id}\""));
    assert_eq!(record["verdict"], "FAIL", "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "config.not_fetched", "{record:#}");
}
