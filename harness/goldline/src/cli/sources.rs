//! Where a unit's numbers and random values come from, and the accounts of what was taken.

use std::io;

use uuid::Uuid;

use super::problem::usage;
use crate::{
    clock::Clock,
    plan::Sources,
    store::{Holder, LeaseOutcome, Settlement, StateDirectory},
};

/// A number that a job must account for.
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
) -> miette::Result<()> {
    let settlement = Settlement { outcome, run_id, at: clock.now() };
    let LeasedNumber { profile, value, number } = leased;
    state.settle(profile, value, *number, &settlement).map_err(usage)
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
pub(super) struct Station<'a> {
    state: &'a StateDirectory,
    profile: &'a str,
    holder: Holder,
    pub(super) taken: Vec<LeasedNumber>,
}

impl<'a> Station<'a> {
    pub(super) fn new(state: &'a StateDirectory, profile: &'a str, holder: Holder) -> Self {
        Self { state, profile, holder, taken: Vec::new() }
    }
}

impl Sources for Station<'_> {
    fn lease(&mut self, value: &str) -> io::Result<u32> {
        let number =
            self.state.lease(self.profile, value, &self.holder).map_err(io::Error::other)?;
        let (profile, value) = (self.profile.to_owned(), value.to_owned());
        self.taken.push(LeasedNumber { profile, value, number });
        Ok(number)
    }

    fn fill_random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        getrandom::fill(buffer).map_err(io::Error::from)
    }
}
