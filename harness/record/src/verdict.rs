//! What is said of a unit and of its checks.

use serde::{Deserialize, Serialize};

/// What is said of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Every check of the profile ran and passed, but for those that the command went without by name.
    Pass,
    /// The unit is bad.
    Fail,
    /// The station or testbed is at fault; nothing is said of the unit.
    Error,
    /// Someone stopped the run.
    Aborted,
}

/// What came of one check, or of one measurement.
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

/// Whether the unit was seen to join its network by radio.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RadioProof {
    /// A check that only a radio passes has passed.
    Proven,
    /// It was not; on some networks it cannot be.
    NotProven,
}
