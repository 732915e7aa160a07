//! `goldline ca log`: every registration of this station's units, as their records have it.
//!
//! Must not know a secret: records hold none. Times are UTC for programs.

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    cli::{
        output, problem::usage, records::FilterArguments, station_state::StateArgument,
        station_state::runtime, table::aligned, zone::shown,
    },
    identity::Mac,
    record::{CheckRecord, Outcome, Record},
    store::{Found, RecordStore, RunFilter},
};

const CHECK: &str = "ca_registration";
/// The stage of a registration by the bench.
const STAGE: &str = "ca_register";

#[derive(Args)]
pub(in crate::cli) struct LogArguments {
    #[command(flatten)]
    filter: FilterArguments,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: StateArgument,
}

/// What a CA was asked for one unit in one run, and what came of it.
#[derive(Serialize)]
struct Registration {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    run_id: Uuid,
    profile: String,
    mac: Option<Mac>,
    /// The unit's public identifiers, as its record has them.
    ids: Vec<String>,
    called_by: String,
    /// `new`, `kept` or `none`.
    registration: String,
    serial: Option<String>,
    /// Of the certificate, at that time.
    remaining_validity_days: Option<i64>,
    /// Why there is none.
    diagnosis: Option<String>,
}

pub(super) fn run(arguments: &LogArguments) -> miette::Result<()> {
    let filter = arguments.filter.parse()?;
    let registrations = runtime()?.block_on(async {
        let store = arguments.state.open()?.records().await.map_err(usage)?;
        registrations(&store, &filter).await
    })?;
    if arguments.json {
        output::print_json(&registrations)
    } else {
        output::print(&text(&registrations))
    }
}

/// The newest first.
async fn registrations(
    store: &RecordStore,
    filter: &RunFilter,
) -> miette::Result<Vec<Registration>> {
    let mut found = Vec::new();
    for run in store.list(filter).await.map_err(usage)? {
        let Some(Found::Record(record)) = store.find(run.run_id).await.map_err(usage)? else {
            continue;
        };
        // A record of another form is listed by `goldline records`.
        let record: Option<Record> = serde_json::from_value(record).ok();
        found.extend(record.and_then(Registration::of));
    }
    Ok(found)
}

impl Registration {
    /// `None` of a run that had nothing to do with a CA.
    fn of(record: Record) -> Option<Self> {
        let by_bench = record.stages.iter().any(|stage| stage.name == STAGE);
        let ran = |check: &&CheckRecord| check.id == CHECK && check.outcome != Outcome::NotRun;
        let check = record.checks.iter().find(ran);
        if check.is_none() && !by_bench {
            return None;
        }
        let measured = |name: &str| {
            let all = check.map(|check| check.measurements.iter()).into_iter().flatten();
            all.into_iter().find(|one| one.name == name).map(|one| one.value.clone())
        };
        let word = |name: &str| measured(name).as_ref().and_then(Value::as_str).map(str::to_owned);
        // Measured of one that came about only; earlier versions told no more.
        let came_about = measured("uuid").is_some_and(|uuid| !uuid.is_null());
        let otherwise = if came_about { "new" } else { "none" };
        let blamed = check.map_or(record.diagnosis.as_ref(), |check| check.diagnosis.as_ref());
        Some(Self {
            at: record.started_at,
            run_id: record.run_id,
            mac: record.unit.mac,
            ids: record.unit.ids.values().cloned().collect(),
            called_by: if by_bench { "bench" } else { "unit" }.to_owned(),
            registration: word("registration").unwrap_or_else(|| otherwise.to_owned()),
            serial: word("certificate_serial"),
            remaining_validity_days: measured("remaining_validity_days")
                .as_ref()
                .and_then(Value::as_i64),
            diagnosis: blamed.map(|diagnosis| diagnosis.code.as_str().to_owned()),
            profile: record.profile,
        })
    }

    fn row(&self) -> Vec<String> {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            shown(self.at),
            self.registration.clone(),
            self.called_by.clone(),
            self.profile.clone(),
            or_dash(self.mac.map(|mac| mac.to_string())),
            if self.ids.is_empty() { "-".to_owned() } else { self.ids.join(" ") },
            or_dash(self.serial.clone()),
            or_dash(self.remaining_validity_days.map(|days| days.to_string())),
            or_dash(self.diagnosis.clone()),
            self.run_id.to_string(),
        ]
    }
}

fn text(registrations: &[Registration]) -> String {
    let header = [
        "when",
        "registration",
        "called by",
        "profile",
        "unit",
        "ids",
        "serial",
        "days",
        "diagnosis",
        "run",
    ];
    let header = header.map(str::to_owned).to_vec();
    let rows = registrations.iter().map(Registration::row);
    aligned(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
}
