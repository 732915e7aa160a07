//! `wifi_join` as a pure function: what an access point tells outranks what a unit says, and a signal is a median.

use goldline::{
    check::{AtAccessPoint, NestPath, RefusedFor, Witness},
    profile::CheckId,
    record::{CheckRecord, Code, Limits, Outcome, Verdict},
};
use rstest::rstest;

use super::checks::Case;

fn witness(sound: bool) -> Option<Witness> {
    let came = if sound { Ok("the nest 1 passed") } else { Err("nobody came in") };
    Some(Witness::of_medium(came.map(str::to_owned).map_err(str::to_owned)))
}

fn at_access_point() -> AtAccessPoint {
    AtAccessPoint { name: "hostapd on wlan1".to_owned(), ..AtAccessPoint::default() }
}

fn admitted() -> AtAccessPoint {
    AtAccessPoint { admitted_after_ms: Some(300), is_admitted: true, ..at_access_point() }
}

/// A good unit that an access point admitted, which heard it so.
fn heard(signals_dbm: &[i8]) -> Case {
    let mut case = Case::good();
    case.join().access_point =
        Some(AtAccessPoint { signals_dbm: signals_dbm.to_vec(), ..admitted() });
    case
}

fn wifi_join(case: &Case) -> CheckRecord {
    let (_, _, checks) = case.judge();
    checks.into_iter().find(|check| check.id == "wifi_join").expect("its check")
}

fn measured(case: &Case, name: &str) -> Option<f64> {
    let check = wifi_join(case);
    let found = check.measurements.iter().find(|measurement| measurement.name == name)?;
    found.value.as_f64()
}

fn limits(lower: f64, upper: f64) -> Limits {
    Limits { lower: Some(lower), upper: Some(upper) }
}

/// The unit blames the passphrase (reason 15), and was let in with it.
#[test]
fn an_access_point_that_admitted_a_unit_outranks_its_complaint() {
    let mut case = Case::good();
    case.not_joined(Some(15), witness(true));
    case.expect(Verdict::Fail, Code::WifiWrongPassword);
    case.join().access_point = Some(admitted());
    case.expect(Verdict::Fail, Code::WifiNotJoined);
    let check = wifi_join(&case);
    let why = check.diagnosis.expect("a diagnosis").message;
    assert!(why.contains("joined ProductionWiFi and got no address"), "{why}");
    assert!(check.evidence.iter().any(|line| line.contains("admitted after 300 ms")));
}

/// The unit finds no network, it says, and one refused it.
#[rstest]
#[case::sound(true, Verdict::Fail, Code::WifiWrongPassword)]
#[case::not_sound(false, Verdict::Error, Code::TestbedAccessPoint)]
fn what_it_refused_is_what_was_wrong(
    #[case] sound: bool,
    #[case] verdict: Verdict,
    #[case] code: Code,
) {
    let mut case = Case::good();
    case.not_joined(Some(201), witness(sound));
    let refused_for = Some(RefusedFor::Passphrase);
    case.join().access_point = Some(AtAccessPoint { refused: 7, refused_for, ..at_access_point() });
    case.expect(verdict, code);
}

/// It joined, and that it went later its services tell.
#[test]
fn a_unit_that_left_has_joined_before() {
    let mut case = heard(&[]);
    if let Some(found) = &mut case.join().access_point {
        found.is_admitted = false;
    }
    assert_eq!(case.judge().0, Verdict::Pass);
    let evidence = wifi_join(&case).evidence;
    assert!(evidence.iter().any(|line| line.contains("after 300 ms, and left")), "{evidence:?}");
}

/// With an address, and even at the broker: it came by a cable.
#[rstest]
#[case::sound(true, Verdict::Fail, Code::WifiNotJoined)]
#[case::not_sound(false, Verdict::Error, Code::TestbedAccessPoint)]
fn a_unit_that_was_never_admitted_has_not_joined(
    #[case] sound: bool,
    #[case] verdict: Verdict,
    #[case] code: Code,
) {
    let mut case = Case::good();
    case.join().access_point = Some(at_access_point());
    case.join().witness = witness(sound);
    case.expect(verdict, code);
}

#[test]
fn a_signal_is_the_median_of_all_samples_with_their_number_and_spread() {
    let mut case = heard(&[-60, -88, -61]);
    assert_eq!(case.judge().0, Verdict::Pass);
    let of = |case: &Case, name| measured(case, name);
    assert_eq!(of(&case, "ap_rssi"), Some(-61.0));
    assert_eq!(of(&case, "ap_rssi_samples"), Some(3.0));
    assert_eq!(of(&case, "ap_rssi_spread"), Some(28.0));
    assert_eq!((of(&case, "rssi"), of(&case, "rssi_samples")), (Some(-45.0), None), "one is one");
    case.says_too(&["rssi: -47", "rssi: -71", "rssi: -46"]);
    assert_eq!(of(&case, "rssi"), Some(-46.5));
    assert_eq!((of(&case, "rssi_samples"), of(&case, "rssi_spread")), (Some(4.0), Some(26.0)));
    case.limit(CheckId::WifiJoin, "rssi_spread", limits(0.0, 20.0));
    case.expect(Verdict::Fail, Code::WifiOutOfLimits);
}

/// A unit looks around before it joins.
#[test]
fn a_neighbours_signal_is_not_the_units() {
    let mut case = Case::good();
    let neighbours = ["ssid: Other, rssi: -90", "ssid: Third, rssi: -91"];
    case.edit_log(|log| {
        for (place, text) in neighbours.iter().enumerate() {
            let mut line = log[2].clone();
            (*text).clone_into(&mut line.text);
            log.insert(2 + place, line);
        }
    });
    assert_eq!(measured(&case, "rssi"), Some(-45.0));
}

#[test]
fn what_a_nest_loses_is_added_before_the_limits() {
    let mut case = heard(&[-80]);
    case.limit(CheckId::WifiJoin, "ap_rssi", limits(-70.0, -40.0));
    case.expect(Verdict::Fail, Code::WifiOutOfLimits);
    let calibration = "calibrated on 2026-11-01 for 365 days".to_owned();
    case.seen.path = Some(NestPath { nest: "3".to_owned(), loss_db: 12.5, calibration });
    assert_eq!(case.judge().0, Verdict::Pass);
    let values = [measured(&case, "ap_rssi"), measured(&case, "rssi")];
    assert_eq!(values, [Some(-67.5), Some(-32.5)]);
    let said = "the path loss of the nest 3, 12.5 dB (calibrated on 2026-11-01 for 365 days)";
    let check = wifi_join(&case);
    assert!(check.evidence.iter().any(|line| line.contains(said)), "{check:#?}");
}

/// A driver without a radio tells none, and a limit of it then says nothing of the unit.
#[test]
fn a_signal_that_the_access_point_does_not_tell_is_no_units_fault() {
    let mut case = heard(&[]);
    assert_eq!(measured(&case, "ap_rssi"), None);
    assert_eq!(case.judge().0, Verdict::Pass);
    case.limit(CheckId::WifiJoin, "ap_rssi", limits(-70.0, -40.0));
    case.expect(Verdict::Error, Code::TestbedAccessPoint);
    case.join().access_point = None;
    let check = wifi_join(&case);
    assert_eq!(check.outcome, Outcome::Pass);
    let said = "no access point was asked";
    assert!(check.evidence.iter().any(|line| line.contains(said)), "{check:#?}");
}
