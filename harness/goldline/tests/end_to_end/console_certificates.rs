//! SafeSignal as its guide wants it in production: certificates that the console takes, in an NVS that only this
//! unit reads.

use std::fs;

use serde_json::Value;

use super::program::{Ended, Station, check};

const PROFILE: &str = "safesignal-certificates";
/// Where the profile puts the NVS partition.
const NVS: std::ops::Range<usize> = 0x9000..0xF000;
/// What the fault `chip.other_hmac_key` makes of the declared key.
const OTHER_KEY: &str = "dfdedddcdbdad9d8d7d6d5d4d3d2d1d0cfcecdcccbcac9c8c7c6c5c4c3c2c1c0";
const OTHER: [&str; 2] = ["--fault", "chip.other_hmac_key"];

/// A unit in a file of its own.
fn unit(station: &Station, name: &str, mac: &str, words: &[&str]) -> Ended {
    let device = format!("simulator:?flash-file={name}&mac={mac}");
    station.unit([words, &["--json", "--device", &device]].concat())
}

fn one(station: &Station, words: &[&str]) -> Ended {
    unit(station, "one.flash", "24:0a:c4:00:01:11", words)
}

/// A unit with another key in its eFuses.
fn other(station: &Station, words: &[&str]) -> Ended {
    unit(station, "other.flash", "24:0a:c4:00:01:12", &[words, &OTHER].concat())
}

fn passes(ended: &Ended) -> Value {
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    record
}

#[test]
fn a_unit_shows_the_broker_the_certificate_that_its_console_took() {
    let record = passes(&one(&Station::new(), &["run", PROFILE]));
    let uuid = record["unit"]["ids"]["uuid"].as_str().expect("a UUID");
    let measured = check(&record, "mqtt_connect")["measurements"].as_array().expect("some");
    let shown = measured.iter().find(|one| one["name"] == "client_certificate");
    assert_eq!(shown.expect("it shows one")["value"], format!("CN={uuid}"));
    assert_eq!(check(&record, "console_status")["measurements"][0]["value"], 2, "{record:#}");
}

/// Both are good units; what one of them holds is of no use in the other.
#[test]
fn a_dump_of_one_unit_does_not_work_in_another() {
    let station = Station::new();
    station.write("other.key", OTHER_KEY);
    passes(&one(&station, &["run", PROFILE]));
    let theirs = ["run", PROFILE, "--set", "number=2", "--set", "hmac_key=@other.key"];
    passes(&other(&station, &theirs));
    passes(&other(&station, &["check", PROFILE]));

    let dump = fs::read(station.path("one.flash")).expect("the one's flash");
    let mut flash = fs::read(station.path("other.flash")).expect("the other's flash");
    flash[NVS].copy_from_slice(&dump[NVS]);
    station.write("other.flash", flash);
    let ended = other(&station, &["check", PROFILE]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    assert_eq!(check(&record, "nvs_readback")["diagnosis"]["code"], "nvs.of_another_unit");
    // Where nobody looks at its flash, the unit itself finds nothing in it that it can use.
    assert_eq!(check(&record, "wifi_join")["outcome"], "not_run", "{record:#}");
    passes(&one(&station, &["check", PROFILE]));
}

/// Another key in the eFuses than the run was given: the unit works, and nobody could ever read it.
#[test]
fn a_unit_with_another_key_than_the_run_was_given_fails() {
    let ended = other(&Station::new(), &["run", PROFILE]);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    let blamed = check(&record, "nvs_readback");
    assert_eq!(blamed["diagnosis"]["code"], "nvs.of_another_unit", "{record:#}");
    assert_eq!(check(&record, "mqtt_connect")["outcome"], "pass", "{record:#}");
}
