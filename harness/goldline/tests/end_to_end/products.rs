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
