//! Numbers and secrets of the units of a lot.

use rstest::rstest;

use super::program::Station;

const ONE: &str = "simulator:?mac=24:0a:c4:00:01:11";
const OTHER: &str = "simulator:?mac=24:0a:c4:00:01:12";

/// Device id of a unit of a lot; whatever becomes of the unit.
fn device_id(station: &Station, device: &str, arguments: &[&str]) -> String {
    let words = ["provision", "--json", "--lot", "A", "--device", device];
    let ended = station.unit([&words, arguments].concat());
    let record = ended.json();
    assert_eq!(record["lot"], "A");
    record["unit"]["ids"]["device_id"].as_str().expect("an identified unit").to_owned()
}

#[test]
fn each_unit_gets_the_next_number_and_keeps_it() {
    let station = Station::new();
    assert_eq!(device_id(&station, ONE, &[]), "VAULT-00001");
    assert_eq!(device_id(&station, OTHER, &[]), "VAULT-00002");
    assert_eq!(device_id(&station, ONE, &[]), "VAULT-00001", "a re-test is no new unit");
    let list = station.unit(["ids", "list", "espvault", "--json"]).json();
    assert_eq!(list["gaps"], serde_json::json!([]), "{list:#}");
}

#[rstest]
#[case::a_bad_unit("flash.nvs_bit")]
#[case::a_unit_that_went_away("wire.vanish")]
fn a_number_is_never_given_to_another_unit(#[case] fault: &str) {
    let station = Station::new();
    assert_eq!(device_id(&station, ONE, &["--fault", fault]), "VAULT-00001");
    assert_eq!(device_id(&station, OTHER, &[]), "VAULT-00002");
    assert_eq!(device_id(&station, ONE, &[]), "VAULT-00001");
}

/// Nobody knows which unit it was: there is none to give a number to.
#[test]
fn a_port_that_does_not_answer_takes_no_number() {
    let station = Station::new();
    let silent = ["run", "--json", "--lot", "A", "--fault", "wire.silent", "--device", ONE];
    assert_ne!(station.unit(silent).code(), 0);
    let list = station.unit(["ids", "list", "espvault", "--json"]).json();
    assert_eq!(list["series"], serde_json::json!([]), "{list:#}");
    assert_eq!(device_id(&station, OTHER, &[]), "VAULT-00001");
}

#[test]
fn the_units_of_one_run_get_a_number_each() {
    let station = Station::new();
    let devices = ["--device", "simulator:", "--device", "simulator:"];
    let records = station.unit([&["provision", "--json"], devices.as_slice()].concat()).json();
    let mut ids = [0, 1].map(|unit| records[unit]["unit"]["ids"]["device_id"].clone());
    ids.sort_by_key(ToString::to_string);
    assert_eq!(ids, ["VAULT-00001", "VAULT-00002"]);
}

#[test]
fn a_given_number_takes_none_from_the_lot_and_stays_its_units() {
    let station = Station::new();
    assert_eq!(device_id(&station, ONE, &["--set", "number=4711"]), "VAULT-04711");
    assert_eq!(device_id(&station, OTHER, &[]), "VAULT-00001");
    assert_eq!(device_id(&station, ONE, &[]), "VAULT-04711");
}

#[test]
fn a_unit_of_a_lot_passes_with_its_own_secrets() {
    let ended = Station::new().unit(["run", "--json", "--lot", "A"]);
    assert_eq!(ended.code(), 0, "{}", ended.stdout);
}

/// The text behind the key's entry in a unit's NVS.
fn mqtt_password(flash: &[u8]) -> String {
    let partition = &flash[0x10000..0x16000];
    let key = b"mqtt_password\0";
    let at = partition.windows(key.len()).position(|window| window == key).expect("the key");
    // A key begins 8 bytes into its 32-byte entry; the text begins in the next one.
    let text = partition[at + 24..].split(|byte| *byte == 0).next().expect("a text");
    String::from_utf8(text.to_vec()).expect("UTF-8")
}

#[test]
fn secrets_are_made_for_each_unit() {
    let station = Station::new();
    let mut passwords = Vec::new();
    for name in ["one.flash", "two.flash"] {
        let device = format!("simulator:?flash-file={name}");
        device_id(&station, &device, &[]);
        passwords.push(mqtt_password(&std::fs::read(station.path(name)).expect("the flash")));
    }
    for password in &passwords {
        let hex = password.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(password.len() == 48 && hex, "24 random bytes: {password}");
    }
    assert_ne!(passwords[0], passwords[1]);
}

#[test]
fn a_single_simulated_unit_is_the_declared_one() {
    let station = Station::new();
    let arguments = ["provision", "--json", "--device", "simulator:?flash-file=unit.flash"];
    let record = station.unit(arguments).json();
    assert_eq!(record["unit"]["ids"]["device_id"], "VAULT-00001");
    let flash = std::fs::read(station.path("unit.flash")).expect("the flash");
    assert_eq!(mqtt_password(&flash), "DeviceSecretKey");
}
