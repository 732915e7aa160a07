//! What gave a unit its values is off afterwards, as far as it can be seen; and what cannot be seen is said.

use serde_json::Value;

use super::program::{Station, check};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/");

fn fixture(name: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}{name}")).expect("it ships")
}

fn measured<'a>(record: &'a Value, name: &str) -> &'a Value {
    let measured = check(record, "interface_off")["measurements"].as_array().expect("some");
    &measured.iter().find(|one| one["name"] == name).expect("it was measured")["value"]
}

#[test]
fn the_network_of_a_portal_is_gone_when_the_unit_has_its_values() {
    let ended = Station::new().unit(["run", "zeroconf-portal", "--json"]);
    let record = ended.json();
    assert_eq!((ended.code(), measured(&record, "portal")), (0, &"off".into()), "{record:#}");
}

#[test]
fn a_portal_that_stays_open_fails_and_its_network_is_named() {
    let words = ["run", "zeroconf-portal", "--json", "--fault", "firmware.portal_stays_open"];
    let ended = Station::new().unit(words);
    let record = ended.json();
    assert_eq!((ended.code(), measured(&record, "portal")), (1, &"on".into()), "{record:#}");
    let diagnosis = &check(&record, "interface_off")["diagnosis"];
    assert_eq!(diagnosis["code"], "interface.still_on");
    assert!(diagnosis["message"].to_string().contains("ZeroConf-Setup"), "{diagnosis}");
}

/// Nobody sees a radio here: the unit's word is compared, and a PASS does not claim more.
#[test]
fn an_interface_that_nobody_can_see_is_named_and_not_proven() {
    let station = Station::new();
    let record = station.unit(["run", "safesignal-certificates", "--json"]).json();
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    assert_eq!(measured(&record, "ble"), "not_proven");
    let evidence = check(&record, "interface_off")["evidence"].to_string();
    assert!(evidence.contains("ble: not proven without a radio"), "{evidence}");
    let ended = station.unit(["run", "safesignal-certificates"]);
    assert!(ended.stdout.contains("not proven without a radio: ble"), "{}", ended.stdout);
}

#[test]
fn a_unit_that_says_that_an_interface_is_on_fails() {
    let station = Station::new();
    let name = "safesignal-certificates";
    let (off, on) = ("BLE:       off", "BLE:       on");
    let firmware = fixture(&format!("firmware/{name}.toml"));
    assert!(firmware.contains(off));
    let firmware = station.write("firmware.toml", firmware.replace(off, on));
    let (model, changed) =
        (format!("model = \"{name}\""), format!("model = \"{}\"", firmware.display()));
    let file = format!("{name}.toml");
    station.write(&file, fixture(&format!("profiles/{file}")).replace(&model, &changed));
    let ended = station.unit(["run", &file, "--json"]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "interface.still_on", "{record:#}");
}

/// A check that could see nothing would pass whatever the unit does.
#[test]
fn a_profile_that_names_only_what_nobody_sees_is_refused() {
    let station = Station::new();
    let shipped = fixture("profiles/zeroconf-portal.toml");
    let blind =
        shipped.replace("[interface_off]\nportal = true", "[interface_off]\nnot_seen = [\"ble\"]");
    assert_ne!(shipped, blind);
    station.write("zeroconf-portal.toml", blind);
    let ended = station.goldline(["profile", "check", "zeroconf-portal.toml"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("[interface_off] with portal = true"), "{}", ended.said());
}
