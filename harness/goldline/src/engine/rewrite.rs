//! What differs before the first boot is written once more, for its bytes came over a wire too, and the
//! loader checks no more of them than a sum of each block. A defect of the flash comes back.
//!
//! Only what this run wrote or erased is written, and only where the profile allows it; a second difference
//! is the unit's. Must not judge.

use md5::{Digest, Md5};

use super::{
    Failure, Run,
    flash_reading::{Wanted, differences, erased, look_again, size_of, whole},
};
use crate::{
    check::{Difference, SpanDigest, stops},
    device::{Device, DeviceError},
    plan::{NvsState, Region, Span},
    profile::SECTOR,
};

impl Run {
    /// Compares what was just written, for a firmware that runs before the evidence is taken.
    pub(super) async fn verify(&mut self, region: &Region) -> Result<(), Failure> {
        let planned = self.bound()?.written(region)?;
        let (offset, may_rewrite) = (region.offset, self.plan.profile.rewrites);
        let compare =
            move |device: &mut dyn Device| compared(device, offset, &planned, may_rewrite);
        let Some(seen) = self.with_device(compare).await? else { return Ok(()) };
        self.attempts = self.attempts.max(2);
        match seen.differs.is_empty() {
            true => Ok(()),
            false => Err(Failure::Unit(stops::written_differs(&region.name, &seen))),
        }
    }

    /// Writes what a span must hold where its digest was wrong twice, and digests it again.
    pub(super) async fn mend(&mut self, span: &Span, seen: &mut SpanDigest) -> Result<(), Failure> {
        let contents = self.bound()?.contents(span.expects);
        let right: Vec<_> = contents.iter().map(|content| content.digest(span.size)).collect();
        let Some(likeliest) = contents.first().filter(|_| !right.contains(&seen.md5)) else {
            return Ok(());
        };
        if !self.plan.scope.provisions() || !self.plan.profile.rewrites {
            return Ok(());
        }
        let (first, planned) = (seen.clone(), likeliest.bytes(span.size));
        let mended = self.with_device(move |device| mended(device, first, &right, &planned));
        *seen = mended.await?;
        self.attempts = self.attempts.max(2);
        Ok(())
    }

    /// The same for the unit's own NVS partition, which was read whole; says where it differed.
    pub(super) async fn mend_nvs(
        &mut self,
        nvs: &Region,
        bytes: &mut Vec<u8>,
    ) -> Result<Option<Vec<Difference>>, Failure> {
        let Some(planned) = self.planned_nvs(nvs)?.filter(|planned| planned != bytes) else {
            return Ok(None);
        };
        if !self.plan.profile.rewrites {
            return Ok(None);
        }
        let (name, offset) = (nvs.name.clone(), nvs.offset);
        let again = move |device: &mut dyn Device| {
            let differed = differences(device, offset, &planned)?;
            write(device, offset, &differed, &planned)?;
            let size = size_of(&planned);
            let bytes = whole(device, Wanted { name, offset, size, likely: vec![planned] })?.1;
            Ok((differed, bytes))
        };
        let (differed, again) = self.with_device(again).await?;
        *bytes = again;
        self.attempts = self.attempts.max(2);
        Ok(Some(differed))
    }

    /// What this run put into the partition; `None` when it put nothing there.
    fn planned_nvs(&self, nvs: &Region) -> Result<Option<Vec<u8>>, Failure> {
        let mut planned = match self.plan.nvs_before_boot() {
            NvsState::Blank => erased(nvs.capacity),
            NvsState::Image => self.bound()?.image(nvs)?.to_vec(),
            NvsState::Keys => match &self.nvs_rewritten {
                Some(rewritten) => rewritten.clone(),
                None => return Ok(None),
            },
        };
        planned.resize(nvs.capacity as usize, 0xFF);
        Ok(Some(planned))
    }
}

/// What differed from what was written, at the second look and after it was written once more where that
/// is allowed; `None` when nothing did at the first.
fn compared(
    device: &mut dyn Device,
    offset: u32,
    planned: &[u8],
    may_rewrite: bool,
) -> Result<Option<SpanDigest>, DeviceError> {
    let (size, right) = (size_of(planned), [Md5::digest(planned).into()]);
    let md5 = device.digest(offset, size)?;
    if right.contains(&md5) {
        return Ok(None);
    }
    let first = SpanDigest { offset, size, md5, differs: Vec::new(), rewritten: None };
    let seen = look_again(device, first, &right, planned)?;
    let stays = !seen.differs.is_empty() && may_rewrite;
    Ok(Some(if stays { mended(device, seen, &right, planned)? } else { seen }))
}

