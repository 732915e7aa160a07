//! From a record to its rows.

use sqlx::SqliteConnection;

use super::{RunSummary, Started, sums, time_text};
use crate::record::{Record, Verdict};

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
    Ok(true)
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
