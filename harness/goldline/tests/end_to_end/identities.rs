//! One unit, one identity: on every path that a value comes by, within a command and ever after.

use std::fs;

use rstest::rstest;
use serde_json::Value;

use super::program::{Ended, Station};

const ONE: &str = "simulator:?flash-file=one.flash&mac=24:0a:c4:00:01:11";
const OTHER: &str = "simulator:?flash-file=other.flash&mac=24:0a:c4:00:01:12";

fn run(station: &Station, words: &[&str]) -> Ended {
    station.unit([&["run"], words].concat())
}

fn blank(station: &Station, file: &str) -> bool {
    let Ok(flash) = fs::read(station.path(file)) else { return true };
    flash.iter().all(|byte| *byte == 0xFF)
}

/// Each for itself is a good unit.
#[rstest]
#[case::number("espvault", "number=8")]
#[case::id("safesignal", "number=8")]
#[case::uuid("zeroconf", "uuid=1cf4424c-fe49-57b9-85fc-05f91a695cab")]
fn two_units_of_one_command_cannot_have_the_same(#[case] profile: &str, #[case] value: &str) {
    let station = Station::new();
    let ended = run(&station, &[profile, "--device", ONE, "--device", OTHER, "--set", value]);
    assert_eq!(ended.code(), 2, "{}", ended.said());
    let name = value.split_once('=').expect("a name").0;
    assert!(ended.said().contains(&format!("would have the same {name}")), "{}", ended.said());
    assert!(blank(&station, "one.flash") && blank(&station, "other.flash"));
    let alone = run(&station, &[profile, "--device", ONE, "--set", value]);
    assert_eq!(alone.code(), 0, "{}", alone.said());
}