fn mended(
    device: &mut dyn Device,
    seen: SpanDigest,
    right: &[[u8; 16]],
    planned: &[u8],
) -> Result<SpanDigest, DeviceError> {
    write(device, seen.offset, &seen.differs, planned)?;
    let rewritten = Some(seen.differs);
    let md5 = device.digest(seen.offset, seen.size)?;
    let seen = SpanDigest { md5, differs: Vec::new(), rewritten, ..seen };
    if right.contains(&md5) { Ok(seen) } else { look_again(device, seen, right, planned) }
}

/// Writes the sectors that hold a difference, from the first to the last.
fn write(
    device: &mut dyn Device,
    offset: u32,
    differed: &[Difference],
    planned: &[u8],
) -> Result<(), DeviceError> {
    let (Some(first), Some(last)) = (differed.first(), differed.last()) else { return Ok(()) };
    let start = ((first.offset - offset) / SECTOR * SECTOR) as usize;
    let end = (last.offset + last.count - offset).next_multiple_of(SECTOR) as usize;
    let bytes = &planned[start..end.min(planned.len())];
    device.write(offset + size_of(&planned[..start]), bytes, &mut |_| {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::flash_reading::tests::Flash;

    const SIZE: u32 = 0x8000;

    fn planned() -> Vec<u8> {
        (0..SIZE).map(|at| (at / 3) as u8).collect()
    }

    fn seen(bytes: &[u8], differs: Vec<Difference>) -> SpanDigest {
        let md5 = Md5::digest(bytes).into();
        SpanDigest { offset: 0x1_0000, size: SIZE, md5, differs, rewritten: None }
    }

    /// A flash in which one byte was written wrong.
    fn flash(stuck: Option<usize>) -> Flash {
        let mut bytes = vec![0xFF; 0x1_0000];
        bytes.extend(planned());
        let mut flash = Flash::of(bytes);
        flash.stuck = stuck;
        flash.bytes[0x1_2345] ^= 4;
        flash
    }

    fn mend(flash: &mut Flash) -> SpanDigest {
        let planned = planned();
        let right = seen(&planned, Vec::new()).md5;
        let first = differences(flash, 0x1_0000, &planned).expect("it answers");
        let wrong = seen(&flash.bytes[0x1_0000..], first);
        mended(flash, wrong, &[right], &planned).expect("it answers")
    }

    const PLACE: Difference = Difference { offset: 0x1_2345, count: 1 };

    #[test]
    fn what_was_written_wrong_is_right_the_second_time_and_only_there() {
        let mut flash = flash(None);
        let seen = mend(&mut flash);
        assert_eq!((seen.differs, seen.rewritten), (vec![], Some(vec![PLACE])));
        assert_eq!(flash.bytes[0x1_0000..], planned());
        assert_eq!(flash.written, [(0x1_2000, SECTOR)]);
    }

    /// A firmware that ran before any evidence was taken could not run for one bit of the wire.
    #[test]
    fn what_runs_at_once_is_compared_at_once() {
        let mut good = flash(None);
        good.bytes[0x1_2345] ^= 4;
        assert_eq!(compared(&mut good, 0x1_0000, &planned(), true).expect("it answers"), None);
        let mut once = flash(None);
        let seen = compared(&mut once, 0x1_0000, &planned(), true).expect("it answers");
        assert_eq!(seen.expect("it differed").differs, []);
        for (stuck, may_rewrite) in [(Some(0x1_2345), true), (None, false)] {
            let mut bad = flash(stuck);
            let seen = compared(&mut bad, 0x1_0000, &planned(), may_rewrite).expect("it answers");
            let seen = seen.expect("it differed");
            assert_eq!((seen.differs, seen.rewritten.is_some()), (vec![PLACE], may_rewrite));
        }
    }

    #[test]
    fn a_cell_that_stays_wrong_is_named_again() {
        let mut flash = flash(Some(0x1_2345));
        let seen = mend(&mut flash);
        assert_eq!((seen.differs, seen.rewritten), (vec![PLACE], Some(vec![PLACE])));
        assert_eq!(flash.written.len(), 1, "never more than once");
    }
}
