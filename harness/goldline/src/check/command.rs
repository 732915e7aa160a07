//! What a program of the product's own measured is within its limits.
//!
//! A program that fails, is late, or leaves a value out is the station's: nothing is said of the unit then. A value
//! out of its limits is the unit's, unless the instrument's own witness says that it is not sound.

use serde_json::Value;

use super::{Finding, Observations, OwnTestObservation, describe};
use crate::{
    profile::{CheckSpec, Demand, OwnTest},
    record::{Code, Limits, Measurement, Outcome},
};

pub(super) fn judge(spec: &CheckSpec, seen: &Observations) -> Finding {
    let observed = spec.own.as_ref().and_then(|own| Some((own, seen.own_tests.get(&own.name)?)));
    let Some((own, observed)) = observed else { return Finding::not_run() };
    let mut finding = Finding::ran();
    let reading = match &observed.reading {
        Ok(reading) => reading,
        Err(why) => {
            finding.error(Code::InstrumentFailed, why);
            return finding;
        }
    };
    finding.evidence.extend(reading.evidence.iter().cloned());
    for (name, demand) in &own.demands {
        match measured(name, demand, observed.value(name)) {
            Ok(measurement) => take(measurement, demand, own, observed, &mut finding),
            Err(found) => {
                let message = format!(
                    "{} gave no {name}: it gave {found}, expected {}",
                    own.program,
                    kind(demand)
                );
                finding.error(Code::InstrumentFailed, message);
            }
        }
    }
    for (name, value) in &reading.measurements {
        if !own.demands.contains_key(name) {
            finding.measurements.extend(undemanded(name, value));
        }
    }
    finding
}

/// Whether a value is there and as it must be.
pub(crate) fn is_met(name: &str, demand: &Demand, value: Option<&Value>) -> bool {
    measured(name, demand, value).is_ok_and(|measurement| measurement.outcome == Outcome::Pass)
}

fn measured(name: &str, demand: &Demand, value: Option<&Value>) -> Result<Measurement, String> {
    let value = value.filter(|value| !value.is_null()).ok_or("none")?;
    match demand {
        Demand::Within { limits, unit } => {
            let number = value.as_f64().ok_or_else(|| value.to_string())?;
            Ok(Measurement::number(name, Some(number), unit, *limits))
        }
        Demand::Is(word) => {
            let found = word_of(value).ok_or_else(|| value.to_string())?;
            Ok(Measurement::word(name, Some(&found), word))
        }
    }
}

fn kind(demand: &Demand) -> &'static str {
    match demand {
        Demand::Within { .. } => "a number",
        Demand::Is(_) => "a word, true or false",
    }
}

fn word_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn take(
    measurement: Measurement,
    demand: &Demand,
    own: &OwnTest,
    observed: &OwnTestObservation,
    finding: &mut Finding,
) {
    if measurement.outcome != Outcome::Pass {
        let message = match demand {
            Demand::Within { .. } => describe(&measurement),
            Demand::Is(word) => {
                format!("{} is {}, expected \"{word}\"", measurement.name, measurement.value)
            }
        };
        blame(message, own, observed, finding);
    }
    finding.measurements.push(measurement);
}

fn blame(message: String, own: &OwnTest, observed: &OwnTestObservation, finding: &mut Finding) {
    match &observed.vouched {
        Some(Err(why)) => {
            finding.evidence.push(format!("the unit: {message}"));
            let message = format!("the instrument does not vouch for itself: {why}");
            finding.error(Code::InstrumentFailed, message);
        }
        Some(Ok(words)) => {
            finding.evidence.push(format!("witness: the instrument is sound ({words})"));
            finding.fail(Code::MeasuredOutOfLimits, message);
        }
        None => {
            let unvouched =
                format!("no witness tells whether what {} measured with was sound", own.program);
            finding.evidence.push(unvouched);
            finding.fail(Code::MeasuredOutOfLimits, message);
        }
    }
}

/// What the profile does not ask for is kept, and bound by nothing.
fn undemanded(name: &str, value: &Value) -> Option<Measurement> {
    match value.as_f64() {
        Some(number) => Some(Measurement::number(name, Some(number), "", Limits::default())),
        None => word_of(value).map(|word| Measurement::fact(name, Some(&word))),
    }
}

impl OwnTestObservation {
    /// What was measured under a name.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        let reading = self.reading.as_ref().ok()?;
        reading.measurements.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::{jig::Reading, process::Program, profile::CheckId};

    fn spec() -> CheckSpec {
        let program =
            Program { program: "meter".into(), arguments: Vec::new(), environment: Vec::new() };
        let limits = Limits { lower: Some(200.0), upper: Some(900.0) };
        let number = Demand::Within { limits, unit: "lx".to_owned() };
        let demands = [("light", number), ("colour", Demand::Is("green".to_owned()))];
        let own = OwnTest {
            name: "led".to_owned(),
            program,
            witness: None,
            within: Duration::from_secs(1),
            uses: Vec::new(),
            demands: demands.map(|(name, demand)| (name.to_owned(), demand)).into(),
        };
        CheckSpec { own: Some(Arc::new(own)), ..CheckSpec::of(CheckId::Command) }
    }

    fn judged(
        values: &serde_json::Value,
        vouched: Option<Result<String, String>>,
    ) -> (Outcome, Option<Code>) {
        let values = values.as_object().expect("an object").clone();
        let reading = Reading { measurements: values.into_iter().collect(), evidence: Vec::new() };
        let observed = OwnTestObservation { reading: Ok(reading), vouched };
        let own_tests = [("led".to_owned(), observed)].into();
        let seen = Observations { own_tests, ..Observations::default() };
        let record = judge(&spec(), &seen).into_record("led");
        (record.outcome, record.diagnosis.map(|diagnosis| diagnosis.code))
    }

    #[rstest]
    #[case::good(json!({"light": 412, "colour": "green"}), Outcome::Pass, None)]
    #[case::at_the_bound(json!({"light": 200.0, "colour": "green", "more": 1}), Outcome::Pass, None)]
    #[case::dark(json!({"light": 3, "colour": "green"}), Outcome::Fail, Some(Code::MeasuredOutOfLimits))]
    #[case::red(json!({"light": 412, "colour": "red"}), Outcome::Fail, Some(Code::MeasuredOutOfLimits))]
    #[case::left_out(json!({"light": 412}), Outcome::Error, Some(Code::InstrumentFailed))]
    #[case::null(json!({"light": null, "colour": "green"}), Outcome::Error, Some(Code::InstrumentFailed))]
    #[case::a_word(json!({"light": "412", "colour": "green"}), Outcome::Error, Some(Code::InstrumentFailed))]
    #[case::a_number(json!({"light": 412, "colour": 3}), Outcome::Error, Some(Code::InstrumentFailed))]
    fn each_value_is_judged(
        #[case] values: serde_json::Value,
        #[case] outcome: Outcome,
        #[case] code: Option<Code>,
    ) {
        assert_eq!(judged(&values, None), (outcome, code));
    }

    #[test]
    fn an_instrument_that_does_not_vouch_for_itself_says_nothing_of_a_unit() {
        let dark = json!({"light": 3, "colour": "green"});
        let failed = (Outcome::Fail, Some(Code::MeasuredOutOfLimits));
        assert_eq!(judged(&dark, Some(Ok("reference 500 lx".to_owned()))), failed);
        let unsound = (Outcome::Error, Some(Code::InstrumentFailed));
        assert_eq!(judged(&dark, Some(Err("lamp off".to_owned()))), unsound);
    }
}
