//! Why a case is not good, as text: outcome, diagnosis, measurements with limits, evidence, and the
//! end of the serial log.
//!
//! Reads a record and the serial log beside it, nothing else.

use std::{
    fmt::{self, Write as _},
    fs,
    path::PathBuf,
};

use goldline::record::{CheckRecord, Diagnosis, Measurement, Outcome, Record, Verdict};
use serde_json::Value;

/// How much of the serial log is shown.
const TAIL_LINES: usize = 30;

/// Why the case of `check` fails; `None` when it is good. `evidence` is the run's folder.
pub fn of_check(record: &Record, check: &str, evidence: PathBuf) -> Option<String> {
    let Some(seen) = record.checks.iter().find(|seen| seen.id == check) else {
        return Some(text(record, &format!("{check}: not in the record"), None, evidence));
    };
    if seen.outcome != Outcome::Pass {
        let outcome = format!("{check}: {}", outcome_name(seen.outcome));
        return Some(text(record, &outcome, Some(seen), evidence));
    }
    // Something besides the checks can be wrong; then no case may look good.
    let explained = record.checks.iter().any(|other| other.outcome != Outcome::Pass);
    if record.verdict != Some(Verdict::Pass) && !explained {
        let outcome = format!("{check}: pass, but the unit is not");
        return Some(text(record, &outcome, Some(seen), evidence));
    }
    None
}

fn text(record: &Record, outcome: &str, check: Option<&CheckRecord>, evidence: PathBuf) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("{outcome}"));
    line(&mut text, format_args!("{}", unit(record)));
    let of_check = check.and_then(|check| check.diagnosis.as_ref());
    if let Some(diagnosis) = of_check.or(record.diagnosis.as_ref()) {
        add_diagnosis(&mut text, diagnosis);
    }
    if let Some(check) = check {
        add_measurements(&mut text, &check.measurements);
        add_evidence(&mut text, &check.evidence);
    }
    add_serial_log(&mut text, &evidence.join("console.log"));
    text
}

fn unit(record: &Record) -> String {
    let verdict = record.verdict.map_or("no verdict".to_owned(), |verdict| verdict.to_string());
    let mac = record.unit.mac.map_or("unknown unit".to_owned(), |mac| mac.to_string());
    format!("  {verdict}: {} {mac} on {}, run {}", record.profile, record.device, record.run_id)
}

fn add_diagnosis(text: &mut String, diagnosis: &Diagnosis) {
    line(text, format_args!("  why  {} ({})", diagnosis.message, diagnosis.code.as_str()));
    line(text, format_args!("  do   {}", diagnosis.action));
}

fn add_measurements(text: &mut String, measurements: &[Measurement]) {
    line(text, format_args!("\nmeasurements:"));
    if measurements.is_empty() {
        line(text, format_args!("  none was taken"));
    }
    for measurement in measurements {
        let Measurement { name, value, unit, outcome, .. } = measurement;
        let value = match value {
            Value::Null => "not measured".to_owned(),
            Value::String(word) => word.clone(),
            number => format!("{number} {unit}").trim_end().to_owned(),
        };
        let limits = limits(measurement);
        line(text, format_args!("  {name:16} {value} ({limits}): {}", outcome_name(*outcome)));
    }
}

fn limits(measurement: &Measurement) -> String {
    match (measurement.lower, measurement.upper) {
        (Some(lower), Some(upper)) => format!("limits {lower} to {upper}"),
        (Some(lower), None) => format!("limit {lower} or more"),
        (None, Some(upper)) => format!("limit {upper} or less"),
        (None, None) => "no limits".to_owned(),
    }
}

fn add_evidence(text: &mut String, evidence: &[String]) {
    if !evidence.is_empty() {
        line(text, format_args!("\nevidence:"));
    }
    for fact in evidence {
        line(text, format_args!("  {fact}"));
    }
}

fn add_serial_log(text: &mut String, path: &std::path::Path) {
    let log = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    if lines.is_empty() {
        line(text, format_args!("\nserial log: empty"));
        return;
    }
    let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let (shown, all) = (tail.len(), lines.len());
    line(text, format_args!("\nserial log, last {shown} of {all} lines ({}):", path.display()));
    for printed in tail {
        line(text, format_args!("  {printed}"));
    }
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "FAIL",
        Outcome::Error => "ERROR",
        Outcome::NotRun => "not run",
    }
}

fn line(text: &mut String, content: fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("a String takes every text");
}
