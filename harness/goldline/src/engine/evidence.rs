//! The evidence that is read from the flash before the first boot and after it.
//!
//! Digests by the unit, so that all of the flash costs little on a wire; bytes are read only where they
//! are neither planned nor erased.

use super::{
    Failure, Next, Run,
    flash_reading::{Wanted, erased, look_again, whole},
    flash_writing::Seen,
};
use crate::{
    check::{Evidence, SpanDigest, flash_is_sound, stops},
    device::{Device, DeviceError},
    plan::{Coverage, Layers, Moment, Region, Span, Step},
    profile::SECTOR,
    record::{Code, Diagnosis},
};

impl Run {
    /// Digests the flash and reads what must be read. After a boot the loader must be entered again.
    pub(super) async fn collect(
        &mut self,
        moment: Moment,
        coverage: &Coverage,
        nvs: &Region,
    ) -> Result<(), Failure> {
        if moment == Moment::AfterBoot {
            self.enter_loader().await?;
        }
        let digested = coverage.digested();
        let places: Vec<(u32, u32)> =
            digested.iter().map(|span| (span.offset, span.size)).collect();
        let image = self.bound()?.image(nvs).ok().map(<[u8]>::to_vec);
        let own = Wanted {
            name: nvs.name.clone(),
            offset: nvs.offset,
            size: nvs.capacity,
            likely: image.into_iter().chain([erased(nvs.capacity)]).collect(),
        };
        let others: Vec<Wanted> = coverage.read().map(wanted).collect();
        let standing = std::mem::take(&mut self.standing_digests);
        let read =
            self.with_device(move |device| read_evidence(device, &standing, &places, own, others));
        let mut evidence = read.await?;
        for (span, digest) in digested.iter().zip(&mut evidence.digests) {
            self.settle(span, digest).await?;
            if moment != Moment::AfterBoot {
                self.mend(span, digest).await?;
            }
        }
        if moment != Moment::AfterBoot {
            evidence.nvs_rewritten = self.mend_nvs(nvs, &mut evidence.nvs).await?;
        }
        *self.seen.evidence(moment) = Some(evidence);
        Ok(())
    }

    /// Keeps a unit with bad flash from being booted: everything after would only repeat the reason.
    pub(super) fn gate(&self) -> Result<Next, Failure> {
        Ok(if flash_is_sound(self.bound()?, &self.seen) { Next::GoOn } else { Next::Enough })
    }

    /// The step that reads what the firmware stored of its values, for one that misses one of them: until
    /// then nobody knows whether it is the flash or the firmware that lacks it.
    pub(super) fn unread_values(&self, done: usize) -> Option<usize> {
        if self.plan.flashes_values() || self.judged_facts().configuration.is_none() {
            return None;
        }
        let reads =
            |step: &Step| matches!(step, Step::CollectEvidence { moment: Moment::AfterBoot, .. });
        Some(done + self.plan.steps.get(done..)?.iter().position(reads)?)
    }

    /// Why a unit whose values nobody knows cannot be judged: it may be that nothing was ever flashed.
    pub(super) async fn blank_or(&mut self, unknown: Diagnosis) -> Result<Failure, Failure> {
        let bootloader = self.plan.profile.chip.bootloader_offset();
        let size = self.plan.profile.flash.table_offset() + SECTOR - bootloader;
        let md5 = self.with_device(move |device| device.digest(bootloader, size)).await?;
        Ok(if md5 == Layers::erased().digest(size) {
            Failure::Unit(Diagnosis::new(Code::FlashBlank, stops::BLANK))
        } else {
            Failure::Values(unknown)
        })
    }

    /// Asks again for a digest that is none of the right ones, and finds where the flash differs.
    async fn settle(&mut self, span: &Span, seen: &mut SpanDigest) -> Result<(), Failure> {
        let contents = self.bound()?.contents(span.expects);
        let Some(likeliest) = contents.first() else { return Ok(()) };
        if contents.iter().any(|content| content.digest(span.size) == seen.md5) {
            return Ok(());
        }
        let right: Vec<_> = contents.iter().map(|content| content.digest(span.size)).collect();
        let (first, expected) = (seen.clone(), likeliest.bytes(span.size));
        let asked = right.clone();
        let again = self.with_device(move |device| look_again(device, first, &asked, &expected));
        *seen = again.await?;
        if right.contains(&seen.md5) {
            self.attempts = self.attempts.max(2);
        }
        Ok(())
    }
}

fn wanted(span: &Span) -> Wanted {
    let Span { name, offset, size, .. } = span.clone();
    Wanted { name, offset, size, likely: vec![erased(size)] }
}

fn read_evidence(
    device: &mut dyn Device,
    standing: &[Seen],
    places: &[(u32, u32)],
    own: Wanted,
    others: Vec<Wanted>,
) -> Result<Evidence, DeviceError> {
    let mut digests = Vec::with_capacity(places.len());
    for &(offset, size) in places {
        let stands = standing.iter().find(|seen| (seen.at.offset, seen.at.size) == (offset, size));
        let md5 = stands.map_or_else(|| device.digest(offset, size), |seen| Ok(seen.md5))?;
        digests.push(SpanDigest { offset, size, md5, differs: Vec::new(), rewritten: None });
    }
    let nvs = whole(device, own)?.1;
    let partitions = others.into_iter().map(|wanted| whole(device, wanted));
    let partitions = partitions.collect::<Result<_, _>>()?;
    Ok(Evidence { digests, nvs, nvs_rewritten: None, partitions })
}
