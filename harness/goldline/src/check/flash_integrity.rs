//! Chip, flash size, and every byte of the flash but the unit's own NVS against what was planned.
//!
//! Digests are the unit's own. What is planned or erased is compared before the first boot and again
//! after it; what a firmware may write is judged where the bench can read it, and named where it cannot.

use super::{
    Evidence, FINALLY, Finding, Observations, SpanDigest, observations::places, slot, stops,
};
use crate::{
    device::ChipFacts,
    hex::hex,
    plan::{BoundPlan, Content, Coverage, Expects, Layers, Moment, Span},
    record::{Code, Limits, Measurement},
};

pub(super) fn judge(both: &BoundPlan, seen: &Observations) -> Finding {
    let plan = both.tested();
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
    let before = Look::at(Moment::BeforeBoot, plan, before);
    if plan.plan().scope.remembers() && before.is_blank() {
        finding.fail(Code::FlashBlank, stops::BLANK);
    }
    slot::judge_started(plan, seen, &mut finding);
    before.judge("bytes_covered_before_boot", &mut finding);
    if let Some(after) = &seen.after_boot {
        let mut after = Look::at(Moment::AfterBoot, plan, after);
        // After an update that did not come to its end, the unit runs what it runs: that is the reason.
        after.is_updating = seen.ota.iter().flat_map(|ota| &ota.updates).any(|one| !one.reported);
        after.judge("bytes_covered_after_boot", &mut finding);
    }
    judge_final(both, seen, &mut finding);
    finding
}

/// What a unit is shipped with that was tested with other values; nothing while it was not read back.
pub(super) fn judge_final(plan: &BoundPlan, seen: &Observations, finding: &mut Finding) {
    if let Some(last) = &seen.finally {
        Look::at(Moment::Final, plan.shipped(), last).judge("bytes_covered_at_last", finding);
    }
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

/// What is being judged, for the sentences.
struct Look<'a> {
    moment: &'static str,
    plan: &'a BoundPlan,
    coverage: Coverage,
    evidence: &'a Evidence,
    is_updating: bool,
}

impl<'a> Look<'a> {
    fn at(moment: Moment, plan: &'a BoundPlan, evidence: &'a Evidence) -> Self {
        let coverage = plan.plan().coverage(moment);
        let moment = match moment {
            Moment::BeforeBoot => "before the first boot",
            Moment::AfterBoot => "after the firmware ran",
            Moment::Final => FINALLY,
        };
        Self { moment, plan, coverage, evidence, is_updating: false }
    }

    /// The gravest first: the first reason is the one that is told.
    fn judge(&self, measurement: &str, finding: &mut Finding) {
        self.judge_ota_data(finding);
        let digested = self.coverage.digested();
        let (erased, written): (Vec<_>, Vec<_>) =
            digested.iter().partition(|span| span.expects == Expects::Erased);
        for span in written.into_iter().chain(erased) {
            self.compare(span, finding);
        }
        self.measure_coverage(measurement, finding);
    }

    fn judge_ota_data(&self, finding: &mut Finding) {
        if self.is_updating {
            return;
        }
        for span in self.coverage.read().filter(|span| span.expects == Expects::OtaData) {
            let partition = self.plan.profile().flash.partition(&span.name);
            let bytes = self.evidence.partitions.get(&span.name);
            if let (Some(partition), Some(bytes)) = (partition, bytes) {
                slot::judge_ota_data(self.moment, partition, bytes, self.plan, finding);
            }
        }
    }

    fn digest_of(&self, span: &Span) -> Option<&SpanDigest> {
        let mut digests = self.evidence.digests.iter();
        digests.find(|digest| digest.offset == span.offset && digest.size == span.size)
    }

