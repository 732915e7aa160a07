//! What is said of a unit with a known defect, and of a sound one on a defective bench.

use rstest::rstest;
use serde_json::Value;

use crate::program::{Station, check};

/// What the program says of the default unit with these faults.
fn verdict(faults: &[&str]) -> (i32, Value) {
    let station = Station::new();
    let faults = faults.iter().flat_map(|name| ["--fault", name]);
    let ended = station.unit(["run", "--json"].into_iter().chain(faults));
    let record = ended.json();
    let explained = &record["diagnosis"];
    for sentence in ["message", "action"] {
        let sentence = explained[sentence].as_str().expect("a diagnosis speaks in sentences");
        assert!(sentence.len() > 10, "it says too little: {explained}");
    }
    (ended.code(), record)
}

fn outcomes(record: &Value) -> Vec<&str> {
    let checks = record["checks"].as_array().expect("a record has checks");
    checks.iter().map(|check| check["outcome"].as_str().expect("a word")).collect()
}

#[rstest]
#[case::flash_app_bit("flash.app_bit", "flash_integrity", "flash.region_differs")]
#[case::flash_nvs_bit("flash.nvs_bit", "nvs_readback", "nvs.damaged")]
#[case::flash_nvs_key_missing("flash.nvs_key_missing", "nvs_readback", "nvs.key_missing")]
#[case::firmware_wifi_password("firmware.wifi_password", "wifi_join", "wifi.wrong_password")]
#[case::radio_deaf("radio.deaf", "wifi_join", "wifi.access_point_not_found")]
#[case::firmware_mqtt_password("firmware.mqtt_password", "mqtt_connect", "mqtt.bad_credentials")]
#[case::firmware_wrong_ca("firmware.wrong_ca", "mqtt_connect", "mqtt.server_untrusted")]
#[case::firmware_boot_loop("firmware.boot_loop", "wifi_join", "boot.loop")]
fn a_bad_unit_fails_with_its_reason(
    #[case] fault: &str,
    #[case] expected: &str,
    #[case] code: &str,
) {
    let (exit, record) = verdict(&[fault]);
    assert_eq!((exit, &record["verdict"]), (1, &Value::from("FAIL")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    let blamed = check(&record, expected);
    assert_eq!((&blamed["outcome"], &blamed["diagnosis"]["code"]), (&"fail".into(), &code.into()));
    let failed = outcomes(&record).into_iter().filter(|outcome| *outcome == "fail").count();
    assert_eq!(failed, 1, "one defect fails one check: {record:#}");
}

/// A FAIL that depends on a service of the bench names who saw that service sound.
#[rstest]
#[case::firmware_wifi_password("firmware.wifi_password", "wifi_join")]
#[case::radio_deaf("radio.deaf", "wifi_join")]
#[case::firmware_mqtt_password("firmware.mqtt_password", "mqtt_connect")]
#[case::firmware_wrong_ca("firmware.wrong_ca", "mqtt_connect")]
fn a_unit_is_blamed_on_a_witness_only(#[case] fault: &str, #[case] blamed: &str) {
    let (_, record) = verdict(&[fault]);
    let evidence = check(&record, blamed)["evidence"].as_array().expect("evidence");
    let witnessed = |line: &&Value| line.as_str().is_some_and(|line| line.starts_with("witness: "));
    assert_eq!(evidence.iter().filter(witnessed).count(), 1, "{evidence:?}");
}

#[rstest]
#[case::ap_absent("ap.absent", "wifi_join", "testbed.access_point")]
#[case::ap_password("ap.password", "wifi_join", "testbed.access_point")]
#[case::broker_unknown_ca("broker.unknown_ca", "mqtt_connect", "testbed.broker")]
#[case::broker_down("broker.down", "mqtt_connect", "testbed.broker")]
fn a_bad_testbed_is_never_the_units_fault(
    #[case] fault: &str,
    #[case] expected: &str,
    #[case] code: &str,
) {
    let (exit, record) = verdict(&[fault]);
    assert_eq!((exit, &record["verdict"]), (3, &Value::from("ERROR")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    assert_eq!(check(&record, expected)["outcome"], "error", "{record:#}");
    assert!(!outcomes(&record).contains(&"fail"), "{record:#}");
}

#[rstest]
#[case::wire_silent("wire.silent", "port.no_answer")]
#[case::wire_vanish("wire.vanish", "port.vanished")]
fn a_bad_wire_says_nothing_of_the_unit(#[case] fault: &str, #[case] code: &str) {
    let (exit, record) = verdict(&[fault]);
    assert_eq!((exit, &record["verdict"]), (3, &Value::from("ERROR")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    assert_eq!(outcomes(&record), ["not_run"; 4], "{record:#}");
}

/// The bench is broken where the unit is: nobody can tell whether the unit is bad.
#[rstest]
#[case::firmware_mqtt_password_with_broker_down(&["firmware.mqtt_password", "broker.down"], "testbed.broker")]
#[case::firmware_mqtt_password_with_broker_unknown_ca(&["firmware.mqtt_password", "broker.unknown_ca"], "testbed.broker")]
#[case::firmware_wrong_ca_with_broker_down(&["firmware.wrong_ca", "broker.down"], "testbed.broker")]
#[case::firmware_wrong_ca_with_broker_unknown_ca(&["firmware.wrong_ca", "broker.unknown_ca"], "testbed.broker")]
#[case::radio_deaf_with_ap_absent(&["radio.deaf", "ap.absent"], "testbed.access_point")]
#[case::firmware_wifi_password_with_ap_password(&["firmware.wifi_password", "ap.password"], "testbed.access_point")]
#[case::firmware_mqtt_password_with_ap_absent(&["firmware.mqtt_password", "ap.absent"], "testbed.access_point")]
#[case::wire_vanish_with_broker_down(&["wire.vanish", "broker.down"], "port.vanished")]
fn a_unit_is_not_blamed_where_the_bench_is_broken(#[case] faults: &[&str], #[case] code: &str) {
    let (exit, record) = verdict(faults);
    assert_eq!((exit, &record["verdict"]), (3, &Value::from("ERROR")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    assert!(!outcomes(&record).contains(&"fail"), "{record:#}");
}

/// The bench is broken elsewhere: the unit's own defect stands.
#[rstest]
#[case::flash_app_bit_with_broker_down(&["flash.app_bit", "broker.down"], "flash.region_differs")]
#[case::flash_nvs_bit_with_ap_absent(&["flash.nvs_bit", "ap.absent"], "nvs.damaged")]
#[case::firmware_boot_loop_with_ap_absent(&["firmware.boot_loop", "ap.absent"], "boot.loop")]
#[case::radio_deaf_with_broker_down(&["radio.deaf", "broker.down"], "wifi.access_point_not_found")]
fn a_witnessed_fail_outranks_an_error(#[case] faults: &[&str], #[case] code: &str) {
    let (exit, record) = verdict(faults);
    assert_eq!((exit, &record["verdict"]), (1, &Value::from("FAIL")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
}

#[test]
fn every_defect_of_the_flash_is_named() {
    let (_, record) = verdict(&["flash.app_bit", "flash.nvs_bit"]);
    assert_eq!(outcomes(&record)[..2], ["fail", "fail"], "{record:#}");
    assert_eq!(check(&record, "flash_integrity")["diagnosis"]["code"], "flash.region_differs");
    assert_eq!(check(&record, "nvs_readback")["diagnosis"]["code"], "nvs.damaged");
}

/// A unit with bad flash is not booted: what it did then would be no evidence of anything.
#[test]
fn a_unit_with_bad_flash_is_not_booted() {
    let (_, record) = verdict(&["flash.app_bit"]);
    assert_eq!(outcomes(&record)[2..], ["not_run", "not_run"], "{record:#}");
    let stages = record["stages"].as_array().expect("stages");
    assert!(stages.iter().all(|stage| stage["name"] != "boot"), "{stages:?}");
}
