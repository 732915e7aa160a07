//! The unit's console answers the status dialogue as a provisioned unit must.

use super::{Finding, Observations};
use crate::{
    profile::DialogueName,
    record::{Code, Limits, Measurement},
};

pub(super) fn judge(seen: &Observations) -> Finding {
    let name = DialogueName::Status.name();
    let Some(dialogue) = seen.dialogues.iter().find(|dialogue| dialogue.name == name) else {
        return Finding::not_run();
    };
    let mut finding = Finding::ran();
    for exchange in &dialogue.exchanges {
        let earlier = exchange.earlier.iter().flatten();
        finding.evidence.extend(earlier.map(|line| format!("console at the 1st attempt: {line}")));
        finding.evidence.extend(exchange.answer.iter().map(|line| format!("console: {line}")));
        if let Some(problem) = exchange.problem() {
            let (code, message) = (
                Code::ConsoleNotProvisioned,
                format!("to \"{}\", {}", exchange.sent, problem.message),
            );
            match exchange.depends_on {
                None => finding.fail(code, message),
                Some(testbed) => {
                    finding.fail_with_witness(code, testbed, message, exchange.witness.as_ref());
                }
            }
        }
    }
    let measured = dialogue.exchanges.iter().filter_map(|exchange| {
        // What was not answered is blamed above.
        let (sought, found) =
            exchange.measured.as_ref().filter(|_| exchange.problem().is_none())?;
        Some(Measurement::number(&sought.name, *found, &sought.unit, sought.limits))
    });
    finding.measure(Code::MeasuredOutOfLimits, measured);
    let answered =
        dialogue.exchanges.iter().filter(|exchange| exchange.problem().is_none()).count();
    let all = Limits { lower: Some(dialogue.exchanges.len() as f64), upper: None };
    let answered = Measurement::number("lines_answered", Some(answered as f64), "", all);
    finding.measure(Code::ConsoleNotProvisioned, [answered]);
    finding
}
