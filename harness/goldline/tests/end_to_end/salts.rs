//! A salt that is changed: for a while two are valid, and then the older one is retired.

use serde_json::Value;

use super::{
    program::{Ended, PROFILE, Station, check},
    provisioning_api::Api,
};

const OLDER: &str = "older-salt-0123456789abcdef-2026";
const NEWER: &str = "newer-salt-0123456789abcdef-2027";

/// A station whose file names a salt, and perhaps the one before it.
fn station() -> Station {
    let station = Station::new();
    station.write("older", OLDER);
    station.write("newer", NEWER);
    station.write("old.toml", "[values]\nsalt = { file = \"older\" }\n");
    station.write("new.toml", "[values]\nsalt = { file = \"newer\" }\n");
    let both = "[values]\nsalt = { file = \"newer\" }\n\n[previous]\nsalt = { file = \"older\" }\n";
    station.write("both.toml", both);
    station
}

/// A command on the one unit, with that station file; no salt is shown, whatever it comes to.
fn unit(station: &Station, command: &str, file: &str, more: &[&str]) -> Ended {
    let device = ["--device", "simulator:?flash-file=unit.flash"];
    let words = [command, "ble-gateway", "--json", "--station", file];
    let ended = station.unit(words.iter().chain(&device).chain(more));
    for salt in [OLDER, NEWER] {
        assert!(!ended.stdout.contains(salt) && !ended.stderr.contains(salt), "a salt is shown");
    }
    ended
}

fn verdict(ended: &Ended) -> (i32, Value, Value) {
    let record = ended.json();
    (ended.code(), record["verdict"].clone(), record["diagnosis"]["code"].clone())
}

fn says_previous(record: &Value) -> bool {
    let evidence = check(record, "mqtt_connect")["evidence"].to_string();
    evidence.contains("is of the previous salt: provision it again")
}

#[test]
fn a_unit_of_the_older_salt_is_good_until_that_is_retired() {
    let station = station();
    let good = (0, Value::from("PASS"), Value::Null);
    assert_eq!(verdict(&unit(&station, "run", "old.toml", &[])), good);
    let still = unit(&station, "check", "both.toml", &[]);
    assert_eq!(verdict(&still), good);
    assert!(says_previous(&still.json()), "{}", still.stdout);

    let retired = unit(&station, "check", "new.toml", &[]);
    let record = retired.json();
    assert_eq!(verdict(&retired), (1, "FAIL".into(), "mqtt.salt_retired".into()), "{record:#}");
    let action = record["diagnosis"]["action"].as_str().expect("a sentence");
    assert!(action.contains("provision the unit again"), "{action}");
    // It is still good where the older one is named, and after that it is of the newer one.
    assert_eq!(verdict(&unit(&station, "check", "both.toml", &[])), good);
    assert_eq!(verdict(&unit(&station, "run", "both.toml", &[])), good);
    let renewed = unit(&station, "check", "new.toml", &[]);
    assert_eq!(verdict(&renewed), good);
    assert!(!says_previous(&renewed.json()), "{}", renewed.stdout);

    for file in station.files(&station.state()) {
        let bytes = std::fs::read(&file).expect("a file of the state");
        for salt in [OLDER, NEWER] {
            let shown = bytes.windows(salt.len()).any(|part| part == salt.as_bytes());
            assert!(!shown, "{} shows a salt", file.display());
        }
    }
}

/// A product whose password the station itself makes, and writes.
#[test]
fn a_password_that_the_station_makes_stays_good_until_its_salt_is_retired() {
    let station = station();
    let made = "[values.mqtt_password]\nsource = \"random\"\nsecret = true\nsample = \"DeviceSecretKey\"\nbytes = 24\n";
    assert!(PROFILE.contains(made));
    let salted = format!(
        "[values.salt]\nsource = \"site\"\nsecret = true\nsample = \"{}\"\nmin_bytes = 32\n\n\
         [values.mqtt_password]\nscheme = \"hmac_sha256_salted\"\nof = \"{{device_id}}\"\n\
         salt = \"{{salt}}\"\nsecret = true\n",
        "0".repeat(32)
    );
    station.write("salted.toml", PROFILE.replace(made, &salted));
    let unit = |command: &str, file: &str| {
        let device = ["--device", "simulator:?flash-file=unit.flash"];
        let ended = station
            .unit([command, "salted.toml", "--json", "--station", file].iter().chain(&device));
        let record = ended.json();
        (record["verdict"].clone(), record["diagnosis"]["code"].clone())
    };
    let good = (Value::from("PASS"), Value::Null);
    assert_eq!(unit("run", "old.toml"), good);
    assert_eq!(unit("check", "both.toml"), good);
    assert_eq!(unit("check", "new.toml"), ("FAIL".into(), "nvs.value_differs".into()));
    assert_eq!(unit("run", "both.toml"), good);
    assert_eq!(unit("check", "new.toml"), good);
    assert_eq!(unit("check", "old.toml"), ("FAIL".into(), "nvs.value_differs".into()));
}

/// A server and its stations do not change in one moment.
#[test]
fn a_server_may_give_what_either_salt_makes_while_both_are_valid() {
    let (older, newer) = (Api::plain(OLDER), Api::plain(NEWER));
    for (api, file, expected) in [
        (&older, "both.toml", (0, Value::from("PASS"), Value::Null)),
        (&newer, "both.toml", (0, Value::from("PASS"), Value::Null)),
        (&newer, "new.toml", (0, Value::from("PASS"), Value::Null)),
        (&older, "new.toml", (3, Value::from("ERROR"), Value::from("config.malformed"))),
    ] {
        let station = station();
        let ended = unit(&station, "run", file, &["--config-server", &api.url()]);
        let record = ended.json();
        assert_eq!(verdict(&ended), expected, "{file}: {record:#}");
        if expected.0 == 0 {
            assert_eq!(says_previous(&record), std::ptr::eq(api, &older), "{record:#}");
        }
    }
}

#[test]
fn a_previous_salt_that_is_none_or_stands_in_the_clear_is_refused_and_not_shown() {
    let station = station();
    for (previous, said) in [
        ("salt = \"older-salt-in-the-clear-0123456789\"", "is a secret and never stands"),
        ("admin_token = { file = \"older\" }", "no salt of the profile's: its salts are salt"),
        ("salt = { file = \"short\" }", "expected 32 or more"),
    ] {
        station.write("short", "too short");
        let text = format!("[values]\nsalt = {{ file = \"newer\" }}\n\n[previous]\n{previous}\n");
        station.write("wrong.toml", text);
        let ended = unit(&station, "run", "wrong.toml", &[]);
        assert_eq!(ended.code(), 2, "{ended:?}");
        let told = format!("{}{}", ended.stdout, ended.said());
        assert!(told.contains(said), "{told}");
        assert!(!told.contains("in-the-clear") && !told.contains("too short"), "{told}");
    }
}
