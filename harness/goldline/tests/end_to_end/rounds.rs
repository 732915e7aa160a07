//! `--loop`: unit after unit in one jig, with a prompt before each and a summary at the end; `--units` with more rows
//! than devices.

use std::{
    fs,
    io::{BufReader, Read, Write},
    process::{Child, ChildStderr, ChildStdin, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    program::{Ended, Station},
    resets::{product, serve_unit},
};

const ROWS: &str = "device_id,tenant,building,room\n\
                    button-1,acme,north,101\n\
                    button-2,acme,north,102\n\
                    button-3,acme,south,7\n";

fn station() -> Station {
    let station = Station::new();
    station.write("units.csv", ROWS);
    station
}

/// Types all at once, as one who knows what comes.
fn typing(station: &Station, words: &[&str], typed: &str) -> Ended {
    let mut command = station.unit_command(words);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("the program starts");
    // It may have ended by itself.
    let _read = child.stdin.take().expect("a pipe").write_all(typed.as_bytes());
    Ended::from(child.wait_with_output().expect("it ends"))
}

fn ids(ended: &Ended) -> Vec<String> {
    let records = ended.json();
    let id =
        |record: &Value| record["unit"]["ids"]["device_id"].as_str().expect("an id").to_owned();
    records.as_array().expect("a list").iter().map(id).collect()
}

const SAFESIGNAL: [&str; 6] = ["run", "safesignal", "--json", "--loop", "--units", "units.csv"];

#[test]
fn rows_are_made_in_turn_and_those_that_are_picked_first() {
    let station = station();
    let made = typing(&station, &SAFESIGNAL, "nobody\nbutton-3\n\n\n\n");
    assert_eq!(made.code(), 0, "{made:?}");
    assert_eq!(ids(&made), ["button-3", "button-1", "button-2"]);
    assert!(made.stderr.contains("\"nobody\" stands in no row"), "{}", made.stderr);
    assert!(made.stderr.contains("no row is left"), "{}", made.stderr);

    let again = typing(&station, &SAFESIGNAL, "button-2\n\n");
    assert!(again.stderr.contains("passed over: 3 rows"), "{}", again.stderr);
    assert_eq!(ids(&again), ["button-2"]);
}

#[test]
fn a_jig_of_two_nests_takes_two_rows_at_a_time_and_the_last_alone() {
    let station = station();
    let nests = [
        "--device",
        "simulator:?mac=24:0a:c4:00:05:01",
        "--device",
        "simulator:?mac=24:0a:c4:00:05:02",
    ];
    let words = ["run", "safesignal", "--loop", "--units", "units.csv", "--out", "kept"];
    let made = typing(&station, &[&words[..], &nests].concat(), "\n\nq\n");
    assert_eq!(made.code(), 0, "{made:?}");
    let summary = made.stdout.rsplit("round ").next().expect("a summary");
    // The third has the nest of the first: its unit was given another identity.
    for line in ["3 runs of 2 units: 2 PASS", "button-1", "button-2", "button-3"] {
        assert!(summary.contains(line), "{line}: {summary}");
    }
    for place in ["001/01", "001/02", "002"] {
        assert!(station.path(&format!("kept/{place}/record.json")).is_file(), "{place}");
    }
}

#[test]
fn rows_that_are_left_are_named_where_someone_ends_early() {
    let station = station();
    let words = ["run", "safesignal", "--loop", "--units", "units.csv"];
    let made = typing(&station, &words, "\nq\n");
    assert_eq!(made.code(), 0, "{made:?}");
    assert!(made.stdout.contains("2 rows left: button-2, button-3"), "{}", made.stdout);
    // What no unit got is offered again: the bench was at fault.
    let made = typing(&station, &[&words[..], &["--fault", "broker.down"]].concat(), "\n\nq\n");
    assert_eq!(made.code(), 3, "{made:?}");
    assert!(made.stdout.contains("2 runs of 1 unit: 1 ERROR"), "{}", made.stdout);
    assert!(made.stdout.contains("2 rows left: button-2, button-3"), "{}", made.stdout);
}

#[test]
fn without_rows_each_enter_makes_a_unit_until_the_end_of_the_input() {
    let station = Station::new();
    let made = typing(&station, &["run", "espvault", "--json", "--loop"], "\nwhat?\n\n");
    assert_eq!((made.code(), made.json().as_array().map(Vec::len)), (0, Some(2)), "{made:?}");
    let bad = ["run", "espvault", "--loop", "--fault", "flash.nvs_bit"];
    let made = typing(&station, &bad, "\n\n");
    assert_eq!(made.code(), 1, "{made:?}");
    assert!(made.stdout.contains("2 runs of 1 unit: 1 FAIL"), "{}", made.stdout);
    assert!(made.stdout.contains("nvs.damaged"), "{}", made.stdout);
}

#[test]
fn one_row_of_many_is_picked_for_one_device() {
    let station = station();
    let run = |words: &[&str]| {
        station.unit([&["run", "safesignal", "--json", "--units", "units.csv"], words].concat())
    };
    let picked = run(&["--row", "button-2"]);
    assert_eq!(picked.code(), 0, "{picked:?}");
    assert_eq!(picked.json()["unit"]["ids"]["device_id"], "button-2");
    let unknown = run(&["--row", "button-9"]);
    assert!(
        unknown.code() == 2 && unknown.said().contains("has no unit \"button-9\": it has button-1"),
        "{unknown:?}"
    );
    let all = run(&[]);
    assert!(all.code() == 2 && all.said().contains("--loop"), "{all:?}");
}

/// A loop whose standard error is read as it comes.
struct Loop {
    child: Child,
    typed: ChildStdin,
    said: BufReader<ChildStderr>,
}

impl Loop {
    fn start(station: &Station, words: &[&str]) -> Self {
        let mut command = station.unit_command(words);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().expect("the program starts");
        let typed = child.stdin.take().expect("a pipe");
        let said = BufReader::new(child.stderr.take().expect("a pipe"));
        Self { child, typed, said }
    }

    /// Reads on until something is said.
    fn hear(&mut self, awaited: &str) {
        let mut said = Vec::new();
        while !String::from_utf8_lossy(&said).contains(awaited) {
            let mut byte = [0];
            self.said.read_exact(&mut byte).unwrap_or_else(|error| {
                panic!("{error}, before {awaited}: {}", String::from_utf8_lossy(&said))
            });
            said.push(byte[0]);
        }
    }

    fn enter(&mut self) {
        self.typed.write_all(b"\n").expect("it reads");
    }

    fn end(self) -> Ended {
        let Self { child, typed, said } = self;
        drop((typed, said));
        Ended::from(child.wait_with_output().expect("it ends"))
    }
}

/// Two units in turn on one port, each in a process of its own.
#[test]
fn units_are_changed_while_the_prompt_stands() {
    let station = product();
    station.write("units.csv", "device_id\nVAULT-00007\nVAULT-00008\n");
    let values = [
        "wifi_ssid=Shop",
        "wifi_password=@password",
        "mqtt_broker=mqtts://broker.example.test:8883",
    ];
    let values: Vec<&str> = values.into_iter().flat_map(|value| ["--set", value]).collect();
    let device = ["--device", "serial:unit?reset=none"];
    let words = ["provision", "espvault.toml", "--loop", "--units", "units.csv"];
    let mut made = Loop::start(&station, &[&words[..], &device, &values].concat());
    made.hear("connect VAULT-00007 and press Enter");
    for (mac, flash, id, then) in [
        ("24:0a:c4:00:06:01", "a.flash", "VAULT-00007", "connect VAULT-00008 and press Enter"),
        ("24:0a:c4:00:06:02", "b.flash", "VAULT-00008", "no row is left"),
    ] {
        let _link = fs::remove_file(station.path("unit"));
        let unit = serve_unit(&station, &["--mac", mac, "--flash-file", flash]);
        made.enter();
        made.hear(then);
        drop(unit);
        let flash = fs::read(station.path(flash)).expect("its flash");
        assert!(flash.windows(id.len()).any(|window| window == id.as_bytes()), "{id}");
    }
    made.enter();
    let made = made.end();
    assert_eq!(made.code(), 0, "{made:?}");
    for part in ["2 runs of 2 units: 2 provisioned", "24:0a:c4:00:06:01", "24:0a:c4:00:06:02"] {
        assert!(made.stdout.contains(part), "{part}: {}", made.stdout);
    }
}

#[test]
fn a_signal_at_the_prompt_ends_the_loop_with_its_summary() {
    let station = station();
    let mut made = Loop::start(&station, &["run", "safesignal", "--loop", "--units", "units.csv"]);
    made.hear("connect button-1");
    made.enter();
    made.hear("connect button-2");
    let pid = Pid::from_child(&made.child);
    kill_process(pid, Signal::INT).expect("it lives");
    let Loop { child, typed, said } = made;
    // Its input stays open: the signal alone ends it.
    let ended = Ended::from(child.wait_with_output().expect("it ends"));
    drop((typed, said));
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains("2 rows left: button-2, button-3"), "{}", ended.stdout);
}
