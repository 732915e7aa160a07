//! Chip, flash size, and every region but NVS against what was planned.
//!
//! Digests are the unit's own. Regions that no firmware may change are compared before the first
//! boot and again after it.

use md5::{Digest, Md5};

use super::{Evidence, Finding, Observations};
use crate::{
    device::ChipFacts,
    hex::hex,
    plan::BoundPlan,
    record::{Code, Limits, Measurement},
};

pub(super) fn judge(plan: &BoundPlan, seen: &Observations) -> Finding {
    let Some(chip) = &seen.chip else { return Finding::not_run() };
    let mut finding = Finding::ran();
    judge_chip(plan, chip, &mut finding);
    if let Some(stop) =
        seen.stopped.as_ref().filter(|stop| stop.diagnosis.code == Code::WriteFailed)
    {
        finding.fail(Code::WriteFailed, stop.diagnosis.message.clone());
    }
    let Some(before) = &seen.before_boot else {
        // A chip that is not the product's fails even though nothing was written to it.
        return if finding.blame.is_some() { finding } else { Finding::not_run() };
    };
    compare("before the first boot", "regions_before_boot", plan, before, &mut finding);
    if let Some(after) = &seen.after_boot {
        compare("after the firmware ran", "regions_after_boot", plan, after, &mut finding);
    }
    finding
}

fn judge_chip(plan: &BoundPlan, chip: &ChipFacts, finding: &mut Finding) {
    let profile = plan.profile();
    let model = Measurement::word("chip", Some(chip.chip.name()), profile.chip.name());
    let size = f64::from(profile.flash.size());
    let flash_size = Measurement::number(
        "flash_size",
        Some(f64::from(chip.flash_size)),
        "bytes",
        Limits { lower: Some(size), upper: Some(size) },
    );
    if !chip.mac.is_a_chips() {
        finding.fail(
            Code::ChipMacInvalid,
            format!("the chip's MAC address is {}, which no chip can have", chip.mac),
        );
    }
    if chip.chip != profile.chip {
        finding.fail(
            Code::ChipMismatch,
            format!("the chip is {}, the profile's is {}", chip.chip, profile.chip),
        );
    }
    finding.measure(Code::ChipMismatch, [model, flash_size]);
}

/// Compares digests; one that the plan names and nobody took counts as a difference.
fn compare(
    moment: &str,
    measurement: &str,
    plan: &BoundPlan,
    evidence: &Evidence,
    finding: &mut Finding,
) {
    for digest in &evidence.digests {
        let planned = plan
            .images()
            .iter()
            .find(|image| image.region.name == digest.name)
            .map(|image| <[u8; 16]>::from(Md5::digest(&image.bytes)));
        let found = hex(&digest.md5);
        if planned == Some(digest.md5) {
            finding.evidence.push(format!("{} {moment}: MD5 {found} as planned", digest.name));
        } else {
            let planned = planned.map_or_else(|| "nothing".to_owned(), |md5| hex(&md5));
            finding.fail(
                Code::RegionDiffers,
                format!("{} {moment} has MD5 {found}, planned is {planned}", digest.name),
            );
        }
    }
    let planned = plan.plan().immutable_regions().len() as f64;
    let compared = evidence.digests.len() as f64;
    let limits = Limits { lower: Some(planned), upper: Some(planned) };
    finding.measure(
        Code::RegionDiffers,
        [Measurement::number(measurement, Some(compared), "", limits)],
    );
}
