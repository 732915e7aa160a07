//! Exit codes, which scripts rely on.

use crate::record::{Code, Diagnosis, Outcome, Record, Verdict};

/// The unit is good, or the command did what was asked.
pub const PASS: u8 = 0;
/// The unit is bad.
pub const FAIL: u8 = 1;
/// The arguments or the profile are wrong; nothing was touched.
pub const USAGE: u8 = 2;
/// The station or the testbed is at fault.
pub const ERROR: u8 = 3;
/// Someone stopped the run.
pub const ABORTED: u8 = 4;

/// The code of one run. `provision` has no verdict: it is good unless something went wrong.
pub fn of(record: &Record) -> u8 {
    match record.verdict {
        Some(Verdict::Pass) => PASS,
        Some(Verdict::Fail) => FAIL,
        // Refused as an argument is: it was found before anything was written.
        Some(Verdict::Error) if is_untouched_twin(record) => USAGE,
        Some(Verdict::Error) => ERROR,
        Some(Verdict::Aborted) => ABORTED,
        None => without_verdict(record),
    }
}

/// Whether another unit's identity was planned for a unit that was only identified.
fn is_untouched_twin(record: &Record) -> bool {
    let taken = |diagnosis: &Diagnosis| diagnosis.code == Code::IdentityTaken;
    let writes = |name: &str| name == "erase" || name.starts_with("write");
    record.diagnosis.as_ref().is_some_and(taken)
        && !record.stages.iter().any(|stage| writes(&stage.name))
}

fn without_verdict(record: &Record) -> u8 {
    match &record.diagnosis {
        None => PASS,
        Some(diagnosis) if diagnosis.code == Code::Aborted => ABORTED,
        Some(_) if record.checks.iter().any(|check| check.outcome == Outcome::Fail) => FAIL,
        Some(_) if is_untouched_twin(record) => USAGE,
        Some(_) => ERROR,
    }
}

/// The worst of several codes; they are ordered by gravity.
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    codes.into_iter().max().unwrap_or(PASS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_unit_decides() {
        assert_eq!(worst([PASS, FAIL, PASS]), FAIL);
        assert_eq!(worst([FAIL, ERROR]), ERROR);
        assert_eq!(worst([ABORTED, ERROR, FAIL]), ABORTED);
    }
}
