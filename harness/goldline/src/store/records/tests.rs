//! Tests of the record store.

use std::{
    borrow::Cow,
    fs::{self, OpenOptions},
    io::Write,
};

use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::{
    identity::Mac,
    record::{CheckRecord, Limits, Measurement, Outcome, Provenance, SCHEMA, Unit, Verdict},
};

const MAC: Mac = Mac([0x24, 0x0A, 0xC4, 0, 1, 0x10]);
const START: OffsetDateTime = time::macros::datetime!(2026-11-26 12:00 UTC);

fn state() -> (tempfile::TempDir, StateDirectory) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = StateDirectory::open(&folder.path().join("state")).expect("it opens");
    (folder, state)
}

/// The record of the `minute`th run of a day.
fn record(minute: i64) -> Record {
    let rssi = Measurement::number("rssi", Some(-45.5), "dBm", Limits::default());
    Record {
        schema: SCHEMA,
        run_id: Uuid::new_v4(),
        profile: "espvault".to_owned(),
        device: "simulator:".to_owned(),
        lot: Some("A".to_owned()),
        operator: Some("Ana, \"night\"".to_owned()),
        started_at: START + time::Duration::minutes(minute),
        duration_ms: 812,
        verdict: Some(Verdict::Pass),
        diagnosis: None,
        panic: None,
        unit: Unit {
            mac: Some(MAC),
            ids: [("device_id".to_owned(), "VAULT-00001".to_owned())].into(),
            ..Unit::default()
        },
        retries: Vec::new(),
        simulation: None,
        provenance: Provenance::default(),
        network: None,
        shipped: None,
        endpoints: Vec::new(),
        stages: Vec::new(),
        not_proven: Vec::new(),
        checks: vec![CheckRecord {
            id: "wifi_join".to_owned(),
            outcome: Outcome::Pass,
            diagnosis: None,
            measurements: vec![rssi, Measurement::fact("ip", Some("127.0.0.9"))],
            evidence: Vec::new(),
        }],
    }
}

fn started(run_id: Uuid) -> Started<'static> {
    let lot = Some(Cow::Borrowed("A"));
    let (profile, device) = (Cow::Borrowed("espvault"), Cow::Borrowed("simulator:"));
    Started { run_id, at: START, profile, device, lot, operator: None }
}

async fn all(store: &RecordStore) -> Vec<RunSummary> {
    store.list(&RunFilter::default()).await.expect("readable")
}

#[tokio::test]
async fn a_record_is_kept_once_and_found_again() {
    let (_folder, state) = state();
    let store = state.records().await.expect("open");
    let record = record(0);
    assert!(store.keep(&record).await.expect("kept"));
    assert!(!store.keep(&record).await.expect("known"));
    let runs = all(&store).await;
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].outcome, runs[0].mac), (RunOutcome::Judged(Verdict::Pass), Some(MAC)));
    assert_eq!(runs[0].ids["device_id"], "VAULT-00001");
    assert_eq!(runs[0].started_at, START);
    let Some(Found::Record(found)) = store.find(record.run_id).await.expect("readable") else {
        panic!("the record is there");
    };
    assert_eq!(found, serde_json::to_value(&record).expect("JSON"));
    assert!(store.find(Uuid::nil()).await.expect("readable").is_none());
}

#[tokio::test]
async fn a_filter_narrows_and_the_newest_come_first() {
    let (_folder, state) = state();
    let store = state.records().await.expect("open");
    let mut failed = record(1);
    failed.verdict = Some(Verdict::Fail);
    failed.lot = Some("B".to_owned());
    failed.unit.mac = None;
    let mut provisioned = record(2);
    provisioned.verdict = None;
    provisioned.profile = "other".to_owned();
    let runs = [record(0), failed, provisioned];
    for run in &runs {
        store.keep(run).await.expect("kept");
    }
    let found = async |filter: RunFilter| -> Vec<usize> {
        let found = store.list(&filter).await.expect("readable");
        let place = |run: &RunSummary| runs.iter().position(|kept| kept.run_id == run.run_id);
        found.iter().map(|run| place(run).expect("one of ours")).collect()
    };
    let none = RunFilter::default;
    assert_eq!(found(none()).await, [2, 1, 0]);
    assert_eq!(found(RunFilter { limit: Some(2), ..none() }).await, [2, 1]);
    assert_eq!(found(RunFilter { lot: Some("B".to_owned()), ..none() }).await, [1]);
    assert_eq!(found(RunFilter { profile: Some("other".to_owned()), ..none() }).await, [2]);
    assert_eq!(found(RunFilter { mac: Some(MAC), ..none() }).await, [2, 0]);
    let failed = Some(RunOutcome::Judged(Verdict::Fail));
    assert_eq!(found(RunFilter { outcome: failed, ..none() }).await, [1]);
    assert_eq!(found(RunFilter { outcome: Some(RunOutcome::Unjudged), ..none() }).await, [2]);
    let since = Some(START + time::Duration::seconds(60));
    assert_eq!(found(RunFilter { since, ..none() }).await, [2, 1]);
    assert_eq!(found(RunFilter { until: since, ..none() }).await, [0]);
}

