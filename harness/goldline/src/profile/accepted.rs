//! Bad units that a profile knows its test lets pass, each with its reason.
//!
//! Must not know which mutants a product has.

use std::{fmt, str::FromStr};

/// Mutants that may pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// Which.
    pub mutant: MutantPattern,
    /// Why; never blank.
    pub because: String,
}

/// The id of a mutant, or the beginning of some with `*` behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MutantPattern(String);

/// A text that names no mutants.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "\"{found}\" names no mutant: expected an id of `goldline prove PROFILE --list`, or the beginning of some with * behind"
)]
pub struct MutantPatternError {
    found: String,
}

impl MutantPattern {
    /// Whether it names this one.
    pub fn holds(&self, id: &str) -> bool {
        match self.beginning() {
            Some(beginning) => id.starts_with(beginning),
            None => id == self.0,
        }
    }

    /// What the ids begin with, where it may be several.
    pub fn beginning(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MutantPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MutantPattern {
    type Err = MutantPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let beginning = text.strip_suffix('*').unwrap_or(text);
        // A star alone would be all of them, whatever they are.
        let is_id =
            !beginning.is_empty() && !beginning.contains(|c: char| c == '*' || c.is_whitespace());
        match is_id {
            true => Ok(Self(text.to_owned())),
            false => Err(MutantPatternError { found: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_one_and_a_star_all_that_begin_so() {
        let one: MutantPattern = "nvs.factory.ssid".parse().expect("an id");
        assert!(one.holds("nvs.factory.ssid") && !one.holds("nvs.factory.ssid.missing"));
        let some: MutantPattern = "nvs.factory.*".parse().expect("a beginning");
        assert!(some.holds("nvs.factory.ssid") && !some.holds("nvs.other.ssid"));
    }

    #[test]
    fn what_names_nothing_or_everything_is_refused() {
        for text in ["", "*", "nvs.*.missing", "nvs missing", "nvs.**"] {
            let error = text.parse::<MutantPattern>().expect_err(text);
            assert!(
                error.to_string().starts_with(&format!("\"{text}\" names no mutant")),
                "{error}"
            );
        }
    }
}
