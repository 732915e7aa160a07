//! The record that `--json` prints, what a person reads instead, and several units at once.

use std::{collections::BTreeSet, fs::File};

use rstest::rstest;
use serde_json::Value;

use super::program::{Station, check};

/// The fields of an object, in any order.
fn fields(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

pub fn assert_fields<'a>(object: &Value, expected: impl IntoIterator<Item = &'a str>) {
    assert_eq!(fields(object), expected.into_iter().collect(), "{object:#}");
}

fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    object[name].as_array().unwrap_or_else(|| panic!("{name} is a list: {object:#}"))
}

fn assert_diagnosis(diagnosis: &Value, good: bool) {
    if good {
        assert!(diagnosis.is_null(), "{diagnosis}");
    } else {
        assert_fields(diagnosis, ["code", "message", "action"]);
        assert!(diagnosis.as_object().expect("checked").values().all(Value::is_string));
    }
}

fn assert_measurement(measurement: &Value) {
    assert_fields(measurement, ["name", "value", "unit", "lower", "upper", "outcome"]);
    assert!(measurement["name"].is_string() && measurement["unit"].is_string(), "{measurement}");
    let value = &measurement["value"];
    assert!(value.is_number() || value.is_string() || value.is_null(), "{measurement}");
    for limit in ["lower", "upper"] {
        assert!(measurement[limit].is_null() || measurement[limit].is_number(), "{measurement}");
    }
    assert!(["pass", "fail"].contains(&measurement["outcome"].as_str().expect("a word")));
    assert!(!value.is_null() || measurement["outcome"] == "fail", "never set: {measurement}");
}

fn assert_form(record: &Value) {
    let is_there = |name: &&str| record.get(name).is_some();
    assert_fields(
        record,
        [
            "schema",
            "run_id",
            "profile",
            "device",
            "lot",
            "operator",
            "started_at",
            "duration_ms",
            "verdict",
            "diagnosis",
            "unit",
            "goldline",
            "profile_digest",
            "images",
            "firmware",
            "bench_ca",
            "network",
            "endpoints",
            "stages",
            "checks",
        ]
        .into_iter()
        .chain(["simulation", "seed", "golden", "station", "flashed"].into_iter().filter(is_there)),
    );
    for image in list(record, "images") {
        assert_fields(image, ["name", "bytes", "sha256"]);
    }
    if let Some(flashed) = record.get("flashed") {
        assert_fields(flashed, ["written", "kept", "erased"]);
    }
    assert_fields(&record["firmware"], ["project", "version", "idf_version", "elf_sha256"]);
    assert_eq!(record["schema"], 1);
    assert_eq!(record["run_id"].as_str().map(str::len), Some(36), "a UUID");
    assert!(record["duration_ms"].is_u64());
    let started = record["started_at"].as_str().expect("a time");
    assert!(started.ends_with('Z') && started.contains('T'), "UTC in RFC 3339: {started}");
    assert_diagnosis(&record["diagnosis"], record["verdict"] == "PASS");
    let shared = record["unit"].get("shared_secrets").map(|_| "shared_secrets");
    assert_fields(
        &record["unit"],
        ["mac", "interfaces", "chip", "flash_size", "ids"].into_iter().chain(shared),
    );
    assert_fields(&record["network"], ["name", "radio"]);
    for stage in list(record, "stages") {
        assert_fields(stage, ["name", "duration_ms", "attempts"]);
        assert!(stage["duration_ms"].is_u64() && stage["attempts"].as_u64() >= Some(1), "{stage}");
    }
    for check in list(record, "checks") {
        assert_fields(check, ["id", "outcome", "diagnosis", "measurements", "evidence"]);
        let outcome = check["outcome"].as_str().expect("a word");
        assert!(["pass", "fail", "error", "not_run"].contains(&outcome), "{check:#}");
        assert_diagnosis(&check["diagnosis"], ["pass", "not_run"].contains(&outcome));
        list(check, "measurements").iter().for_each(assert_measurement);
        assert!(list(check, "evidence").iter().all(Value::is_string));
    }
}

