//! Units that print far more than the bench keeps: what they say among it counts all the same.

use std::{fmt::Write, fs};

use serde_json::Value;

use super::program::{Station, check};

const LINES: usize = 25_000;
const PSK: &str = "7d8e9f0a1b2c3d4e5f6a7b8c9d0e1f2a";

fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/");
    fs::read_to_string(format!("{folder}{name}")).expect("it ships")
}

/// Lines as a firmware's description holds them: talk, one line in its midst, and talk again.
fn talk(among: &str) -> String {
    let mut lines = String::new();
    for number in 0..LINES {
        if number == LINES / 2 {
            lines.push_str(among);
        }
        writeln!(lines, "\"I ({number}) s: {number}\",").expect("into memory");
    }
    lines
}

/// Runs a shipped product with a firmware that says these things too; its record and its log.
fn run(station: &Station, product: &str, says: &str) -> (i32, Value, String) {
    let firmware = fixture(&format!("firmware/{product}.toml"));
    assert!(!firmware.contains("[says]"), "this firmware has something to say already");
    let firmware = station.write("firmware.toml", format!("{firmware}\n[says]\n{says}\n"));
    let profile = fixture(&format!("profiles/{product}.toml"));
    let model = format!("model = \"{product}\"");
    let changed = format!("model = \"{}\"", firmware.display());
    assert!(profile.contains(&model), "the profile has no {model} to replace");
    let file = format!("{product}.toml");
    station.write(&file, profile.replacen(&model, &changed, 1));
    let ended = station.unit(["run", &file, "--json", "--out", "out"]);
    let files = station.files(&station.path("out"));
    let log = files.iter().find(|file| file.extension().is_some_and(|it| it == "log"));
    let log = fs::read_to_string(log.expect("the serial log")).expect("text");
    (ended.code(), ended.json(), log)
}

/// The buffer was full before the unit joined, and the check said that the signal was never measured.
#[test]
fn a_unit_that_prints_more_than_is_kept_passes() {
    let station = Station::new();
    let (code, record, log) = run(&station, "espvault", &format!("started = [\n{}]", talk("")));
    assert_eq!((code, &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(check(&record, "wifi_join")["outcome"], "pass", "{record:#}");
    assert!(log.contains("rssi: ") && log.contains("sta ip: "), "what tells something is kept");
    assert!(log.contains("lines were not kept]"), "all was kept: the test tells nothing");
    assert!(log.contains(" s: 0\n") && log.contains(&format!(" s: {}\n", LINES - 1)));
}

/// What is dropped was heard: talk hides no secret.
#[test]
fn a_secret_in_the_midst_of_talk_is_found() {
    let station = Station::new();
    let among = "\"I (17) s: the key is {psk}\",\n";
    let (code, record, log) = run(&station, "zeroconf", &format!("started = [\n{}]", talk(among)));
    assert_eq!((code, &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "secret.in_log", "{record:#}");
    assert!(log.contains("lines were not kept]"), "all was kept: the test tells nothing");
    assert!(log.contains("the key is ‹") && !log.contains(PSK));
}
