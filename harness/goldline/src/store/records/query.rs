//! Runs found again: by filter, by id, by unit.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Serialize;
use serde_json::Value;
use sqlx::{Row, sqlite::SqliteRow};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{RecordStore, StoreError, sums, time_text};
use crate::{
    identity::Mac,
    record::{Record, Verdict},
    store::database::Database,
};

/// What a run came to, as far as the station knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunOutcome {
    /// It ended with a verdict.
    Judged(Verdict),
    /// It ended, and has no verdict: `provision`.
    Unjudged,
    /// It goes on.
    Running,
    /// It began and never ended: its process or the machine died.
    Interrupted,
}

/// A text names no outcome of a run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "\"{0}\" is no outcome of a run: expected PASS, FAIL, ERROR, ABORTED, NONE, RUNNING or INTERRUPTED"
)]
pub struct RunOutcomeError(String);

impl RunOutcome {
    const ALL: [Self; 7] = [
        Self::Judged(Verdict::Pass),
        Self::Judged(Verdict::Fail),
        Self::Judged(Verdict::Error),
        Self::Judged(Verdict::Aborted),
        Self::Unjudged,
        Self::Running,
        Self::Interrupted,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Judged(verdict) => verdict.as_str(),
            Self::Unjudged => "NONE",
            Self::Running => "RUNNING",
            Self::Interrupted => "INTERRUPTED",
        }
    }
}

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RunOutcome {
    type Err = RunOutcomeError;

    fn from_str(text: &str) -> Result<Self, RunOutcomeError> {
        let found = Self::ALL.into_iter().find(|it| it.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| RunOutcomeError(text.to_owned()))
    }
}

/// Which runs; what is not named does not matter.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of this profile.
    pub profile: Option<String>,
    /// Of this batch.
    pub lot: Option<String>,
    /// Of this unit.
    pub mac: Option<Mac>,
    /// Of the unit that has this public identifier, whatever it is called.
    pub id: Option<String>,
    /// That came to this.
    pub outcome: Option<RunOutcome>,
    /// That began then or later.
    pub since: Option<OffsetDateTime>,
    /// That began before then.
    pub until: Option<OffsetDateTime>,
    /// At most so many, the newest.
    pub limit: Option<u32>,
}

/// One run in a list.
#[derive(Clone, Debug, Serialize)]
pub struct RunSummary {
    /// The run.
    pub run_id: Uuid,
    /// PASS, FAIL, ERROR, ABORTED, NONE, RUNNING or INTERRUPTED.
    #[serde(serialize_with = "as_text")]
    pub outcome: RunOutcome,
    /// The code of the diagnosis.
    pub diagnosis: Option<String>,
    /// Name of the profile.
    pub profile: String,
    /// URL of the device.
    pub device: String,
    /// The batch of units.
    pub lot: Option<String>,
    /// Who ran it.
    pub operator: Option<String>,
    /// Base MAC, when the unit was identified.
    pub mac: Option<Mac>,
    /// Public identifiers of the unit.
    pub ids: BTreeMap<String, String>,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// How long it took; `None` when it has no end.
    pub duration_ms: Option<i64>,
}

/// One run that was asked for.
#[derive(Clone, Debug)]
pub enum Found {
    /// Its record, as JSON: of this or of an older form.
    Record(Value),
    /// It has no record, because it goes on or was interrupted.
    Unended(Box<RunSummary>),
}

impl RecordStore {
    /// The runs of a filter, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`] when they cannot be read.
    pub async fn list(&self, filter: &RunFilter) -> Result<Vec<RunSummary>, StoreError> {
        let runs = self.list_now(filter).await?;
        if runs.iter().all(|run| run.outcome != RunOutcome::Interrupted) {
            return Ok(runs);
        }
        // It may have ended just now: then its end was in the journal before its lock was free.
        self.take_in_journal().await?;
        self.list_now(filter).await
    }

