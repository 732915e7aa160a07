//! JUnit XML: what came of units, in the form that a CI shows.
//!
//! A suite is a unit's run, a case one of its checks. A FAIL is a failure and an ERROR an error; what was never
//! reached, and all that a stopped run left open, is skipped with the reason. Reads records only, which hold no
//! secret.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use time::format_description::well_known::Rfc3339;

use crate::record::{CheckRecord, Diagnosis, NotProven, Outcome, Record, Verdict};

/// The XML of runs, in the order of the devices.
pub fn junit_report(records: &[Record]) -> String {
    let mut report = Report::new("goldline");
    report.add_test_suites(records.iter().map(suite));
    let longest = records.iter().map(|record| record.duration_ms).max();
    report.set_time(Duration::from_millis(longest.unwrap_or_default()));
    report.to_string().expect("XML is written into memory")
}

fn suite(record: &Record) -> TestSuite {
    let mut suite = TestSuite::new(name(record));
    suite.set_time(Duration::from_millis(record.duration_ms));
    suite.timestamp =
        record.started_at.format(&Rfc3339).ok().and_then(|started| started.parse().ok());
    for (name, value) in properties(record) {
        suite.add_property((name, value.as_str()));
    }
    suite.add_test_cases(record.checks.iter().map(|check| case(record, check)));
    suite.add_test_cases(record.not_proven.iter().map(|one| case_without(record, one)));
    suite.add_test_cases(case_of_run(record));
    suite
}

/// Which unit, as far as it was identified.
fn name(record: &Record) -> String {
    let unit = record.unit.mac.map_or_else(|| record.device.clone(), |mac| mac.to_string());
    format!("{} {unit}", record.profile)
}

fn properties(record: &Record) -> Vec<(&'static str, String)> {
    let given = [
        ("verdict", record.verdict.map(|verdict| verdict.to_string())),
        ("mac", record.unit.mac.map(|mac| mac.to_string())),
        ("network", record.network.as_ref().map(|network| network.name.clone())),
        ("profile_digest", record.provenance.profile_digest.clone()),
        ("emulator", record.provenance.emulator.clone()),
        ("lot", record.lot.clone()),
    ];
    let earlier = record.retries.iter();
    let earlier = earlier.map(|run| ("retry_of", format!("{} {}", run.run_id, run.code.as_str())));
    let run = [
        ("run_id", record.run_id.to_string()),
        ("profile", record.profile.clone()),
        ("device", record.device.clone()),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    run.into_iter().chain(given).chain(earlier).collect()
}

fn case(record: &Record, check: &CheckRecord) -> TestCase {
    let status = match check.outcome {
        Outcome::Pass => TestCaseStatus::success(),
        _ if record.verdict == Some(Verdict::Aborted) => skipped(record),
        Outcome::NotRun => skipped(record),
        Outcome::Fail => not_good(NonSuccessKind::Failure, check.diagnosis.as_ref()),
        Outcome::Error => not_good(NonSuccessKind::Error, check.diagnosis.as_ref()),
    };
    let mut case = TestCase::new(check.id.as_str(), status);
    case.set_classname(record.profile.as_str());
    case.time = time_of(record, &check.id);
    if !check.evidence.is_empty() {
        case.set_system_out(check.evidence.join("\n"));
    }
    case
}

/// What the run went without, so that it is missed by nobody who reads the list.
fn case_without(record: &Record, NotProven { id, because }: &NotProven) -> TestCase {
    let mut status = TestCaseStatus::skipped();
    status.set_message(format!("not proven: {because}"));
    let mut case = TestCase::new(id.as_str(), status);
    case.set_classname(record.profile.as_str());
    case
}

/// A case of its own for what no check says: that the unit was provisioned, or why the run came to its end.
fn case_of_run(record: &Record) -> Option<TestCase> {
    let says = |outcome| record.checks.iter().any(|check| check.outcome == outcome);
    let diagnosis = record.diagnosis.as_ref();
    let (name, status) = match (record.verdict, diagnosis) {
        (Some(Verdict::Pass), _) => return None,
        (Some(Verdict::Fail), _) if says(Outcome::Fail) => return None,
        (Some(Verdict::Error), _) if says(Outcome::Error) => return None,
        (Some(Verdict::Fail), _) => ("run", not_good(NonSuccessKind::Failure, diagnosis)),
        (Some(Verdict::Error), _) => ("run", not_good(NonSuccessKind::Error, diagnosis)),
        (Some(Verdict::Aborted), _) => ("run", skipped(record)),
        (None, None) => ("provision", TestCaseStatus::success()),
        (None, Some(why)) if why.is_abort() => ("provision", skipped(record)),
        (None, Some(_)) if says(Outcome::Fail) => {
            ("provision", not_good(NonSuccessKind::Failure, diagnosis))
        }
        (None, Some(_)) => ("provision", not_good(NonSuccessKind::Error, diagnosis)),
    };
    let mut case = TestCase::new(name, status);
    case.set_classname(record.profile.as_str());
    Some(case)
}

fn not_good(kind: NonSuccessKind, diagnosis: Option<&Diagnosis>) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    if let Some(Diagnosis { code, message, action }) = diagnosis {
        status.set_type(code.as_str());
        status.set_message(message.as_str());
        let more = format!("{message}\n{action}\nmore: goldline codes {}", code.as_str());
        status.set_description(more);
    }
    status
}

/// With why the run did not come to it.
fn skipped(record: &Record) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    let reason = match &record.diagnosis {
        Some(Diagnosis { code, message, .. }) => format!("{message} ({})", code.as_str()),
        None => "the run did not come to it".to_owned(),
    };
    status.set_message(reason);
    status
}

/// What the stages that are a check's own took; most checks judge what several stages saw.
fn time_of(record: &Record, check: &str) -> Option<Duration> {
    let own = record.stages.iter().filter(|stage| stage.name == check);
    own.map(|stage| Duration::from_millis(stage.duration_ms)).reduce(|sum, more| sum + more)
}
