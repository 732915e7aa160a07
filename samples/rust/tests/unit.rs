//! A unit with this repository's firmware, on the device that `GOLDLINE_DEVICE` names.

use std::process::Command;

use goldline_record::{Goldline, RadioProof};

#[test]
fn a_unit_passes_and_answers_its_command() {
    let run = Goldline::from_env().run("goldline.toml").args(["--network", "cable"]);
    let record = run.record().expect("Goldline runs");
    record.assert_pass();
    let connected = record.check("mqtt_connect").expect("the profile has it");
    assert!(
        connected.measured("round_trip_ms").is_some_and(|took| took < 2000.0),
        "{connected:#?}"
    );
    // No emulator has a radio: nothing is said of one.
    assert_eq!(record.network.map(|network| network.radio), Some(RadioProof::NotProven));
}

#[test]
fn what_is_written_is_as_it_was_accepted() {
    let goldline = std::env::var_os("GOLDLINE_PROGRAM").unwrap_or_else(|| "goldline".into());
    let mut review = Command::new(goldline);
    let reviewed = review.args(["golden", "review", "goldline.toml"]).output().expect("it runs");
    assert!(reviewed.status.success(), "{}", String::from_utf8_lossy(&reviewed.stdout));
}
