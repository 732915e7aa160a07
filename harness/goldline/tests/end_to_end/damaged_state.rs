//! A state directory of which one file is lost or damaged: what it held is had from elsewhere, or the command
//! ends with 3 and says which file, what it means, and what to do. Nothing is given twice, forgotten or replaced
//! in silence, and no unit is blamed.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use rstest::rstest;
use rustix::process::geteuid;
use serde_json::Value;

use super::program::{Ended, Station};

const ONE: &str = "24:0a:c4:00:01:11";

const DAMAGES: [&str; 8] =
    ["removed", "emptied", "halved", "bit", "garbage", "folder", "mode", "older"];

fn simulator(station: &Station, name: &str, mac: &str) -> String {
    let file = station.path(name);
    format!("simulator:?mac={mac}&flash-file={}", file.display())
}

/// What lies beside a state directory comes with it: its use is not what is tried here.
fn copy_state(from: &Path, to: &Path) {
    copy(from, to);
    copy(&beside(from), &beside(to));
}

fn beside(state: &Path) -> PathBuf {
    state.with_extension("generation")
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp is there");
    assert!(copied.success());
}

/// A station that was at work: `earlier` is its state before the second unit. Two units of a lot, and a row that
/// waits for a registry.
struct Worn {
    station: Station,
    runs: usize,
}

static WORN: LazyLock<Worn> = LazyLock::new(|| {
    let station = Station::new();
    let one = simulator(&station, "one.flash", ONE);
    let two = simulator(&station, "two.flash", "24:0a:c4:00:01:12");
    let good = |words: &[&str]| {
        let ended = station.unit(words);
        assert_eq!(ended.code(), 0, "{ended:?}");
    };
    good(&["run", "espvault", "--json", "--lot", "A", "--device", &one]);
    copy(&station.state(), &station.path("earlier"));
    good(&["provision", "espvault", "--json", "--lot", "A", "--device", &two]);
    good(&["provision", "zeroconf", "--json"]);
    Worn { station, runs: 3 }
});

