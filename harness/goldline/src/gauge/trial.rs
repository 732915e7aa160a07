//! A run as a trial: which unit, in which hands, what it came to, and what was measured.

use std::collections::{BTreeMap, btree_map::Entry};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::record::{Limits, Measurement, Record, Verdict};

/// What takes the appraiser's part in a study.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Appraisers {
    /// The nests of the jig, or the ports where no nest is named.
    #[default]
    Nests,
    /// Those who ran the test.
    Operators,
}

impl Appraisers {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nests => "nests",
            Self::Operators => "operators",
        }
    }
}

/// One run of one unit that says something of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Base MAC of the unit.
    pub(super) unit: String,
    /// The nest that it lay in, or who ran it.
    pub(super) appraiser: String,
    /// PASS, or FAIL and its code.
    pub(super) came_to: String,
    /// What was measured, by check and name.
    pub(super) measured: BTreeMap<(String, String), Measured>,
}

/// A measured value that was set.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) value: Value,
    pub(super) unit: String,
    pub(super) limits: Limits,
}

/// Why a run is no trial.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
pub enum LeftOut {
    /// Nothing is said of the unit.
    #[error("ERROR, {0}: nothing is said of the unit")]
    Error(String),
    /// Somebody stopped it.
    #[error("ABORTED")]
    Aborted,
    /// It only provisioned.
    #[error("no verdict: the unit was provisioned only")]
    Unjudged,
    /// Nobody knows of which unit it is.
    #[error("the unit was not identified")]
    Unidentified,
    /// The study is by operators.
    #[error("no operator is named")]
    NoOperator,
    /// What was measured may have been measured otherwise.
    #[error("the profile had another text")]
    OtherProfile,
}

impl Trial {
    /// What a record says of its unit.
    ///
    /// # Errors
    /// [`LeftOut`] when it says nothing of one, or names no appraiser.
    pub fn of(record: &Record, appraisers: Appraisers) -> Result<Self, LeftOut> {
        let code = || record.diagnosis.as_ref().map_or("unknown", |why| why.code.as_str());
        let came_to = match record.verdict {
            Some(Verdict::Pass) => "PASS".to_owned(),
            Some(Verdict::Fail) => format!("FAIL {}", code()),
            Some(Verdict::Error) => return Err(LeftOut::Error(code().to_owned())),
            Some(Verdict::Aborted) => return Err(LeftOut::Aborted),
            None => return Err(LeftOut::Unjudged),
        };
        let appraiser = match appraisers {
            Appraisers::Nests => record.device.clone(),
            Appraisers::Operators => record.operator.clone().ok_or(LeftOut::NoOperator)?,
        };
        let unit = record.unit.mac.ok_or(LeftOut::Unidentified)?.to_string();
        let mut measured = BTreeMap::new();
        for check in &record.checks {
            for measurement in &check.measurements {
                take(&mut measured, &check.id, measurement);
            }
        }
        Ok(Self { unit, appraiser, came_to, measured })
    }

    /// Whether the unit passed.
    pub(super) fn passed(&self) -> bool {
        self.came_to == "PASS"
    }
}

/// The same name twice in one check is measured twice: the second has its number.
fn take(
    measured: &mut BTreeMap<(String, String), Measured>,
    check: &str,
    measurement: &Measurement,
) {
    let Measurement { name, value, unit, lower, upper, .. } = measurement;
    let names = std::iter::once(name.clone()).chain((2..).map(|at| format!("{name} {at}")));
    for name in names {
        if let Entry::Vacant(place) = measured.entry((check.to_owned(), name)) {
            let limits = Limits { lower: *lower, upper: *upper };
            place.insert(Measured { value: value.clone(), unit: unit.clone(), limits });
            return;
        }
    }
}
