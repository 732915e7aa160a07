//! Runs that are made to learn of the test, and those that were kept: what they say together.
//!
//! Must not know how a run is made, nor who asks for it again.

use time::OffsetDateTime;

use super::{order::DEFAULT_PROFILE, request::Request, state_directory::open_state};
use crate::{
    gauge::{Appraisers, Study},
    profile::{CatalogError, find},
    record::Record,
    store::{Found, RunFilter, RunSummary, StoreError},
};

/// Why a record counts for nothing that an earlier or a later version wrote.
const OTHER_FORM: &str = "its record has another form";

/// Which of a station's runs are studied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept {
    /// Those that began then or later.
    pub since: Option<OffsetDateTime>,
    /// Those that began before then.
    pub until: Option<OffsetDateTime>,
}

/// Kept runs cannot be studied.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum KeptError {
    #[error("--from-records studies the runs of one profile, and none is named")]
    NoProfile,
    #[error(transparent)]
    Profile(#[from] CatalogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("this station has no run of {profile} that says anything of a unit{}", because(.left_out))]
    Nothing { profile: String, left_out: Vec<String> },
}

impl KeptError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        let action = match self {
            Self::NoProfile => "name it",
            Self::Nothing { .. } => {
                "goldline records list shows what there is; --state or GOLDLINE_STATE names the state directory"
            }
            Self::Profile(_) | Self::Store(_) => return None,
        };
        Some(action.to_owned())
    }
}

fn because(reasons: &[String]) -> String {
    if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) }
}

/// The request of one round of several, from 0 on, each with so many units. Where faults are simulated, no two runs have
/// them in the same place.
pub fn round_of(request: &Request, round: u64, units: usize) -> Request {
    let later = |seed: u64| seed.wrapping_add(round * units as u64);
    let seed = request.seed.or((!request.faults.is_empty()).then_some(0)).map(later);
    Request { seed, ..request.clone() }
}

/// What runs say that were made just now, the oldest first.
pub fn live_study(request: &Request, records: &[Record], appraisers: Appraisers) -> Study {
    let profile = records.first().map(|record| record.profile.as_str());
    let profile = profile.or(request.profile.as_deref()).unwrap_or(DEFAULT_PROFILE);
    Study::of(profile, None, records, appraisers)
}

/// What the kept runs of a request's profile say, as far as it had the text that it has now: of its batch, where one is
/// named, and of its devices, where some are.
///
/// # Errors
/// [`KeptError`] when there are none, or they cannot be read.
pub async fn kept_study(
    request: &Request,
    kept: Kept,
    appraisers: Appraisers,
) -> Result<Study, KeptError> {
    let name = request.profile.as_deref().ok_or(KeptError::NoProfile)?;
    let profile = find(name, request.profiles.as_deref())?;
    let filter = RunFilter {
        profile: Some(profile.name.clone()),
        lot: request.lot.clone(),
        since: kept.since,
        until: kept.until,
        ..RunFilter::default()
    };
    let store = open_state(request.state.as_deref())?.records().await?;
    let of_devices =
        |run: &RunSummary| request.devices.is_empty() || request.devices.contains(&run.device);
    let (mut records, mut unreadable) = (Vec::new(), 0);
    for run in store.list(&filter).await?.into_iter().rev().filter(of_devices) {
        // What goes on or was interrupted has no record.
        let Some(Found::Record(record)) = store.find(run.run_id).await? else { continue };
        match serde_json::from_value::<Record>(record) {
            Ok(record) => records.push(record),
            Err(_) => unreadable += 1,
        }
    }
    let mut study = Study::of(&profile.name, Some(&profile.digest), &records, appraisers);
    if unreadable > 0 {
        study.left_out.insert(OTHER_FORM.to_owned(), unreadable);
    }
    if study.runs > 0 {
        return Ok(study);
    }
    let left_out = study.left_out.iter().map(|(why, runs)| format!("{runs} left out, {why}"));
    Err(KeptError::Nothing { profile: profile.name.clone(), left_out: left_out.collect() })
}
