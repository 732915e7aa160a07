//! No secret of the unit in its serial log, which everyone with a cable can read.

use super::{Finding, Observations};
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
    let nothing = Limits { lower: None, upper: Some(0.0) };
    finding.measure(
        Code::SecretInLog,
        [Measurement::number("secrets_in_log", Some(seen.leaked.len() as f64), "", nothing)],
    );
    finding
}
