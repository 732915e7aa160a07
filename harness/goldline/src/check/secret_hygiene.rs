//! No secret of the unit in its serial log, which everyone with a cable can read.

use super::{Finding, Observations, console_full};
use crate::record::{Code, Limits, Measurement};

pub(super) fn judge(seen: &Observations) -> Finding {
    if !seen.booted {
        return Finding::not_run();
    }
    let mut finding = Finding::ran();
    if !seen.leaked.is_empty() {
        let names: Vec<&str> = seen.leaked.iter().map(String::as_str).collect();
        finding.fail(
            Code::SecretInLog,
            format!("the unit prints its {} in the serial log", names.join(", ")),
        );
    }
    if seen.leaked.is_empty() && seen.lines_lost > 0 {
        let missing = "no secret stands in the serial log";
        finding.error(Code::ConsoleFull, console_full(seen.lines_lost, missing));
    }
    let nothing = Limits { lower: None, upper: Some(0.0) };
    finding.measure(
        Code::SecretInLog,
        [Measurement::number("secrets_in_log", Some(seen.leaked.len() as f64), "", nothing)],
    );
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Outcome;

    #[test]
    fn a_log_with_lost_lines_proves_no_hygiene_and_excuses_no_leak() {
        let mut seen = Observations { booted: true, lines_lost: 1, ..Observations::default() };
        let blame = |seen: &Observations| {
            judge(seen).blame.map(|(outcome, diagnosis)| (outcome, diagnosis.code))
        };
        assert_eq!(blame(&seen), Some((Outcome::Error, Code::ConsoleFull)));
        seen.leaked.insert("psk".to_owned());
        assert_eq!(blame(&seen), Some((Outcome::Fail, Code::SecretInLog)));
    }
}