#[tokio::test]
async fn what_only_the_journal_knows_is_taken_in_once() {
    let (_folder, state) = state();
    let record = record(0);
    drop(state.journal_started(&started(record.run_id)).expect("noted"));
    state.journal_ended(&record, START).expect("noted");
    // The process died before the record reached the store.
    for _ in 0..2 {
        let store = state.records().await.expect("open");
        let runs = all(&store).await;
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].run_id, record.run_id);
        assert_eq!(runs[0].outcome, RunOutcome::Judged(Verdict::Pass));
    }
}

#[tokio::test]
async fn a_lost_database_is_made_again_from_the_journal() {
    let (_folder, state) = state();
    let record = record(0);
    state.journal_ended(&record, START).expect("noted");
    let store = state.records().await.expect("open");
    assert_eq!(all(&store).await.len(), 1);
    store.database.pool.close().await;
    for name in ["records.sqlite", "records.sqlite-wal", "records.sqlite-shm"] {
        // The last two are gone already where the pool was the last to close.
        let _gone = fs::remove_file(state.root.join(name));
    }
    assert_eq!(all(&state.records().await.expect("open")).await.len(), 1);
}

#[tokio::test]
async fn a_run_without_an_end_goes_on_or_was_interrupted() {
    let (_folder, state) = state();
    let (going_on, dead) = (Uuid::new_v4(), Uuid::new_v4());
    let under_way = state.journal_started(&started(going_on)).expect("noted");
    drop(state.journal_started(&started(dead)).expect("noted"));
    let store = state.records().await.expect("open");
    let outcome = async |run_id: Uuid| {
        let runs = all(&store).await;
        runs.iter().find(|run| run.run_id == run_id).expect("it is listed").outcome
    };
    assert_eq!(outcome(going_on).await, RunOutcome::Running);
    assert_eq!(outcome(dead).await, RunOutcome::Interrupted);
    drop(under_way);
    assert_eq!(outcome(going_on).await, RunOutcome::Interrupted);
    let lot = RunFilter { lot: Some("A".to_owned()), ..RunFilter::default() };
    assert_eq!(store.list(&lot).await.expect("readable").len(), 2);
    let judged = Some(RunOutcome::Judged(Verdict::Pass));
    let judged = RunFilter { outcome: judged, ..RunFilter::default() };
    assert!(store.list(&judged).await.expect("readable").is_empty());
    assert!(matches!(store.find(dead).await, Ok(Some(Found::Unended(_)))));
}

