//! NVS structure and content against the plan and the golden.
//!
//! Before the first boot the whole image must be the planned one, byte for byte. After it, the
//! plan's own keys must be unchanged and nothing may be there that the profile does not name; so too
//! for a unit that an earlier command provisioned, since it may have run in the meantime.
//! No value is ever shown: a difference is told by key, type and length.

use goldline_nvs::{
    DeviceView, Document, Image, Severity, Value,
    crypt::DecryptError,
    diff,
    diff::{Change, ChangeKind},
};

use super::{Evidence, FINALLY, Finding, Observations, nvs_foreign, observations::places};
use crate::{
    plan::{BoundPlan, Expects, Moment, NvsState, Scope},
    profile::{DialogueName, Exchange, NvsEntry, Part},
    record::{Code, Limits, Measurement},
};

/// What a service gives the unit during the run is named so in a profile.
const ISSUED: &str = "issued.";

pub(super) fn judge(both: &BoundPlan, seen: &Observations) -> Finding {
    let plan = both.tested();
    let Some(before) = &seen.before_boot else { return Finding::not_run() };
    let mut finding = Finding::ran();
    if let Some(differed) = &before.nvs_rewritten {
        let differed = places(differed);
        finding.evidence.push(format!("it was written once more, since it differed at {differed}"));
    }
    let mut keys = match plan.plan().nvs_before_boot() {
        NvsState::Blank => {
            judge_blank(&before.nvs, &mut finding);
            None
        }
        NvsState::Keys => read("before the first boot", plan, seen, &before.nvs, &mut finding),
        NvsState::Image => {
            let keys = read("before the first boot", plan, seen, &before.nvs, &mut finding);
            judge_bytes("before the first boot", plan, &before.nvs, &mut finding);
            keys
        }
    };
    judge_others("before the first boot", Moment::BeforeBoot, plan, before, &mut finding);
    if let (Some(earlier), Scope::Reprovision(part)) = (&seen.nvs_before, plan.plan().scope) {
        compare_kept(plan, part, earlier, seen, &mut finding);
    }
    if let Some(after) = &seen.after_boot {
        let left = read("after the firmware ran", plan, seen, &after.nvs, &mut finding);
        keys = keys.or(left);
        judge_others("after the firmware ran", Moment::AfterBoot, plan, after, &mut finding);
    }
    let planned = plan.document().map(|document| document.entries().count() as f64);
    if let (Some(keys), Ok(planned)) = (keys, planned) {
        let all = Limits { lower: Some(planned), upper: None };
        finding.measure(
            Code::NvsKeyMissing,
            [Measurement::number("keys_compared", Some(keys as f64), "", all)],
        );
    }
    judge_final(both, seen, &mut finding);
    // The last: whatever is wrong with the unit itself outranks it. A golden is of what is shipped.
    let reviewed = match both.is_of_two() {
        true => seen.finally.as_ref(),
        false => Some(before),
    };
    if let (Some(golden), Some(reviewed)) = (&plan.plan().golden, reviewed) {
        compare_golden(both.shipped(), golden, &reviewed.nvs, &mut finding);
    }
    finding
}

/// What a unit is shipped with that was tested with other values; nothing while it was not read back.
pub(super) fn judge_final(plan: &BoundPlan, seen: &Observations, finding: &mut Finding) {
    let (Some(last), plan) = (&seen.finally, plan.shipped()) else { return };
    if let Some(differed) = &last.nvs_rewritten {
        let differed = places(differed);
        finding
            .evidence
            .push(format!("{FINALLY} it was written once more, since it differed at {differed}"));
    }
    let keys = read(FINALLY, plan, seen, &last.nvs, finding);
    judge_bytes(FINALLY, plan, &last.nvs, finding);
    let planned = plan.document().map(|document| document.entries().count() as f64);
    if let (Some(keys), Ok(planned)) = (keys, planned) {
        let all = Limits { lower: Some(planned), upper: None };
        let measured = Measurement::number("final_keys_compared", Some(keys as f64), "", all);
        finding.measure(Code::NvsKeyMissing, [measured]);
    }
}

/// NVS partitions beside the unit's own, as far as a firmware may have written them.
fn judge_others(
    moment: &str,
    at: Moment,
    plan: &BoundPlan,
    evidence: &Evidence,
    finding: &mut Finding,
) {
    let coverage = plan.plan().coverage(at);
    for span in coverage.read().filter(|span| span.expects == Expects::FirmwaresNvs) {
        if let Some(bytes) = evidence.partitions.get(&span.name) {
            nvs_foreign::Partition { moment, name: &span.name, plan }.judge(bytes, finding);
        }
    }
}

/// Before the unit's own firmware writes its values, nothing of an earlier life may be there.
fn judge_blank(found: &[u8], finding: &mut Finding) {
    match found.iter().position(|byte| *byte != 0xFF) {
        None => finding.evidence.push(format!("all {} bytes are blank", found.len())),
        Some(at) => finding.fail(
            Code::NvsUnexpected,
            format!(
                "the NVS partition is not blank before the first boot: byte {at:#x} is written"
            ),
        ),
    }
}

