//! What the flash holds, asked with few bytes on the wire: digests find the place, and only that is read.
//!
//! Pure calls of a device. Must not know a plan, nor judge what is found.

use std::ops::Range;

use md5::{Digest, Md5};

use crate::{
    check::{Difference, SpanDigest},
    device::{Device, DeviceError},
    plan::Layers,
    profile::SECTOR,
};

/// Up to so many bytes around differences are read, to name each.
const NAMED: usize = 16 * SECTOR as usize;

/// A partition to have whole, and what it is likely to hold, which is then not read.
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) offset: u32,
    pub(super) size: u32,
    pub(super) likely: Vec<Vec<u8>>,
}

/// An erased part of the flash.
pub(super) fn erased(size: u32) -> Vec<u8> {
    Layers::erased().bytes(size)
}

/// What came over a wire counts only when it repeats.
pub(super) fn look_again(
    device: &mut dyn Device,
    seen: SpanDigest,
    right: &[[u8; 16]],
    expected: &[u8],
) -> Result<SpanDigest, DeviceError> {
    let md5 = device.digest(seen.offset, seen.size)?;
    let differs = match right.contains(&md5) {
        true => Vec::new(),
        false => differences(device, seen.offset, expected)?,
    };
    Ok(SpanDigest { md5, differs, ..seen })
}

/// The bytes of a partition; read only where they are no likely ones, by their digests.
pub(super) fn whole(
    device: &mut dyn Device,
    wanted: Wanted,
) -> Result<(String, Vec<u8>), DeviceError> {
    let Wanted { name, offset, size, likely } = wanted;
    let md5 = device.digest(offset, size)?;
    let known = likely.iter().position(|bytes| digest(bytes) == md5);
    let bytes = match known {
        Some(at) => likely.into_iter().nth(at).unwrap_or_default(),
        None => by_sectors(device, offset, size, &likely)?,
    };
    Ok((name, bytes))
}

/// Sector by sector, as NVS is written by pages: those that are as likely are taken from there, and of others
/// neighbours are read at once.
fn by_sectors(
    device: &mut dyn Device,
    offset: u32,
    size: u32,
    likely: &[Vec<u8>],
) -> Result<Vec<u8>, DeviceError> {
    let mut bytes = Vec::with_capacity(size as usize);
    let mut unlike: Option<Range<u32>> = None;
    for start in (0..size).step_by(SECTOR as usize) {
        let end = size.min(start + SECTOR);
        let md5 = device.digest(offset + start, end - start)?;
        let part = start as usize..end as usize;
        let known = likely.iter().filter_map(|bytes| bytes.get(part.clone()));
        match known.into_iter().find(|bytes| digest(bytes) == md5) {
            None => unlike = Some(unlike.map_or(start, |unlike| unlike.start)..end),
            Some(known) => {
                if let Some(unlike) = unlike.take() {
                    bytes.extend(device.read(offset + unlike.start, unlike.end - unlike.start)?);
                }
                bytes.extend(known);
            }
        }
    }
    if let Some(unlike) = unlike {
        bytes.extend(device.read(offset + unlike.start, unlike.end - unlike.start)?);
    }
    Ok(bytes)
}

fn digest(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

pub(super) fn size_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a flash has less than 4 GB")
}

