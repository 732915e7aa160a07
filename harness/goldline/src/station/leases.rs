//! The numbers and secrets that a station makes for units, and the accounts of what was taken.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use uuid::Uuid;

use crate::{
    clock::Clock,
    plan::Sources,
    store::{
        HeldIdentity, Holder, LeaseError, LeaseOutcome, Series, Settlement, StateDirectory,
        StoreError,
    },
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
#[derive(Default)]
pub(super) struct Rehearsal {
    /// What the series give next, by value; the first number unless it is here.
    next: BTreeMap<String, u32>,
}

impl Rehearsal {
    /// With the numbers that so many units before this one leave.
    ///
    /// # Errors
    /// [`StoreError`] when the accounts cannot be read.
    pub(super) fn of(
        state: &StateDirectory,
        profile: &str,
        units_before: usize,
    ) -> Result<Self, StoreError> {
        let before = u32::try_from(units_before).unwrap_or(u32::MAX);
        let next = |series: Series| {
            (series.value, series.next.map_or(u32::MAX, |it| it.saturating_add(before)))
        };
        Ok(Self { next: state.leases(profile)?.into_iter().map(next).collect() })
    }
}

impl Sources for Rehearsal {
    fn lease(&mut self, value: &str) -> io::Result<u32> {
        Ok(self.next.get(value).copied().unwrap_or(1))
    }

    fn fill_random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0);
        Ok(())
    }
}

/// The numbers that a run took for its unit, for whoever accounts for them when it ended.
#[derive(Clone, Default)]
pub(super) struct Taken(Arc<Mutex<Vec<LeasedNumber>>>);

impl Taken {
    fn note(&self, leased: LeasedNumber) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(leased);
    }

    /// All of them; none is left.
    pub(super) fn take(&self) -> Vec<LeasedNumber> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Leases numbers from the state directory and makes secrets from the system's generator, for a unit that was
/// identified.
pub(super) struct Leasing<'a> {
    pub(super) state: &'a StateDirectory,
    pub(super) profile: &'a str,
    pub(super) holder: Holder,
    pub(super) taken: Taken,
}

impl Leasing<'_> {
    /// What the unit was given before: by a lease, else by hand. Another one may have taken its place since.
    fn own(&self, value: &str, held: &[HeldIdentity]) -> Result<Option<u32>, StoreError> {
        let mac = self.holder.mac;
        let number = |held: &HeldIdentity| held.text.parse::<u32>().ok();
        let others =
            |leased: &u32| held.iter().any(|it| it.mac != mac && number(it) == Some(*leased));
        let leased = self.state.number_of(self.profile, value, mac)?;
        if let Some(leased) = leased.filter(|leased| !others(leased)) {
            self.note(value, leased);
            return Ok(Some(leased));
        }
        let by_hand = held.iter().filter(|it| it.mac == mac && number(it).is_some());
        Ok(by_hand.max_by_key(|it| it.since).and_then(number))
    }

    fn note(&self, value: &str, number: u32) {
        let (profile, value) = (self.profile.to_owned(), value.to_owned());
        self.taken.note(LeasedNumber { profile, value, number });
    }

    fn next(&self, value: &str, held: &[HeldIdentity]) -> Result<u32, StoreError> {
        let held = held.iter().filter_map(|it| Some((it.text.parse().ok()?, it.mac))).collect();
        let number = self.state.lease(self.profile, value, &self.holder, &held)?;
        self.note(value, number);
        Ok(number)
    }
}

impl Sources for Leasing<'_> {
    /// A unit that is provisioned again keeps its number.
    fn lease(&mut self, value: &str) -> io::Result<u32> {
        let number = || {
            let held = self.state.identities(self.profile, value)?;
            match self.own(value, &held)? {
                Some(own) => Ok(own),
                None => self.next(value, &held),
            }
        };
        number().map_err(|error: StoreError| io::Error::other(error))
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
