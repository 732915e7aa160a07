//! Rows that an earlier version wrote, brought into this version's form.

use sqlx::Row;

use super::{RunFilter, StoreError, query, sums};
use crate::store::database::Database;

/// Gives rows of an earlier version their digests.
pub(in crate::store) async fn sum_older_rows(database: &Database) -> Result<(), StoreError> {
    let failed = |source| database.failed(source);
    for run in query::ended(database, &RunFilter::default()).await? {
        let run_id = run.run_id.to_string();
        let row = sqlx::query("SELECT record FROM runs WHERE run_id = ?").bind(&run_id);
        let row = row.fetch_one(&database.pool).await.map_err(failed)?;
        let record: String = row.try_get("record").map_err(failed)?;
        let record_sum = sums::of(&record);
        sqlx::query(
            "UPDATE runs SET record_sum = ?, row_sum = ? WHERE run_id = ? AND row_sum IS NULL",
        )
        .bind(&record_sum)
        .bind(run.sum(&record_sum))
        .bind(&run_id)
        .execute(&database.pool)
        .await
        .map_err(failed)?;
    }
    Ok(())
}
