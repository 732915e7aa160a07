//! The evidence that is read from the flash before the first boot and after it.
//!
//! Digests by the unit, so that all of the flash costs little on a wire; bytes are read only where they
//! are neither planned nor erased.

use md5::{Digest, Md5};

use super::{Failure, Next, Run};
use crate::{
    check::{Evidence, SpanDigest, flash_is_sound, stops},
    device::{Device, DeviceError},
    plan::{Coverage, Layers, Moment, Region, Span},
    profile::SECTOR,
    record::{Code, Diagnosis},
};

/// A partition to have whole, and what it is likely to hold, which is then not read.
struct Wanted {
    name: String,
    offset: u32,
    size: u32,
    likely: Vec<Vec<u8>>,
}

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
        let read = self.with_device(move |device| read_evidence(device, &places, own, others));
        let mut evidence = read.await?;
        for (span, digest) in digested.iter().zip(&mut evidence.digests) {
            self.settle(span, digest).await?;
        }
        *self.seen.evidence(moment) = Some(evidence);
        Ok(())
    }

    /// Keeps a unit with bad flash from being booted: everything after would only repeat the reason.
    pub(super) fn gate(&self) -> Result<Next, Failure> {
        Ok(if flash_is_sound(self.bound()?, &self.seen) { Next::GoOn } else { Next::Enough })
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

fn erased(size: u32) -> Vec<u8> {
    Layers::erased().bytes(size)
}

fn read_evidence(
    device: &mut dyn Device,
    places: &[(u32, u32)],
    own: Wanted,
    others: Vec<Wanted>,
) -> Result<Evidence, DeviceError> {
    let mut digests = Vec::with_capacity(places.len());
    for &(offset, size) in places {
        let md5 = device.digest(offset, size)?;
        digests.push(SpanDigest { offset, size, md5, differs_at: None });
    }
    let nvs = whole(device, own)?.1;
    let partitions = others.into_iter().map(|wanted| whole(device, wanted));
    Ok(Evidence { digests, nvs, partitions: partitions.collect::<Result<_, _>>()? })
}

/// What came over a wire counts only when it repeats.
fn look_again(
    device: &mut dyn Device,
    seen: SpanDigest,
    right: &[[u8; 16]],
    expected: &[u8],
) -> Result<SpanDigest, DeviceError> {
    let md5 = device.digest(seen.offset, seen.size)?;
    let differs_at = match right.contains(&md5) {
        true => None,
        false => first_difference(device, seen.offset, expected)?,
    };
    Ok(SpanDigest { md5, differs_at, ..seen })
}

/// The bytes of a partition; read only when their digest is that of no likely content.
fn whole(device: &mut dyn Device, wanted: Wanted) -> Result<(String, Vec<u8>), DeviceError> {
    let Wanted { name, offset, size, likely } = wanted;
    let md5 = device.digest(offset, size)?;
    let known = likely.into_iter().find(|bytes| digest(bytes) == md5);
    let bytes = known.map_or_else(|| device.read(offset, size), Ok)?;
    Ok((name, bytes))
}

/// The first byte from `offset` on that is not the expected one: halved by digests down to a sector, which
/// is read. `None` when no byte differs any more.
fn first_difference(
    device: &mut dyn Device,
    mut offset: u32,
    mut expected: &[u8],
) -> Result<Option<u32>, DeviceError> {
    let sector = SECTOR as usize;
    while expected.len() > sector {
        let (front, back) = expected.split_at((expected.len() / 2).next_multiple_of(sector));
        let length = size_of(front);
        if device.digest(offset, length)? == digest(front) {
            (offset, expected) = (offset + length, back);
        } else {
            expected = front;
        }
    }
    let found = match device.read(offset, size_of(expected)) {
        // A cell that reads otherwise each time is as bad as one that reads wrong.
        Err(DeviceError::Garbled { .. }) => return Ok(Some(offset)),
        found => found?,
    };
    let at = expected.iter().zip(&found).position(|(expected, found)| expected != found);
    Ok(at.map(|at| offset + size_of(&expected[..at])))
}

fn digest(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

fn size_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a flash has less than 4 GB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{ChipFacts, LineHandle};

    /// A flash that counts what is asked of it.
    struct Flash {
        bytes: Vec<u8>,
        digests: usize,
        read: usize,
    }

    impl Flash {
        fn of(bytes: Vec<u8>) -> Self {
            Self { bytes, digests: 0, read: 0 }
        }

        fn part(&self, offset: u32, size: u32) -> &[u8] {
            &self.bytes[offset as usize..(offset + size) as usize]
        }
    }

    impl Device for Flash {
        fn take_attempts(&mut self) -> u32 {
            1
        }

        fn digest(&mut self, offset: u32, size: u32) -> Result<[u8; 16], DeviceError> {
            self.digests += 1;
            Ok(digest(self.part(offset, size)))
        }

        fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, DeviceError> {
            self.read += size as usize;
            Ok(self.part(offset, size).to_vec())
        }

        fn identify(&mut self) -> Result<ChipFacts, DeviceError> {
            unreachable!("evidence is read of a known unit")
        }

        fn erase(&mut self) -> Result<(), DeviceError> {
            unreachable!("evidence changes nothing")
        }

        fn write(
            &mut self,
            _offset: u32,
            _bytes: &[u8],
            _progress: &mut (dyn FnMut(usize) + Send),
        ) -> Result<(), DeviceError> {
            unreachable!("evidence changes nothing")
        }

        fn boot(&mut self) -> Result<(), DeviceError> {
            unreachable!("evidence is read in the loader")
        }

        fn type_text(&mut self, _text: &[u8]) -> Result<(), DeviceError> {
            unreachable!("evidence is read in the loader")
        }

        fn line(&self) -> LineHandle {
            unreachable!("evidence needs no line")
        }
    }

    const SIZE: u32 = 0x10_0000;

    #[test]
    fn the_first_byte_that_differs_is_found_wherever_it_is() {
        for at in [0, 1, 0xFFF, 0x1000, 0x7_FFFF, 0x8_0000, 0xF_FFFE, 0xF_FFFF] {
            let mut flash = Flash::of(erased(SIZE));
            flash.bytes[at] = 0;
            flash.bytes[SIZE as usize - 1] = 0;
            let found = first_difference(&mut flash, 0, &erased(SIZE)).expect("it answers");
            assert_eq!(found, Some(at as u32));
            assert!(flash.digests <= 8 && flash.read == SECTOR as usize, "{}", flash.digests);
        }
        let mut flash = Flash::of(erased(SIZE));
        assert_eq!(first_difference(&mut flash, 0, &erased(SIZE)).expect("it answers"), None);
        flash.bytes[0x5123] = 0;
        let part = first_difference(&mut flash, 0x5000, &erased(0x200)).expect("it answers");
        assert_eq!(part, Some(0x5123), "a span need not be whole sectors");
    }

    #[test]
    fn only_a_second_wrong_digest_counts() {
        let mut flash = Flash::of(erased(SIZE));
        let right = digest(&erased(SIZE));
        let garbled = SpanDigest { offset: 0, size: SIZE, md5: [0; 16], differs_at: None };
        let look = |flash: &mut Flash| {
            look_again(flash, garbled.clone(), &[right], &erased(SIZE)).expect("it answers")
        };
        let seen = look(&mut flash);
        assert_eq!((seen.md5, seen.differs_at, flash.digests), (right, None, 1));
        flash.bytes[7] = 0;
        let seen = look(&mut flash);
        assert_eq!((seen.md5 == right, seen.differs_at), (false, Some(7)));
    }

    #[test]
    fn what_is_planned_or_erased_is_not_read() {
        let mut flash = Flash::of(erased(0x2000));
        let own = || Wanted {
            name: "nvs".to_owned(),
            offset: 0,
            size: 0x2000,
            likely: vec![vec![1; 0x2000], erased(0x2000)],
        };
        assert_eq!(whole(&mut flash, own()).expect("it answers").1, erased(0x2000));
        flash.bytes.fill(1);
        assert_eq!(whole(&mut flash, own()).expect("it answers").1, [1; 0x2000]);
        assert_eq!(flash.read, 0);
        flash.bytes[3] = 2;
        assert_eq!(whole(&mut flash, own()).expect("it answers").1, flash.bytes);
        assert_eq!(flash.read, 0x2000);
    }
}