/// A re-provisioning changes the keys of its part, and no other, in any namespace.
fn compare_kept(
    plan: &BoundPlan,
    part: Part,
    earlier: &[u8],
    seen: &Observations,
    finding: &mut Finding,
) {
    let Some(later) = &seen.before_boot else { return };
    let (earlier, later) = match (plan.plain_nvs(earlier), plan.plain_nvs(&later.nvs)) {
        (Ok(earlier), Ok(later)) => (earlier, later),
        (Err(error), _) | (_, Err(error)) => {
            return finding.fail(not_decrypted(&error), format!("before or after: {error}"));
        }
    };
    let (Ok(earlier), Ok(later)) = (Image::decode(&earlier), Image::decode(&later)) else {
        return finding.fail(Code::NvsDamaged, "the NVS partition cannot be read before or after");
    };
    let own = &plan.profile().nvs;
    let may_change = |change: &Change| {
        let foreign = own.foreign_namespaces.contains(&change.namespace.to_string());
        foreign
            || plan.plan().rewrites(part, &change.namespace.to_string(), &change.key.to_string())
    };
    let changes = diff(&earlier.device_view(), &later.device_view());
    let changed = changes.iter().filter(|change| !may_change(change)).map(describe);
    let changed: Vec<String> = changed.collect();
    if changed.is_empty() {
        let kept = earlier.device_view().entries().len().saturating_sub(changes.len());
        finding.evidence.push(format!("{kept} keys are as they were before"));
    } else {
        finding.fail(
            Code::NvsValueDiffers,
            format!("keys that must stay were changed: {}", changed.join("; ")),
        );
    }
}

/// One that other keys encrypted is sound in itself, and another unit's.
fn not_decrypted(error: &DecryptError) -> Code {
    match error {
        DecryptError::WrongKey => Code::NvsOfAnotherUnit,
        DecryptError::NotEncrypted | DecryptError::NotNvs(_) => Code::NvsDamaged,
    }
}

/// Decodes an image and compares its keys; returns how many of the planned ones are right, `None` when
/// what is planned was never learnt.
fn read(
    moment: &str,
    plan: &BoundPlan,
    seen: &Observations,
    bytes: &[u8],
    finding: &mut Finding,
) -> Option<usize> {
    let planned = plan.document().ok()?;
    let bytes = match plan.plain_nvs(bytes) {
        Ok(plain) => plain,
        Err(error) => {
            finding.fail(not_decrypted(&error), format!("{moment}: {error}"));
            return Some(0);
        }
    };
    let bytes = bytes.as_ref();
    let image = match Image::decode(bytes) {
        Ok(image) => image,
        Err(error) => {
            finding.fail(Code::NvsDamaged, format!("{moment}: {error}"));
            return Some(0);
        }
    };
    for damage in image.findings() {
        match damage.severity {
            Severity::Corruption => finding.fail(Code::NvsDamaged, format!("{moment}: {damage}")),
            // The bench's own reset may have cut a write of the firmware short; the device mends it.
            Severity::PowerLoss => finding.evidence.push(format!("{moment}: {damage}")),
            Severity::Note => {}
        }
    }
    let view = image.device_view();
    let right = compare_planned(moment, planned, &view, finding);
    refuse_unexpected(moment, plan, planned, &view, finding);
    let name = &plan.profile().nvs.partition;
    let partition = nvs_foreign::Partition { moment, name, plan };
    partition.judge_credentials(&image, finding);
    // A firmware that is given its values while it runs may be given them twice, and marks the first
    // ones erased as NVS does.
    if plan.profile().method.flashes_nvs() {
        partition.judge_leftovers(&image, &retyped(plan, seen), finding);
    }
    Some(right)
}

/// Keys of which the bench may have had another value stored: they were typed in a dialogue of which a line came
/// back damaged, and was typed once more.
fn retyped(plan: &BoundPlan, seen: &Observations) -> Vec<String> {
    let profile = plan.profile();
    let mut exchanges = seen.dialogues.iter().flat_map(|dialogue| &dialogue.exchanges);
    let (Some(console), true) = (&profile.console, exchanges.any(|one| one.earlier.is_some()))
    else {
        return Vec::new();
    };
    let typed: Vec<&str> = DialogueName::ALL
        .into_iter()
        .flat_map(|name| console.dialogue(name))
        .flat_map(Exchange::symbols)
        .collect();
    let was_typed = |entry: &&NvsEntry| entry.value.symbols().any(|symbol| typed.contains(&symbol));
    profile.nvs.entries.iter().filter(was_typed).map(|entry| entry.key.clone()).collect()
}

