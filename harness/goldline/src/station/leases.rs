//! The numbers and secrets that a station makes for units, and the accounts of what was taken.

use std::io;

use uuid::Uuid;

use crate::{
    clock::Clock,
    plan::Sources,
    store::{Holder, LeaseError, LeaseOutcome, Series, Settlement, StateDirectory, StoreError},
};

/// A number that a run must account for.
pub(super) struct LeasedNumber {
    profile: String,
    value: String,
    number: u32,
}

/// Notes what became of a leased number.
pub(super) fn settle(
    state: &StateDirectory,
    leased: &LeasedNumber,
    outcome: LeaseOutcome,
    run_id: Option<Uuid>,
    clock: &Clock,
) -> Result<(), LeaseError> {
    let settlement = Settlement { outcome, run_id, at: clock.now() };
    let LeasedNumber { profile, value, number } = leased;
    state.settle(profile, value, *number, &settlement)
}

/// Stands for the state directory while values are tried for fit: takes no number and makes no secret.
pub(super) struct Rehearsal;

impl Sources for Rehearsal {
    fn lease(&mut self, _value: &str) -> io::Result<u32> {
        Ok(1)
    }

    fn fill_random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0);
        Ok(())
    }
}

/// Leases numbers from the state directory and makes secrets from the system's generator.
pub(super) struct Leasing<'a> {
    state: &'a StateDirectory,
    profile: &'a str,
    holder: Holder,
    pub(super) taken: Vec<LeasedNumber>,
}

impl<'a> Leasing<'a> {
    pub(super) fn new(state: &'a StateDirectory, profile: &'a str, holder: Holder) -> Self {
        Self { state, profile, holder, taken: Vec::new() }
    }
}

impl Sources for Leasing<'_> {
    fn lease(&mut self, value: &str) -> io::Result<u32> {
        let by_hand = self.state.identities(self.profile, value).map_err(io::Error::other)?;
        loop {
            let leased = self.state.lease(self.profile, value, &self.holder);
            let number = leased.map_err(io::Error::other)?;
            let given = by_hand.iter().find(|held| held.text.parse() == Ok(number));
            let Some(held) = given else {
                let (profile, value) = (self.profile.to_owned(), value.to_owned());
                self.taken.push(LeasedNumber { profile, value, number });
                return Ok(number);
            };
            // A unit has it already, whoever gave it: the accounts say so, and the next one is tried.
            let outcome = LeaseOutcome::Used { mac: held.mac };
            let settlement = Settlement { outcome, run_id: None, at: self.holder.at };
            let settled = self.state.settle(self.profile, value, number, &settlement);
            settled.map_err(io::Error::other)?;
        }
    }

    fn fill_random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        getrandom::fill(buffer).map_err(io::Error::from)
    }
}

/// A number cannot be written off.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum ScrapError {
    #[error("the reason is empty")]
    NoReason,
    #[error("this station gave no number of the profile {profile}")]
    NoneGiven { profile: String },
    #[error("{profile} numbers {}", .values.join(" and "))]
    WhichValue { profile: String, values: Vec<String> },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lease(#[from] LeaseError),
}

impl ScrapError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        let action = match self {
            Self::NoReason => "say why: --reason \"bent pin\"",
            Self::NoneGiven { .. } => {
                "check the profile's name, and which state directory --state or GOLDLINE_STATE names"
            }
            Self::WhichValue { .. } => "name one of them with --value",
            Self::Store(_) | Self::Lease(_) => return None,
        };
        Some(action.to_owned())
    }
}

/// Writes a number off, with its unit if it has one. `value` names the series, where the profile has
/// several.
///
/// # Errors
/// [`ScrapError`] when no reason is given, or there is no such number.
pub fn scrap(
    state: &StateDirectory,
    profile: &str,
    value: Option<&str>,
    number: u32,
    reason: &str,
    clock: &Clock,
) -> Result<(), ScrapError> {
    if reason.trim().is_empty() {
        return Err(ScrapError::NoReason);
    }
    let value = numbered_value(state.leases(profile)?, profile, value)?;
    let outcome = LeaseOutcome::Scrapped { reason: reason.to_owned() };
    let settlement = Settlement { outcome, run_id: None, at: clock.now() };
    Ok(state.settle(profile, &value, number, &settlement)?)
}

fn numbered_value(
    all: Vec<Series>,
    profile: &str,
    wanted: Option<&str>,
) -> Result<String, ScrapError> {
    let names: Vec<String> = all.into_iter().map(|series| series.value).collect();
    match (wanted, names.as_slice()) {
        (_, []) => Err(ScrapError::NoneGiven { profile: profile.to_owned() }),
        (None, [only]) => Ok(only.clone()),
        (Some(wanted), names) if names.iter().any(|name| name == wanted) => Ok(wanted.to_owned()),
        _ => Err(ScrapError::WhichValue { profile: profile.to_owned(), values: names }),
    }
}

/// The numbers of a profile by series, those given by hand among them; those of one batch of units, when it
/// is named.
///
/// # Errors
/// [`StoreError`] when the accounts cannot be read.
pub fn numbers_given(
    state: &StateDirectory,
    profile: &str,
    lot: Option<&str>,
) -> Result<Vec<Series>, StoreError> {
    let mut all = state.leases(profile)?;
    for series in &mut all {
        for held in state.identities(profile, &series.value)? {
            let Ok(number) = held.text.parse() else { continue };
            series.note_holder(number, held.mac, held.since);
        }
    }
    if let Some(lot) = lot {
        for series in &mut all {
            series.leases.retain(|_, lease| lease.lot.as_deref() == Some(lot));
        }
    }
    Ok(all)
}
