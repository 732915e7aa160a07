//! A part of the flash in which something is to be damaged, and when it can be.
//!
//! Offsets are bytes from the start of the flash.

use std::{ops::Range, sync::Arc};

use goldline_simulator::Tampering;

use crate::profile::SECTOR;

const SECTOR_BYTES: usize = SECTOR as usize;

/// A region that holds something in a good unit.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The region's, as verdicts name it.
    pub(super) name: String,
    pub(super) offset: usize,
    /// What it may hold.
    pub(super) size: usize,
    /// What a good unit holds there, up to the last byte that is not erased; never empty.
    pub(super) good: Arc<[u8]>,
    /// Whether every good unit holds the same.
    pub(super) is_common: bool,
    /// What else tells that it is damaged as a whole: names of what stands in it, or what a boot loader says.
    pub(super) entries: Vec<String>,
}

impl Place {
    /// `None` when a good unit holds nothing there.
    pub(super) fn of(
        name: &str,
        range: Range<usize>,
        cells: &[u8],
        is_common: bool,
    ) -> Option<Self> {
        let there = cells.get(range.clone())?;
        let used = there.iter().rposition(|byte| *byte != 0xFF)? + 1;
        let (offset, size) = (range.start, range.len());
        let (name, good, entries) = (name.to_owned(), there[..used].into(), Vec::new());
        Some(Self { name, offset, size, good, is_common, entries })
    }

    /// Whether what is to be damaged lies there by now.
    fn is_there(&self, cells: &[u8]) -> bool {
        let first = &self.good[..self.good.len().min(SECTOR_BYTES)];
        let there = &cells[self.offset..][..first.len()];
        match self.is_common {
            true => there == first,
            false => there.iter().any(|byte| *byte != 0xFF),
        }
    }

    /// Its bytes on a chip.
    fn bytes<'a>(&self, cells: &'a mut [u8]) -> &'a mut [u8] {
        &mut cells[self.offset..][..self.size]
    }

    /// Changes its bytes once they are there: again, when the first that was changed is erased.
    pub(super) fn tampering(
        &self,
        change: impl Fn(&mut [u8]) + Send + Sync + 'static,
    ) -> Tampering {
        let place = self.clone();
        Tampering::new(move |cells| {
            if !place.is_there(cells) {
                return None;
            }
            let bytes = place.bytes(cells);
            let before = bytes.to_vec();
            change(bytes);
            let first = before.iter().zip(&*bytes).position(|(old, new)| old != new)?;
            u32::try_from(place.offset + first).ok()
        })
    }

    /// Changes something beside it once it is there: again, when the sector at that offset is erased.
    pub(super) fn with(
        &self,
        at: usize,
        change: impl Fn(&mut [u8]) + Send + Sync + 'static,
    ) -> Tampering {
        let place = self.clone();
        Tampering::new(move |cells| {
            if !place.is_there(cells) {
                return None;
            }
            change(cells);
            u32::try_from(at).ok()
        })
    }

    /// Its sectors that hold something, by where they begin in it.
    pub(super) fn sectors(&self) -> Vec<usize> {
        let all = self.good.chunks(SECTOR_BYTES).enumerate();
        let written = all.filter(|(_, sector)| sector.iter().any(|byte| *byte != 0xFF));
        written.map(|(index, _)| index * SECTOR_BYTES).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> Vec<u8> {
        let mut cells = vec![0xFF; 0x8000];
        cells[0x1000..0x1005].fill(7);
        cells[0x3000] = 1;
        cells
    }

    #[test]
    fn a_place_ends_with_the_last_byte_that_is_written() {
        let place = Place::of("app", 0x1000..0x4000, &cells(), true).expect("it holds something");
        assert_eq!((place.good.len(), place.size), (0x2001, 0x3000));
        assert_eq!(place.sectors(), [0, 0x2000]);
        assert!(Place::of("app", 0x4000..0x5000, &cells(), true).is_none());
        assert!(Place::of("app", 0x7000..0x9000, &cells(), true).is_none());
    }

    #[test]
    fn what_is_common_is_damaged_once_it_is_the_same() {
        let place = Place::of("app", 0x1000..0x4000, &cells(), true).expect("it holds something");
        assert!(place.is_there(&cells()));
        let mut other = cells();
        other[0x1001] = 8;
        assert!(!place.is_there(&other));
        assert!(Place { is_common: false, ..place.clone() }.is_there(&other));
        assert!(!Place { is_common: false, ..place }.is_there(&[0xFF; 0x8000]));
    }
}
