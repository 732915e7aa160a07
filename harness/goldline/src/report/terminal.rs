//! The run on a person's terminal: bars while it lasts, a short verdict at its end.
//!
//! Progress goes to standard error, and only where that is a terminal; the verdict is plain text.

use std::fmt::Write;

use crate::{
    check::NOT_PROVEN,
    engine::Event,
    profile::CheckId,
    record::{
        CheckRecord, EarlierRun, Holds, LeftAs, Measurement, NotProven, Outcome, RadioProof,
        Record, Shipped, Transfer, Verdict,
    },
};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The bars of all runs under way.
#[derive(Clone, Default)]
pub struct Progress(MultiProgress);

impl Progress {
    /// Bars for one more run.
    pub fn add(&self) -> RunProgress {
        let steps = self.0.add(ProgressBar::new(0));
        steps.set_style(style("{prefix} {bar:24} {pos:>2}/{len} {wide_msg}"));
        RunProgress { bars: self.0.clone(), steps, bytes: None, titles: Vec::new() }
    }
}

/// The bars of one run; they go when it ends.
pub struct RunProgress {
    bars: MultiProgress,
    steps: ProgressBar,
    /// Only while a step moves bytes.
    bytes: Option<ProgressBar>,
    titles: Vec<String>,
}

impl RunProgress {
    /// Shows what happened.
    pub fn show(&mut self, event: &Event) {
        match event {
            Event::Started { profile, device, steps, .. } => {
                self.steps.set_prefix(format!("{profile} on {device}"));
                self.steps.set_length(steps.len() as u64);
                self.titles.clone_from(steps);
            }
            Event::StepStarted { index } => {
                self.steps.set_message(self.titles.get(*index).cloned().unwrap_or_default());
            }
            Event::Progress { done, total } => {
                let bytes = self.bytes.get_or_insert_with(|| {
                    let bytes =
                        self.bars.insert_after(&self.steps, ProgressBar::new(*total as u64));
                    bytes.set_style(style("  {bytes:>10} of {total_bytes} {wide_bar}"));
                    bytes
                });
                bytes.set_position(*done as u64);
            }
            Event::StepEnded { index, .. } => {
                self.steps.set_position(*index as u64 + 1);
                self.clear_bytes();
            }
            Event::Identified(unit) => {
                let mac = unit.mac.map(|mac| mac.to_string()).unwrap_or_default();
                self.steps.set_prefix(format!("{} {mac}", self.steps.prefix()));
            }
            Event::HandNeeded { request } => self.steps.set_message(request.clone()),
            Event::HandDone => self.steps.set_message(""),
            Event::Ended(_) => {
                self.clear_bytes();
                self.steps.finish_and_clear();
            }
        }
    }
}