    async fn list_now(&self, filter: &RunFilter) -> Result<Vec<RunSummary>, StoreError> {
        let mut runs = match filter.outcome {
            Some(RunOutcome::Running | RunOutcome::Interrupted) => Vec::new(),
            _ => ended(&self.database, filter).await?,
        };
        if !matches!(filter.outcome, Some(RunOutcome::Judged(_) | RunOutcome::Unjudged)) {
            let unended = self.unended(filter).await?;
            runs.extend(
                unended
                    .into_iter()
                    .filter(|run| filter.outcome.is_none_or(|wanted| wanted == run.outcome)),
            );
        }
        runs.sort_by_key(|run| std::cmp::Reverse((run.started_at, run.run_id)));
        runs.truncate(filter.limit.map_or(usize::MAX, |limit| limit as usize));
        Ok(runs)
    }

    /// A run by its id.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it cannot be read.
    pub async fn find(&self, run_id: Uuid) -> Result<Option<Found>, StoreError> {
        if let Some(record) = self.record(run_id).await? {
            return Ok(Some(Found::Record(record)));
        }
        let unended = self.unended(&RunFilter::default()).await?;
        let run = unended.into_iter().find(|run| run.run_id == run_id);
        Ok(run.map(|run| Found::Unended(Box::new(run))))
    }

    /// The record of a run that ended, as it was written.
    pub(super) async fn record(&self, run_id: Uuid) -> Result<Option<Value>, StoreError> {
        let row = sqlx::query("SELECT record, record_sum FROM runs WHERE run_id = ?")
            .bind(run_id.to_string())
            .fetch_optional(&self.database.pool)
            .await
            .map_err(|source| self.database.failed(source))?;
        let Some(row) = row else { return Ok(None) };
        let altered = || self.database.altered(run_id);
        let json: &str = row.try_get("record").map_err(|_| altered())?;
        let sum: Option<String> = row.try_get("record_sum").map_err(|_| altered())?;
        if sum.is_some_and(|sum| sum != sums::of(json)) {
            return Err(altered());
        }
        serde_json::from_str(json).map(Some).map_err(|_| altered())
    }

    /// Runs that began and have no record. No unit is known of them.
    pub(super) async fn unended(&self, filter: &RunFilter) -> Result<Vec<RunSummary>, StoreError> {
        if filter.mac.is_some() || filter.id.is_some() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT run_id, profile, device, lot, operator, started_at FROM started \
             WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.run_id = started.run_id) \
             AND (?1 IS NULL OR profile = ?1) AND (?2 IS NULL OR lot = ?2) \
             AND (?3 IS NULL OR started_at >= ?3) AND (?4 IS NULL OR started_at < ?4)",
        )
        .bind(&filter.profile)
        .bind(&filter.lot)
        .bind(filter.since.map(time_text))
        .bind(filter.until.map(time_text))
        .fetch_all(&self.database.pool)
        .await
        .map_err(|source| self.database.failed(source))?;
        let summary = |row: &SqliteRow| {
            let run = common(row, RunOutcome::Interrupted)?;
            let going_on = self.state.is_under_way(run.run_id);
            let outcome = if going_on { RunOutcome::Running } else { RunOutcome::Interrupted };
            Some(RunSummary { outcome, ..run })
        };
        let unreadable = || self.database.damaged("a run that began cannot be read");
        rows.iter().map(|row| summary(row).ok_or_else(unreadable)).collect()
    }
}

