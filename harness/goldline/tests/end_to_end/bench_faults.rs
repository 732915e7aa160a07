//! Every fault of the bench, on every product that has the service, in every command that needs it: never
//! is the unit to blame.
//!
//! What each fault must be called instead stands in `faults.rs`. A fault that a command does not meet may
//! end well.

use rstest::rstest;
use serde_json::Value;

use super::program::{Ended, Station, with_waits};

/// The shipped profile, with deadlines that nobody waits long for.
fn hasty(profile: &str) -> String {
    with_waits(profile, |key, seconds| match key {
        "wifi_s" | "mqtt_s" | "service_s" => Some(seconds.min(5)),
        "within_s" => Some(seconds.min(10)),
        _ => None,
    })
}

fn assert_not_blamed(ended: &Ended) {
    assert!([0, 3].contains(&ended.code()), "{ended:?}");
    let record = ended.json();
    assert_ne!(record["verdict"], "FAIL", "{record:#}");
    let checks = record["checks"].as_array().expect("a record has checks");
    assert!(checks.iter().all(|check| check["outcome"] != "fail"), "{record:#}");
}

#[rstest]
fn no_fault_of_the_bench_is_ever_the_units(
    #[values(
        "ble-gateway",
        "ble-gateway-factory",
        "ble-gateway-portal",
        "espvault",
        "espvault-certificates",
        "espvault-encrypted",
        "espvault-hmac",
        "safesignal",
        "safesignal-certificates",
        "zeroconf",
        "zeroconf-ca",
        "zeroconf-ca-console",
        "zeroconf-portal"
    )]
    profile: &str,
    #[values(
        "ap.absent",
        "ap.password",
        "broker.unknown_ca",
        "broker.down",
        "ca.down",
        "ca.timeout",
        "ca.http_500",
        "ca.http_401",
        "ca.refuses",
        "ca.malformed",
        "ca.other_key",
        "ca.other_device",
        "ca.other_ca",
        "ca.expired",
        "ca.expires_soon",
        "config.down",
        "config.http_500",
        "config.malformed",
        "config.wrong_password",
        "config.other_device",
        "config.no_user",
        "time_server.silent",
        "time_server.wrong",
        "update_server.down",
        "update_server.damaged"
    )]
    fault: &str,
) {
    let station = Station::new();
    let file = format!("{profile}.toml");
    station.write(&file, hasty(profile));
    let unit = |flash: &str| format!("simulator:?flash-file={}", station.path(flash).display());
    let faulty = |words: &[&str]| station.unit([words, &["--json", "--fault", fault]].concat());

    let ran = faulty(&["run", &file]);
    if ran.code() == 2 {
        assert!(ran.said().contains(" has no "), "{}", ran.said());
        return;
    }
    assert_not_blamed(&ran);
    let new = unit("new.flash");
    assert_not_blamed(&faulty(&["provision", &file, "--device", &new]));

    let good = unit("good.flash");
    let provisioned = station.unit(["provision", &file, "--json", "--device", &good]);
    assert_eq!(provisioned.code(), 0, "{provisioned:?}");
    assert_not_blamed(&faulty(&["check", &file, "--device", &good]));
    let moved = ["reprovision", &file, "--only", "wifi", "--set", "wifi_ssid=Elsewhere"];
    let moved = faulty(&[&moved[..], &["--device", &good]].concat());
    // Not every product can be given another network.
    if moved.code() != 2 {
        assert_not_blamed(&moved);
    }
}

/// A new fault of the bench must be tried here too.
#[test]
fn every_fault_of_the_bench_is_tried_here() {
    let faults = Station::new().goldline(["simulator", "faults", "--json"]).json();
    let of_unit = ["wire", "flash", "chip", "firmware", "radio", "time"];
    let source = include_str!("bench_faults.rs");
    for fault in faults.as_array().expect("a list") {
        let Value::String(name) = &fault["name"] else { panic!("no name in {fault}") };
        let layer = name.split('.').next().expect("a layer");
        let tried = source.contains(&format!("\"{name}\""));
        assert!(tried || of_unit.contains(&layer), "{name} is not tried on every product");
    }
}
