//! What a network can prove, as a user sees it: the same unit on the air and on a cable.

use rstest::rstest;
use serde_json::Value;

use super::program::{Station, check};

fn run(profile: &str, network: &str, faults: &[&str]) -> (i32, Value) {
    let station = Station::new();
    let faults = faults.iter().flat_map(|name| ["--fault", name]);
    let arguments = ["run", profile, "--json", "--network", network];
    let ended = station.unit(arguments.into_iter().chain(faults));
    (ended.code(), ended.json())
}

#[test]
fn a_record_says_whether_the_radio_was_proven() {
    let (code, on_air) = run("espvault", "air", &[]);
    assert_eq!((code, &on_air["network"]["radio"]), (0, &"proven".into()), "{on_air:#}");
    let (code, deaf) = run("espvault", "air", &["radio.deaf"]);
    assert_eq!((code, &deaf["network"]["radio"]), (1, &"not_proven".into()), "{deaf:#}");
    let (code, on_cable) = run("espvault", "cable", &[]);
    assert_eq!((code, &on_cable["verdict"]), (0, &"PASS".into()), "{on_cable:#}");
    assert_eq!(on_cable["network"]["name"], "cable");
    assert_eq!(on_cable["network"]["radio"], "not_proven");
    assert_eq!(check(&on_cable, "network_join")["outcome"], "pass");
}

#[test]
fn a_person_reads_that_the_radio_was_not_proven() {
    let station = Station::new();
    let text = |network| station.unit(["run", "--network", network]).stdout;
    assert!(text("cable").contains("radio not proven: the network was cable"));
    assert!(!text("air").contains("radio not proven"));
}

/// What needs no radio is proven as well as on the air.
#[rstest]
#[case("espvault", "firmware.boot_loop", 1, "boot.loop")]
#[case("espvault", "firmware.mqtt_password", 1, "mqtt.bad_credentials")]
#[case("espvault", "broker.down", 3, "testbed.broker")]
#[case("zeroconf-ca", "ca.http_500", 3, "ca.refused")]
fn other_faults_are_told_as_on_the_air(
    #[case] profile: &str,
    #[case] fault: &str,
    #[case] code: i32,
    #[case] diagnosis: &str,
) {
    for network in ["air", "cable"] {
        let (exit, record) = run(profile, network, &[fault]);
        assert_eq!((exit, &record["diagnosis"]["code"]), (code, &diagnosis.into()), "{record:#}");
    }
}

/// A password that only the radio would have tried is not found out, and the record does not claim it.
#[test]
fn on_a_cable_a_wrong_network_password_is_not_found_out_and_not_claimed() {
    let (code, record) = run("espvault", "cable", &["firmware.wifi_password"]);
    assert_eq!((code, &record["network"]["radio"]), (0, &"not_proven".into()), "{record:#}");
}

#[rstest]
#[case("espvault-certificates")]
#[case("espvault-encrypted")]
#[case("espvault-hmac")]
#[case("zeroconf")]
#[case("zeroconf-ca")]
#[case("zeroconf-ca-console")]
#[case("safesignal")]
#[case("safesignal-certificates")]
#[case("ble-gateway-factory")]
fn shipped_profiles_name_what_stands_in_for_the_radio(#[case] profile: &str) {
    let (code, record) = run(profile, "cable", &[]);
    assert_eq!((code, &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    check(&record, "network_join");
}
