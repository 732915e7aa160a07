//! `goldline prove`: what it says, what it writes, and the code that it ends with.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};

use super::{
    program::{Ended, PROFILE, Station},
    schema::python,
};

/// Caught as soon as the unit is identified.
const CAUGHT: &str = "identity.flash.wrong_size";
/// Only `mqtt_connect` sees it.
const OF_BROKER: &str = "firmware.firmware.mqtt_password";
/// The samples of the shipped profile's secrets.
const SECRETS: [&str; 2] = ["SecurePassword123", "DeviceSecretKey"];

/// The shipped profile without the check that asks the broker.
fn lax() -> String {
    let (lax, _) =
        PROFILE.split_once("[[check]]\nid = \"mqtt_connect\"").expect("it has the check");
    lax.to_owned()
}

/// The same, which accepts that mutant.
fn accepting(mutant: &str) -> String {
    let accept = format!("accept = [{{ mutant = \"{mutant}\", because = \"no broker yet\" }}]");
    format!("{}\n[prove]\n{accept}\n", lax())
}

/// Proves a profile by one of its mutants alone.
fn prove(station: &Station, profile: &str, only: &str, more: &[&str]) -> Ended {
    let path = station.write("espvault.toml", profile);
    let path = path.to_str().expect("a path of text");
    station.goldline([&["prove", path, "--only", only], more].concat())
}

#[test]
fn what_is_caught_ends_with_0_and_says_of_what_it_was_made() {
    let ended = prove(&Station::new(), PROFILE, CAUGHT, &[]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].contains("a description of its firmware (espvault)"), "{}", lines[0]);
    assert!(lines[0].ends_with("no figure here bounds what escapes in the field"), "{}", lines[0]);
    assert_eq!(lines[1], "NOTHING ESCAPES: 0 of 1 bad unit passed; 0 of 3 good units blamed");
}

#[test]
fn what_escapes_ends_with_1_and_can_be_run_again_by_what_is_printed() {
    let station = Station::new();
    let ended = prove(&station, &lax(), OF_BROKER, &[]);
    assert_eq!(ended.code(), 1, "{ended:?}");
    let told = ended.stdout.lines().find_map(|line| line.strip_prefix("  again     goldline "));
    let again: Vec<String> = told
        .expect("a command")
        .split(' ')
        .map(|word| word.trim_matches('\'').to_owned())
        .collect();
    let again = station.goldline(&again);
    assert_eq!(again.code(), 1, "{again:?}");
    assert!(again.stdout.contains(&format!("ESCAPED     {OF_BROKER}\n")), "{}", again.stdout);
    assert!(again.stdout.contains("  remedy    mqtt_connect\n"), "{}", again.stdout);
}

#[test]
fn what_the_profile_accepts_ends_with_0_and_is_told_with_its_reason() {
    let station = Station::new();
    let ended = prove(&station, &accepting(OF_BROKER), OF_BROKER, &["--json"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let survivor = &ended.json()["survivors"][0];
    assert_eq!(survivor["mutant"], OF_BROKER);
    assert_eq!(survivor["accepted_because"], "no broker yet");
}

#[test]
fn what_is_accepted_and_caught_after_all_ends_with_1() {
    let ended = prove(&Station::new(), &accepting(CAUGHT), CAUGHT, &[]);
    assert_eq!(ended.code(), 1, "{ended:?}");
    let said = format!("! [prove] accept names {CAUGHT}, which is caught: take it out.\n");
    assert!(ended.stdout.contains(&said), "{}", ended.stdout);
}

#[test]
fn where_no_good_unit_passes_nothing_can_be_said() {
    let strict = PROFILE.replace("rssi = { lower = -75", "rssi = { lower = -20");
    let ended = prove(&Station::new(), &strict, CAUGHT, &[]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (3, ""), "{ended:?}");
    assert!(
        ended.said().contains("a good unit does not pass: FAIL wifi.out_of_limits"),
        "{ended:?}"
    );
}

#[rstest]
#[case::no_such_mutant(&["prove", "espvault", "--only", "radio.loud"], "has no mutant \"radio.loud\"")]
#[case::no_pattern(&["prove", "espvault", "--only", "*"], "\"*\" names no mutant")]
#[case::no_profile(&["prove"], "<PROFILE>")]
#[case::no_folder(
    &["prove", "espvault", "--html", "nowhere/report.html"],
    "the folder nowhere is not there"
)]
#[case::no_time(&["prove", "espvault", "--budget", "60"], "expected a time such as 60s")]
fn what_cannot_be_done_ends_with_2_before_any_unit_runs(
    #[case] arguments: &[&str],
    #[case] message: &str,
) {
    let ended = Station::new().goldline(arguments);
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.said().contains(message), "{ended:?}");
}

