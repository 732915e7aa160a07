//! What is said of a check and of a unit, and in which order it weighs.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What came of one check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything measured lies within its limits.
    Pass,
    /// The unit is bad.
    Fail,
    /// The station or the testbed is at fault; nothing is said of the unit.
    Error,
    /// The run ended before the check could run.
    NotRun,
}

/// What is said of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Every check of the profile ran and passed.
    Pass,
    /// The unit is bad.
    Fail,
    /// The station or testbed is at fault; nothing is said of the unit.
    Error,
    /// Someone stopped the run.
    Aborted,
}

impl Verdict {
    /// Judges the checks of a run that was not aborted: a FAIL outranks an ERROR, and a check that
    /// did not run leaves no PASS.
    pub fn of(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let mut verdict = None;
        for outcome in outcomes {
            match outcome {
                Outcome::Fail => return Self::Fail,
                Outcome::Error | Outcome::NotRun => verdict = Some(Self::Error),
                Outcome::Pass => verdict = verdict.or(Some(Self::Pass)),
            }
        }
        // Without a single check nothing was proven.
        verdict.unwrap_or(Self::Error)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Error => "ERROR",
            Self::Aborted => "ABORTED",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome::*, Verdict};

    #[test]
    fn a_fail_outranks_an_error() {
        assert_eq!(Verdict::of([Error, Fail, NotRun]), Verdict::Fail);
    }

    #[test]
    fn no_pass_without_every_check() {
        assert_eq!(Verdict::of([Pass, NotRun]), Verdict::Error);
        assert_eq!(Verdict::of([]), Verdict::Error);
        assert_eq!(Verdict::of([Pass, Pass]), Verdict::Pass);
    }
}
