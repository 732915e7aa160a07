//! Cells that do not do what they are told.
//!
//! Each defect settles where it matters: at the first place at or behind the end of a bootloader's
//! and a partition table's usual room that is written or erased.

use super::SECTOR_SIZE;
use crate::fault::chance::Chance;
use crate::fault::{Fault, Faults};

/// Defects begin here, so that a bootloader and a partition table are whole.
const FIRST_PLACE: u32 = 0x1_0000;
/// What an earlier test left in a sector that cannot be erased.
const LEFTOVER: u8 = 0xA5;
/// A sector that cannot be erased is one of the first so many that are erased: application and data of any
/// product take as many.
const UNERASABLE: u64 = 2;

/// The defects of one flash chip.
#[derive(Debug)]
pub(super) struct Defects {
    stuck_bit: Settling<(u32, u8)>,
    unerasable: Settling<u32>,
    worn: Settling<u32>,
    has_run: bool,
    runs: bool,
    /// How many sectors are erased before it.
    erasable: u64,
    chance: Chance,
}

/// A defect that has not found its place, or has.
#[derive(Debug)]
enum Settling<T> {
    Absent,
    Looking,
    At(T),
}

impl<T> Settling<T> {
    fn when(present: bool) -> Self {
        if present { Self::Looking } else { Self::Absent }
    }
}

impl Default for Defects {
    fn default() -> Self {
        Self::new(&Faults::default(), 0)
    }
}

impl Defects {
    pub(super) fn new(faults: &Faults, seed: u64) -> Self {
        Self {
            stuck_bit: Settling::when(faults.has(Fault::FlashStuckBit)),
            unerasable: Settling::when(faults.has(Fault::FlashEraseFailed)),
            worn: Settling::when(faults.has(Fault::FlashWornOut)),
            has_run: false,
            runs: false,
            erasable: faults.pick(Fault::FlashEraseFailed, UNERASABLE),
            chance: Chance::new(seed),
        }
    }

    /// An application is started.
    pub(super) fn begin_to_run(&mut self) {
        (self.has_run, self.runs) = (true, true);
    }

    /// The loader has the flash for itself.
    pub(super) fn rest(&mut self) {
        self.runs = false;
    }

    /// After `length` bytes at `offset` were programmed.
    pub(super) fn after_program(&mut self, cells: &mut [u8], offset: u32, length: u32) {
        if let Settling::Looking = self.stuck_bit
            && offset >= FIRST_PLACE
        {
            self.stuck_bit = self.find_set_bit(cells, offset, length);
        }
        if let Settling::At((at, mask)) = self.stuck_bit {
            cells[at as usize] &= !mask;
        }
    }

    /// After the sector at `offset` was erased.
    pub(super) fn after_erase(&mut self, cells: &mut [u8], offset: u32) {
        if let Settling::Looking = self.unerasable
            && offset >= FIRST_PLACE
        {
            match self.erasable.checked_sub(1) {
                Some(left) => self.erasable = left,
                None => self.unerasable = Settling::At(offset),
            }
        }
        if let Settling::Looking = self.worn
            && self.has_run
            && !self.runs
            && offset >= FIRST_PLACE
        {
            self.worn = Settling::At(offset);
        }
        let holds = |defect: &Settling<u32>| matches!(defect, Settling::At(at) if *at == offset);
        if holds(&self.unerasable) || holds(&self.worn) {
            cells[offset as usize..][..SECTOR_SIZE as usize].fill(LEFTOVER);
        }
        if let Settling::At((at, mask)) = self.stuck_bit {
            cells[at as usize] &= !mask;
        }
    }

    /// A bit that should be 1, so that its absence shows.
    fn find_set_bit(&mut self, cells: &[u8], offset: u32, length: u32) -> Settling<(u32, u8)> {
        let start = self.chance.below(length.into()) as u32;
        let mut candidates = (start..length).chain(0..start).map(|index| offset + index);
        match candidates.find(|at| cells[*at as usize] != 0) {
            Some(at) => {
                let lowest_set = cells[at as usize] & cells[at as usize].wrapping_neg();
                Settling::At((at, lowest_set))
            }
            None => Settling::Looking,
        }
    }
}
