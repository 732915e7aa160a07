//! The nests of a jig: switched by programs before a run, left as they must be left after it, however it ends.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use goldline::process::ChildGuard;
use rstest::rstest;
use serde_json::Value;

use super::{
    page,
    program::{Ended, PROFILE, Station, check},
    resets::{product, provision_command},
};

/// Only a program that hangs meets it.
const DEADLINE: Duration = Duration::from_secs(120);

fn executable(station: &Station, name: &str, script: &str) {
    station.executable(name, format!("#!/bin/sh\n{script}\n"));
}

/// Nest 1 with a simulated unit; its switches write down what they were told.
fn jig() -> Station {
    let station = Station::new();
    executable(&station, "switch", "echo \"$@\" >> log");
    executable(&station, "lid", "[ ! -e lid-is-open ]");
    station.write("jig.toml", nest(1, ""));
    station
}

fn nest(number: u32, more: &str) -> String {
    format!(
        r#"
[[nest]]
name = "{number}"
device = "simulator:?flash-file=unit{number}.flash&mac=24:0a:c4:00:01:1{number}"
power_on = ["./switch", "{number}", "on"]
power_off = ["./switch", "{number}", "off"]
off_ms = 10
present = ["./lid"]
lock = ["./switch", "{number}", "shut"]
unlock = ["./switch", "{number}", "open"]
lamp = ["./switch", "{number}", "lamp"]
{more}
"#
    )
}

