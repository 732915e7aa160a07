//! What is said of a check and of a unit, by which word, and in which order it weighs.
//!
//! The words are the same in records, tables and arguments: they stand here and nowhere else.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What came of one check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
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
#[serde(into = "&'static str", try_from = "String")]
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

/// A text is none of the words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum UnknownWord {
    #[error("\"{0}\" is no outcome of a check: expected pass, fail, error or not_run")]
    Outcome(String),
    #[error("\"{0}\" is no verdict: expected PASS, FAIL, ERROR or ABORTED")]
    Verdict(String),
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::Error, Self::NotRun];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::NotRun => "not_run",
        }
    }
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::Error, Self::Aborted];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Error => "ERROR",
            Self::Aborted => "ABORTED",
        }
    }

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

/// The word as text, in records and back.
macro_rules! words {
    ($($type:ident),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                let found = Self::ALL.into_iter().find(|known| known.as_str() == text);
                found.ok_or_else(|| UnknownWord::$type(text.to_owned()))
            }
        }

        impl From<$type> for &'static str {
            fn from(known: $type) -> Self {
                known.as_str()
            }
        }

        impl TryFrom<String> for $type {
            type Error = UnknownWord;

            fn try_from(text: String) -> Result<Self, UnknownWord> {
                text.parse()
            }
        }
    )*};
}

words!(Outcome, Verdict);

#[cfg(test)]
mod tests {
    use super::{Outcome, Outcome::*, UnknownWord, Verdict};

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
    #[test]
    fn records_hold_the_words_and_no_others() {
        let words = serde_json::to_string(&(Outcome::ALL, Verdict::ALL)).expect("words are JSON");
        assert_eq!(
            words,
            r#"[["pass","fail","error","not_run"],["PASS","FAIL","ERROR","ABORTED"]]"#
        );
        let read: ([Outcome; 4], [Verdict; 4]) = serde_json::from_str(&words).expect("read back");
        assert_eq!(read, (Outcome::ALL, Verdict::ALL));
        let other = "PASS".parse::<Outcome>();
        assert_eq!(other, Err(UnknownWord::Outcome("PASS".to_owned())));
        assert!(serde_json::from_str::<Verdict>(r#""pass""#).is_err());
    }
}
