//! The crate `goldline-record`, which other people's tests read records with: held to the records of this
//! program, so that neither has what the other does not know.

use goldline_record::{Goldline, Record, Run, RunError, Verdict};
use rstest::rstest;
use serde_json::Value;

use super::program::Station;

fn goldline(station: &Station, command: fn(&Goldline, &str) -> Run, profile: &str) -> Run {
    let goldline = Goldline::new(env!("CARGO_BIN_EXE_goldline"));
    command(&goldline, profile).state(station.state()).env("HOME", station.path("home"))
}

fn run(goldline: &Goldline, profile: &str) -> Run {
    goldline.run(profile)
}

/// Reading and writing loses nothing, so nothing is unknown to the crate, and nothing is misread.
#[rstest]
fn it_knows_all_that_a_record_has(
    #[values(
        &["run", "espvault"],
        &["run", "zeroconf-ca", "--lot", "A", "--operator", "Robin"],
        &["run", "safesignal"],
        &["run", "ble-gateway"],
        &["run", "espvault", "--network", "cable"],
        &["run", "espvault", "--fault", "firmware.wifi_password", "--seed", "7"],
        &["run", "espvault", "--fault", "broker.down", "--retry-errors", "1"],
        &["run", "espvault", "--fault", "wire.silent"],
        &["provision", "espvault"],
        &["check", "espvault"],
    )]
    words: &[&str],
) {
    let station = Station::new();
    let printed = station.unit([words, &["--json"]].concat()).json();
    let read: Record = serde_json::from_value(printed.clone()).expect("it is understood");
    let again: Value = serde_json::to_value(read).expect("it becomes JSON");
    assert_eq!(printed, again);
}

#[test]
fn a_good_unit_passes_and_its_measurements_are_read() {
    let station = Station::new();
    let record = goldline(&station, run, "espvault").record().expect("it ran");
    record.assert_pass();
    let join = record.check("wifi_join").expect("the profile has it");
    assert!(join.measured("rssi").is_some_and(|rssi| rssi < 0.0), "{join:#?}");
    assert!(record.check("device_id").is_none());
}

#[test]
fn a_bad_unit_says_why_and_what_to_do() {
    let station = Station::new();
    let bad = goldline(&station, run, "espvault").args(["--fault", "flash.nvs_bit"]);
    let record = bad.record().expect("a FAIL is a record");
    let why = record.diagnosis.as_ref().expect("a diagnosis");
    let said = record.passed().expect_err("no PASS");
    assert_eq!(said.verdict, Some(Verdict::Fail));
    for part in [&why.code, &why.message, &why.action, &record.run_id] {
        assert!(said.to_string().contains(part), "{part} in {said}");
    }
    record.assert_fail(&why.code);
}

#[test]
fn each_device_has_its_record() {
    let station = Station::new();
    let two = goldline(&station, run, "espvault").device("simulator:").device("simulator:");
    let records = two.records().expect("they ran");
    assert_eq!(records.len(), 2);
    assert_ne!(records[0].unit.mac, records[1].unit.mac);
    let two = goldline(&station, run, "espvault").device("simulator:").device("simulator:");
    assert!(matches!(two.record(), Err(RunError::Several)));
}

#[test]
fn what_made_no_run_says_what_the_program_said() {
    let station = Station::new();
    let refused = goldline(&station, run, "no-such-profile").record();
    let Err(RunError::NoRecord { code: Some(2), said }) = refused else { panic!("{refused:?}") };
    assert!(said.contains("no-such-profile"), "{said}");
    let missing = Goldline::new(station.path("goldline")).run("espvault").record();
    assert!(matches!(missing, Err(RunError::NotStarted { .. })), "{missing:?}");
}
