//! A run that dies, or is stopped, while it changes its unit: the next command knows of it and holds nothing
//! against the unit.

use std::{
    fs,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::program::{Ended, Station};

/// A run takes seconds; a hanging program must not hang the tests.
const DEADLINE: Duration = Duration::from_secs(120);
const DEVICE: &str = "simulator:?flash-file=unit.flash";

fn of_unit(station: &Station, words: &[&str], product: &str) -> Ended {
    station.unit([words, &[product, "--json", "--device", DEVICE]].concat())
}

fn journal(station: &Station) -> String {
    fs::read_to_string(station.state().join("journal.jsonl")).unwrap_or_default()
}

/// Lines of the journal of a kind.
fn lines(station: &Station, event: &str) -> Vec<Value> {
    let journal = journal(station);
    let whole = journal.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let lines = whole.map(|line| serde_json::from_str(line).expect("a line of the journal"));
    lines.filter(|line: &Value| line["event"] == event).collect()
}

/// Starts a command on the unit, and waits until the journal says so much more than before.
fn start(station: &Station, words: &[&str], reached: impl Fn(&Station) -> usize) -> Child {
    let before = reached(station);
    let arguments = [words, &["--json", "--device", DEVICE]].concat();
    let mut child = station
        .unit_command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let began = Instant::now();
    while reached(station) == before {
        let ended = child.try_wait().expect("it can be asked");
        assert!(ended.is_none() && began.elapsed() < DEADLINE, "it never came that far: {ended:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

pub fn at_stage(stage: &str) -> impl Fn(&Station) -> usize {
    move |station| lines(station, "changing").iter().filter(|line| line["stage"] == stage).count()
}

fn begun(station: &Station) -> usize {
    lines(station, "started").len()
}

fn kill(mut child: Child) {
    child.kill().expect("it runs");
    child.wait().expect("it is gone");
}

/// The command blames nobody, says how far that run came, and what to do.
fn assert_refused(ended: &Ended, how: &str) {
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "station.run_interrupted", "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("a message");
    assert!(message.contains(how) && message.contains("provision it again"), "{message}");
    let checks = record["checks"].as_array().expect("checks");
    assert!(checks.iter().all(|check| check["outcome"] != "fail"), "{record:#}");
}

/// As it was: FAIL `nvs.value_differs`, "look which firmware writes this key".
#[rstest]
#[case::erased("zeroconf", "erase", &["reprovision", "--only", "wifi"])]
#[case::half_written("espvault", "write_ota_0", &["check"])]
#[case::on_trial("espvault", "boot", &["check"])]
#[case::at_its_console("safesignal", "console_provision", &["factory-reset"])]
#[case::with_the_factorys_firmware("ble-gateway-factory", "factory_firmware", &["check"])]
#[case::at_its_portal("ble-gateway-portal", "portal", &["check"])]
fn a_unit_whose_run_was_killed_is_not_judged_until_it_is_provisioned_again(
    #[case] product: &str,
    #[case] stage: &str,
    #[case] next: &[&str],
) {
    let station = Station::new();
    let first = of_unit(&station, &["run"], product);
    assert_eq!(first.code(), 0, "{}", first.stdout);
    assert_eq!(lines(&station, "settled").len(), 1);
    kill(start(&station, &["run", product], at_stage(stage)));
    let last = lines(&station, "changing").pop().expect("it was noted");
    let how = format!("was interrupted at {}", last["stage"].as_str().expect("a stage"));
    for command in [next, &["check"]] {
        assert_refused(&of_unit(&station, command, product), &how);
    }
    let again = of_unit(&station, &["run"], product);
    assert_eq!(again.code(), 0, "{}", again.stdout);
    // What the killed process left there is swept.
    assert_eq!(fs::read_dir(station.state().join("running")).expect("it is there").count(), 0);
    let checked = of_unit(&station, &["check"], product);
    assert_eq!(checked.code(), 0, "{}", checked.stdout);
}

/// Its process lived on and wrote a record, which does not make the unit whole.
#[test]
fn a_unit_whose_run_was_stopped_is_not_judged_either() {
    let station = Station::new();
    assert_eq!(of_unit(&station, &["run"], "espvault").code(), 0);
    let child = start(&station, &["provision", "espvault"], at_stage("write_ota_0"));
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let stopped = Ended::from(child.wait_with_output().expect("it ends"));
    assert_eq!(stopped.code(), 4, "{}", stopped.stdout);
    assert_refused(&of_unit(&station, &["check"], "espvault"), "ended at ");
    assert_eq!(of_unit(&station, &["provision"], "espvault").code(), 0);
    assert_eq!(of_unit(&station, &["check"], "espvault").code(), 0);
}

/// A unit that nobody touched is as good as it was.
#[rstest]
#[case::before_it_answered(&["run", "espvault", "--fault", "wire.silent"])]
#[case::while_it_was_checked(&["check", "espvault", "--fault", "radio.deaf"])]
fn a_run_that_was_killed_before_it_wrote_leaves_the_unit_good(#[case] words: &[&str]) {
    let station = Station::new();
    assert_eq!(of_unit(&station, &["run"], "espvault").code(), 0);
    let before = lines(&station, "changing").len();
    kill(start(&station, words, begun));
    assert_eq!(lines(&station, "changing").len(), before);
    let checked = of_unit(&station, &["check"], "espvault");
    assert_eq!(checked.code(), 0, "{}", checked.stdout);
}

/// One that ended as it should, whatever its verdict, is no interrupted run.
#[test]
fn a_bad_unit_stays_bad() {
    let station = Station::new();
    let bad = station.unit([
        "run",
        "espvault",
        "--json",
        "--device",
        DEVICE,
        "--fault",
        "firmware.mqtt_password",
    ]);
    assert_eq!(bad.code(), 1, "{}", bad.stdout);
    let checked = station.unit([
        "check",
        "espvault",
        "--json",
        "--device",
        DEVICE,
        "--fault",
        "firmware.mqtt_password",
    ]);
    let record = checked.json();
    assert_eq!((checked.code(), &record["verdict"]), (1, &"FAIL".into()), "{record:#}");
}

/// Its run died before anyone could say what became of the number: the lease itself says whose it is.
#[test]
fn the_number_of_a_killed_run_is_its_units() {
    let station = Station::new();
    let lot = ["provision", "espvault", "--lot", "A"];
    kill(start(&station, &lot, at_stage("write_ota_0")));
    let lease = |number: usize| {
        let answer = station.unit(["ids", "list", "espvault", "--json"]).json();
        let lease = &answer["series"][0]["leases"][number - 1];
        (lease["state"].clone(), lease["mac"].clone())
    };
    let (unit, other) = ("24:0a:c4:00:01:10", "24:0a:c4:00:01:11");
    assert_eq!(lease(1), ("leased".into(), unit.into()));
    let device = format!("simulator:?mac={other}");
    let next = station.unit([&lot[..], &["--json", "--device", &device]].concat()).json();
    assert_eq!(next["unit"]["ids"]["device_id"], "VAULT-00002", "{next:#}");
    let again = of_unit(&station, &["provision", "--lot", "A"], "espvault").json();
    assert_eq!(again["unit"]["ids"]["device_id"], "VAULT-00001", "{again:#}");
    assert_eq!(lease(1), ("used".into(), unit.into()));
    assert_eq!(lease(2), ("used".into(), other.into()));
    assert_eq!(lease(3), (Value::Null, Value::Null));
}
