//! `--retry-errors`: a run that said nothing of its unit is made again; one that did is not.

use std::{
    fs,
    io::copy,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    thread::spawn,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    abort::start_silent,
    external_broker::account,
    junit,
    mosquitto::{self, BENCH, Mosquitto, Wanted},
    program::{Ended, Station},
};

/// How many runs of a station ended.
fn ended_runs(station: &Station) -> usize {
    let journal = fs::read_to_string(station.state().join("journal.jsonl"));
    journal.unwrap_or_default().matches("\"event\":\"ended\"").count()
}

fn runs_of(record: &Value) -> Vec<(String, String)> {
    let retries = record["retries"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    retries.iter().map(|run| (text(&run["run_id"]), text(&run["code"]))).collect()
}

#[test]
fn an_error_is_run_again_so_often_and_its_number_is_kept() {
    let station = Station::new();
    let words = ["run", "--lot", "A", "--fault", "broker.down", "--retry-errors", "2"];
    let ended = station.unit([&words, ["--json", "--out", "report"].as_slice()].concat());
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
    let earlier = runs_of(&record);
    assert_eq!(earlier.len(), 2, "{record:#}");
    assert_eq!(ended_runs(&station), 3);
    // Each stands in the records, with those before it.
    for (index, (run, code)) in earlier.iter().enumerate() {
        let shown = station.unit(["records", "show", run, "--json"]).json();
        assert_eq!(shown["verdict"], "ERROR");
        assert_eq!(shown["diagnosis"]["code"], code.as_str());
        assert_eq!(runs_of(&shown), earlier[..index]);
        assert_eq!(shown["unit"]["ids"], record["unit"]["ids"], "the same numbers");
    }
    let list = station.unit(["ids", "list", "espvault", "--json"]).json();
    let leases = list["series"][0]["leases"].as_array().map(Vec::len);
    assert_eq!(
        leases.or(list["series"][0]["numbers"].as_array().map(Vec::len)),
        Some(1),
        "{list:#}"
    );
    let written = fs::read(station.path("report/record.json")).expect("written");
    let written: Value = serde_json::from_slice(&written).expect("JSON");
    assert_eq!(written["run_id"], record["run_id"], "the last run's");
}

#[test]
fn a_bad_unit_is_never_run_again() {
    let station = Station::new();
    let words = ["run", "--json", "--fault", "flash.nvs_bit", "--retry-errors", "3"];
    let ended = station.unit(words);
    assert_eq!((ended.code(), ended_runs(&station)), (1, 1), "{ended:?}");
    assert!(ended.json().get("retries").is_none());
}

/// A unit of another station's: nothing can be said of it here.
#[test]
fn only_the_unit_with_the_error_is_run_again() {
    let (station, other) = (Station::new(), Station::new());
    let unit = |station: &Station, mac: &str| {
        let flash = station.path("unit.flash");
        format!("simulator:?flash-file={}&mac=24:0a:c4:00:02:{mac}", flash.display())
    };
    let devices = [unit(&station, "20"), unit(&other, "21")];
    for (station, device) in [&station, &other].into_iter().zip(&devices) {
        let provision = ["provision", "--lot", "A", "--device", device.as_str()];
        assert_eq!(station.unit(provision).code(), 0);
    }
    let before = ended_runs(&station);
    let words = ["check", "espvault", "--json", "--retry-errors", "1"];
    let devices = ["--device", &devices[0], "--device", &devices[1]];
    let ended = station.unit([words.as_slice(), devices.as_slice()].concat());
    let records = ended.json();
    let verdicts = [&records[0]["verdict"], &records[1]["verdict"]];
    assert_eq!((ended.code(), verdicts), (3, [&"PASS".into(), &"ERROR".into()]), "{records:#}");
    assert_eq!((runs_of(&records[0]).len(), runs_of(&records[1]).len()), (0, 1));
    assert_eq!(ended_runs(&station) - before, 3);
}

#[test]
fn a_run_that_somebody_stops_stands() {
    let station = Station::new();
    let child = start_silent(&station, "run", 1, &["--retry-errors", "3"]);
    kill_process(Pid::from_child(&child), Signal::INT).expect("the program runs");
    let ended = Ended::from(child.wait_with_output().expect("it ends"));
    assert_eq!((ended.code(), ended_runs(&station)), (4, 1), "{ended:?}");
}

#[test]
fn what_has_no_verdict_is_not_run_again() {
    let station = Station::new();
    let ended = station.unit(["provision", "--retry-errors", "1"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("--retry-errors"), "{}", ended.said());
    assert!(!station.state().exists());
}

/// What stands before a broker, and lets nobody through until a run of the station ended.
fn door(station: &Station, broker: u16) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let journal: PathBuf = station.state().join("journal.jsonl");
    let before = ended_runs(station);
    spawn(move || {
        for unit in listener.incoming().map_while(Result::ok) {
            let ended = fs::read_to_string(&journal).unwrap_or_default();
            if ended.matches("\"event\":\"ended\"").count() == before {
                continue;
            }
            let Ok(broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, broker)) else { continue };
            let ways = [(unit.try_clone(), broker.try_clone()), (Ok(broker), Ok(unit))];
            for (from, to) in ways {
                let (mut from, mut to) = (from.expect("a copy"), to.expect("a copy"));
                spawn(move || {
                    let _copied = copy(&mut from, &mut to);
                    let _shut = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    port
}

#[test]
fn a_unit_passes_when_the_bench_is_sound_again_and_everyone_is_told() {
    if !mosquitto::is_there() {
        return;
    }
    let station = Station::new();
    let (user, password) = account(&station, "zeroconf-ca", "uuid", "psk");
    let accounts = [(user.as_str(), password.as_str())];
    let names = ["broker.example.test"];
    let broker =
        Mosquitto::start(&Wanted { names: &names, accounts: &accounts, ..Wanted::default() });
    let login = station.write("bench.login", format!("{}:{}\n", BENCH.0, BENCH.1));
    let url = format!("mqtts://127.0.0.1:{}", door(&station, broker.port()));
    let file = station.path("units.xml");
    let mut command = station.unit_command(["run", "zeroconf-ca", "--broker", &url]);
    command.arg("--broker-login").arg(format!("@{}", login.display()));
    command.arg("--broker-trust").arg(broker.ca());
    command.args(["--retry-errors", "2", "--out", "report", "--junit"]).arg(&file);
    let ended = Ended::of(&mut command);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let written = fs::read(station.path("report/record.json")).expect("written");
    let record: Value = serde_json::from_slice(&written).expect("JSON");
    let earlier = runs_of(&record);
    let [(run, code)] = earlier.as_slice() else { panic!("one run before: {record:#}") };
    assert!(
        ended.stdout.contains(&format!("run again after {code} (run {run})")),
        "{}",
        ended.stdout
    );
    let Some(suites) = junit::suites(&file) else { return };
    let properties = suites[0]["properties"].as_array().expect("a list");
    assert!(properties.contains(&serde_json::json!(["retry_of", format!("{run} {code}")])));
}
