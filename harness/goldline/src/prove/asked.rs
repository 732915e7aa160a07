//! What is asked for: which mutants, and how long it may take.

use std::time::{Duration, Instant};

use super::proof::Subject;

/// Of a budget, what is left to units that are under way.
const LAST_SHARE: u32 = 5;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// When it began.
    pub began: Instant,
    /// How long it may take.
    pub budget: Option<Duration>,
    /// Whether every mutant that can be counted is run.
    pub all: bool,
    /// Decides which mutants are drawn, and in which order.
    pub seed: u64,
    /// Whose defects are made.
    pub subject: Subject,
}

impl Campaign {
    /// Until when; `None` without a limit.
    pub(super) fn left(&self) -> Option<Duration> {
        Some(self.budget?.saturating_sub(self.began.elapsed()))
    }

    /// Whether a unit that begins now could not end in time.
    pub(super) fn is_late(&self, longest: Duration) -> bool {
        let Some(budget) = self.budget else { return false };
        let reserve = longest.min(budget / LAST_SHARE);
        self.left().is_some_and(|left| left <= reserve)
    }
}
