//! Commands killed at random moments: nothing of it is the unit's, no number is lost, and the next run is right.

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::sweep::{Draw, each, least, record_of, said};
use crate::end_to_end::program::{Ended, Station};

/// One for each way to be provisioned that keeps a unit's values in another place for a while.
const PRODUCTS: [&str; 4] = ["espvault", "zeroconf", "safesignal", "ble-gateway-portal"];
const COMMANDS: [&[&str]; 6] = [
    &["run", "--lot", "A"],
    &["run", "--lot", "A", "--fault", "firmware.slow_boot"],
    &["provision", "--lot", "A"],
    &["check"],
    &["reprovision", "--only", "wifi"],
    &["factory-reset"],
];
/// Some end before they are killed.
const RUNS: usize = 360;
const KILLS: usize = 200;
/// Of the time of a run; most other commands take less.
const LATEST: f64 = 0.8;
const DEVICE: &str = "simulator:?flash-file=unit.flash";

fn words<'a>(command: &'a [&'a str], product: &'a str) -> Vec<&'a str> {
    [command, &[product, "--json", "--device", DEVICE]].concat()
}

fn of_unit(station: &Station, command: &[&str], product: &str) -> Ended {
    station.unit(words(command, product))
}

/// Whether it was killed, and did not end before.
fn killed(station: &Station, command: &[&str], product: &str, after: Duration) -> bool {
    let mut child = station
        .unit_command(words(command, product))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    // Any moment is as good as another: there is nothing to wait for.
    thread::sleep(after);
    let ended = child.try_wait().expect("it can be asked").is_some();
    child.kill().expect("it is there");
    child.wait().expect("it is gone");
    !ended
}

/// How many runs came to their end, by the journal.
fn ended_runs(station: &Station) -> usize {
    let journal = std::fs::read_to_string(station.state().join("journal.jsonl"));
    let lines = journal.unwrap_or_default();
    let event =
        |line: &str| serde_json::from_str::<Value>(line).ok()?["event"].as_str().map(str::to_owned);
    lines.lines().filter(|line| event(line).as_deref() == Some("ended")).count()
}

/// The numbers of the lot by what became of them, as the operator's table says it.
fn numbers(station: &Station, product: &str) -> Vec<String> {
    let listed = station.unit(["ids", "list", product]).stdout;
    let states = listed.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next()?.parse::<u32>().ok()?;
        words.next().map(str::to_owned)
    });
    states.collect()
}

/// What is wrong after a kill, if anything.
fn aftermath(
    station: &Station,
    command: &[&str],
    product: &str,
    completed: bool,
) -> Option<String> {
    let checked = of_unit(station, &["check"], product);
    let Some(record) = record_of(&checked) else {
        return Some(format!("the check is refused: {}", checked.said()));
    };
    let (verdict, code) = said(&record);
    let interrupted = verdict == "ERROR" && code == "station.run_interrupted";
    // A reset that was completed has left nothing to connect with.
    let is_reset = command[0] == "factory-reset" && completed;
    if verdict != "PASS" && !interrupted && !is_reset {
        return Some(format!("the check says {verdict} {code} {}", record["diagnosis"]["message"]));
    }
    let again = of_unit(station, &["run", "--lot", "A"], product);
    if again.code() != 0 {
        return Some(format!("the next run says {:#}", again.json()["diagnosis"]));
    }
    let numbers = numbers(station, product);
    let accounted = numbers.iter().filter(|state| *state == "used").count() <= 1
        && numbers.iter().all(|state| state != "leased");
    (!accounted).then(|| format!("the numbers are {numbers:?}"))
}

#[test]
#[ignore = "nightly: kills at random moments"]
fn a_killed_command_costs_nothing_but_its_run() {
    let mut draw = Draw(13);
    let jobs: Vec<_> = (0..RUNS)
        .map(|number| {
            let product = PRODUCTS[number % PRODUCTS.len()];
            (product, COMMANDS[number / PRODUCTS.len() % COMMANDS.len()], draw.below(1 << 20))
        })
        .collect();
    let figures = each(&jobs, |(product, command, moment), figures| {
        let station = Station::new();
        let began = Instant::now();
        let first = of_unit(&station, &["run", "--lot", "A"], product);
        assert_eq!(first.code(), 0, "{product}: {first:?}");
        let whole = began.elapsed();
        let after = whole.mul_f64(LATEST * *moment as f64 / f64::from(1 << 20));
        let before = ended_runs(&station);
        let killed = killed(&station, command, product, after);
        let completed = ended_runs(&station) > before;
        let wrong = aftermath(&station, command, product, completed);
        let mut figures = figures.lock().expect("it counts only");
        figures.count("runs");
        figures.count(if killed { "killed" } else { "ended before" });
        if let Some(wrong) = wrong {
            figures.blame("wrong", format!("{product} {command:?} after {after:?}: {wrong}"));
        }
    });
    assert!(figures.of("killed") >= least(KILLS), "{}", figures.of("killed"));
    figures.settle("the kills");
}
