//! Tests of a product's own: an external program that measures, and numbers in what the console answers.
//!
//! Must not know how a program is run, or a console asked.

use std::{collections::BTreeMap, fmt, time::Duration};

use regex::Regex;

use super::Resource;
use crate::{
    process::{Program, Unusable},
    record::Limits,
};

/// An external program that measures a unit while it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnTest {
    /// The check's name in the record; none of Goldline's own.
    pub name: String,
    /// What measures.
    pub program: Program,
    /// What tells whether the instrument itself is sound, before a unit is blamed.
    pub witness: Option<Program>,
    /// How long each of the two may take.
    pub within: Duration,
    /// What it shares with other units, for as long as it measures.
    pub uses: Vec<Resource>,
    /// What must be measured, by name; never nothing.
    pub demands: BTreeMap<String, Demand>,
}

/// What a measured value must be.
#[derive(Clone, PartialEq, Debug)]
pub enum Demand {
    /// A number within limits.
    Within {
        /// Its bounds.
        limits: Limits,
        /// Its unit, such as `mA`; empty for a count.
        unit: String,
    },
    /// A word; `true` and `false` are two.
    Is(String),
}

// No bound is NaN: the parser refuses it.
impl Eq for Demand {}

/// A number in what the console answers.
#[derive(Clone, Debug)]
pub struct ConsoleMeasure {
    /// Its name in the record.
    pub name: String,
    /// Finds it in a line of the answer; has exactly one group.
    pub pattern: Regex,
    /// Its unit, such as `mV`; empty for a count.
    pub unit: String,
    /// Its bounds.
    pub limits: Limits,
}

impl PartialEq for ConsoleMeasure {
    fn eq(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.name.clone(), it.pattern.as_str().to_owned(), it.unit.clone());
        of(self) == of(other) && self.limits == other.limits
    }
}

impl Eq for ConsoleMeasure {}

impl ConsoleMeasure {
    /// The number in the first line that holds one.
    pub fn find(&self, lines: &[String]) -> Option<f64> {
        let found = lines.iter().find_map(|line| self.pattern.captures(line)?.get(1));
        // `parse` takes words for numbers too.
        found?.as_str().trim().parse().ok().filter(|number: &f64| number.is_finite())
    }
}

impl OwnTest {
    /// Whether its programs are there and may be executed.
    ///
    /// # Errors
    /// [`Unusable`] names the one that is not.
    pub fn refuse_unusable(&self) -> Result<(), Unusable> {
        [Some(&self.program), self.witness.as_ref()]
            .into_iter()
            .flatten()
            .try_for_each(Program::refuse_unusable)
    }
}

impl fmt::Display for OwnTest {
    /// As a line of the list of checks: `led: 200 ≤ brightness ≤ 900 lx, colour is green`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (index, (name, demand)) in self.demands.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { ", " })?;
            match demand {
                Demand::Is(word) => write!(f, "{name} is {word}")?,
                Demand::Within { limits, unit } => {
                    f.write_str(&limits.around(name))?;
                    if !unit.is_empty() {
                        write!(f, " {unit}")?;
                    }
                }
            }
        }
        Ok(())
    }
}
