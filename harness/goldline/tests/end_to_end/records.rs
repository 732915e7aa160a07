//! What the station knows of its runs and numbers afterwards.

use std::{fs, process::Stdio};

use rstest::rstest;
use serde_json::Value;

use super::program::{Ended, Station};

fn list(station: &Station, words: &[&str]) -> Vec<Value> {
    let ended = station.unit([&["records", "list", "--json"], words].concat());
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    ended.json().as_array().expect("a list").clone()
}

/// Whoever asks years later has no `--out` of that day.
#[test]
fn what_a_unit_printed_is_kept_with_its_record() {
    let station = Station::new();
    let ended = station.unit(["run", "--json", "--out", "out"]);
    let run_id = ended.json()["run_id"].as_str().expect("an id").to_owned();
    let printed = fs::read_to_string(station.path("out/console.log")).expect("the serial log");
    assert!(printed.contains("sta ip: "), "{printed}");
    for named in [run_id.as_str(), "VAULT-00001"] {
        let shown = station.unit(["records", "show", named, "--log"]);
        assert_eq!((shown.code(), shown.stdout), (0, printed.clone()));
    }
    fs::remove_file(station.state().join(format!("logs/{run_id}.log"))).expect("it lies there");
    let lost = station.unit(["records", "show", &run_id, "--log"]);
    assert!(lost.code() == 2 && lost.stderr.contains("left no serial log"), "{lost:?}");
}

#[test]
fn every_run_is_listed_with_what_it_came_to() {
    let station = Station::new();
    let good = station.unit(["run", "--json", "--lot", "A", "--operator", "Ana"]).json();
    let bad = station.unit(["run", "--json", "--fault", "flash.nvs_bit"]).json();
    let provisioned = station.unit(["provision", "--json"]).json();
    let runs = list(&station, &[]);
    let outcomes: Vec<&Value> = runs.iter().map(|run| &run["outcome"]).collect();
    assert_eq!(outcomes, ["NONE", "FAIL", "PASS"]);
    assert_eq!(runs[1]["diagnosis"], "nvs.damaged");
    assert_eq!(runs[0]["run_id"], provisioned["run_id"]);
    assert_eq!(runs[2]["ids"]["device_id"], good["unit"]["ids"]["device_id"]);
    assert_eq!(list(&station, &["--verdict", "fail"])[0]["run_id"], bad["run_id"]);
    assert_eq!(list(&station, &["--lot", "A"]).len(), 1);
    assert_eq!(list(&station, &["--limit", "2", "--profile", "espvault"]).len(), 2);
    assert!(list(&station, &["--since", "2999-01-01"]).is_empty());

    let run_id = bad["run_id"].as_str().expect("an id");
    assert_eq!(station.unit(["records", "show", "--json", run_id]).json(), bad);
    let newest_of_unit = station.unit(["records", "show", "--json", "24:0a:c4:00:01:10"]);
    assert_eq!(newest_of_unit.json(), provisioned);
    for id in ["VAULT-00001", "no-such-unit"] {
        let shown = station.unit(["records", "show", "--json", id]);
        let runs = list(&station, &["--id", id]);
        match id {
            "VAULT-00001" => assert_eq!((shown.json(), runs.len()), (provisioned.clone(), 3)),
            _ => assert!(shown.code() == 2 && runs.is_empty(), "{shown:?}"),
        }
    }
    let text = station.unit(["records", "show", good["run_id"].as_str().expect("an id")]).stdout;
    assert!(text.starts_with("PASS  espvault"), "{text}");
    assert!(text.contains("Ana"), "{text}");
}

#[test]
fn an_export_holds_every_run() {
    let station = Station::new();
    let record = station.unit(["run", "--json"]).json();
    station.unit(["run", "--json", "--fault", "wire.silent"]);
    let json = station.unit(["records", "export", "--format", "json"]).json();
    assert_eq!(json["records"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["records"][1], record);
    let ended = station.unit(["records", "export", "--format", "csv", "--out", "runs.csv"]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, ""));
    let table = fs::read_to_string(station.path("runs.csv")).expect("the file");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].contains("wifi_join.rssi"), "{table}");
    assert!(lines[1].contains("port.no_answer"), "{table}");
    assert!(lines[2].contains("-45"), "{table}");
}