    fn compare(&self, span: &Span, finding: &mut Finding) {
        // One that nobody took is missing in what was covered.
        let Some(digest) = self.digest_of(span) else { return };
        let contents = self.plan.contents(span.expects);
        let (moment, name) = (self.moment, &span.name);
        let md5 = hex(&digest.md5);
        if contents.iter().any(|content| content.digest(span.size) == digest.md5) {
            let mended = digest.rewritten.as_ref().map_or_else(String::new, |differed| {
                format!(", after it was written once more: it differed at {}", places(differed))
            });
            finding.evidence.push(match span.expects {
                Expects::Erased => format!("{name} {moment}: {} bytes erased{mended}", span.size),
                _ => format!("{name} {moment}: MD5 {md5} as planned{mended}"),
            });
            return;
        }
        if self.is_updating && matches!(span.expects, Expects::UpdateSlot | Expects::UpdatedApp) {
            let left = "holds what an update left there that did not come to its end";
            return finding.evidence.push(format!("{name} {moment} {left}"));
        }
        let end = contents.first().map_or(0, Layers::end_of_image);
        let behind = digest.differs_at().filter(|at| (*at - span.offset) as usize >= end);
        let again = match digest.rewritten {
            Some(_) => ", again after it was written once more",
            None => "",
        };
        let (code, message) = match (span.expects, behind, digest.differs_at()) {
            (Expects::UpdateSlot, ..) => (
                Code::NotErased,
                format!("{name} {moment} holds none of the profile's updates, and is not erased"),
            ),
            (Expects::Erased, None, _) => (
                Code::NotErased,
                format!(
                    "{name} {moment} is not erased, and differs from one look to the next{again}"
                ),
            ),
            (_, Some(at), _) => {
                let owner = self.coverage.owner(at);
                let place = if end == 0 { "in" } else { "behind the planned bytes of" };
                (
                    Code::NotErased,
                    format!("byte {at:#x} {moment} is not erased: it lies {place} {owner}{again}"),
                )
            }
            (_, None, _) => {
                let planned = contents.first().map(|content| hex(&content.digest(span.size)));
                let planned = planned.unwrap_or_else(|| "nothing".to_owned());
                let at = places(&digest.differs);
                (
                    Code::RegionDiffers,
                    format!(
                        "{name} differs {moment} at {at}{again}: its MD5 is {md5}, planned is {planned}"
                    ),
                )
            }
        };
        finding.fail(code, message);
        if digest.rewritten.is_some() {
            finding.advise(code, stops::WRITTEN_TWICE);
        }
    }

    /// Every byte was compared, judged, or is the firmware's own.
    fn measure_coverage(&self, measurement: &str, finding: &mut Finding) {
        let digested = self.coverage.digested();
        let compared: u32 = digested
            .iter()
            .filter(|span| self.digest_of(span).is_some())
            .map(|span| span.size)
            .sum();
        let mut read = 0;
        let mut left = 0;
        let mut names = Vec::new();
        for span in self.coverage.spans() {
            let whole = |bytes: &Vec<u8>| bytes.len() == span.size as usize;
            match span.expects {
                Expects::OwnNvs if whole(&self.evidence.nvs) => read += span.size,
                Expects::FirmwaresNvs | Expects::OtaData
                    if self.evidence.partitions.get(&span.name).is_some_and(whole) =>
                {
                    read += span.size;
                }
                Expects::Firmwares => {
                    left += span.size;
                    names.push(span.name.as_str());
                }
                _ => {}
            }
        }
        let all = self.plan.profile().flash.size();
        let mut covered = format!(
            "{} {} of {all} bytes covered: {compared} by digest, {read} by content",
            self.moment,
            compared + read + left
        );
        if !names.is_empty() {
            covered += &format!(", {left} left to the firmware ({})", names.join(", "));
        }
        finding.evidence.push(covered);
        let total = f64::from(compared + read + left);
        let limits = Limits { lower: Some(f64::from(all)), upper: Some(f64::from(all)) };
        finding.measure(
            Code::RegionDiffers,
            [Measurement::number(measurement, Some(total), "bytes", limits)],
        );
    }

    /// Whether nothing was ever flashed: neither boot loader nor partition table is there.
    fn is_blank(&self) -> bool {
        let first = [Content::Bootloader, Content::PartitionTable].map(Expects::Planned);
        let spans = self.coverage.digested();
        let mut spans = spans.iter().filter(|span| first.contains(&span.expects));
        spans.all(|span| {
            let erased = Layers::erased().digest(span.size);
            self.digest_of(span).is_some_and(|digest| digest.md5 == erased)
        })
    }
}
