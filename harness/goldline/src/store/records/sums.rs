//! Digests of what the database has of a run: a bit that changed there is no other verdict.

use sha2::{Digest, Sha256};
use sqlx::Row;

use super::{RunFilter, RunSummary, StoreError, query, time_text};
use crate::{hex::hex, store::database::Database};

/// Of a record's text.
pub(super) fn of_record(json: &str) -> String {
    hex(&Sha256::digest(json))
}

/// Of what lists show of a run, and of its record.
pub(super) fn of_row(run: &RunSummary, record_sum: &str) -> String {
    let mac = run.mac.map(|mac| mac.to_string());
    // Named one by one: what a later version shows beside them does not change the digest.
    let columns = (
        (run.run_id, run.outcome.as_str(), &run.diagnosis, &run.profile, &run.device),
        (&run.lot, &run.operator, mac, &run.ids),
        (time_text(run.started_at), run.duration_ms, record_sum),
    );
    let json = serde_json::to_string(&columns).expect("texts and numbers become JSON");
    hex(&Sha256::digest(json))
}

/// Gives rows of an earlier version their digests.
pub(in crate::store) async fn of_older_rows(database: &Database) -> Result<(), StoreError> {
    let failed = |source| database.failed(source);
    for run in query::ended(database, &RunFilter::default()).await? {
        let run_id = run.run_id.to_string();
        let row = sqlx::query("SELECT record FROM runs WHERE run_id = ?").bind(&run_id);
        let row = row.fetch_one(&database.pool).await.map_err(failed)?;
        let record: String = row.try_get("record").map_err(failed)?;
        let record_sum = of_record(&record);
        sqlx::query(
            "UPDATE runs SET record_sum = ?, row_sum = ? WHERE run_id = ? AND row_sum IS NULL",
        )
        .bind(&record_sum)
        .bind(of_row(&run, &record_sum))
        .bind(&run_id)
        .execute(&database.pool)
        .await
        .map_err(failed)?;
    }
    Ok(())
}
