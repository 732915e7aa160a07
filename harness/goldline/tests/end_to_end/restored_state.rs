//! A state directory that was restored from an older copy, or copied to another station: it is noticed before a
//! number is given twice, and taken into use on purpose only. One of an earlier version is brought up by a command.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use serde_json::Value;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::program::{Ended, Station};

fn lot(station: &Station, mac: u8) -> Ended {
    let device = format!("simulator:?mac=24:0a:c4:00:03:{mac:02x}");
    station.unit(["provision", "espvault", "--json", "--lot", "A", "--device", &device])
}

fn id(ended: &Ended) -> String {
    assert_eq!(ended.code(), 0, "{ended:?}");
    ended.json()["unit"]["ids"]["device_id"].as_str().expect("an id").to_owned()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp is there");
    assert!(copied.success());
}

/// With one JSON document, which names the command.
fn assert_refused(ended: &Ended, found: &str) {
    assert_eq!(ended.code(), 3, "{ended:?}");
    let error = &ended.json()["error"];
    assert_eq!(error["code"], "station.state", "{error:#}");
    let message = error["message"].as_str().expect("a sentence");
    let command = "goldline station adopt --first NUMBER";
    assert!(message.contains(found) && message.contains(command), "{message}");
}

#[test]
fn an_older_copy_in_the_same_place_is_noticed() {
    let station = Station::new();
    assert_eq!(id(&lot(&station, 1)), "VAULT-00001");
    copy(&station.state(), &station.path("copy"));
    assert_eq!(id(&lot(&station, 2)), "VAULT-00002");
    fs::remove_dir_all(station.state()).expect("removed");
    copy(&station.path("copy"), &station.state());

    assert_refused(&lot(&station, 3), "restored from an older copy");
    assert_refused(&station.unit(["run", "espvault", "--json"]), "restored from an older copy");
    let adopted = station.unit(["station", "adopt", "--first", "3"]);
    assert_eq!(adopted.code(), 0, "{adopted:?}");
    // The first unit keeps its own, and the second's is not given again.
    assert_eq!(id(&lot(&station, 1)), "VAULT-00001");
    assert_eq!(id(&lot(&station, 3)), "VAULT-00003");
    assert_eq!(id(&lot(&station, 4)), "VAULT-00004");
}

#[test]
fn a_copy_of_another_station_is_noticed() {
    let (first, second) = (Station::new(), Station::new());
    assert_eq!(id(&lot(&first, 1)), "VAULT-00001");
    copy(&first.state(), &second.state());
    assert_refused(&lot(&second, 2), "ever used in this place");
    assert_eq!(id(&lot(&first, 2)), "VAULT-00002");
    assert_eq!(second.unit(["station", "adopt", "--first", "1000"]).code(), 0);
    assert_eq!(id(&lot(&second, 3)), "VAULT-01000");
    let list = second.unit(["ids", "list", "espvault", "--json"]).json();
    assert_eq!(list["series"][0]["next"], 1001, "{list:#}");
    assert_eq!(list["gaps"], Value::Array(Vec::new()), "a block that another has is no gap");
    // In the place of the second, the first one's is a stranger.
    fs::rename(second.state(), second.path("own")).expect("renamed");
    copy(&first.state(), &second.state());
    assert_refused(&lot(&second, 4), "another directory was last used");
}

/// Whoever empties the directory has not emptied the units.
#[test]
fn an_emptied_state_gives_no_number_twice() {
    let station = Station::new();
    assert_eq!(id(&lot(&station, 1)), "VAULT-00001");
    fs::remove_dir_all(station.state()).expect("removed");
    assert_refused(&lot(&station, 2), "is lost, or it is new");
    assert_eq!(station.unit(["station", "adopt", "--first", "2"]).code(), 0);
    assert_eq!(id(&lot(&station, 2)), "VAULT-00002");
}

/// Where no number was given, none can be given twice: a state for a test goes and comes as it likes.
#[test]
fn a_state_that_gave_no_number_may_be_moved_and_removed() {
    let station = Station::new();
    let run = || station.unit(["run", "espvault", "--json"]).code();
    assert_eq!(run(), 0);
    assert!(!station.path("state.generation").exists(), "nothing lies beside it");
    fs::rename(station.state(), station.path("elsewhere")).expect("moved");
    assert_eq!(run(), 0);
    fs::remove_dir_all(station.state()).expect("removed");
    fs::rename(station.path("elsewhere"), station.state()).expect("moved back");
    assert_eq!(run(), 0);
    assert_eq!(id(&lot(&station, 1)), "VAULT-00001");
    assert!(station.path("state.generation").exists(), "a number was given");
}

