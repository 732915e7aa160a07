//! Numbers and secrets of the units of a lot.

use rstest::rstest;

use super::program::Station;

/// Device id of a unit of a lot; whatever becomes of the unit.
fn device_id(station: &Station, arguments: &[&str]) -> String {
    let ended = station.unit([&["provision", "--json", "--lot", "A"], arguments].concat());
    let record = ended.json();
    assert_eq!(record["lot"], "A");
    record["unit"]["ids"]["device_id"].as_str().expect("an identified unit").to_owned()
}

#[test]
fn each_run_gets_the_next_number() {
    let station = Station::new();
    assert_eq!(device_id(&station, &[]), "VAULT-00001");
    assert_eq!(device_id(&station, &[]), "VAULT-00002");
}

#[rstest]
#[case::a_bad_unit("flash.nvs_bit")]
#[case::a_unit_that_went_away("wire.vanish")]
fn a_number_is_never_given_twice(#[case] fault: &str) {
    let station = Station::new();
    assert_eq!(device_id(&station, &["--fault", fault]), "VAULT-00001");
    assert_eq!(device_id(&station, &[]), "VAULT-00002");
}

#[test]
fn the_units_of_one_run_get_numbers_in_their_order() {
    let station = Station::new();
    let devices = ["--device", "simulator:", "--device", "simulator:"];
    let records = station.unit([&["provision", "--json"], devices.as_slice()].concat()).json();
    assert_eq!(records[0]["unit"]["ids"]["device_id"], "VAULT-00001");
    assert_eq!(records[1]["unit"]["ids"]["device_id"], "VAULT-00002");
}

#[test]
fn a_given_number_takes_none_from_the_lot() {
    let station = Station::new();
    assert_eq!(device_id(&station, &["--set", "number=4711"]), "VAULT-04711");
    assert_eq!(device_id(&station, &[]), "VAULT-00001");
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
        device_id(&station, &["--device", &device]);
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