/// Where the flash is other than expected from `offset` on; nothing when no byte differs any more.
pub(super) fn differences(
    device: &mut dyn Device,
    offset: u32,
    expected: &[u8],
) -> Result<Vec<Difference>, DeviceError> {
    let sector = SECTOR as usize;
    let first = sector_that_differs(device, offset, expected, End::First)?;
    let last = sector_that_differs(device, offset, expected, End::Last)?;
    // Halves that were all alike: whatever differed does so no more.
    if last < first {
        return Ok(Vec::new());
    }
    let end = (last + sector).min(expected.len());
    let near = &expected[first..end.min(first + NAMED)];
    let at = offset + size_of(&expected[..first]);
    let found = match device.read(at, size_of(near)) {
        // A cell that reads otherwise each time is as bad as one that reads wrong.
        Err(DeviceError::Garbled { .. }) => {
            return Ok(vec![Difference { offset: at, count: size_of(near) }]);
        }
        found => found?,
    };
    let mut places = runs(at, near, &found);
    if let (Some(one), true) = (places.first_mut(), first + NAMED < end) {
        one.count = offset + size_of(&expected[..end]) - one.offset;
        places.truncate(1);
    }
    Ok(places)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// The sector that holds the first or the last difference, by its place in what is expected: halved by
/// digests. Any, when there is none.
fn sector_that_differs(
    device: &mut dyn Device,
    offset: u32,
    expected: &[u8],
    end: End,
) -> Result<usize, DeviceError> {
    let sector = SECTOR as usize;
    let (mut from, mut to) = (0, expected.len());
    while to - from > sector {
        let middle = from + ((to - from) / 2).next_multiple_of(sector);
        let asked = if end == End::First { from..middle } else { middle..to };
        let at = offset + size_of(&expected[..asked.start]);
        let same =
            device.digest(at, size_of(&expected[asked.clone()]))? == digest(&expected[asked]);
        if same == (end == End::First) {
            from = middle;
        } else {
            to = middle;
        }
    }
    Ok(from)
}

/// Bytes next to each other that differ.
fn runs(offset: u32, expected: &[u8], found: &[u8]) -> Vec<Difference> {
    let mut runs: Vec<Difference> = Vec::new();
    let differ = expected.iter().zip(found).enumerate().filter(|(_, (one, other))| one != other);
    for (at, _) in differ {
        let at = offset + size_of(&expected[..at]);
        match runs.last_mut() {
            Some(last) if last.offset + last.count == at => last.count += 1,
            _ => runs.push(Difference { offset: at, count: 1 }),
        }
    }
    runs
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::device::{ChipFacts, LineHandle};

    /// A flash that counts what is asked of it, and notes what is written.
    pub(in crate::engine) struct Flash {
        pub(in crate::engine) bytes: Vec<u8>,
        /// A byte that is never what was written.
        pub(in crate::engine) stuck: Option<usize>,
        /// Offset and size of each write.
        pub(in crate::engine) written: Vec<(u32, u32)>,
        /// The same of what was erased.
        pub(in crate::engine) erased: Vec<(u32, u32)>,
        digests: usize,
        read: usize,
    }

    impl Flash {
        pub(in crate::engine) fn of(bytes: Vec<u8>) -> Self {
            Self {
                bytes,
                stuck: None,
                written: Vec::new(),
                erased: Vec::new(),
                digests: 0,
                read: 0,
            }
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

        fn erase_sectors(&mut self, offset: u32, size: u32) -> Result<(), DeviceError> {
            self.erased.push((offset, size));
            self.bytes[offset as usize..][..size as usize].fill(0xFF);
            Ok(())
        }

        fn write(
            &mut self,
            offset: u32,
            bytes: &[u8],
            _progress: &mut (dyn FnMut(usize) + Send),
        ) -> Result<(), DeviceError> {
            self.written.push((offset, size_of(bytes)));
            let end = (offset as usize + bytes.len()).next_multiple_of(SECTOR as usize);
            let end = end.min(self.bytes.len());
            self.bytes[offset as usize / 0x1000 * 0x1000..end].fill(0xFF);
            self.bytes[offset as usize..][..bytes.len()].copy_from_slice(bytes);
            if let Some(stuck) = self.stuck {
                self.bytes[stuck] ^= 4;
            }
            Ok(())
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
    fn the_bytes_that_differ_are_found_wherever_they_are() {
        for at in [0, 1, 0xFFF, 0x1000, 0x7_FFFF, 0x8_0000, 0xF_FFFE, 0xF_FFFF] {
            let mut flash = Flash::of(erased(SIZE));
            flash.bytes[at] = 0;
            let found = differences(&mut flash, 0, &erased(SIZE)).expect("it answers");
            assert_eq!(found, [Difference { offset: at as u32, count: 1 }]);
            assert!(flash.digests <= 16 && flash.read == SECTOR as usize, "{}", flash.digests);
        }
        let mut flash = Flash::of(erased(SIZE));
        assert_eq!(differences(&mut flash, 0, &erased(SIZE)).expect("it answers"), []);
        flash.bytes[0x5123] = 0;
        let part = differences(&mut flash, 0x5000, &erased(0x200)).expect("it answers");
        assert_eq!(
            part,
            [Difference { offset: 0x5123, count: 1 }],
            "a span need not be whole sectors"
        );
    }

    #[test]
    fn neighbours_are_one_difference_and_what_lies_far_apart_is_one_stretch() {
        let mut flash = Flash::of(erased(SIZE));
        flash.bytes[0x2FFE..0x3003].fill(0);
        flash.bytes[0x4444] = 0;
        let found = differences(&mut flash, 0, &erased(SIZE)).expect("it answers");
        let near = [(0x2FFE, 5), (0x4444, 1)].map(|(offset, count)| Difference { offset, count });
        assert_eq!(found, near);
        flash.bytes[0xF_0000] = 0;
        flash.read = 0;
        let found = differences(&mut flash, 0, &erased(SIZE)).expect("it answers");
        assert_eq!(found, [Difference { offset: 0x2FFE, count: 0xF_1000 - 0x2FFE }]);
        assert_eq!(flash.read, NAMED);
    }

    #[test]
    fn only_a_second_wrong_digest_counts() {
        let mut flash = Flash::of(erased(SIZE));
        let right = digest(&erased(SIZE));
        let garbled = SpanDigest {
            offset: 0,
            size: SIZE,
            md5: [0; 16],
            differs: Vec::new(),
            rewritten: None,
        };
        let look = |flash: &mut Flash| {
            look_again(flash, garbled.clone(), &[right], &erased(SIZE)).expect("it answers")
        };
        let seen = look(&mut flash);
        assert_eq!((seen.md5, seen.differs_at(), flash.digests), (right, None, 1));
        flash.bytes[7] = 0;
        let seen = look(&mut flash);
        assert_eq!((seen.md5 == right, seen.differs_at()), (false, Some(7)));
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
        assert_eq!(flash.read, SECTOR as usize, "the other sector is as likely");
    }

    #[test]
    fn of_a_partition_only_the_pages_in_use_are_read() {
        for unlike in [&[0][..], &[1, 2, 4], &[5], &[0, 1, 2, 3, 4, 5]] {
            let mut flash = Flash::of(erased(0x8000));
            for sector in unlike {
                flash.bytes[0x1000 + sector * SECTOR as usize + 9] = 3;
            }
            let wanted = Wanted {
                name: "nvs".to_owned(),
                offset: 0x1000,
                size: 0x6000,
                likely: vec![erased(0x6000)],
            };
            let (_, bytes) = whole(&mut flash, wanted).expect("it answers");
            assert_eq!(bytes, flash.bytes[0x1000..0x7000], "{unlike:?}");
            assert_eq!(flash.read, unlike.len() * SECTOR as usize);
        }
    }
}