#[test]
fn the_list_names_what_only_takes() {
    let station = Station::new();
    let listed = station.goldline(["prove", "espvault", "--list"]);
    assert_eq!(listed.code(), 0, "{listed:?}");
    let ids = ids_of(&listed.stdout);
    assert!(ids.contains(&CAUGHT) && ids.contains(&OF_BROKER), "{ids:?}");
    let only = ids.iter().flat_map(|id| ["--only", id]);
    let again = station.goldline(["prove", "espvault", "--list"].into_iter().chain(only));
    // Where a bit is inverted depends on the CA that the image carries, which is another each time.
    assert_eq!(ids_of(&again.stdout), ids, "each can be asked for");
}

fn ids_of(list: &str) -> Vec<&str> {
    list.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

/// Whether a page fetches or runs anything.
fn assert_stands_alone(page: &str) {
    let lower = page.to_lowercase();
    for fetched in
        ["http:", "https:", "src=", "href=", "url(", "<script", "<link", "@import", "onload"]
    {
        assert!(!lower.contains(fetched), "the page holds {fetched}");
    }
}

#[test]
fn the_page_stands_alone_holds_no_secret_and_replaces_nothing() {
    let station = Station::new();
    let page = station.path("report.html");
    let html = ["--html", page.to_str().expect("text")];
    let ended = prove(&station, &lax(), OF_BROKER, &html);
    assert_eq!(ended.code(), 1, "{ended:?}");
    let text = fs::read_to_string(&page).expect("the page");
    assert_stands_alone(&text);
    assert!(text.starts_with("<!DOCTYPE html>") && text.contains("ESCAPED"), "{text}");
    for secret in SECRETS {
        assert!(!text.contains(secret) && !ended.stdout.contains(secret), "{secret} is shown");
    }
    let refused = prove(&station, &lax(), OF_BROKER, &html);
    assert_eq!(refused.code(), 2, "{refused:?}");
    assert!(refused.said().contains("--force"), "{refused:?}");
}

/// Says whether the schema takes the report.
const JUDGE: &str = "\
import json, sys
import jsonschema
schema, report = (json.load(open(path)) for path in sys.argv[1:])
jsonschema.Draft202012Validator.check_schema(schema)
judge = jsonschema.Draft202012Validator(schema)
print([error.message for error in judge.iter_errors(report)])
del report['survivors'][0]['means']
print(len(list(judge.iter_errors(report))))
";

#[test]
fn the_schema_takes_a_report_and_marks_what_is_missing() {
    let Some(python) = python() else { return };
    let station = Station::new();
    let report = prove(&station, &lax(), OF_BROKER, &["--json"]);
    let report = station.write("report.json", report.stdout);
    let schema = station.goldline(["prove", "--schema"]);
    assert_eq!(schema.code(), 0, "{schema:?}");
    let schema = station.write("schema.json", schema.stdout);
    let said = Command::new(python).args(["-c", JUDGE]).arg(schema).arg(report).output();
    let said = Ended::from(said.expect("Python runs"));
    assert_eq!((said.code(), said.stdout.as_str()), (0, "[]\n1\n"), "{said:?}");
}

/// Nothing here takes that long; a hanging program must not hang the tests.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn a_signal_ends_it_with_4() {
    let station = Station::new();
    let temporary = station.path("temporary");
    fs::create_dir(&temporary).expect("a folder");
    let child = station
        .command()
        .args(["prove", "espvault", "--json"])
        .env("TMPDIR", &temporary)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let started = Instant::now();
    // Its units' state is the first thing that it makes, with the signals heard by then.
    while fs::read_dir(&temporary).expect("the folder").next().is_none() {
        assert!(started.elapsed() < DEADLINE, "it made nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("the program runs");
    let ended = Ended::from(child.wait_with_output().expect("it ends"));
    assert_eq!(ended.code(), 4, "{ended:?}");
    if !ended.stdout.is_empty() {
        assert_eq!(ended.json()["stopped"], true);
    }
}
