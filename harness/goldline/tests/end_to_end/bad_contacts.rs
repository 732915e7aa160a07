//! Bad days behind a bridge: another unit is laid in, the power fails, the bridge resets, the run is killed, each at a
//! step of the run. Nobody is judged by what another unit did, and the port is free afterwards.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use goldline::process::ChildGuard;
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    build_folders::esp_idf,
    contacts::{Held, Nest},
    elsewhere::free_address,
    foreign_servers::is_there,
    own_builds,
    program::{Ended, Station},
};

const FIRST: &str = "24:0a:c4:00:02:10";
const SECOND: &str = "24:0a:c4:00:02:20";

/// A product that joins nothing, whose own firmware is judged by its log, and another station than the one whose CA is
/// in its build.
pub fn watched() -> Station {
    let (station, _) = own_builds::station(esp_idf);
    let drafted = station.goldline(["init", "build"]);
    station.write("own.toml", drafted.stdout.replace("steady_s = 10", "steady_s = 1"));
    fs::remove_dir_all(station.state()).expect("a state of its own");
    station
}

/// Two units of one kind.
fn nest(station: &Station) -> Held {
    Nest::set_up(station, "port", &[&["--mac", FIRST], &["--mac", SECOND]])
}

fn start(station: &Station, command: &str, nest: &Nest) -> Child {
    let device = nest.device();
    let mut command = station.unit_command([command, "own.toml", "--json", "--device", &device]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

fn run(station: &Station, nest: &Nest) -> Value {
    let ended = start(station, "run", nest).wait_with_output().expect("it ends");
    Ended::from(ended).json()
}

fn passes(station: &Station, nest: &Nest) -> Value {
    let record = run(station, nest);
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    record
}

fn is_nobodys_fault(record: &Value, codes: &[&str]) {
    assert_eq!(record["verdict"], "ERROR", "{record:#}");
    let code = record["diagnosis"]["code"].as_str().expect("a code");
    assert!(codes.contains(&code), "{record:#}");
    let checks = record["checks"].as_array().expect("checks");
    assert!(checks.iter().all(|check| check["outcome"] != "fail"), "{record:#}");
}

/// The steps of a run of this product, in order.
fn stages(station: &Station, nest: &Nest) -> Vec<String> {
    let record = passes(station, nest);
    let stages = record["stages"].as_array().expect("stages").iter();
    let names = stages.map(|stage| stage["name"].as_str().expect("a name").to_owned());
    names.filter(|name| !["first_byte", "open"].contains(&name.as_str())).collect()
}

/// One as good as the first, and one that never starts: whatever it does is none of the first's.
#[rstest]
fn what_another_unit_does_is_no_verdict_of_the_first(
    #[values("erase", "write_ota_0", "read_back", "boot", "steady", "read_back_after_boot")]
    stage: &str,
    #[values(true, false)] is_good: bool,
) {
    let station = watched();
    let nest = nest(&station);
    if is_good {
        nest.lay_in(Some(1));
        passes(&station, &nest);
        nest.lay_in(Some(0));
    }
    nest.at_stage(stage, |nest| nest.lay_in(Some(1)));
    let record = run(&station, &nest);
    assert!(nest.has_come_to_pass(), "no step is called {stage}: {record:#}");
    is_nobodys_fault(&record, &["port.other_unit"]);
    let message = record["diagnosis"]["message"].as_str().expect("a message");
    assert!(message.contains(&format!("it was {FIRST}, it is {SECOND}")), "{message}");
    assert_eq!(record["unit"]["mac"], FIRST, "{record:#}");
    nest.lay_in(Some(0));
    passes(&station, &nest);
}

/// Both are held to be other than they were: the one was not given what it was to have, and the other may have it.
#[test]
fn what_was_typed_into_another_unit_is_in_neither_as_far_as_the_station_knows() {
    if !is_there("socat") {
        return;
    }
    let station = Station::new();
    let units = [["--mac", FIRST, "--chip", "esp32s3"], ["--mac", SECOND, "--chip", "esp32s3"]];
    let nest = Nest::set_up(&station, "port", &[&units[0], &units[1]]);
    let mut command = Command::new("socat");
    command.arg(format!("UNIX-LISTEN:{},fork,max-children=1", station.path("unit.sock").display()));
    command.arg(format!("OPEN:{},raw,echo=0", station.path("port").display()));
    let _socat = ChildGuard::spawn(command.stdin(Stdio::null())).expect("it starts");
    let (_, reset) = nest
        .device()
        .split_once('?')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("its reset");
    let device = format!("unix:{}?simulated=true&{reset}", station.path("unit.sock").display());
    let wire = free_address();
    let of_unit = |command: &str| {
        let words = [command, "safesignal", "--json", "--device", &device, "--network", &wire];
        station.unit(words).json()
    };
    nest.lay_in(Some(1));
    assert_eq!(of_unit("provision")["diagnosis"], Value::Null);
    nest.lay_in(Some(0));
    nest.at_stage("console_provision", |nest| nest.lay_in(Some(1)));
    let record = of_unit("provision");
    assert!(nest.has_come_to_pass(), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "port.other_unit", "{record:#}");
    for unit in [0, 1] {
        nest.lay_in(Some(unit));
        let record = of_unit("check");
        assert_eq!(record["verdict"], "ERROR", "{record:#}");
        assert_eq!(record["diagnosis"]["code"], "station.run_interrupted", "{record:#}");
        assert_eq!(of_unit("provision")["diagnosis"], Value::Null);
    }
}

/// The bridge stays, and so does the port. (In an erase too, after the two minutes that espflash gives a whole chip.)
#[rstest]
fn a_unit_that_loses_its_power_behind_its_bridge_is_blamed_for_nothing(
    #[values("write_ota_0", "read_back", "boot", "steady", "read_back_after_boot")] stage: &str,
) {
    let station = watched();
    let nest = nest(&station);
    nest.at_stage(stage, |nest| nest.lay_in(None));
    let record = run(&station, &nest);
    assert!(nest.has_come_to_pass(), "no step is called {stage}: {record:#}");
    is_nobodys_fault(
        &record,
        &["port.no_answer", "port.timeout", "nest.contact_or_supply", "port.unusable"],
    );
    nest.lay_in(Some(0));
    passes(&station, &nest);
}

/// What was half done is done again from the start of the step, once it is known who is there.
#[rstest]
fn a_unit_whose_power_fails_for_a_moment_in_its_loader_passes(
    #[values("erase", "write_ota_0", "read_back", "read_back_after_boot")] stage: &str,
) {
    let station = watched();
    let nest = nest(&station);
    nest.at_stage(stage, Nest::brown_out);
    let record = passes(&station, &nest);
    assert!(nest.has_come_to_pass(), "no step is called {stage}: {record:#}");
}

/// Another node, and the same link. What was under way in the loader is lost.
#[rstest]
#[case::in_an_erase("erase", false, Some("port.vanished"))]
#[case::in_a_write("write_ota_0", false, Some("port.vanished"))]
#[case::in_a_write_with_its_supply("write_ota_0", true, Some("port.vanished"))]
#[case::in_a_read("read_back", false, Some("port.vanished"))]
#[case::while_it_is_started("boot", false, None)]
#[case::while_it_is_started_with_its_supply("boot", true, None)]
#[case::while_it_runs("steady", false, None)]
#[case::while_it_runs_with_its_supply("steady", true, None)]
#[case::while_its_loader_is_entered("read_back_after_boot", false, None)]
fn a_bridge_that_resets_itself_is_no_fault_of_the_unit(
    #[case] stage: &str,
    #[case] resets_unit: bool,
    #[case] code: Option<&str>,
) {
    let station = watched();
    let nest = nest(&station);
    nest.at_stage(stage, move |nest| {
        nest.reset_bridge();
        if resets_unit {
            nest.brown_out();
        }
    });
    let record = run(&station, &nest);
    assert!(nest.has_come_to_pass(), "no step is called {stage}: {record:#}");
    match code {
        Some(code) => is_nobodys_fault(&record, &[code]),
        // Its first words may have been lost, which are no evidence that it did not say them.
        None if record["verdict"] == "PASS" => {}
        None => is_nobodys_fault(&record, &["nest.contact_or_supply"]),
    }
    passes(&station, &nest);
}

#[test]
fn a_run_that_is_killed_at_any_of_its_steps_leaves_port_and_unit() {
    let station = watched();
    let nest = nest(&station);
    let stages = stages(&station, &nest);
    assert!(stages.len() > 10, "{stages:?}");
    for stage in stages {
        let (pid, started) = mpsc::channel::<Pid>();
        nest.at_stage(&stage, move |_| {
            let pid = started.recv().expect("it started");
            kill_process(pid, Signal::KILL).expect("it runs");
        });
        let killed = start(&station, "run", &nest);
        pid.send(Pid::from_child(&killed)).expect("it is awaited");
        let ended = killed.wait_with_output().expect("it ends");
        assert!(nest.has_come_to_pass(), "no step is called {stage}: {ended:?}");
        assert_eq!(ended.status.signal(), Some(9), "at {stage}");
        nest.nobody_presses();
        passes(&station, &nest);
    }
}

/// As it was: two causes, of which the first was said ten seconds before the second.
#[test]
fn a_hub_that_goes_is_one_cause_whatever_its_units_do() {
    let station = watched();
    let own = fs::read_to_string(station.path("own.toml")).expect("a profile");
    station.write("own.toml", own.replace("steady_s = 1", "steady_s = 60"));
    let erases = Nest::set_up(&station, "erases", &[&["--mac", FIRST, "--pace"]]);
    let runs = Nest::set_up(&station, "runs", &[&["--mac", SECOND]]);
    let hub = erases.shared();
    runs.at_stage("steady", move |runs| {
        hub.await_stage("erase");
        runs.unplug_bridge();
        hub.unplug_bridge();
    });
    let devices = [erases.device(), runs.device()];
    let devices = devices.iter().flat_map(|device| ["--device", device]);
    let ended = station.unit(["run", "own.toml", "--json"].into_iter().chain(devices));
    let records = ended.json();
    for record in records.as_array().expect("two records") {
        is_nobodys_fault(record, &["port.several_vanished"]);
        let message = record["diagnosis"]["message"].as_str().expect("a message");
        assert!(message.contains("serial:erases") && message.contains("serial:runs"), "{message}");
    }
}
