//! What gave the unit its values is off once it has them, as far as the bench sees it; and by name what it does not.
//!
//! The answers of a console are the unit's word. What nobody could see is a fact of the record, and no proof.

use super::{Finding, Observations, PortalSeen};
use crate::{
    plan::BoundPlan,
    profile::DialogueName,
    record::{Code, Limits, Measurement},
};

/// What stands for an interface that nobody could see.
pub const NOT_PROVEN: &str = "not_proven";

pub(super) fn judge(plan: &BoundPlan, seen: &Observations) -> Finding {
    let Some(wanted) = &plan.profile().interface_off else { return Finding::not_run() };
    let asked = seen.dialogues.iter().find(|one| one.name == DialogueName::Off.name());
    if asked.is_none() && seen.portal.is_none() {
        return Finding::not_run();
    }
    let mut finding = Finding::ran();
    match &seen.portal {
        Some(PortalSeen::Gone) => {
            finding
                .measure(Code::InterfaceStillOn, [Measurement::word("portal", Some("off"), "off")]);
        }
        Some(PortalSeen::Open(ssid)) => {
            let open = format!("portal: the unit still has its network {ssid} open");
            finding.fail(Code::InterfaceStillOn, open);
            finding
                .measure(Code::InterfaceStillOn, [Measurement::word("portal", Some("on"), "off")]);
        }
        Some(PortalSeen::NotSeen) => not_proven("portal", &mut finding),
        None => {}
    }
    if let Some(dialogue) = asked {
        for exchange in &dialogue.exchanges {
            finding.evidence.extend(exchange.answer.iter().map(|line| format!("console: {line}")));
            if let Some(problem) = exchange.problem() {
                let message = format!("to \"{}\", {}", exchange.sent, problem.message);
                finding.fail(Code::InterfaceStillOn, message);
            }
        }
        let answered = dialogue.exchanges.iter().filter(|one| one.problem().is_none()).count();
        let all = Limits { lower: Some(dialogue.exchanges.len() as f64), upper: None };
        let answered = Measurement::number("lines_answered", Some(answered as f64), "", all);
        finding.measure(Code::InterfaceStillOn, [answered]);
    }
    wanted.not_seen.iter().for_each(|name| not_proven(name, &mut finding));
    finding
}

fn not_proven(name: &str, finding: &mut Finding) {
    finding.evidence.push(format!("{name}: not proven without a radio"));
    finding.measure(Code::InterfaceStillOn, [Measurement::fact(name, Some(NOT_PROVEN))]);
}