fn log(station: &Station) -> Vec<String> {
    let text = fs::read_to_string(station.path("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["run", "espvault", "--json", "--station", "jig.toml", "--device", "nest:1"];
    fixed.into_iter().chain(more.iter().copied()).collect()
}

fn run(station: &Station, more: &[&str]) -> (Ended, Value) {
    let ended = station.unit(arguments(more));
    let record = ended.json();
    (ended, record)
}

const BEFORE: [&str; 4] = ["1 shut", "1 lamp running", "1 off", "1 on"];

/// What stands in the log after a run whose lamp shows this.
fn after(lamp: &str) -> Vec<String> {
    let lamp = format!("1 lamp {lamp}");
    BEFORE.into_iter().chain(["1 off", "1 open", &lamp]).map(str::to_owned).collect()
}

#[rstest]
#[case::good(None, 0, "pass")]
#[case::bad(Some("firmware.mqtt_password"), 1, "fail")]
#[case::error(Some("wire.silent"), 3, "error")]
fn a_nest_is_left_off_and_open_whatever_came_of_the_run(
    #[case] fault: Option<&str>,
    #[case] code: i32,
    #[case] lamp: &str,
) {
    let station = jig();
    let fault: Vec<&str> = fault.into_iter().flat_map(|fault| ["--fault", fault]).collect();
    let (ended, record) = run(&station, &fault);
    assert_eq!(ended.code(), code, "{record:#}");
    assert_eq!(log(&station), after(lamp));
    assert_eq!(record["device"], "nest:1");
    let port = record["port"].as_str().expect("its port");
    assert!(port.starts_with("simulator:?flash-file=unit1.flash"), "{port}");
    assert_eq!(record["stages"][1]["name"], "nest", "{record:#}");
}

#[test]
fn an_empty_nest_is_not_switched_on() {
    let station = jig();
    station.write("lid-is-open", "");
    let (ended, record) = run(&station, &[]);
    assert_eq!((ended.code(), &record["diagnosis"]["code"]), (3, &"nest.empty".into()));
    assert!(!log(&station).contains(&"1 on".to_owned()), "{:?}", log(&station));
    assert!(!station.path("unit1.flash").exists(), "nothing was touched");
}

#[test]
fn a_relay_that_fails_is_an_error_and_the_nest_is_left_all_the_same() {
    let station = jig();
    executable(
        &station,
        "switch",
        "echo \"$@\" >> log; [ \"$2\" != on ] || { echo 'no relay on bus 4' >&2; exit 5; }",
    );
    let (ended, record) = run(&station, &[]);
    assert_eq!((ended.code(), &record["diagnosis"]["code"]), (3, &"nest.failed".into()));
    let message = record["diagnosis"]["message"].as_str().expect("words");
    assert!(message.contains("no relay on bus 4"), "{message}");
    assert_eq!(log(&station), after("error"));
}

/// The unit's verdict stands; whoever reaches into the nest is warned, and the next start tries again.
#[test]
fn a_nest_that_cannot_be_left_well_is_said_and_left_at_the_next_start() {
    let station = jig();
    // Stuck from the moment on that the run goes on: its first `off` still worked.
    executable(
        &station,
        "switch",
        "echo \"$@\" >> log\ncase \"$2\" in off) [ ! -e stuck ] ;; on) : > stuck ;; esac",
    );
    let (ended, record) = run(&station, &[]);
    assert_eq!((ended.code(), &record["verdict"]), (3, &"PASS".into()), "{record:#}");
    let said = ended.said();
    assert!(said.contains("the nest 1 is not as it must be left"), "{said}");
    assert!(said.contains("do not reach into the nest"), "{said}");
    let ended = station.unit(arguments(&[]));
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("a run that was killed left the nest 1"), "{}", ended.said());
    fs::remove_file(station.path("stuck")).expect("it was stuck");
    executable(&station, "switch", "echo \"$@\" >> log");
    let (ended, _) = run(&station, &[]);
    assert_eq!(ended.code(), 0);
    assert_eq!(log(&station)[log(&station).len() - 7..], after("pass"));
}

/// Starts a run, and waits until its unit has power.
fn start_until_on(station: &Station, more: &[&str]) -> Child {
    let mut command = station.unit_command(arguments(more));
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let began = Instant::now();
    while !log(station).contains(&"1 on".to_owned()) {
        let ended = child.try_wait().expect("it can be asked");
        assert!(ended.is_none() && began.elapsed() < DEADLINE, "it never came that far: {ended:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

#[test]
fn what_a_killed_run_left_is_taken_back_when_the_next_one_starts() {
    let station = jig();
    let mut child = start_until_on(&station, &["--fault", "wire.silent"]);
    child.kill().expect("it runs");
    child.wait().expect("it is gone");
    assert_eq!(log(&station), BEFORE);
    // Whichever nest the next run is of, and whatever it comes to.
    station.unit(["run", "espvault", "--json", "--fault", "wire.silent"]);
    assert_eq!(log(&station), after("error"));
    let (ended, _) = run(&station, &[]);
    assert_eq!(ended.code(), 0);
    assert_eq!(log(&station).len(), 14, "nothing is taken back twice: {:?}", log(&station));
}

#[test]
fn a_nest_has_one_user_at_a_time_and_a_killed_one_holds_nothing() {
    let station = jig();
    let mut child = start_until_on(&station, &["--fault", "wire.silent"]);
    let ended = station.unit(arguments(&[]));
    assert_eq!(ended.code(), 2, "{ended:?}");
    let words = format!("the nest 1 is in use by process {}", child.id());
    assert!(ended.said().contains(&words), "{}", ended.said());
    assert_eq!(log(&station), BEFORE, "whose nest it is switches it");
    child.kill().expect("it runs");
    child.wait().expect("it is gone");
    assert_eq!(run(&station, &[]).0.code(), 0);
}

#[test]
fn every_nest_is_run_at_once_and_joins_are_one_after_the_other() {
    let station = jig();
    let nests: String = (1..=3).map(|number| nest(number, "")).collect();
    station.write("jig.toml", format!("{nests}\n[resources]\njoins = 1\n"));
    let words = ["run", "espvault", "--json", "--station", "jig.toml", "--device", "nest:all"];
    let ended = station.unit(words);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let records = ended.json();
    let devices: Vec<&Value> =
        records.as_array().expect("three").iter().map(|record| &record["device"]).collect();
    assert_eq!(devices, ["nest:1", "nest:2", "nest:3"]);
    for record in records.as_array().expect("three") {
        let stages = record["stages"].as_array().expect("stages");
        let names: Vec<&str> = stages.iter().filter_map(|stage| stage["name"].as_str()).collect();
        let at = names.iter().position(|name| *name == "wait_for_joins").expect("it waited");
        assert_eq!(names[at + 1], "boot", "{names:?}");
    }
}

/// One meter for three nests: a second user at the same time would find its mark.
#[test]
fn an_instrument_is_used_by_one_unit_at_a_time() {
    let station = jig();
    let nests: String = (1..=3).map(|number| nest(number, "")).collect();
    station.write("jig.toml", nests);
    executable(
        &station,
        "meter",
        "mkdir in-use || { echo 'two at once' >&2; exit 1; }; sleep 0.2; rmdir in-use; echo '{\"measurements\":{\"current\":42}}'",
    );
    let test = "\n[[check]]\nid = \"command\"\nname = \"supply\"\ncommand = [\"./meter\"]\nuses = [\"meter\"]\nlimits = { current = { upper = 80, unit = \"mA\" } }\n";
    station.write("vault.toml", format!("{PROFILE}{test}"));
    let words = ["run", "vault.toml", "--json", "--station", "jig.toml", "--device", "nest:all"];
    let ended = station.unit(words);
    assert_eq!(ended.code(), 0, "{ended:?}");
    for record in ended.json().as_array().expect("three") {
        assert_eq!(check(record, "supply")["measurements"][0]["value"], 42);
        let stages = record["stages"].as_array().expect("stages");
        let found = |name: &str| stages.iter().find(|stage| stage["name"] == name);
        let [wait, measured] = ["wait_for_meter", "supply"].map(|name| found(name).expect(name));
        assert!(wait["duration_ms"].is_u64() && measured["duration_ms"].is_u64());
    }
}

#[test]
fn what_is_wrong_with_a_nest_is_said_with_its_place() {
    for (from, to, words) in [
        ("name = \"1\"", "name = \"../1\"", "cannot be one of a nest"),
        ("name = \"1\"", "name = \"all\"", "cannot be one of a nest"),
        ("power_off = [\"./switch\", \"1\", \"off\"]\n", "", "`power_on` without `power_off`"),
        ("off_ms = 10", "off_ms = 0", "`off_ms` is no whole number from 1 to 60000"),
        ("off_ms = 10", "of_ms = 10", "unknown key `of_ms`"),
        ("off_ms = 10", "uses = [\"Shield Box\"]", "cannot be one of a resource"),
        ("present = [\"./lid\"]", "present = []", "the command of `present` is empty"),
    ] {
        let station = jig();
        let text = nest(1, "");
        let wrong = text.replace(from, to);
        assert_ne!(wrong, text, "{from}");
        station.write("jig.toml", wrong);
        let ended = station.unit(arguments(&[]));
        assert_eq!(ended.code(), 2, "{ended:?}");
        let said = ended.said();
        assert!(said.contains(words) && said.contains("jig.toml:"), "{said}");
    }
    let station = jig();
    station.write("jig.toml", nest(1, "").repeat(2));
    assert!(station.unit(arguments(&[])).said().contains("the nest 1 stands twice"));
}

#[test]
fn a_nest_that_is_not_there_is_refused_with_those_that_are() {
    let station = jig();
    let ended = station.unit([&arguments(&[])[..6], &["nest:7"]].concat());
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("there is no such nest: there are 1"), "{}", ended.said());
    let ended = station.unit(["run", "espvault", "--device", "nest:1"]);
    assert!(ended.said().contains("the station has no nest"), "{}", ended.said());
}

/// The unit has a port only while it has power, as one on USB does.
#[test]
fn a_unit_that_is_there_only_while_it_has_power_is_provisioned() {
    let station = product();
    let program = env!("CARGO_BIN_EXE_goldline");
    executable(
        &station,
        "power",
        &format!(
            "case $1 in\non) '{program}' simulator serve --pty unit --flash-file unit.flash > port & echo $! > pid; while ! [ -s port ]; do sleep 0.01; done ;;\noff) [ ! -e pid ] || kill $(cat pid); rm -f pid unit port ;;\nesac"
        ),
    );
    station.write(
        "jig.toml",
        "[[nest]]\nname = \"1\"\ndevice = \"serial:unit?reset=none\"\npower_on = [\"./power\", \"on\"]\npower_off = [\"./power\", \"off\"]\n",
    );
    let more = ["--device", "nest:1", "--station", "jig.toml"];
    let ended = Ended::of(&mut provision_command(&station, &more));
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(!station.path("unit").exists() && !station.path("pid").exists(), "it is off");
    assert_eq!(ended.json()["port"], "serial:unit?reset=none");
}

/// A product that joins nothing, with a firmware of its own: judged on a real port.
fn without_network(station: &Station) {
    let text = fs::read_to_string(station.path("espvault.toml")).expect("the profile");
    let (before, _) = text.split_once("[wifi]").expect("its network");
    let rest = "[deadlines]\nboot_s = 5\nsteady_s = 1\n\n[[check]]\nid = \"flash_integrity\"\n\n[[check]]\nid = \"nvs_readback\"\n\n[[check]]\nid = \"start\"\n";
    station.write("espvault.toml", format!("{before}{rest}"));
}

/// A unit in another process, in nest 1 of the station file.
fn lay_in(station: &Station, mac: &str, fault: Option<&str>) -> ChildGuard {
    let mut command = station.command();
    command.args(["simulator", "serve", "--rfc2217", "127.0.0.1:0", "--mac", mac]);
    command.args(fault.into_iter().flat_map(|fault| ["--fault", fault]));
    let mut unit = ChildGuard::spawn(command.stdout(Stdio::piped())).expect("the unit starts");
    let output = unit.child().stdout.take().expect("stdout is a pipe");
    let mut url = String::new();
    BufReader::new(output).read_line(&mut url).expect("it says its port");
    let url = url.trim_end();
    station.write("jig.toml", format!("[[nest]]\nname = \"1\"\ndevice = \"{url}\"\n"));
    unit
}

fn judge(station: &Station) -> Value {
    let values =
        ["wifi_ssid=Shop", "wifi_password=@password", "mqtt_broker=mqtts://b.example.test:8883"];
    let values = values.into_iter().flat_map(|value| ["--set", value]);
    let words = ["run", "espvault.toml", "--json", "--station", "jig.toml", "--device", "nest:1"];
    station.unit(words.into_iter().chain(values)).json()
}

/// Supply and contacts are the nest's as well: only a nest that is known to be good lets its unit be blamed.
#[test]
fn a_supply_that_breaks_down_is_the_unit_s_where_the_nest_passed_another_one() {
    let station = product();
    without_network(&station);
    let brown_out = Some("chip.brown_out");
    let unit = lay_in(&station, "24:0a:c4:00:02:01", brown_out);
    let record = judge(&station);
    assert_eq!(record["diagnosis"]["code"], "nest.contact_or_supply", "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("words");
    assert!(message.contains("no other unit passed in the nest 1"), "{message}");
    drop(unit);

    let unit = lay_in(&station, "24:0a:c4:00:02:02", None);
    let record = judge(&station);
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    drop(unit);

    let _unit = lay_in(&station, "24:0a:c4:00:02:01", brown_out);
    let record = judge(&station);
    assert_eq!(record["verdict"], "FAIL", "{record:#}");
    let message = record["diagnosis"]["message"].as_str().expect("words");
    assert!(message.contains("witness: the nest 1 passed another unit 0 min ago"), "{message}");
}

#[test]
fn a_program_that_is_missing_is_refused_before_anything_is_switched() {
    let station = jig();
    fs::remove_file(station.path("lid")).expect("it was there");
    let ended = station.unit(arguments(&[]));
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(
        ended.said().contains("the nest 1 has no program: there is no program"),
        "{}",
        ended.said()
    );
    assert!(log(&station).is_empty());
}

/// Two units behind one hub: both processes die in the same moment.
#[rstest]
#[case::the_hub(2, "port.several_vanished")]
#[case::one_of_them(1, "port.vanished")]
fn a_lost_hub_is_one_cause(#[case] gone: usize, #[case] code: &str) {
    let station = product();
    let serve = |number: usize| {
        let mut command = station.command();
        let mac = format!("24:0a:c4:00:03:0{number}");
        // Slow enough to be cut off in the middle.
        command.args(["simulator", "serve", "--rfc2217", "127.0.0.1:0", "--mac", &mac, "--pace"]);
        let mut unit = ChildGuard::spawn(command.stdout(Stdio::piped())).expect("it starts");
        let output = unit.child().stdout.take().expect("stdout is a pipe");
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url).expect("it says its port");
        (unit, url.trim_end().to_owned())
    };
    let (mut units, urls): (Vec<_>, Vec<_>) = (1..=2).map(serve).unzip();
    let values =
        ["wifi_ssid=Shop", "wifi_password=@password", "mqtt_broker=mqtts://b.example.test:8883"];
    let mut command = station.unit_command(["provision", "espvault.toml", "--json", "--lot", "A"]);
    command.args(values.into_iter().flat_map(|value| ["--set", value]));
    command.args(urls.iter().flat_map(|url| ["--device", url]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let began = Instant::now();
    let written = || {
        let journal = fs::read_to_string(station.state().join("journal.jsonl")).unwrap_or_default();
        journal.matches("\"stage\":\"erase\"").count()
    };
    while written() < 2 {
        if child.try_wait().expect("it can be asked").is_some() || began.elapsed() > DEADLINE {
            panic!("it never came that far: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    units.truncate(2 - gone);
    let ended = Ended::from(child.wait_with_output().expect("it ends"));
    let records = ended.json();
    let codes: Vec<&Value> = records
        .as_array()
        .expect("two")
        .iter()
        .map(|record| &record["diagnosis"]["code"])
        .filter(|found| !found.is_null())
        .collect();
    assert_eq!(codes, vec![code; gone], "{records:#}");
}

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/jig.md"));

/// The page's station file and commands, with simulated units in the place of ports.
#[test]
fn the_page_s_jig_passes_its_units() {
    let station = jig();
    let file = page::file(PAGE, "jig.toml");
    let ports = file.matches("serial:/dev/serial/by-path/").count();
    let mut jig = String::new();
    for line in file.lines() {
        let nest = line.split("usb-0:4.").nth(1).and_then(|rest| rest.split(':').next());
        match nest.filter(|_| line.starts_with("device")) {
            Some(nest) => jig += &format!("device = \"simulator:?mac=24:0a:c4:00:01:1{nest}\"\n"),
            None => jig += &format!("{line}\n"),
        }
    }
    assert_eq!((ports, jig.matches("simulator:").count()), (2, 2));
    station.write("jig.toml", jig);
    executable(&station, "relay", "echo \"$@\" >> log");
    executable(&station, "supply", "true");
    let commands = page::commands(PAGE);
    assert_eq!(commands.len(), 2);
    for command in commands {
        let ended = station.unit(&command);
        assert_eq!(ended.code(), 0, "{command:?}: {ended:?}");
    }
    let first = ["1 shut", "1 lamp running", "1 off", "1 on", "1 off", "1 open", "1 lamp pass"];
    assert_eq!(log(&station)[..7], first);
    assert!(log(&station)[7..].contains(&"2 on".to_owned()));
}

/// What a nest holds for its whole run, its test does not wait for once more.
#[test]
fn a_resource_of_the_nest_and_of_its_test_is_taken_once() {
    let station = jig();
    station.write("jig.toml", nest(1, "uses = [\"meter\"]"));
    executable(&station, "meter", "echo '{\"measurements\":{\"current\":42}}'");
    let test = "\n[[check]]\nid = \"command\"\nname = \"supply\"\ncommand = [\"./meter\"]\nuses = [\"meter\"]\nlimits = { current = { upper = 80 } }\n";
    station.write("vault.toml", format!("{PROFILE}{test}"));
    let words = ["run", "vault.toml", "--json", "--station", "jig.toml", "--device", "nest:1"];
    let ended = station.unit(words);
    assert_eq!(ended.code(), 0, "{ended:?}");
    // The other way round two runs could wait for each other.
    station.write("vault.toml", format!("{PROFILE}{}", test.replace("[\"meter\"]", "[\"bench\"]")));
    let ended = station.unit(words);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("holds meter for its whole run"), "{}", ended.said());
}

/// The programs of a killed run are found from whatever folder the next one starts in.
#[test]
fn a_nest_is_taken_back_from_another_folder() {
    let station = jig();
    let mut child = start_until_on(&station, &["--fault", "wire.silent"]);
    child.kill().expect("it runs");
    child.wait().expect("it is gone");
    fs::create_dir(station.path("elsewhere")).expect("a folder");
    let mut command = station.unit_command(["run", "espvault", "--json", "--fault", "wire.silent"]);
    Ended::of(command.current_dir(station.path("elsewhere")));
    let told = fs::read_to_string(station.path("elsewhere/log")).expect("it was switched");
    assert_eq!(told, "1 off\n1 open\n1 lamp error\n");
}

/// One nest that cannot be taken back stops nobody who does not want it.
#[test]
fn a_nest_that_is_stuck_is_no_other_nest_s_trouble() {
    let station = jig();
    let mut child = start_until_on(&station, &["--fault", "wire.silent"]);
    child.kill().expect("it runs");
    child.wait().expect("it is gone");
    executable(&station, "switch", "[ $1 != 1 ]");
    station.write("jig.toml", format!("{}{}", nest(1, ""), nest(2, "")));
    let ended = station.unit([&arguments(&[])[..6], &["nest:2"]].concat());
    assert_eq!(ended.code(), 0, "{ended:?}");
    let ended = station.unit(arguments(&[]));
    assert!(ended.code() == 2 && ended.said().contains("left the nest 1"), "{ended:?}");
}

/// `nest:all` with rows: as many at a time as there are nests.
#[test]
fn rows_are_taken_as_many_at_a_time_as_there_are_nests() {
    let station = jig();
    station.write("jig.toml", format!("{}{}", nest(1, ""), nest(2, "")));
    station.write("units.csv", "number\n1\n2\n");
    let mut command = station.unit_command(["run", "espvault", "--json", "--loop", "--lot", "A"]);
    command.args(["--station", "jig.toml", "--device", "nest:all", "--units", "units.csv"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut keys = child.stdin.take().expect("its keyboard");
    std::io::Write::write_all(&mut keys, b"\nq\n").expect("it reads");
    drop(keys);
    let ended = Ended::from(child.wait_with_output().expect("it ends"));
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_eq!(ended.json().as_array().expect("records").len(), 2, "{ended:?}");
}
