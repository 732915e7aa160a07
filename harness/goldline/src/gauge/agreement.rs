//! Whether the runs of a unit came to one verdict: what a test owes before any of its numbers counts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::trial::Trial;

/// What the runs of one unit came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct UnitVerdicts {
    /// Base MAC.
    pub unit: String,
    /// How often it came to what: PASS, or FAIL and its code.
    pub came_to: BTreeMap<String, usize>,
    /// Whether it always passed or always failed, whatever for.
    pub agrees: bool,
    /// The same of each nest or operator, where several had it.
    pub by_appraiser: BTreeMap<String, BTreeMap<String, usize>>,
}

impl UnitVerdicts {
    /// Of each unit, those that disagree first.
    pub(super) fn of(trials: &[Trial]) -> Vec<Self> {
        let mut units: BTreeMap<&str, Vec<&Trial>> = BTreeMap::new();
        for trial in trials {
            units.entry(&trial.unit).or_default().push(trial);
        }
        let mut verdicts: Vec<Self> =
            units.into_iter().map(|(unit, trials)| Self::of_unit(unit, &trials)).collect();
        verdicts.sort_by_key(|unit| unit.agrees);
        verdicts
    }

    fn of_unit(unit: &str, trials: &[&Trial]) -> Self {
        let mut by_appraiser: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        let mut came_to: BTreeMap<String, usize> = BTreeMap::new();
        for trial in trials {
            *came_to.entry(trial.came_to.clone()).or_default() += 1;
            let own = by_appraiser.entry(trial.appraiser.clone()).or_default();
            *own.entry(trial.came_to.clone()).or_default() += 1;
        }
        if by_appraiser.len() == 1 {
            by_appraiser.clear();
        }
        let passed = trials.iter().filter(|trial| trial.passed()).count();
        Self {
            unit: unit.to_owned(),
            came_to,
            agrees: passed == 0 || passed == trials.len(),
            by_appraiser,
        }
    }
}