/// Runs that ended, as they were written.
pub(super) async fn ended(
    database: &Database,
    filter: &RunFilter,
) -> Result<Vec<RunSummary>, StoreError> {
    let rows = sqlx::query(
        "SELECT run_id, profile, device, lot, operator, mac, verdict, diagnosis, started_at, \
         duration_ms, record_sum, row_sum, (SELECT json_group_object(name, value) FROM unit_ids \
                       WHERE unit_ids.run_id = runs.run_id) AS ids \
         FROM runs WHERE (?1 IS NULL OR profile = ?1) AND (?2 IS NULL OR lot = ?2) \
         AND (?3 IS NULL OR mac = ?3) AND (?4 IS NULL OR started_at >= ?4) \
         AND (?5 IS NULL OR coalesce(verdict, ?6) = ?5) \
         AND (?8 IS NULL OR EXISTS (SELECT 1 FROM unit_ids \
                                    WHERE unit_ids.run_id = runs.run_id AND value = ?8)) \
         AND (?9 IS NULL OR started_at < ?9) \
         ORDER BY started_at DESC, run_id DESC LIMIT ?7",
    )
    .bind(&filter.profile)
    .bind(&filter.lot)
    .bind(filter.mac.map(|mac| mac.to_string()))
    .bind(filter.since.map(time_text))
    .bind(filter.outcome.map(RunOutcome::as_str))
    .bind(RunOutcome::Unjudged.as_str())
    .bind(filter.limit.map_or(-1, i64::from))
    .bind(&filter.id)
    .bind(filter.until.map(time_text))
    .fetch_all(&database.pool)
    .await
    .map_err(|source| database.failed(source))?;
    let whole = |row: &SqliteRow| -> Result<RunSummary, StoreError> {
        let id: Option<String> = row.try_get("run_id").ok();
        let altered = || database.altered(id.as_deref().unwrap_or("that cannot be read"));
        let run = summary(row).ok_or_else(altered)?;
        let sums: (Option<String>, Option<String>) =
            (row.try_get("record_sum").ok().flatten(), row.try_get("row_sum").ok().flatten());
        match sums {
            // Of an earlier version.
            (None, None) => Ok(run),
            (Some(record), Some(sum)) if run.sum(&record) == sum => Ok(run),
            _ => Err(altered()),
        }
    };
    rows.iter().map(whole).collect()
}

fn summary(row: &SqliteRow) -> Option<RunSummary> {
    let verdict: Option<String> = row.try_get("verdict").ok()?;
    let outcome = verdict.map_or(Some(RunOutcome::Unjudged), |text| text.parse().ok())?;
    let ids: String = row.try_get("ids").ok()?;
    Some(RunSummary {
        diagnosis: row.try_get("diagnosis").ok()?,
        mac: optional(row.try_get("mac").ok()?)?,
        ids: serde_json::from_str(&ids).ok()?,
        duration_ms: row.try_get("duration_ms").ok()?,
        ..common(row, outcome)?
    })
}

impl RunSummary {
    /// Of a run that ended.
    pub(super) fn of(record: &Record) -> Self {
        Self {
            run_id: record.run_id,
            outcome: record.verdict.map_or(RunOutcome::Unjudged, RunOutcome::Judged),
            diagnosis: record.diagnosis.as_ref().map(|it| it.code.as_str().to_owned()),
            profile: record.profile.clone(),
            device: record.device.clone(),
            lot: record.lot.clone(),
            operator: record.operator.clone(),
            mac: record.unit.mac,
            ids: record.unit.ids.clone(),
            started_at: record.started_at,
            duration_ms: Some(i64::try_from(record.duration_ms).unwrap_or(i64::MAX)),
        }
    }

    /// The digest of what a list shows of it, and of its record.
    pub(super) fn sum(&self, record_sum: &str) -> String {
        let mac = self.mac.map(|mac| mac.to_string());
        // Named one by one: what a later version shows beside them does not change the digest.
        let columns = (
            (self.run_id, self.outcome.as_str(), &self.diagnosis, &self.profile, &self.device),
            (&self.lot, &self.operator, mac, &self.ids),
            (time_text(self.started_at), self.duration_ms, record_sum),
        );
        sums::of(&serde_json::to_string(&columns).expect("texts and numbers become JSON"))
    }
}

/// What every run has.
fn common(row: &SqliteRow, outcome: RunOutcome) -> Option<RunSummary> {
    Some(RunSummary {
        run_id: row.try_get::<String, _>("run_id").ok()?.parse().ok()?,
        outcome,
        diagnosis: None,
        profile: row.try_get("profile").ok()?,
        device: row.try_get("device").ok()?,
        lot: row.try_get("lot").ok()?,
        operator: row.try_get("operator").ok()?,
        mac: None,
        ids: BTreeMap::new(),
        started_at: OffsetDateTime::parse(row.try_get("started_at").ok()?, &Rfc3339).ok()?,
        duration_ms: None,
    })
}

/// `None` when there is a text and it is no address.
fn optional(text: Option<String>) -> Option<Option<Mac>> {
    text.map(|text| text.parse().ok()).map_or(Some(None), |mac| mac.map(Some))
}

fn as_text<S: serde::Serializer>(value: &RunOutcome, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
