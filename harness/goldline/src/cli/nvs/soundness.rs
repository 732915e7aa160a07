//! How findings add up to one word and one exit code.

use std::fmt;

use goldline_nvs::{Finding, Severity};
use serde::Serialize;

use crate::cli::exit;

/// What an image is, all findings taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Soundness {
    /// At most notes.
    Sound,
    /// States that a loss of power leaves behind, and no damage beyond them.
    Interrupted,
    /// What no device and no generator writes.
    Damaged,
}

impl Soundness {
    pub(super) fn of(findings: &[Finding]) -> Self {
        let worst = findings.iter().map(|finding| finding.severity).max();
        match worst {
            None | Some(Severity::Note) => Soundness::Sound,
            Some(Severity::PowerLoss) => Soundness::Interrupted,
            Some(Severity::Corruption) => Soundness::Damaged,
        }
    }

    pub(super) fn exit_code(self) -> u8 {
        match self {
            Soundness::Sound => exit::PASS,
            Soundness::Interrupted | Soundness::Damaged => exit::FAIL,
        }
    }
}

impl fmt::Display for Soundness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Soundness::Sound => "sound",
            Soundness::Interrupted => "interrupted",
            Soundness::Damaged => "damaged",
        })
    }
}
