//! Runs as a table for other programs: a row for each run, a column for each measurement.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row;

use super::{RecordStore, RunFilter, StoreError, time_text};

const COLUMNS: [&str; 11] = [
    "run_id",
    "outcome",
    "diagnosis",
    "profile",
    "lot",
    "operator",
    "device",
    "mac",
    "ids",
    "started_at",
    "duration_ms",
];

/// Run and measurement, such as `wifi_join.rssi`.
type Measured = BTreeMap<(String, String), String>;

impl RecordStore {
    /// The runs of a filter as CSV, newest first. A measurement's column is named by check and
    /// measurement, such as `wifi_join.rssi`; a cell is empty where the run did not measure it.
    ///
    /// # Errors
    /// [`StoreError::Database`] when they cannot be read.
    pub async fn csv(&self, filter: &RunFilter) -> Result<String, StoreError> {
        let runs = self.list(filter).await?;
        let shown: BTreeSet<String> = runs.iter().map(|run| run.run_id.to_string()).collect();
        let measured = self.measured(&shown).await?;
        let columns: BTreeSet<&str> = measured.keys().map(|(_, column)| column.as_str()).collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let written = "a table in memory takes every row";
        writer.write_record(COLUMNS.into_iter().chain(columns.iter().copied())).expect(written);
        for run in runs {
            let run_id = run.run_id.to_string();
            let ids: Vec<String> =
                run.ids.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let text = |text: Option<String>| text.unwrap_or_default();
            let fixed = [
                run_id.clone(),
                run.outcome.to_string(),
                text(run.diagnosis),
                run.profile,
                text(run.lot),
                text(run.operator),
                run.device,
                text(run.mac.map(|mac| mac.to_string())),
                ids.join(" "),
                time_text(run.started_at),
                text(run.duration_ms.map(|duration| duration.to_string())),
            ];
            let cells = columns.iter().map(|column| {
                measured.get(&(run_id.clone(), (*column).to_owned())).cloned().unwrap_or_default()
            });
            writer.write_record(fixed.into_iter().chain(cells)).expect(written);
        }
        let bytes = writer.into_inner().expect(written);
        Ok(String::from_utf8(bytes).expect("all cells are text"))
    }

    async fn measured(&self, runs: &BTreeSet<String>) -> Result<Measured, StoreError> {
        let rows = sqlx::query(
            "SELECT run_id, check_name || '.' || name AS column_name, \
             coalesce(word, CASE WHEN number = CAST(number AS INTEGER) \
                                 THEN CAST(CAST(number AS INTEGER) AS TEXT) \
                                 ELSE CAST(number AS TEXT) END, '') AS value \
             FROM measurements",
        )
        .fetch_all(&self.database.pool)
        .await
        .map_err(|source| self.database.failed(source))?;
        let cell = |row: &sqlx::sqlite::SqliteRow| {
            ((row.get("run_id"), row.get("column_name")), row.get("value"))
        };
        Ok(rows
            .iter()
            .map(cell)
            .filter(|((run, _), _): &((String, _), _)| runs.contains(run))
            .collect())
    }
}