#[test]
fn a_backup_holds_what_the_station_knew() {
    let station = Station::new();
    let unit = ["--device", "simulator:?flash-file=unit.flash"];
    let good = station.unit([&["run", "espvault", "--json", "--lot", "A"][..], &unit].concat());
    assert_eq!(id(&good), "VAULT-00001");
    let backup = station.path("backup");
    let saved = station.unit(["station", "backup", "backup"]);
    assert_eq!(saved.code(), 0, "{saved:?}");
    for file in station.files(&backup) {
        let mode = fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    let again = station.unit(["station", "backup", "backup"]);
    assert!(again.code() == 3 && again.stderr.contains("there already"), "{again:?}");

    assert_eq!(id(&lot(&station, 2)), "VAULT-00002");
    let occupied = station.unit(["station", "restore", "backup", "--first", "3"]);
    assert_eq!(occupied.code(), 3, "nothing is overwritten: {occupied:?}");
    fs::remove_dir_all(station.state()).expect("the disk is lost");
    let restored = station.unit(["station", "restore", "backup", "--first", "3"]);
    assert_eq!(restored.code(), 0, "{restored:?}");
    let checked = station.unit([&["check", "espvault", "--json"][..], &unit].concat());
    assert_eq!(checked.code(), 0, "the CA and the unit are known: {checked:?}");
    let run_id = good.json()["run_id"].as_str().expect("an id").to_owned();
    assert_eq!(station.unit(["records", "show", "--json", &run_id]).json(), good.json());
    assert_eq!(id(&lot(&station, 3)), "VAULT-00003");
}

/// Its tables are those of version 1.
fn make_earlier(state: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let file = SqliteConnectOptions::new().filename(state.join("records.sqlite"));
        let mut database = file.connect().await.expect("a database");
        let script = "DROP TABLE changes; ALTER TABLE outbox DROP COLUMN ticket; \
                      ALTER TABLE runs DROP COLUMN record_sum; \
                      ALTER TABLE runs DROP COLUMN row_sum; \
                      CREATE TABLE measurements (run_id TEXT NOT NULL REFERENCES runs); \
                      INSERT INTO measurements SELECT run_id FROM runs; PRAGMA user_version = 1";
        sqlx::raw_sql(script).execute(&mut database).await.expect("earlier");
        database.close().await.expect("closed");
    });
}

fn version(database: &Path) -> i64 {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let file = SqliteConnectOptions::new().filename(database).read_only(true);
        let mut database = file.connect().await.expect("a database");
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut database).await.expect("a number")
    })
}

#[test]
fn a_state_of_an_earlier_version_is_brought_up_on_purpose_and_kept_as_it_was() {
    let station = Station::new();
    let good = station.unit(["run", "espvault", "--json"]);
    assert_eq!(good.code(), 0, "{good:?}");
    make_earlier(&station.state());
    let refused =
        station.unit(["run", "espvault", "--json", "--device", "simulator:?flash-file=unit.flash"]);
    assert_eq!(refused.code(), 3, "{refused:?}");
    let message = refused.json()["error"]["message"].to_string();
    assert!(
        message.contains("version 1") && message.contains("goldline station migrate"),
        "{message}"
    );
    assert!(!station.path("unit.flash").exists(), "no unit was touched");

    fs::create_dir(station.path("occupied")).expect("a folder");
    let occupied = station.unit(["station", "migrate", "--backup", "occupied"]);
    assert!(occupied.code() == 3 && occupied.stderr.contains("there already"), "{occupied:?}");
    let database = station.state().join("records.sqlite");
    assert_eq!(version(&database), 1, "without a backup nothing is changed");

    let migrated = station.unit(["station", "migrate"]);
    assert_eq!(migrated.code(), 0, "{migrated:?}");
    let backup = station.path("state.backup-of-version-1");
    assert!(migrated.stdout.contains("state.backup-of-version-1"), "{migrated:?}");
    assert_eq!(version(&backup.join("records.sqlite")), 1);
    assert!(version(&database) > 1);
    let run_id = good.json()["run_id"].as_str().expect("an id").to_owned();
    assert_eq!(station.unit(["records", "show", "--json", &run_id]).json(), good.json());
    assert_eq!(station.unit(["run", "espvault", "--json"]).code(), 0);
    let again = station.unit(["station", "migrate"]);
    assert!(again.code() == 0 && again.stdout.contains("already"), "{again:?}");
}