#[test]
fn a_good_unit_passes_every_check_with_measurements() {
    let ended = Station::new().unit(["run", "--json", "--operator", "Ada"]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    let record = ended.json();
    assert_form(&record);
    assert_eq!(record["verdict"], "PASS");
    assert_eq!((&record["profile"], &record["device"]), (&"espvault".into(), &"simulator:".into()));
    assert_eq!((&record["lot"], &record["operator"]), (&Value::Null, &"Ada".into()));
    let ids: Vec<_> = list(&record, "checks").iter().map(|check| &check["id"]).collect();
    assert_eq!(
        ids,
        ["flash_integrity", "nvs_readback", "wifi_join", "mqtt_connect", "secret_hygiene"]
    );
    for check in list(&record, "checks") {
        assert_eq!(check["outcome"], "pass");
        assert!(!list(check, "measurements").is_empty(), "a pass is measured: {check:#}");
    }
    let unit = &record["unit"];
    assert_eq!(unit["flash_size"], 4 << 20);
    assert_eq!(unit["ids"]["device_id"], "VAULT-00001");
    assert_eq!(unit["mac"].as_str().map(str::len), Some("24:0a:c4:00:01:10".len()));
    assert_eq!(record["endpoints"][0]["shipped"], "mqtts://prod.broker.com:8883");
    assert_eq!(record["endpoints"][0]["policy"], "redirected");
}

#[rstest]
#[case::fail("firmware.mqtt_password")]
#[case::error("broker.down")]
#[case::nothing_known_of_the_unit("wire.vanish")]
fn a_record_has_the_same_form_whatever_it_says(#[case] fault: &str) {
    let ended = Station::new().unit(["run", "--json", "--fault", fault]);
    assert_eq!(ended.stderr, "");
    assert_form(&ended.json());
}

#[test]
fn limits_stand_beside_what_was_measured() {
    let record = Station::new().unit(["run", "--json"]).json();
    let measured = list(check(&record, "wifi_join"), "measurements");
    let rssi = measured.iter().find(|measurement| measurement["name"] == "rssi").expect("rssi");
    assert_eq!(
        (&rssi["unit"], &rssi["lower"], &rssi["upper"]),
        (&"dBm".into(), &(-75.0).into(), &(-10.0).into())
    );
    let value = rssi["value"].as_f64().expect("a number");
    assert!((-75.0..=-10.0).contains(&value), "{rssi}");
}

#[test]
fn a_person_reads_the_verdict_the_unit_and_the_checks() {
    let ended = Station::new().unit(["run"]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    assert!(ended.stdout.starts_with("PASS  espvault 24:0a:c4:"), "{}", ended.stdout);
    for word in
        ["VAULT-00001", "flash_integrity", "nvs_readback", "wifi_join", "mqtt_connect", "rssi"]
    {
        assert!(ended.stdout.contains(word), "no {word} in {}", ended.stdout);
    }
}

#[test]
fn a_person_reads_why_and_what_to_do() {
    let ended = Station::new().unit(["run", "--fault", "firmware.wifi_password"]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (1, ""));
    assert!(ended.stdout.starts_with("FAIL  espvault"), "{}", ended.stdout);
    assert!(ended.stdout.contains("(wifi.wrong_password)"), "{}", ended.stdout);
    let advice =
        ended.stdout.lines().find_map(|line| line.trim().strip_prefix("do ")).expect("advice");
    assert!(advice.trim().len() > 10, "{advice}");
}

#[test]
fn several_units_come_in_their_devices_order_each_its_own() {
    let station = Station::new();
    let macs = ["a4:cf:12:00:00:03", "a4:cf:12:00:00:01"];
    let urls = [
        format!("simulator:?mac={}", macs[0]),
        "simulator:".to_owned(),
        format!("simulator:?mac={}", macs[1]),
    ];
    let ended = station
        .unit(["run", "--json", "--device", &urls[0], "--device", &urls[1], "--device", &urls[2]]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    let records = ended.json();
    let records = records.as_array().expect("one record for each device");
    records.iter().for_each(assert_form);
    assert!(records.iter().all(|record| record["verdict"] == "PASS"), "{records:#?}");
    let devices: Vec<_> = records.iter().map(|record| &record["device"]).collect();
    assert_eq!(devices, urls.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(
        (&records[0]["unit"]["mac"], &records[2]["unit"]["mac"]),
        (&macs[0].into(), &macs[1].into())
    );
    for own in ["/unit/mac", "/unit/ids/device_id", "/unit/ids/mqtt_username", "/run_id"] {
        let distinct: BTreeSet<_> = records
            .iter()
            .map(|record| record.pointer(own).and_then(Value::as_str).expect(own))
            .collect();
        assert_eq!(distinct.len(), 3, "two units share {own}");
    }
}

/// The flash file of the second unit belongs to somebody else: an error beside a PASS.
#[test]
fn the_worst_unit_gives_the_exit_code() {
    let station = Station::new();
    let held = File::create(station.path("unit.flash")).expect("a file");
    held.set_len(4 << 20).expect("room");
    held.lock().expect("a lock");
    let devices = ["--device", "simulator:", "--device", "simulator:?flash-file=unit.flash"];
    let ended = station.unit([&["run", "--json"], devices.as_slice()].concat());
    let records = ended.json();
    let verdicts = (&records[0]["verdict"], &records[1]["verdict"]);
    assert_eq!(verdicts, (&"PASS".into(), &"ERROR".into()), "{records:#}");
    assert_eq!(ended.code(), 3);
}

#[test]
fn a_folder_takes_the_record_and_the_serial_log() {
    let station = Station::new();
    let ended = station.unit(["run", "--json", "--out", "report"]);
    let text = std::fs::read_to_string(station.path("report/record.json")).expect("the record");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), ended.json());
    let log = std::fs::read_to_string(station.path("report/console.log")).expect("the log");
    assert!(log.contains("sta ip: 127."), "{log}");
}

#[test]
fn each_of_several_units_has_a_folder_of_its_own() {
    let station = Station::new();
    let ended = station.unit([
        "run",
        "--json",
        "--out",
        "report",
        "--device",
        "simulator:",
        "--device",
        "simulator:",
    ]);
    for (index, record) in ended.json().as_array().expect("records").iter().enumerate() {
        let path = station.path(&format!("report/{:02}/record.json", index + 1));
        let text = std::fs::read_to_string(path).expect("the record");
        assert_eq!(&serde_json::from_str::<Value>(&text).expect("JSON"), record);
    }
}