/// The same station with one file damaged; `None` where root's rights hide the damage, or SQLite has taken in and
/// removed the file.
fn damaged(file: &str, damage: &str) -> Option<Station> {
    let worn = &WORN.station;
    let station = Station::new();
    copy_state(&worn.state(), &station.state());
    copy(&worn.path("one.flash"), &station.path("one.flash"));
    let path = station.state().join(file);
    let earlier = worn.path("earlier").join(file);
    if file.ends_with("-wal") && !(path.exists() && earlier.exists()) {
        return None;
    }
    let mut bytes = fs::read(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let middle = bytes.len() / 2;
    match damage {
        "removed" => fs::remove_file(&path).expect("removed"),
        "folder" => {
            fs::remove_file(&path).expect("removed");
            fs::create_dir(&path).expect("a folder");
        }
        "mode" if geteuid().is_root() => return None,
        "mode" => fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("chmod"),
        "older" => {
            fs::copy(earlier, &path).expect("copied");
        }
        change => {
            match change {
                "emptied" => bytes.clear(),
                "halved" => bytes.truncate(middle),
                "bit" => bytes[middle] ^= 1,
                "garbage" => bytes.fill(0xA5),
                other => panic!("no damage {other}"),
            }
            fs::write(&path, bytes).expect("damaged");
        }
    }
    Some(station)
}

/// Whether the command did what it would have done on the sound state; otherwise it says why not.
fn did(ended: &Ended, what: &str) -> Option<Value> {
    if ended.code() == 0 {
        return Some(ended.json());
    }
    assert_eq!(ended.code(), 3, "{what}: {ended:?}");
    let said = ended.json();
    let error = &said["error"];
    let diagnosis = if error.is_null() { &said["diagnosis"] } else { error };
    let code = diagnosis["code"].as_str().unwrap_or_else(|| panic!("{what}: {said:#}"));
    assert!(code.starts_with("station."), "{what}: {said:#}");
    let message = diagnosis["message"].as_str().expect("a message");
    assert!(message.contains(';') || message.contains("restore it"), "{what}: {message}");
    None
}

fn assert_told(station: &Station, what: &str, runs: usize) {
    if let Some(list) = did(&station.unit(["ids", "list", "espvault", "--json"]), what) {
        let leases = &list["series"][0]["leases"];
        assert_eq!(leases.as_array().map(Vec::len), Some(2), "{what}: {list:#}");
        assert_eq!(
            (&leases[0]["state"], &leases[0]["mac"]),
            (&"used".into(), &ONE.into()),
            "{what}"
        );
    }
    if let Some(rows) = did(&station.unit(["registry", "pending", "--json"]), what) {
        assert_eq!(rows.as_array().map(Vec::len), Some(1), "{what}: {rows:#}");
    }
    if let Some(list) = did(&station.unit(["records", "list", "--json"]), what) {
        assert_eq!(list.as_array().map(Vec::len), Some(runs), "{what}: {list:#}");
    }
}

fn assert_at_work(station: &Station, what: &str) {
    let one = simulator(station, "one.flash", ONE);
    let checked = station.unit(["check", "espvault", "--json", "--device", &one]);
    if let Some(record) = did(&checked, what) {
        assert_eq!(record["verdict"], "PASS", "{what}: {record:#}");
    }
    let words = ["provision", "espvault", "--json", "--lot", "A", "--device"];
    let third = station.unit([&words[..], &["simulator:?mac=24:0a:c4:00:01:13"]].concat());
    if let Some(record) = did(&third, what) {
        assert_eq!(record["unit"]["ids"]["device_id"], "VAULT-00003", "{what}: {record:#}");
    }
}

/// The quick tier works on with a lost file only.
fn is_full() -> bool {
    std::env::var("GOLDLINE_TIER").is_ok_and(|tier| tier == "full")
}

fn same_ca(station: &Station, file: &str, what: &str) {
    for name in ["root.pem", "intermediate.pem", "root.key", "intermediate.key"] {
        let name = format!("ca/{name}");
        if name != file {
            let now = fs::read(station.state().join(&name)).expect("it is there");
            let before = fs::read(WORN.station.state().join(&name)).expect("it is there");
            assert!(now == before, "{what}: {name} was replaced");
        }
    }
}

/// Each file of the state directory that holds something.
#[rstest]
#[case::key(&["station.key", "inventory.jsonl", "copies/inventory.jsonl"])]
#[case::ca(&["ca/root.pem", "ca/root.key", "ca/intermediate.pem", "ca/intermediate.key"])]
#[case::identities(&["units/240ac4000111.json", "identities.jsonl", "copies/identities.jsonl"])]
#[case::numbers(&["leases/espvault.number.jsonl", "copies/leases/espvault.number.jsonl"])]
#[case::generation(&["generation.json", "../state.generation"])]
#[case::runs(&["journal.jsonl", "records.sqlite", "records.sqlite-wal"])]
fn what_a_station_knows_survives_damage(#[case] files: &[&str]) {
    for (file, damage) in files.iter().flat_map(|file| DAMAGES.map(|damage| (*file, damage))) {
        let what = format!("{file} {damage}");
        let Some(station) = damaged(file, damage) else {
            println!("nothing shows: {what}");
            continue;
        };
        assert_told(&station, &what, WORN.runs);
        let issue = ["testbed", "issue", "--client", "bench", "--out", "issued"];
        let issued = station.unit(issue);
        assert!([0, 3].contains(&issued.code()), "{what}: {issued:?}");
        if damage == "removed" || is_full() {
            assert_at_work(&station, &what);
        }
        same_ca(&station, file, &what);
    }
}

/// The command starts anew, on purpose; the message names it.
#[rstest]
#[case::ca("ca/root.pem", "ca", "renew ca")]
#[case::key("station.key", "key", "renew key")]
fn what_cannot_be_made_again_is_renewed_on_purpose(
    #[case] file: &str,
    #[case] what: &str,
    #[case] command: &str,
) {
    let station = damaged(file, "removed").expect("damaged");
    let words = ["provision", "espvault", "--json", "--device", "simulator:?mac=24:0a:c4:00:01:13"];
    let refused = station.unit(words);
    assert_eq!(refused.code(), 3, "{refused:?}");
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains(command) && message.contains("is gone"), "{message}");
    assert!(!station.state().join(file).exists(), "nothing was made in its place");
    let renewed = station.unit(["station", "renew", what]);
    assert_eq!(renewed.code(), 0, "{renewed:?}");
    assert_eq!(station.unit([&words[..], &["--lot", "A"]].concat()).code(), 0);
    let list = station.unit(["ids", "list", "espvault", "--json"]).json();
    assert_eq!(list["series"][0]["next"], 4, "numbers go on: {list:#}");
}

#[derive(Clone, Copy)]
enum Lost {
    Leases,
    Records,
}

/// All files of one kind at once, as a careless hand removes them.
#[rstest]
#[case::leases(Lost::Leases)]
#[case::records(Lost::Records)]
fn a_careless_hand_costs_nothing(#[case] lost: Lost) {
    let station = Station::new();
    copy_state(&WORN.station.state(), &station.state());
    let files = match lost {
        Lost::Leases => station.files(&station.state().join("leases")),
        Lost::Records => ["records.sqlite", "records.sqlite-wal", "records.sqlite-shm"]
            .map(|name| station.state().join(name))
            .to_vec(),
    };
    for file in files {
        let _gone: Result<(), _> = fs::remove_file::<PathBuf>(file);
    }
    let what = "removed";
    assert_told(&station, what, WORN.runs);
    let third = ["--device", "simulator:?mac=24:0a:c4:00:01:13"];
    let words = ["provision", "espvault", "--json", "--lot", "A"];
    let record = station.unit([&words[..], &third].concat()).json();
    assert_eq!(record["unit"]["ids"]["device_id"], "VAULT-00003", "{record:#}");
}
