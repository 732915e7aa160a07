//! From a record to its rows.

use serde_json::Value;
use sqlx::SqliteConnection;

use super::{RunSummary, Started, sums, time_text};
use crate::record::{CheckRecord, Measurement, Record, Verdict};

/// Inserts a record unless it is there; says whether it was new.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    record: &Record,
) -> sqlx::Result<bool> {
    let json = serde_json::to_string(record).expect("a record becomes JSON");
    let run_id = record.run_id.to_string();
    let record_sum = sums::of(&json);
    let run = RunSummary::of(record);
    let inserted = sqlx::query(
        "INSERT INTO runs (run_id, profile, device, lot, operator, mac, chip, verdict, diagnosis, \
         started_at, duration_ms, record, record_sum, row_sum) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (run_id) DO NOTHING",
    )
    .bind(&run_id)
    .bind(&record.profile)
    .bind(&record.device)
    .bind(&record.lot)
    .bind(&record.operator)
    .bind(record.unit.mac.map(|mac| mac.to_string()))
    .bind(&record.unit.chip)
    .bind(record.verdict.map(Verdict::as_str))
    .bind(&run.diagnosis)
    .bind(time_text(record.started_at))
    .bind(run.duration_ms)
    .bind(json)
    .bind(&record_sum)
    .bind(run.sum(&record_sum))
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    for (name, value) in &record.unit.ids {
        sqlx::query("INSERT INTO unit_ids (run_id, name, value) VALUES (?, ?, ?)")
            .bind(&run_id)
            .bind(name)
            .bind(value)
            .execute(&mut *connection)
            .await?;
    }
    for (position, item) in (0_i64..).zip(&record.checks) {
        check(connection, &run_id, position, item).await?;
    }
    Ok(true)
}

async fn check(
    connection: &mut SqliteConnection,
    run_id: &str,
    position: i64,
    check: &CheckRecord,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO checks (run_id, position, name, outcome, diagnosis) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(run_id)
    .bind(position)
    .bind(&check.id)
    .bind(check.outcome.as_str())
    .bind(check.diagnosis.as_ref().map(|diagnosis| diagnosis.code.as_str()))
    .execute(&mut *connection)
    .await?;
    for (place, item) in (0_i64..).zip(&check.measurements) {
        measurement(connection, (run_id, position, place), &check.id, item).await?;
    }
    Ok(())
}

async fn measurement(
    connection: &mut SqliteConnection,
    (run_id, check_position, position): (&str, i64, i64),
    check: &str,
    measurement: &Measurement,
) -> sqlx::Result<()> {
    let word_value = match &measurement.value {
        Value::Null | Value::Number(_) => None,
        Value::String(word) => Some(word.clone()),
        other => Some(other.to_string()),
    };
    sqlx::query(
        "INSERT INTO measurements (run_id, check_position, position, check_name, name, number, word, \
         unit, lower, upper, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(run_id)
    .bind(check_position)
    .bind(position)
    .bind(check)
    .bind(&measurement.name)
    .bind(measurement.value.as_f64())
    .bind(word_value)
    .bind(&measurement.unit)
    .bind(measurement.lower)
    .bind(measurement.upper)
    .bind(measurement.outcome.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Inserts the beginning of a run unless it is there.
pub(super) async fn started(
    connection: &mut SqliteConnection,
    started: &Started<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO started (run_id, profile, device, lot, operator, started_at) \
         VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (run_id) DO NOTHING",
    )
    .bind(started.run_id.to_string())
    .bind(started.profile.as_ref())
    .bind(started.device.as_ref())
    .bind(started.lot.as_deref())
    .bind(started.operator.as_deref())
    .bind(time_text(started.at))
    .execute(connection)
    .await?;
    Ok(())
}
