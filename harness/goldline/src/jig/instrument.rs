//! What a measuring program is asked and what it answers, as JSON.
//!
//! ```text
//! asked:    {"schema":1,"test":"led","unit":{"mac":"24:0a:c4:00:01:10",…},"measure":["brightness"]}
//! answered: {"measurements":{"brightness":412,"colour":"green"},"evidence":["dark current 3 nA"]}
//! ```
//!
//! Must not know what a value should be.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};
use serde_json::Value;

use crate::{
    process::{Program, ProgramError},
    record::Unit,
};

/// Raised when a program that knows the earlier form would misread the question.
const SCHEMA: u32 = 1;
/// More than any instrument tells of one unit.
const MOST_VALUES: usize = 64;
const MOST_EVIDENCE: usize = 20;

/// What a program is told. No secret is in it.
#[derive(Clone, Debug, Serialize)]
pub struct Question {
    schema: u32,
    /// The test's name in the profile.
    test: String,
    /// The profile's name.
    profile: String,
    /// The run, as its record calls it.
    run_id: uuid::Uuid,
    /// The device, as its record calls it.
    device: String,
    /// The unit, as its record calls it.
    unit: Unit,
    /// The values that the profile asks for.
    measure: Vec<String>,
}

/// What a program measured.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// By name, in the program's order: numbers, words, true or false, or `null` where it could not measure.
    #[serde(deserialize_with = "once_each")]
    pub measurements: Vec<(String, Value)>,
    /// What whoever reads the record should know besides.
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// A program gave no reading.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum NoReading {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(
        "{program} answered {}: {error}; expected {{\"measurements\":{{\"NAME\":VALUE}}}}",
        shortened(.answer)
    )]
    Malformed { program: String, answer: String, error: serde_json::Error },
    #[error("{program} answered {found} {what}: expected {most} at most")]
    TooMany { program: String, what: &'static str, found: usize, most: usize },
}

impl NoReading {
    /// The same with what was said as it may be shown: before it is cut, for half a secret is not recognised.
    pub fn shown(self, mask: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Program(error) => Self::Program(error.shown(mask)),
            Self::Malformed { program, answer, error } => {
                Self::Malformed { program, answer: mask(&answer), error }
            }
            other => other,
        }
    }
}

impl Question {
    /// Of a test, the run that makes it, and the unit that it is of.
    pub fn new(
        test: &str,
        (profile, run_id, device): (&str, uuid::Uuid, &str),
        unit: Unit,
        measure: Vec<String>,
    ) -> Self {
        let [test, profile, device] = [test, profile, device].map(str::to_owned);
        Self { schema: SCHEMA, test, profile, run_id, device, unit, measure }
    }

    fn line(&self) -> String {
        serde_json::to_string(self).expect("a question is plain data") + "\n"
    }
}

/// Asks a program once. Blocks.
///
/// # Errors
/// [`NoReading`]: then nothing is known of the unit.
pub fn ask(
    program: &Program,
    question: &Question,
    limit: Duration,
    given_up: impl Fn() -> bool,
) -> Result<Reading, NoReading> {
    let answer = program.run(question.line().as_bytes(), limit, given_up)?;
    let malformed = |error| NoReading::Malformed {
        program: program.to_string(),
        answer: answer.clone(),
        error,
    };
    let reading: Reading = serde_json::from_str(&answer).map_err(malformed)?;
    let counted = [
        ("values", reading.measurements.len(), MOST_VALUES),
        ("lines of evidence", reading.evidence.len(), MOST_EVIDENCE),
    ];
    match counted.into_iter().find(|(_, found, most)| found > most) {
        None => Ok(reading),
        Some((what, found, most)) => {
            Err(NoReading::TooMany { program: program.to_string(), what, found, most })
        }
    }
}

/// Asks a program whether the instrument itself is sound, and gives its words. Blocks.
///
/// # Errors
/// [`ProgramError`]: then it is not, as far as anyone knows.
pub fn vouch(
    program: &Program,
    question: &Question,
    limit: Duration,
    given_up: impl Fn() -> bool,
) -> Result<String, ProgramError> {
    let said = program.run(question.line().as_bytes(), limit, given_up)?;
    Ok(said.trim().to_owned())
}

/// As much of an answer as is told, after it was masked.
pub fn shortened(answer: &str) -> String {
    const SHOWN: usize = 120;
    match answer.trim() {
        "" => "nothing".to_owned(),
        text if text.chars().count() <= SHOWN => text.to_owned(),
        text => format!("{}…", text.chars().take(SHOWN).collect::<String>()),
    }
}

/// A value that stands twice would be two, and which of them is the unit's nobody knows.
fn once_each<'de, D: Deserializer<'de>>(values: D) -> Result<Vec<(String, Value)>, D::Error> {
    struct Values;
    impl<'de> Visitor<'de> for Values {
        type Value = Vec<(String, Value)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("values by name")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut values: Self::Value = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, Value>()? {
                if values.iter().any(|(known, _)| *known == name) {
                    return Err(M::Error::custom(format!("\"{name}\" stands twice")));
                }
                if value.is_array() || value.is_object() {
                    let message = format!("\"{name}\" is no number, word, true, false or null");
                    return Err(M::Error::custom(message));
                }
                values.push((name, value));
            }
            Ok(values)
        }
    }
    values.deserialize_map(Values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that answers with its arguments, and not with a script of its own.
    fn answer(text: &str) -> Result<Reading, NoReading> {
        let program = Program {
            program: "printf".into(),
            arguments: vec!["%s".to_owned(), text.to_owned()],
            environment: Vec::new(),
        };
        let question = Question::new(
            "led",
            ("lamp", uuid::Uuid::nil(), "/dev/x"),
            Unit::default(),
            Vec::new(),
        );
        ask(&program, &question, Duration::from_secs(60), || false)
    }

    #[test]
    fn a_reading_has_its_values_in_order_and_its_evidence() {
        let text = r#"{"measurements":{"b":412.5,"a":"green","c":true,"d":null},"evidence":["x"]}"#;
        let reading = answer(text).expect("a reading");
        let names: Vec<&str> = reading.measurements.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, reading.evidence), (vec!["b", "a", "c", "d"], vec!["x".to_owned()]));
    }

    #[test]
    fn what_is_no_reading_is_refused_with_its_position() {
        for (text, words) in [
            ("", "answered nothing: EOF"),
            ("412", "invalid type: integer `412`"),
            (r#"{"measurements":{"b":}}"#, "line 1 column 22"),
            (r#"{"measurements":{"b":1,"b":2}}"#, "\"b\" stands twice"),
            (r#"{"measurements":{"b":[1]}}"#, "\"b\" is no number"),
            (r#"{"measurement":{"b":1}}"#, "unknown field `measurement`"),
            (r#"{"measurements":{"b":NaN}}"#, "expected value"),
            (r#"{"measurements":{}} and more"#, "trailing characters"),
        ] {
            let error = answer(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn an_answer_without_measure_is_refused() {
        let values: Vec<String> = (0..=MOST_VALUES).map(|n| format!("\"v{n}\":{n}")).collect();
        let error = answer(&format!("{{\"measurements\":{{{}}}}}", values.join(",")));
        assert_eq!(
            error.expect_err("too many").to_string().split(": ").nth(1),
            Some("expected 64 at most")
        );
    }
}