impl RunProgress {
    fn clear_bytes(&mut self) {
        if let Some(bytes) = self.bytes.take() {
            bytes.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are right")
}

/// What the unit holds when it is taken out, and whether it may have started with it.
fn shipped_line(Shipped { holds, left, why }: &Shipped) -> String {
    match (holds, left) {
        (Holds::Final, LeftAs::Held) => format!("shipped with its final image, held: {why}"),
        (Holds::Final, LeftAs::MayHaveBooted) => {
            format!("shipped with its final image, may have booted: {why}")
        }
        (Holds::BenchValues, _) => "not to be shipped: it holds the values of its test".to_owned(),
        (Holds::Unknown, _) => {
            "not to be shipped: its final image was not written, or not read back as it must be"
                .to_owned()
        }
    }
}

/// The verdict as a person reads it at the line: what, which unit, why, what to do.
pub fn verdict_text(record: &Record) -> String {
    let mut text = String::new();
    let verdict = record.verdict.map_or("PROVISIONED".to_owned(), |verdict| verdict.to_string());
    let verdict = match (&record.verdict, &record.diagnosis) {
        (None, Some(_)) => "NOT PROVISIONED".to_owned(),
        _ => verdict,
    };
    let ids = record.unit.ids.values().cloned().collect::<Vec<_>>().join(" ");
    let mac = record.unit.mac.map_or("unknown unit".to_owned(), |mac| mac.to_string());
    let seconds = record.duration_ms as f64 / 1000.0;
    // Whoever stands before a jig looks for the nest first.
    let nest =
        record.provenance.port.as_ref().map_or(String::new(), |_| format!("{} ", record.device));
    line(&mut text, &format!("{verdict}  {} {nest}{mac} {ids}  {seconds:.2} s", record.profile));
    for check in &record.checks {
        line(&mut text, &check_line(check));
        for evidence in check.evidence.iter().filter(|_| check.outcome != Outcome::Pass) {
            line(&mut text, &format!("             {evidence}"));
        }
    }
    if let Some(shipped) = &record.shipped {
        line(&mut text, &format!("  {}", shipped_line(shipped)));
    }
    for NotProven { id, because } in &record.not_proven {
        line(&mut text, &format!("  not proven {id}: {because}"));
    }
    if let Some(network) = not_by_radio(record) {
        line(&mut text, &format!("             radio not proven: the network was {network}"));
    }
    let untold = not_proven_of(record, |check| check == CheckId::SecurityState.name());
    if !untold.is_empty() {
        let untold = untold.join(", ");
        line(&mut text, &format!("             not proven of a locked unit: {untold}"));
    }
    let unseen = not_proven_of(record, |check| check != CheckId::SecurityState.name());
    if !unseen.is_empty() {
        line(&mut text, &format!("             not proven without a radio: {}", unseen.join(", ")));
    }
    if let Some(Transfer { baud, left }) = &record.provenance.transfer
        && !left.is_empty()
    {
        let left: Vec<String> = left.iter().map(u32::to_string).collect();
        let left = left.join(" and ");
        line(&mut text, &format!("             {baud} baud, after errors at {left}"));
    }
    for stage in record.stages.iter().filter(|stage| stage.attempts > 1) {
        line(&mut text, &format!("             {} {}", stage.name, at_attempt(stage.attempts)));
    }
    for earlier in &record.retries {
        let EarlierRun { run_id, code } = earlier;
        line(&mut text, &format!("             run again after {} (run {run_id})", code.as_str()));
    }
    if let Some(diagnosis) = &record.diagnosis {
        line(&mut text, "");
        line(&mut text, &format!("  why   {} ({})", diagnosis.message, diagnosis.code.as_str()));
        line(&mut text, &format!("  do    {}", diagnosis.action));
        line(&mut text, &format!("  more  goldline codes {}", diagnosis.code.as_str()));
    }
    text
}

/// Worth a look even where all went well in the end.
fn at_attempt(attempts: u32) -> String {
    match attempts {
        2 => "at the 2nd attempt".to_owned(),
        3 => "at the 3rd attempt".to_owned(),
        more => format!("at the {more}th attempt"),
    }
}

/// What nobody could see, of these checks: interfaces that should be off, fuses of a locked unit.
fn not_proven_of(record: &Record, of: fn(&str) -> bool) -> Vec<&str> {
    let checks = record.checks.iter().filter(|check| of(&check.id));
    let measured = checks.flat_map(|check| &check.measurements);
    measured.filter(|one| one.value == NOT_PROVEN).map(|one| one.name.as_str()).collect()
}

/// The network of a PASS that says nothing of the unit's radio.
fn not_by_radio(record: &Record) -> Option<&str> {
    let network = record.network.as_ref().filter(|_| record.verdict == Some(Verdict::Pass))?;
    (network.radio == RadioProof::NotProven).then_some(network.name.as_str())
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "{}", content.trim_end()).expect("a string takes every line");
}

fn check_line(check: &CheckRecord) -> String {
    let word = check.outcome.as_str().replace('_', " ");
    let outcome = match check.outcome {
        Outcome::Fail | Outcome::Error => word.to_uppercase(),
        Outcome::Pass | Outcome::NotRun => word,
    };
    let measured: Vec<String> = check.measurements.iter().filter_map(measured).collect();
    format!("  {outcome:7} {:16} {}", check.id, measured.join(", "))
}

/// Numbers with their limits; words stay in the record.
fn measured(measurement: &Measurement) -> Option<String> {
    let Measurement { name, value, unit, lower, upper, .. } = measurement;
    let value = value.as_f64()?;
    let limits = match (lower, upper) {
        (Some(lower), Some(upper)) if lower == upper => String::new(),
        (Some(lower), Some(upper)) => format!(" ({lower}…{upper})"),
        (Some(lower), None) => format!(" (≥ {lower})"),
        (None, Some(upper)) => format!(" (≤ {upper})"),
        (None, None) => String::new(),
    };
    Some(format!("{} {value} {unit}", name.trim_end_matches("_ms")).trim_end().to_owned() + &limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Code, Diagnosis, Limits, Provenance, SCHEMA, Stage, Unit, Verdict};

    fn record() -> Record {
        Record {
            schema: SCHEMA,
            run_id: uuid::Uuid::nil(),
            profile: "espvault".to_owned(),
            device: "simulator:".to_owned(),
            lot: None,
            operator: None,
            started_at: time::OffsetDateTime::UNIX_EPOCH,
            duration_ms: 812,
            verdict: Some(Verdict::Fail),
            diagnosis: Some(Diagnosis::new(
                Code::WifiOutOfLimits,
                "rssi is -80 dBm, expected -75 to -10",
            )),
            panic: None,
            unit: Unit::default(),
            retries: Vec::new(),
            simulation: None,
            provenance: Provenance::default(),
            network: None,
            shipped: None,
            endpoints: Vec::new(),
            stages: Vec::new(),
            not_proven: Vec::new(),
            checks: vec![CheckRecord {
                id: "wifi_join".to_owned(),
                outcome: Outcome::Fail,
                diagnosis: None,
                measurements: vec![Measurement::number(
                    "rssi",
                    Some(-80.0),
                    "dBm",
                    Limits { lower: Some(-75.0), upper: Some(-10.0) },
                )],
                evidence: vec!["serial log: rssi: -80".to_owned()],
            }],
        }
    }

    #[test]
    fn what_took_more_than_one_attempt_is_said() {
        let stage = |attempts| Stage { name: "identify".to_owned(), duration_ms: 1, attempts };
        let text = |attempts| verdict_text(&Record { stages: vec![stage(attempts)], ..record() });
        assert!(!text(1).contains("attempt"), "{}", text(1));
        for (attempts, words) in
            [(2, "at the 2nd attempt"), (3, "at the 3rd attempt"), (4, "at the 4th attempt")]
        {
            assert!(text(attempts).contains(&format!("identify {words}")), "{}", text(attempts));
        }
    }

    #[test]
    fn a_unit_in_a_nest_is_found_by_it() {
        let mut record = record();
        record.device = "nest:3".to_owned();
        record.provenance.port = Some("/dev/ttyUSB3".to_owned());
        let text = verdict_text(&record);
        assert!(text.starts_with("FAIL  espvault nest:3 unknown unit"), "{text}");
    }

    #[test]
    fn a_fail_says_why_and_what_to_do() {
        let text = verdict_text(&record());
        assert!(text.starts_with("FAIL  espvault unknown unit"), "{text}");
        assert!(text.contains("rssi -80 dBm (-75…-10)"), "{text}");
        assert!(text.contains("serial log: rssi: -80"), "{text}");
        assert!(text.contains("why   rssi is -80 dBm"), "{text}");
        assert!(text.contains("do    check the antenna"), "{text}");
        assert!(text.ends_with("more  goldline codes wifi.out_of_limits\n"), "{text}");
    }
}
