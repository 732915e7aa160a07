//! A run that someone stops.

use std::{
    fs,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};

use super::program::{Ended, Station};

/// Nothing here takes that long; a hanging program must not hang the tests.
const DEADLINE: Duration = Duration::from_secs(20);
/// Stopping is not waiting for the unit: a silent one alone takes longer than this.
const PROMPT: Duration = Duration::from_secs(3);

/// Looks again and again until something is there.
fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts a run of units that never answer, and waits until all of them are under way.
pub fn start_silent(station: &Station, command: &str, devices: usize, more: &[&str]) -> Child {
    let devices = std::iter::repeat_n(["--device", "simulator:"], devices).flatten();
    let arguments = [command, "--json", "--fault", "wire.silent"].into_iter().chain(devices);
    let child = station
        .unit_command(arguments.clone())
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let expected = arguments.filter(|argument| *argument == "--device").count();
    wait_until("the journal's started lines", || {
        let journal = fs::read_to_string(station.state().join("journal.jsonl")).ok()?;
        (journal.matches("\"event\":\"started\"").count() == expected).then_some(())
    });
    child
}

fn stop(child: Child, signal: Signal) -> (Ended, Duration) {
    let pid = Pid::from_child(&child);
    let sent = Instant::now();
    kill_process(pid, signal).expect("the program runs");
    let ended = Ended::from(child.wait_with_output().expect("it ends"));
    (ended, sent.elapsed())
}

#[rstest]
#[case::interrupted(Signal::INT)]
#[case::terminated(Signal::TERM)]
#[case::terminal_closed(Signal::HUP)]
fn a_stopped_run_is_aborted_and_has_its_record(#[case] signal: Signal) {
    let station = Station::new();
    let (ended, took) = stop(start_silent(&station, "run", 1, &[]), signal);
    assert_eq!((ended.code(), ended.stderr.as_str()), (4, ""), "{}", ended.stdout);
    let record = ended.json();
    assert_eq!(record["verdict"], "ABORTED");
    assert_eq!(record["diagnosis"]["code"], "run.aborted");
    assert!(took < PROMPT, "it took {took:?}");
    let journal = fs::read_to_string(station.state().join("journal.jsonl")).expect("the journal");
    assert_eq!(journal.matches("\"event\":\"ended\"").count(), 1, "{journal}");
}

#[test]
fn a_stopped_provisioning_has_no_verdict_and_says_why() {
    let station = Station::new();
    let (ended, _) = stop(start_silent(&station, "provision", 1, &[]), Signal::INT);
    assert_eq!(ended.code(), 4, "{}", ended.stdout);
    let record = ended.json();
    assert!(record["verdict"].is_null(), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "run.aborted");
    assert!(!station.state().join("units").exists(), "an unfinished unit is not remembered");
}

#[test]
fn all_units_stop_together() {
    let station = Station::new();
    let (ended, took) = stop(start_silent(&station, "run", 3, &[]), Signal::INT);
    assert_eq!(ended.code(), 4, "{}", ended.stdout);
    let records = ended.json();
    let verdicts: Vec<_> =
        records.as_array().expect("records").iter().map(|record| &record["verdict"]).collect();
    assert_eq!(verdicts, ["ABORTED"; 3]);
    assert!(took < PROMPT, "it took {took:?}");
}

#[test]
fn a_killed_run_is_listed_as_interrupted() {
    let station = Station::new();
    let mut child = start_silent(&station, "run", 1, &[]);
    let outcomes = || {
        let runs = station.unit(["records", "list", "--json"]).json();
        let outcomes = runs.as_array().expect("runs").iter();
        outcomes.map(|run| run["outcome"].as_str().expect("a word").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(), ["RUNNING"]);
    child.kill().expect("it runs");
    child.wait().expect("it is gone");
    assert_eq!(outcomes(), ["INTERRUPTED"]);
    let found = station.unit(["records", "list", "--verdict", "interrupted", "--json"]).json();
    assert_eq!(found[0]["profile"], "espvault");
}