#[tokio::test]
async fn a_torn_line_of_the_journal_swallows_no_other() {
    let (_folder, state) = state();
    let (first, second) = (record(0), record(1));
    state.journal_ended(&first, START).expect("noted");
    let path = state.root.join("journal.jsonl");
    let mut torn = OpenOptions::new().append(true).open(path).expect("the journal");
    torn.write_all(b"{\"event\":\"ended\",\"run_").expect("torn");
    assert_eq!(all(&state.records().await.expect("open")).await.len(), 1);
    state.journal_ended(&second, START).expect("noted");
    assert_eq!(all(&state.records().await.expect("open")).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn stations_that_run_at_once_keep_every_record() {
    let (_folder, state) = state();
    let stations = (0..4).map(|station| {
        let state = state.clone();
        tokio::spawn(async move {
            let store = state.records().await.expect("open");
            for minute in 0..5 {
                store.keep(&record(station * 5 + minute)).await.expect("kept");
            }
        })
    });
    for station in stations.collect::<Vec<_>>() {
        station.await.expect("it ends");
    }
    assert_eq!(all(&state.records().await.expect("open")).await.len(), 20);
}

#[tokio::test]
async fn a_table_has_a_column_for_each_measurement() {
    let (_folder, state) = state();
    let store = state.records().await.expect("open");
    let mut plain = record(1);
    plain.checks.clear();
    let first = record(0);
    for run in [&first, &plain] {
        store.keep(run).await.expect("kept");
    }
    let table = store.csv(&RunFilter::default()).await.expect("readable");
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let cell = |row: usize, name: &str| {
        let column = header.iter().position(|column| column == name).expect(name);
        rows[row][column].to_owned()
    };
    assert_eq!(cell(1, "run_id"), first.run_id.to_string());
    assert_eq!(cell(1, "operator"), "Ana, \"night\"");
    assert_eq!(cell(1, "ids"), "device_id=VAULT-00001");
    assert_eq!((cell(1, "wifi_join.rssi"), cell(0, "wifi_join.rssi")), ("-45.5".into(), "".into()));
    assert_eq!(cell(1, "wifi_join.ip"), "127.0.0.9");
}

/// What is written into the file for good.
async fn closed(store: RecordStore) {
    store.database.pool.close().await;
}

/// Each kept run and its record, or that the database says that it is damaged.
async fn what_is_known(state: &StateDirectory) -> Result<Vec<(RunSummary, Value)>, StoreError> {
    let store = state.records().await?;
    let known = async {
        let mut known = Vec::new();
        for run in store.list(&RunFilter::default()).await? {
            let Some(Found::Record(record)) = store.find(run.run_id).await? else {
                return Err(store.database.damaged("a run has no record"));
            };
            known.push((run, record));
        }
        Ok(known)
    }
    .await;
    closed(store).await;
    known
}

/// One bit, anywhere in the file: what is told is what was written, or the command is refused.
#[tokio::test]
async fn a_bit_that_changed_in_the_database_is_no_other_verdict() {
    let (_folder, state) = state();
    let store = state.records().await.expect("open");
    for minute in 0..12 {
        let mut run = record(minute);
        run.operator = None;
        run.verdict = (minute % 3 != 0).then_some(Verdict::Fail);
        store.keep(&run).await.expect("kept");
    }
    closed(store).await;
    let path = state.root.join("records.sqlite");
    let sound = fs::read(&path).expect("the file");
    let written = what_is_known(&state).await.expect("sound");
    assert_eq!(written.len(), 12);
    let (mut refused, mut seed) = (0, 0x2545_F491_4F6C_DD1D_u64);
    for _ in 0..300 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let bit = usize::try_from(seed % (sound.len() as u64 * 8)).expect("small");
        let mut damaged = sound.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &damaged).expect("written");
        match what_is_known(&state).await {
            Err(_) => refused += 1,
            Ok(told) => {
                let same = told.len() == written.len()
                    && told.iter().zip(&written).all(|((_, told), (_, written))| told == written);
                assert!(same, "byte {:#x} bit {}: {} runs", bit / 8, bit % 8, told.len());
            }
        }
    }
    assert!(refused > 20, "{refused} of 300 were refused");
}

#[tokio::test]
async fn a_changed_record_is_refused_by_name_and_made_again_from_the_journal() {
    let (_folder, state) = state();
    let run = record(0);
    drop(state.journal_started(&started(run.run_id)).expect("noted"));
    state.journal_ended(&run, START).expect("noted");
    let store = state.records().await.expect("open");
    let failed = "UPDATE runs SET record = replace(record, 'PASS', 'FAIL')";
    sqlx::raw_sql(failed).execute(&store.database.pool).await.expect("changed");
    let refused = store.find(run.run_id).await.expect_err("it is not what was written").to_string();
    assert!(refused.contains(&run.run_id.to_string()) && refused.contains("move that file away"));
    assert!(store.csv(&RunFilter::default()).await.is_err(), "nor is a table made of it");
    sqlx::raw_sql("UPDATE runs SET verdict = 'FAIL'")
        .execute(&store.database.pool)
        .await
        .expect("");
    assert!(store.list(&RunFilter::default()).await.is_err());
    closed(store).await;
    fs::rename(state.root.join("records.sqlite"), state.root.join("aside")).expect("moved away");
    let known = what_is_known(&state).await.expect("made again");
    assert_eq!(known[0].1, serde_json::to_value(&run).expect("JSON"));
}
