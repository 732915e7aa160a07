//! Makes the flash hold what is planned, and asks it first what it holds: a digest costs a few bytes on the
//! wire, and what is right already is neither sent nor erased.
//!
//! Pure calls of a device. Must not know a plan, nor judge: whether all came about, the evidence tells.

use std::ops::Range;

use md5::{Digest, Md5};

use super::flash_reading::size_of;
use crate::{
    device::{Device, DeviceError},
    plan::{Layers, Stretch},
    profile::SECTOR,
    record::Flashed,
};

/// Erased sectors among others that are written along: to leave them out costs more commands than it saves.
const SHORT_GAP: usize = 4 * SECTOR as usize;
/// What the flash erases at a time where it can.
const BLOCK: u32 = 0x1_0000;

/// What a device said of a part of its flash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) at: Stretch,
    pub(super) md5: [u8; 16],
}

/// A stretch of the flash, and the image that was laid at its begin; empty where none was.
pub(super) struct Laid {
    pub(super) at: Stretch,
    pub(super) image: Vec<u8>,
}

/// What came of the rest of a flash.
#[derive(Debug, Default)]
pub(super) struct Cleared {
    /// What the device said of each stretch, as long as that holds: nothing, when anything was erased.
    pub(super) seen: Vec<Seen>,
    pub(super) flashed: Flashed,
    /// Whether it said something else of the same bytes when it was asked again.
    pub(super) spoke_otherwise: bool,
}

