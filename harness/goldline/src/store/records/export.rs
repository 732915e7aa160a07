//! Runs as a table for other programs: a row for each run, a column for each measurement.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use super::{RecordStore, RunFilter, RunSummary, StoreError, time_text};

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
type Measured = BTreeMap<(Uuid, String), String>;

impl RecordStore {
    /// The runs of a filter as CSV, newest first. A measurement's column is named by check and
    /// measurement, such as `wifi_join.rssi`; a cell is empty where the run did not measure it.
    ///
    /// # Errors
    /// [`StoreError::Database`] when they cannot be read.
    pub async fn csv(&self, filter: &RunFilter) -> Result<String, StoreError> {
        let runs = self.list(filter).await?;
        let measured = self.measured(&runs).await?;
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
                measured.get(&(run.run_id, (*column).to_owned())).cloned().unwrap_or_default()
            });
            writer.write_record(fixed.into_iter().chain(cells)).expect(written);
        }
        let bytes = writer.into_inner().expect(written);
        Ok(String::from_utf8(bytes).expect("all cells are text"))
    }

    /// Out of the records themselves, which are as they were written.
    async fn measured(&self, runs: &[RunSummary]) -> Result<Measured, StoreError> {
        let mut measured = Measured::new();
        for run in runs {
            let record = self.record(run.run_id).await?.unwrap_or_default();
            let checks = record["checks"].as_array().into_iter().flatten();
            for check in checks {
                for item in check["measurements"].as_array().into_iter().flatten() {
                    let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    let column = format!("{}.{}", name(&check["id"]), name(&item["name"]));
                    measured.insert((run.run_id, column), cell(&item["value"]));
                }
            }
        }
        Ok(measured)
    }
}

/// Whole numbers without a point; what was never measured is empty.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(word) => word.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(whole) if number.is_f64() && whole.fract() == 0.0 => format!("{whole:.0}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