/// In other letters, with zeros before it, in braces, or by a row of a file.
#[rstest]
#[case::number("espvault", "number=8", &["--set", "number=8"])]
#[case::uuid("zeroconf", "uuid=1cf4424c-fe49-57b9-85fc-05f91a695cab", &["--set", "uuid=1CF4424C-FE49-57B9-85FC-05F91A695CAB"])]
#[case::row("espvault", "number=8", &["--units", "units.csv"])]
fn another_unit_cannot_have_it_later(
    #[case] profile: &str,
    #[case] value: &str,
    #[case] again: &[&str],
) {
    let station = Station::new();
    station.write("units.csv", "number\n8\n");
    let first = run(&station, &[profile, "--device", ONE, "--set", value]);
    assert_eq!(first.code(), 0, "{}", first.said());
    let same = run(&station, &[profile, "--device", ONE, "--set", value]);
    assert_eq!(same.code(), 0, "a unit keeps what it has: {}", same.said());

    let words = [&[profile, "--json", "--device", OTHER], again].concat();
    let other = run(&station, &words);
    let record = other.json();
    assert_eq!((other.code(), &record["verdict"]), (2, &"ERROR".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "identity.taken");
    let message = record["diagnosis"]["message"].as_str().expect("a sentence");
    assert!(message.contains("24:0a:c4:00:01:11"), "{message}");
    assert!(blank(&station, "other.flash"), "nothing is written");
}

/// The MAC makes one unit's UUID, and someone gives it to another by hand.
#[test]
fn what_a_mac_makes_is_no_others_either() {
    let station = Station::new();
    let first = run(&station, &["zeroconf", "--json", "--device", ONE]);
    let uuid = first.json()["unit"]["ids"]["uuid"].as_str().expect("a UUID").to_owned();
    let set = format!("uuid={uuid}");
    let other = run(&station, &["zeroconf", "--json", "--device", OTHER, "--set", &set]);
    assert_eq!(other.json()["diagnosis"]["code"], "identity.taken");
}

#[test]
fn a_secret_of_each_unit_is_not_given_to_two_unless_the_profile_says_so() {
    let station = Station::new();
    station.write("password", "one-for-all-of-them");
    let two = ["--device", ONE, "--device", OTHER, "--set", "mqtt_password=@password"];
    let rows = station.write("units.csv", "number\n1\n2\n");
    let rows = rows.to_str().expect("UTF-8");
    let refused = run(&station, &[&["espvault", "--units", rows], &two[..]].concat());
    assert_eq!(refused.code(), 2, "{}", refused.said());
    assert!(refused.said().contains("the same secret mqtt_password"), "{}", refused.said());
    assert!(!refused.said().contains("one-for-all"), "{}", refused.said());

    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/espvault.toml");
    let shipped = fs::read_to_string(shipped).expect("it ships");
    let sample = "sample = \"DeviceSecretKey\"";
    let shared = shipped.replace(sample, &format!("{sample}\nshared = true"));
    station.write("espvault.toml", shared);
    let passed = run(&station, &[&["espvault.toml", "--json", "--units", rows], &two[..]].concat());
    let records = passed.json();
    assert_eq!(passed.code(), 0, "{records:#}");
    let named = &records[0]["unit"]["shared_secrets"];
    assert_eq!(*named, serde_json::json!(["wifi_password", "mqtt_password"]), "{records:#}");
}

/// A number that a person gave is not given again, and is in the accounts.
#[test]
fn a_number_given_by_hand_is_left_out_of_the_lot() {
    let station = Station::new();
    let by_hand = run(&station, &["espvault", "--device", ONE, "--set", "number=1"]);
    assert_eq!(by_hand.code(), 0, "{}", by_hand.said());
    let leased = run(&station, &["espvault", "--json", "--device", OTHER, "--lot", "A"]);
    let record = leased.json();
    assert_eq!((leased.code(), &record["unit"]["ids"]["device_id"]), (0, &"VAULT-00002".into()));
    let list = station.unit(["ids", "list", "espvault", "--json"]);
    let list: Value = serde_json::from_str(&list.stdout).expect("JSON");
    let held: Vec<_> = list["series"][0]["leases"]
        .as_array()
        .expect("numbers")
        .iter()
        .map(|lease| (lease["number"].as_u64(), lease["state"].as_str(), lease["mac"].as_str()))
        .collect();
    let expected = [
        (Some(1), Some("used"), Some("24:0a:c4:00:01:11")),
        (Some(2), Some("used"), Some("24:0a:c4:00:01:12")),
    ];
    assert_eq!(held, expected);
}

/// Its console never answered: nobody holds the number, and a value given by hand is free again.
#[test]
fn what_a_unit_never_got_is_not_its() {
    let station = Station::new();
    let words = [
        "safesignal",
        "--json",
        "--device",
        ONE,
        "--lot",
        "A",
        "--fault",
        "firmware.console_silent",
    ];
    let failed = run(&station, &words);
    assert_eq!(failed.json()["verdict"], "FAIL");
    let list = station.unit(["ids", "list", "safesignal", "--json"]);
    let list: Value = serde_json::from_str(&list.stdout).expect("JSON");
    assert_eq!(list["series"][0]["leases"][0]["state"], "aborted", "{list:#}");

    let silent = ["--set", "number=7", "--fault", "firmware.console_silent"];
    let silent = run(&station, &[&["safesignal", "--device", ONE], &silent[..]].concat());
    assert_eq!(silent.code(), 1, "{}", silent.said());
    let other = run(&station, &["safesignal", "--device", OTHER, "--set", "number=7"]);
    assert_eq!(other.code(), 0, "{}", other.said());
}

#[test]
fn a_new_module_takes_the_place_of_another_with_a_reason() {
    let station = Station::new();
    let first = run(&station, &["espvault", "--json", "--device", ONE, "--lot", "A"]);
    assert_eq!(first.code(), 0, "{}", first.said());
    let id = first.json()["unit"]["ids"]["device_id"].clone();
    let replaces = ["--replaces", "24:0a:c4:00:01:11", "--because", "burnt LDO"];
    let second =
        run(&station, &[&["espvault", "--json", "--device", OTHER], &replaces[..]].concat());
    let record = second.json();
    assert_eq!((second.code(), &record["unit"]["ids"]["device_id"]), (0, &id), "{record:#}");
    assert_eq!(record["unit"]["replaces"]["because"], "burnt LDO");
    let set = format!("number={}", id.as_str().expect("an id").trim_start_matches("VAULT-"));
    let set = set.replace("=0000", "=");
    let back = run(&station, &["espvault", "--json", "--device", ONE, "--set", &set]);
    assert_eq!(back.json()["diagnosis"]["code"], "identity.taken", "it is the new module's now");
}

#[rstest]
#[case::no_reason(&["--replaces", "24:0a:c4:00:01:11", "--because", " "], "gives no reason")]
#[case::no_mac(&["--replaces", "24:0a", "--because", "burnt"], "is not a MAC address")]
#[case::never_seen(&["--replaces", "24:0a:c4:00:01:11", "--because", "burnt"], "never provisioned")]
#[case::two(
    &["--replaces", "24:0a:c4:00:01:11", "--because", "burnt", "--device", ONE],
    "one module"
)]
fn a_replacement_that_is_none_is_refused(#[case] words: &[&str], #[case] why: &str) {
    let station = Station::new();
    let ended = run(&station, &[&["espvault", "--device", OTHER], words].concat());
    assert_eq!(ended.code(), 2, "{}", ended.said());
    assert!(ended.said().contains(why), "{}", ended.said());
}

/// The ledger holds fingerprints of secrets, and nothing else of them.
#[test]
fn no_secret_stands_among_the_identities() {
    let station = Station::new();
    station.write("password", "MarkerOfASecret");
    let set = ["--set", "mqtt_password=@password", "--set", "number=5"];
    let ended = run(&station, &[&["espvault", "--device", ONE], &set[..]].concat());
    assert_eq!(ended.code(), 0, "{}", ended.said());
    let ledger = fs::read_to_string(station.state().join("identities.jsonl")).expect("a ledger");
    assert!(!ledger.contains("MarkerOfASecret") && ledger.contains("VAULT-00005"), "{ledger}");
}
