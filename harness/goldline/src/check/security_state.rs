//! The security fuses are as the profile demands, and the unit joined with them so.
//!
//! They are read before the boot of the trial and once more after it. A fuse that is wrong fails the unit whatever
//! else it does; fuses that are right pass it only when everything that shows the unit running passed too, and when
//! none changed meanwhile: otherwise it was another state that joined.

use super::{Finding, FusesSeen, NOT_PROVEN, Observations, judge_one};
use crate::{
    device::Fuses,
    plan::BoundPlan,
    profile::{CheckId, DownloadMode},
    record::{Code, Measurement, Outcome},
    security::{self, compare},
};

/// What shows that the unit runs, each where the profile asks for it.
const RUNS: [CheckId; 4] =
    [CheckId::Start, CheckId::WifiJoin, CheckId::NetworkJoin, CheckId::MqttConnect];

pub(super) fn judge(plan: &BoundPlan, seen: &Observations) -> Finding {
    let Some(demand) = &plan.profile().security else { return Finding::not_run() };
    let Some(FusesSeen { before, after }) = &seen.fuses else { return Finding::not_run() };
    let mut finding = Finding::ran();
    let Some(last) = last_told(before.as_ref(), after.as_ref()) else {
        let message = "this device does not let anyone ask for the unit's eFuses";
        finding.error(Code::SecurityNotProven, message);
        return finding;
    };
    let compared = compare(demand, &last);
    blame(&compared, &mut finding);
    blame_answers(&compared, &mut finding);
    if finding.blame.is_none() {
        let (Some(before), Some(after)) = (before, after) else { return Finding::not_run() };
        if !runs(plan, seen) {
            return Finding::not_run();
        }
        let fell_silent = before.iter().any(|(name, _)| !after.has(name));
        if fell_silent {
            let message = "the loader told the fuses before the unit was tested, and tells less of them after: nobody saw it join as it is now";
            finding.error(Code::SecurityNotProven, message);
        }
        let changed = changes(before, after);
        if !changed.is_empty() {
            let message = format!(
                "the fuses are as demanded, and changed while the unit was tested ({}): nobody saw it join as it is now",
                changed.join(", ")
            );
            finding.error(Code::SecurityNotProven, message);
        }
    }
    for one in compared.iter().filter(|one| !one.untold.is_empty()) {
        let fuses: Vec<&str> = one.untold.iter().copied().collect();
        let fuses = fuses.join(", ");
        finding
            .evidence
            .push(format!("{}: not proven, a locked unit does not tell {fuses}", one.what));
    }
    finding.measure(Code::SecurityNotBurnt, compared.iter().map(measured_of));
    finding
}

/// The fuses as they were told last, each: a loader that says nothing more takes nothing back.
fn last_told(before: Option<&Fuses>, after: Option<&Fuses>) -> Option<Fuses> {
    let chip = after.or(before)?.chip;
    let told = before.into_iter().chain(after).flat_map(Fuses::iter);
    Some(Fuses::new(chip, told))
}

/// Whose fuse takes the loader away, and answers all the same: chips before the third revision of the ESP32 ignore it.
fn blame_answers(compared: &[security::Finding], finding: &mut Finding) {
    let told = |one: &&security::Finding| one.what == "download_mode" && one.untold.is_empty();
    let disabled = DownloadMode::Disabled.name();
    for one in compared.iter().filter(told) {
        if one.demanded == disabled && one.found == disabled {
            let message = "download_mode is disabled by its fuse, and the loader answers all the same: this chip ignores the fuse, or was not reset since it was burnt";
            finding.fail(Code::SecurityNotBurnt, message);
        }
    }
}

/// What is right as far as it was told, and was not told whole, is not proven.
fn measured_of(one: &security::Finding) -> Measurement {
    let is_wrong = !one.missing.is_empty() || !one.excess.is_empty();
    if is_wrong || one.untold.is_empty() {
        return Measurement::word(one.what, Some(&one.found), one.demanded);
    }
    Measurement::fact(one.what, Some(NOT_PROVEN))
}

/// What cannot be undone is said before what can be mended.
fn blame(compared: &[security::Finding], finding: &mut Finding) {
    let word = |one: &security::Finding, fuse: String| {
        format!("{} is {}, demanded is {}: {fuse}", one.what, one.found, one.demanded)
    };
    for one in compared {
        for burnt in &one.excess {
            finding.evidence.push(burnt.to_string());
            finding.fail(Code::SecurityBurnt, word(one, burnt.to_string()));
        }
    }
    for one in compared {
        for missing in &one.missing {
            finding.evidence.push(missing.to_string());
            finding.fail(Code::SecurityNotBurnt, word(one, missing.to_string()));
        }
    }
}

fn runs(plan: &BoundPlan, seen: &Observations) -> bool {
    let mut shown = plan.plan().checks().filter(|spec| RUNS.contains(&spec.id));
    shown.all(|spec| judge_one(spec, Some(plan), seen).outcome == Outcome::Pass)
}

/// The fuses that are other than before, in words.
fn changes(before: &Fuses, after: &Fuses) -> Vec<String> {
    let changed = after.iter().filter(|(name, bits)| before.get(name) != Some(*bits));
    changed
        .map(|(name, bits)| format!("{name} {:#x} to {bits:#x}", before.get(name).unwrap_or(0)))
        .collect()
}
