//! A measured value with its limits.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Outcome;

/// The bounds of a measured number, both inclusive; a missing one does not bind.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Smallest good value.
    pub lower: Option<f64>,
    /// Largest good value.
    pub upper: Option<f64>,
}

impl Limits {
    /// The bounds around a name, for people: `-70 ≤ rssi ≤ 0`.
    pub fn around(&self, name: &str) -> String {
        match (self.lower, self.upper) {
            (Some(lower), Some(upper)) => format!("{lower} ≤ {name} ≤ {upper}"),
            (Some(lower), None) => format!("{name} ≥ {lower}"),
            (None, Some(upper)) => format!("{name} ≤ {upper}"),
            (None, None) => name.to_owned(),
        }
    }

    /// Whether a number is within them.
    pub fn hold(&self, value: f64) -> bool {
        self.lower.is_none_or(|lower| value >= lower)
            && self.upper.is_none_or(|upper| value <= upper)
    }
}

/// One measured value. A measurement that was never set fails.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// What was measured, such as `rssi`.
    pub name: String,
    /// The value; `null` when it was never set.
    pub value: Value,
    /// Its unit, such as `dBm`; empty for a count or a word.
    pub unit: String,
    /// Smallest good value.
    pub lower: Option<f64>,
    /// Largest good value.
    pub upper: Option<f64>,
    /// Pass or fail.
    pub outcome: Outcome,
}

impl Measurement {
    /// Judges a number against its limits; `None` was never measured and fails.
    pub fn number(name: &str, value: Option<f64>, unit: &str, limits: Limits) -> Self {
        let within = value.is_some_and(|value| limits.hold(value));
        Self {
            name: name.to_owned(),
            value: value.map_or(Value::Null, number),
            unit: unit.to_owned(),
            lower: limits.lower,
            upper: limits.upper,
            outcome: pass_if(within),
        }
    }

    /// A word that must be exactly the expected one; `None` was never measured and fails.
    pub fn word(name: &str, value: Option<&str>, expected: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: value.map_or(Value::Null, Value::from),
            unit: String::new(),
            lower: None,
            upper: None,
            outcome: pass_if(value == Some(expected)),
        }
    }

    /// A word without a limit of its own: it passes when it was measured at all.
    pub fn fact(name: &str, value: Option<&str>) -> Self {
        Self { outcome: pass_if(value.is_some()), ..Self::word(name, value, "") }
    }
}

/// A whole number without a decimal point.
fn number(value: f64) -> Value {
    let whole = value as i64;
    if whole as f64 == value { Value::from(whole) } else { Value::from(value) }
}

fn pass_if(good: bool) -> Outcome {
    if good { Outcome::Pass } else { Outcome::Fail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_that_was_never_set_fails() {
        let rssi = Measurement::number("rssi", None, "dBm", Limits::default());
        assert_eq!((rssi.outcome, rssi.value), (Outcome::Fail, Value::Null));
        assert_eq!(Measurement::fact("ip", None).outcome, Outcome::Fail);
    }

    #[test]
    fn a_whole_number_has_no_decimal_point() {
        let text =
            |value| Measurement::number("x", Some(value), "", Limits::default()).value.to_string();
        assert_eq!([4_194_304.0, -45.0, 0.5].map(text), ["4194304", "-45", "0.5"]);
    }

    #[test]
    fn limits_are_inclusive() {
        let limits = Limits { lower: Some(-70.0), upper: Some(0.0) };
        let outcome = |value| Measurement::number("rssi", Some(value), "dBm", limits).outcome;
        assert_eq!([-70.0, 0.0].map(outcome), [Outcome::Pass; 2]);
        assert_eq!([-70.1, 0.1, f64::NAN].map(outcome), [Outcome::Fail; 3]);
    }
}