fn compare_planned(
    moment: &str,
    document: &Document,
    view: &DeviceView,
    finding: &mut Finding,
) -> usize {
    let mut right = 0;
    for (namespace, key, planned) in document.entries() {
        let name = format!("{namespace}/{key}");
        match view.get(&namespace.to_string(), &key.to_string()) {
            Some(found) if found == planned => {
                right += 1;
                let (kind, bytes) = (planned.type_name(), planned.len());
                finding
                    .evidence
                    .push(format!("{name} {moment}: {kind}, {bytes} bytes, as planned"));
            }
            Some(found) => finding.fail(
                Code::NvsValueDiffers,
                format!(
                    "{name} {moment} holds another {} of {} bytes, planned is {} of {} bytes",
                    found.type_name(),
                    found.len(),
                    planned.type_name(),
                    planned.len()
                ),
            ),
            None => finding.fail(Code::NvsKeyMissing, format!("{name} {moment} is not there")),
        }
    }
    right
}

fn refuse_unexpected(
    moment: &str,
    plan: &BoundPlan,
    document: &Document,
    view: &DeviceView,
    finding: &mut Finding,
) {
    let own = &plan.profile().nvs;
    for item in view.entries() {
        let (namespace, key) = (item.namespace.to_string(), item.key.to_string());
        let planned =
            document.entries().any(|(n, k, _)| n.to_string() == namespace && k.to_string() == key);
        let foreign = namespace != own.namespace && nvs_foreign::is_known(plan, &namespace);
        if !planned && !foreign {
            finding.fail(
                Code::NvsUnexpected,
                format!(
                    "{namespace}/{key} {moment} is in the partition, and the plan does not name it"
                ),
            );
        }
    }
}

/// The bytes that no key shows: page headers, erased entries, slack.
fn judge_bytes(moment: &str, plan: &BoundPlan, found: &[u8], finding: &mut Finding) {
    let planned =
        plan.images().iter().find(|image| image.region.name == plan.profile().nvs.partition);
    let Some(planned) = planned else { return };
    if planned.bytes == found {
        let all = found.len();
        finding.evidence.push(match moment {
            FINALLY => format!("the image {moment} is the planned one, all {all} bytes"),
            _ => format!("the image is the planned one, all {all} bytes"),
        });
        return;
    }
    let at = planned.bytes.iter().zip(found).position(|(planned, found)| planned != found);
    let at = at.unwrap_or(planned.bytes.len().min(found.len()));
    finding.fail(
        Code::NvsValueDiffers,
        format!("the image {moment} differs from the planned one first at byte {at:#x}"),
    );
}

/// Tells a drift from the reviewed image key by key, and by layout when the keys agree.
///
/// What a service issues is new each time: such a key keeps its name and type only.
fn compare_golden(plan: &BoundPlan, golden: &[u8], found: &[u8], finding: &mut Finding) {
    if golden == found {
        return finding.evidence.push("the image is the golden one".to_owned());
    }
    let changes = match (Image::decode(golden), Image::decode(found)) {
        (Ok(golden), Ok(found)) => diff(&golden.device_view(), &found.device_view()),
        (Err(error), _) => {
            return drifted(&format!("the golden itself cannot be read: {error}"), finding);
        }
        (_, Err(error)) => return drifted(&error.to_string(), finding),
    };
    let (issued, drift): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| is_issued_anew(plan, change));
    if !drift.is_empty() {
        let drift: Vec<String> = drift.into_iter().map(describe).collect();
        return drifted(&drift.join("; "), finding);
    }
    if issued.is_empty() {
        return drifted("the keys are the golden's, their layout differs", finding);
    }
    let keys: Vec<String> =
        issued.iter().map(|change| format!("{}/{}", change.namespace, change.key)).collect();
    finding.evidence.push(format!(
        "the image is the golden one but for what was issued to this unit: {}",
        keys.join(", ")
    ));
}

/// The unit was given what is planned, else another reason stands: what is planned is not what was reviewed.
fn drifted(how: &str, finding: &mut Finding) {
    finding.error(Code::NvsGoldenDiffers, format!("the image differs from the golden: {how}"));
}

/// Whether a service issued another value of the same type for a key of the unit's own.
fn is_issued_anew(plan: &BoundPlan, change: &Change) -> bool {
    let ChangeKind::Value { before, after } = &change.kind else { return false };
    let own = &plan.profile().nvs;
    let (namespace, key) = (change.namespace.to_string(), change.key.to_string());
    let entry = own.entries.iter().find(|entry| entry.key == key && namespace == own.namespace);
    let issued =
        entry.is_some_and(|entry| entry.value.symbols().any(|symbol| symbol.starts_with(ISSUED)));
    issued && before.type_name() == after.type_name()
}

/// One difference by key, type and length.
fn describe(change: &Change) -> String {
    let shape = |value: &Value| format!("{} of {} bytes", value.type_name(), value.len());
    let what = match &change.kind {
        ChangeKind::Added(value) => format!("is new ({})", shape(value)),
        ChangeKind::Removed(value) => format!("is gone ({})", shape(value)),
        ChangeKind::Type { before, after } | ChangeKind::Value { before, after } => {
            format!("was {}, is another {}", shape(before), shape(after))
        }
    };
    format!("{}/{} {what}", change.namespace, change.key)
}