#[test]
fn stations_that_run_at_once_keep_every_record() {
    let station = Station::new();
    let start = |unit| {
        let device = format!("simulator:?mac=24:0a:c4:00:01:1{unit}");
        let words = ["provision", "--json", "--lot", "A", "--device", &device];
        let mut command = station.unit_command(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let children: Vec<_> = (0..4).map(start).collect();
    for child in children {
        let ended = Ended::from(child.wait_with_output().expect("it ends"));
        assert_eq!(ended.code(), 0, "{ended:?}");
    }
    let runs = list(&station, &["--lot", "A"]);
    let mut ids: Vec<&str> =
        runs.iter().filter_map(|run| run["ids"]["device_id"].as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["VAULT-00001", "VAULT-00002", "VAULT-00003", "VAULT-00004"]);
}

#[test]
fn a_lost_database_is_made_again_from_the_journal() {
    let station = Station::new();
    let record = station.unit(["run", "--json"]).json();
    for name in ["records.sqlite", "records.sqlite-wal", "records.sqlite-shm"] {
        // Only the first is there when the program closed the database in time.
        let _gone = fs::remove_file(station.state().join(name));
    }
    let runs = list(&station, &[]);
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["run_id"], record["run_id"]);
}

/// Programs read UTC; people the clock on their wall, and ask by it.
#[test]
fn times_are_shown_and_asked_for_in_the_zone_of_the_station() {
    let station = Station::new();
    let run = station.unit(["run", "--json"]).json();
    let began = run["started_at"].as_str().expect("a time");
    assert!(began.ends_with('Z'), "{began}");
    let began: jiff::Timestamp = began.parse().expect("a time");
    for zone in ["JST-9", "EST5", "<+1245>-12:45"] {
        let here = began.to_zoned_datetime(jiff::tz::TimeZone::posix(zone).expect("a zone"));
        let list = |words: &[&str]| {
            let mut command = station.unit_command([&["records", "list"], words].concat());
            Ended::of(command.env("TZ", zone))
        };
        let shown = here.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        assert!(list(&[]).stdout.contains(&shown), "{shown}: {:?}", list(&[]));
        let listed = list(&["--json"]).json()[0]["started_at"].as_str().map(str::to_owned);
        let listed = listed.filter(|at| at.ends_with('Z')).expect("a time in UTC");
        let listed: jiff::Timestamp = listed.parse().expect("a time");
        // As numbers: a fraction that ends in zeros is written shorter.
        assert_eq!(listed.as_millisecond(), began.as_millisecond());
        let (today, tomorrow) = (here.date(), here.date().tomorrow().expect("a day"));
        let moment = here.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        for (bound, day, found) in [
            ("--since", today.to_string(), 1),
            ("--since", moment.clone(), 1),
            ("--since", tomorrow.to_string(), 0),
            ("--until", today.to_string(), 0),
            ("--until", moment, 0),
            ("--until", tomorrow.to_string(), 1),
        ] {
            let runs = list(&["--json", bound, &day]).json();
            assert_eq!(runs.as_array().map(Vec::len), Some(found), "{zone}: {bound} {day}");
        }
    }
}

#[rstest]
#[case::nothing_known(&["records", "show", "24:0a:c4:00:01:10"], "no run of 24:0a:c4:00:01:10")]
#[case::neither(&["records", "show", "VAULT-00001"], "this station has no run of VAULT-00001")]
#[case::verdict(&["records", "list", "--verdict", "good"], "\"good\" is no outcome")]
#[case::since(&["records", "list", "--since", "yesterday"], "\"yesterday\" is no time")]
#[case::mac(&["records", "list", "--mac", "24:0a"], "is not a MAC address")]
#[case::no_series(&["ids", "scrap", "espvault", "1", "--reason", "x"], "gave no number")]
fn a_question_without_an_answer_is_a_usage_error(#[case] words: &[&str], #[case] reason: &str) {
    let ended = Station::new().unit(words);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains(reason), "{}", ended.said());
}

fn ids(station: &Station, words: &[&str]) -> Value {
    station.unit([&["ids", "list", "espvault", "--json"], words].concat()).json()
}

#[test]
fn every_number_of_a_lot_is_accounted_for() {
    let station = Station::new();
    let good = station.unit(["provision", "--json", "--lot", "A"]).json();
    let gone = ["--device", "simulator:?mac=24:0a:c4:00:01:12", "--fault", "wire.vanish"];
    station.unit([&["provision", "--json", "--lot", "A"], &gone[..]].concat());
    let other = "simulator:?mac=24:0a:c4:00:01:11";
    station.unit(["provision", "--json", "--lot", "B", "--device", other]);
    let answer = ids(&station, &["--lot", "A"]);
    let leases = &answer["series"][0]["leases"];
    assert_eq!(leases.as_array().map(Vec::len), Some(2));
    assert_eq!((&leases[0]["state"], &leases[1]["state"]), (&"used".into(), &"aborted".into()));
    assert_eq!(leases[0]["mac"], good["unit"]["mac"]);
    assert_eq!(leases[1]["mac"], "24:0a:c4:00:01:12");
    assert_eq!(leases[0]["run_id"], good["run_id"]);
    assert_eq!(answer["gaps"], serde_json::json!([2]));

    let scrapped = station.unit(["ids", "scrap", "espvault", "1", "--reason", "bent pin"]);
    assert_eq!(scrapped.code(), 0, "{scrapped:?}");
    let text = station.unit(["ids", "list", "espvault"]).stdout;
    assert!(text.contains("gaps: 1 scrapped (bent pin), 2 aborted by 24:0a:c4:00:01:12"), "{text}");
    let again = station.unit(["ids", "scrap", "espvault", "1", "--reason", "other"]);
    assert_eq!(again.code(), 2, "{again:?}");
    let never_given = station.unit(["ids", "scrap", "espvault", "9", "--reason", "x"]);
    assert!(never_given.said().contains("never gave the number 9"), "{}", never_given.said());
}
