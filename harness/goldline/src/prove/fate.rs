//! What a verdict is worth: whether the unit that it was said of was bad, and whether that is what was said.

use super::mutant::Must;
use crate::record::{CheckRecord, Diagnosis, Outcome, Record, Verdict};

/// What became of a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// As it should be: a bad one FAILs for what is wrong with it; a good one on a bad wire is not blamed.
    Caught,
    /// A bad one FAILs for something else.
    WrongCause,
    /// Nothing is said of a bad one.
    Undecided,
    /// A bad one passes.
    Escaped,
    /// A good one FAILs.
    Blamed,
}

impl Fate {
    /// Of a run's record.
    pub fn of(record: &Record, must: &Must) -> Self {
        match (must, record.verdict) {
            (Must::Fail { .. }, Some(Verdict::Pass)) => Self::Escaped,
            (Must::Fail { naming }, Some(Verdict::Fail)) => match names_one(record, naming) {
                true => Self::Caught,
                false => Self::WrongCause,
            },
            (Must::Fail { .. }, _) => Self::Undecided,
            (Must::NotBlame, Some(Verdict::Fail)) => Self::Blamed,
            (Must::NotBlame, _) => Self::Caught,
        }
    }
}

/// Whether a FAIL says one of the texts, or has one of the codes.
fn names_one(record: &Record, naming: &[String]) -> bool {
    let said = everything_said(record).to_lowercase();
    naming.iter().any(|name| said.contains(&name.to_lowercase()))
}

/// The diagnosis, and what the blamed checks found: codes and sentences.
fn everything_said(record: &Record) -> String {
    let words = |why: &Diagnosis| format!("{} {}", why.code.as_str(), why.message);
    let blamed = record.checks.iter().filter(|check| check.outcome == Outcome::Fail);
    let found = blamed.map(|check: &CheckRecord| {
        let why = check.diagnosis.as_ref().map(words).unwrap_or_default();
        format!("{why} {}", check.evidence.join("\n"))
    });
    let why = record.diagnosis.as_ref().map(words).unwrap_or_default();
    [why].into_iter().chain(found).collect::<Vec<_>>().join("\n")
}
