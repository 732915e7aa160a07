//! What a unit does at its broker beyond the plan.

use std::{fs, path::Path};

use rstest::rstest;
use serde_json::Value;

use super::program::{Station, check};

const SUBSCRIBES: &str = "subscribe = [\"vault/command\"]";
const PLANNED: &str = "subscriptions = [\"vault/command\"]";

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    fs::read_to_string(folder.join(name)).expect("it is there")
}

/// A run of firmware that subscribes to these, of a product that allows those.
fn run(subscribed: &str, allowed: &str) -> (i32, Value) {
    let station = Station::new();
    let firmware = fixture("firmware/espvault.toml");
    assert!(firmware.contains(SUBSCRIBES));
    let firmware = firmware.replace(SUBSCRIBES, &format!("subscribe = [{subscribed}]"));
    let firmware = station.write("firmware.toml", firmware);
    let profile = fixture("profiles/espvault.toml");
    assert!(profile.contains(PLANNED));
    let profile = profile
        .replace("model = \"espvault\"", &format!("model = \"{}\"", firmware.display()))
        .replace(PLANNED, &format!("{PLANNED}\nallowed_subscriptions = [{allowed}]"));
    station.write("espvault.toml", profile);
    let ended = station.unit(["run", "espvault.toml", "--json"]);
    (ended.code(), ended.json())
}

#[rstest]
#[case::everything("\"vault/command\", \"#\"", "#")]
#[case::of_all_units("\"vault/command\", \"vault/+\"", "vault/+")]
#[case::before_its_own("\"other/command\", \"vault/command\"", "other/command")]
fn a_unit_that_hears_more_than_planned_fails(#[case] subscribed: &str, #[case] beyond: &str) {
    let (code, record) = run(subscribed, "");
    assert_eq!((code, &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    let diagnosis = &check(&record, "mqtt_connect")["diagnosis"];
    assert_eq!(diagnosis["code"], "mqtt.subscription_unexpected", "{record:#}");
    let message = diagnosis["message"].as_str().expect("a sentence");
    assert!(message.contains(beyond), "{message}");
    let (code, record) = run(subscribed, &format!("\"{beyond}\""));
    assert_eq!((code, &record["verdict"]), (0, &"PASS".into()), "allowed: {record:#}");
}

#[test]
fn what_is_allowed_need_not_be_asked_for() {
    let (code, record) = run("\"vault/command\"", "\"vault/news\"");
    assert_eq!((code, &record["verdict"]), (0, &"PASS".into()), "{record:#}");
}