/// Writes an image where it is not there yet. It takes whole sectors; `progress` hears how many of its bytes
/// are done.
pub(super) fn lay(
    device: &mut dyn Device,
    offset: u32,
    image: &[u8],
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<Flashed, DeviceError> {
    let mut bytes = image.to_vec();
    bytes.resize(image.len().next_multiple_of(SECTOR as usize), 0xFF);
    let size = bytes.len() as u64;
    if device.begins_erased() {
        device.write(offset, image, progress)?;
        return Ok(Flashed { written: size, ..Flashed::default() });
    }
    if holds(device, offset, &bytes)? {
        progress(image.len());
        return Ok(Flashed { kept: size, ..Flashed::default() });
    }
    let mut flashed = Flashed::default();
    let parts = parts(&bytes);
    let alone = parts.len() == 1;
    for part in parts {
        let (at, content) = (offset + size_of(&bytes[..part.start]), &bytes[part.clone()]);
        let size = content.len() as u64;
        if !alone && holds(device, at, content)? {
            flashed.kept += size;
        } else if is_erased(content) {
            device.erase_sectors(at, size_of(content))?;
            flashed.erased += size;
        } else {
            let content = &content[..content.len().min(image.len() - part.start)];
            device.write(at, content, &mut |done| progress(part.start + done))?;
            flashed.written += size;
        }
        progress(part.end.min(image.len()));
    }
    Ok(flashed)
}

/// Erases what the flash holds besides what was laid into it.
pub(super) fn erase_rest(
    device: &mut dyn Device,
    stretches: &[Laid],
) -> Result<Cleared, DeviceError> {
    let mut cleared = Cleared::default();
    if device.begins_erased() {
        return Ok(cleared);
    }
    for Laid { at, image } in stretches {
        let md5 = device.digest(at.offset, at.size)?;
        if md5 == Layers::of(image).digest(at.size) {
            cleared.seen.push(Seen { at: *at, md5 });
            continue;
        }
        let taken = size_of(image).next_multiple_of(SECTOR);
        let dirty = dirty(device, at.offset + taken, at.offset + at.size)?;
        for Range { start, end } in &dirty {
            device.erase_sectors(*start, end - start)?;
            cleared.flashed.erased += u64::from(end - start);
        }
        if dirty.is_empty() {
            // Either it is the image that is wrong, or it was the wire.
            let again = device.digest(at.offset, at.size)?;
            cleared.spoke_otherwise |= again != md5;
            cleared.seen.push(Seen { at: *at, md5: again });
        }
    }
    if cleared.flashed.erased > 0 {
        cleared.seen.clear();
    }
    Ok(cleared)
}

fn holds(device: &mut dyn Device, offset: u32, bytes: &[u8]) -> Result<bool, DeviceError> {
    let expected: [u8; 16] = Md5::digest(bytes).into();
    Ok(device.digest(offset, size_of(bytes))? == expected)
}

/// The blocks that are not erased; neighbours are one.
fn dirty(device: &mut dyn Device, start: u32, end: u32) -> Result<Vec<Range<u32>>, DeviceError> {
    let mut dirty: Vec<Range<u32>> = Vec::new();
    let mut from = start;
    while from < end {
        let to = (from + 1).next_multiple_of(BLOCK).min(end);
        if device.digest(from, to - from)? != Layers::erased().digest(to - from) {
            match dirty.last_mut() {
                Some(last) if last.end == from => last.end = to,
                _ => dirty.push(from..to),
            }
        }
        from = to;
    }
    Ok(dirty)
}

/// An image in the parts that are dealt with one by one: such as hold something, and long erased ones.
fn parts(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut parts: Vec<(bool, Range<usize>)> = Vec::new();
    for start in (0..bytes.len()).step_by(SECTOR as usize) {
        let end = bytes.len().min(start + SECTOR as usize);
        let erased = is_erased(&bytes[start..end]);
        match parts.last_mut() {
            Some((last, part)) if *last == erased => part.end = end,
            _ => parts.push((erased, start..end)),
        }
    }
    let mut joined: Vec<Range<usize>> = Vec::new();
    let (mut after_gap, count) = (false, parts.len());
    for (at, (erased, part)) in parts.into_iter().enumerate() {
        let inside = at > 0 && at + 1 < count;
        let gap = erased && inside && part.len() < SHORT_GAP;
        match joined.last_mut() {
            Some(last) if gap || after_gap => last.end = part.end,
            _ => joined.push(part),
        }
        after_gap = gap;
    }
    joined
}

fn is_erased(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0xFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::flash_reading::{erased, tests::Flash};

    const SIZE: u32 = 0x10_0000;
    const ONE: usize = SECTOR as usize;

    fn laid(flash: &mut Flash, offset: u32, image: &[u8]) -> (Flashed, Vec<usize>) {
        let mut heard = Vec::new();
        let flashed = lay(flash, offset, image, &mut |done| heard.push(done));
        (flashed.expect("it answers"), heard)
    }

    #[test]
    fn what_is_there_already_is_not_written() {
        let mut flash = Flash::of(erased(SIZE));
        let image = vec![7; 5000];
        let (first, heard) = laid(&mut flash, 0x2000, &image);
        assert_eq!(first, Flashed { written: 0x2000, kept: 0, erased: 0 });
        assert_eq!(heard.last(), Some(&5000));
        assert_eq!((&flash.bytes[0x2000..0x2000 + 5000], flash.bytes[0x3FFF]), (&image[..], 0xFF));
        let (second, heard) = laid(&mut flash, 0x2000, &image);
        assert_eq!((second, heard), (Flashed { written: 0, kept: 0x2000, erased: 0 }, vec![5000]));
        assert_eq!(flash.written, [(0x2000, 5000)], "its last sector is erased to the end");
    }

    /// The sector in which an image ends is the image's to its end.
    #[test]
    fn a_byte_behind_the_image_in_its_last_sector_is_cleared() {
        let mut flash = Flash::of(erased(SIZE));
        flash.bytes[..5000].fill(7);
        flash.bytes[8000] = 0;
        assert_eq!(laid(&mut flash, 0, &[7; 5000]).0.written, 0x2000);
        assert_eq!(flash.bytes[8000], 0xFF);
    }

    #[test]
    fn erased_pages_are_neither_written_nor_erased_unless_they_hold_something() {
        let image = [vec![1; ONE], vec![0xFF; 5 * ONE]].concat();
        let mut flash = Flash::of(erased(SIZE));
        let flashed = laid(&mut flash, 0x9000, &image).0;
        assert_eq!(flashed, Flashed { written: 0x1000, kept: 0x5000, erased: 0 });
        assert_eq!((&flash.written[..], &flash.erased[..]), (&[(0x9000, 0x1000)][..], &[][..]));
        flash.bytes[0xD123] = 0;
        let flashed = laid(&mut flash, 0x9000, &image).0;
        assert_eq!(flashed, Flashed { written: 0, kept: 0x1000, erased: 0x5000 });
        assert_eq!(flash.erased, [(0xA000, 0x5000)]);
        assert_eq!(flash.bytes[0x9000..0xF000], image[..]);
    }

    #[test]
    fn a_short_gap_is_written_along_and_a_long_one_is_left_out() {
        let holding = vec![1; ONE];
        let with_gap = |gap: usize| [&holding[..], &vec![0xFF; gap * ONE], &holding].concat();
        assert_eq!(parts(&with_gap(3)), std::slice::from_ref(&(0..5 * ONE)));
        assert_eq!(parts(&with_gap(4)), [0..ONE, ONE..5 * ONE, 5 * ONE..6 * ONE]);
        assert_eq!(parts(&[0xFF; 2 * ONE]), std::slice::from_ref(&(0..2 * ONE)));
        assert!(parts(&[]).is_empty());
    }

    fn stretches() -> Vec<Laid> {
        let stretch = |offset, size, image: &[u8]| Laid {
            at: Stretch { offset, size },
            image: image.to_vec(),
        };
        vec![stretch(0, 0x1_1000, &[]), stretch(0x1_1000, SIZE - 0x1_1000, &[5; 5000])]
    }

    #[test]
    fn of_an_earlier_life_nothing_is_left_and_no_more_is_erased() {
        let mut flash = Flash::of(erased(SIZE));
        laid(&mut flash, 0x1_1000, &[5; 5000]);
        let Cleared { seen, flashed, .. } =
            erase_rest(&mut flash, &stretches()).expect("it answers");
        assert_eq!((seen.len(), flashed), (2, Flashed::default()));
        for at in [0x5, 0x1_0FFF, 0x1_3000, 0x2_0000, 0x2_FFFF, 0xF_FFFF] {
            flash.bytes[at] = 0;
        }
        let Cleared { seen, flashed, .. } =
            erase_rest(&mut flash, &stretches()).expect("it answers");
        assert_eq!(seen, [], "what was seen before an erasure tells nothing after it");
        assert_eq!(flashed.erased, 0x1_1000 + (0x3_0000 - 0x1_3000) + 0x1_0000);
        let [first, second, third] = flash.erased[..] else { panic!("{:x?}", flash.erased) };
        assert_eq!(
            [first, second, third],
            [(0, 0x1_1000), (0x1_3000, 0x1_D000), (0xF_0000, 0x1_0000)]
        );
        assert_eq!(flash.bytes[0x1_1000..][..5000], [5; 5000]);
        assert!(is_erased(&flash.bytes[0x1_3000..]) && is_erased(&flash.bytes[..0x1_1000]));
    }

    /// It is the evidence that says what is wrong.
    #[test]
    fn an_image_that_is_wrong_is_left_as_it_is() {
        let mut flash = Flash::of(erased(SIZE));
        laid(&mut flash, 0x1_1000, &[5; 5000]);
        flash.bytes[0x1_1001] = 4;
        let Cleared { seen, flashed, .. } =
            erase_rest(&mut flash, &stretches()).expect("it answers");
        assert_eq!((seen.len(), flashed.erased, flash.bytes[0x1_1001]), (2, 0, 4));
    }
}
