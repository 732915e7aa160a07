//! Whether the application starts, and goes on running: what the serial log says of it.
//!
//! For products that are asked for nothing else once they run. Must not know how long was asked for.

use super::{Finding, Observations, limits, wifi_join::count_resets};
use crate::{
    profile::CheckSpec,
    record::{Code, Diagnosis, Measurement},
};

pub(super) fn judge(spec: &CheckSpec, seen: &Observations) -> Finding {
    let Some(start) = &seen.start else { return Finding::not_run() };
    let mut finding = Finding::ran();
    let facts = seen.console.facts();
    if let Some(fact) = facts.boot_fact() {
        let Diagnosis { code, message, .. } = fact.diagnosis();
        finding.fail(code, message);
        return finding;
    }
    count_resets(spec, facts, &mut finding);
    let refused = facts.image_refused.as_ref().filter(|_| !facts.has_application());
    match (refused, start.steady_ms) {
        (Some(line), _) => {
            finding.fail(Code::BootImageRefused, format!("the boot loader says: {line}"));
        }
        (None, None) => {
            let waited = start.waited_ms;
            finding.fail(
                Code::BootSilent,
                format!(
                    "no application started within {waited} ms of the reset; one that prints nothing by itself is told with silent = true in the check start"
                ),
            );
        }
        (None, Some(ran)) => {
            let steady = limits(spec, "steady_ms");
            let ran = Measurement::number("steady_ms", Some(ran as f64), "ms", steady);
            finding.measure(Code::BootUnexpectedReset, [ran]);
        }
    }
    finding
}
