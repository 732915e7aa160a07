//! Which single flipped bit explains a CRC that does not match.
//!
//! A CRC is linear: flipping one bit changes it by a value that depends only on
//! the bit's distance from the end. So the difference between the stored and
//! the computed CRC names the bit, without trying each.

use std::fmt;

use crate::format::{BITMAP_OFFSET, EntryState, FIRST_ENTRY_OFFSET, header};
use crate::image::Location;
use crate::key::Key;
use crate::limits::PAGE_BYTES;

/// One flipped bit: flipped back, the image is as it was. `Display` says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Byte of the flipped bit, from the image's start.
    pub offset: usize,
    /// Bit of that byte, from 0.
    pub bit: u8,
    /// The key as it was, when the bit is part of it.
    pub key: Option<Key>,
}

impl Repair {
    pub(super) const fn at(offset: usize, bit: u8) -> Self {
        Self { offset, bit, key: None }
    }

    /// Of an entry that was written and whose state is one bit off.
    pub(super) fn of_entry_state(location: Location, state: EntryState) -> Option<Self> {
        let difference = state.bits() ^ EntryState::Written.bits();
        let Location { page, entry } = location;
        let offset = page * PAGE_BYTES + BITMAP_OFFSET + entry / 4;
        let first = (entry % 4 * 2) as u8;
        let bit = first + difference.trailing_zeros() as u8;
        (difference.count_ones() == 1).then_some(Self::at(offset, bit))
    }

    /// Flips the bit in the image's bytes.
    ///
    /// # Panics
    /// When `image` is shorter than the one that the repair is of.
    pub fn apply(&self, image: &mut [u8]) {
        image[self.offset] ^= 1 << self.bit;
    }

    fn offset_in_page(&self) -> usize {
        self.offset % PAGE_BYTES
    }

    /// Whether a CRC proves the bit; what no CRC covers is told from its surroundings.
    pub(crate) fn is_proven(&self) -> bool {
        let at = self.offset_in_page();
        (header::SEQUENCE..BITMAP_OFFSET).contains(&at) || at >= FIRST_ENTRY_OFFSET
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, bit, key } = self;
        write!(f, "flipping bit {bit} of byte ")?;
        match self.offset_in_page() {
            byte @ ..BITMAP_OFFSET => write!(f, "{byte} of the page")?,
            _ => write!(f, "{offset:#x}")?,
        }
        match (self.is_proven(), self.offset_in_page()) {
            (true, _) => write!(f, " restores the CRC")?,
            (false, ..BITMAP_OFFSET) => write!(f, " restores its state")?,
            (false, _) => write!(f, " restores the entry's state")?,
        }
        match key {
            Some(key) => write!(f, "; the key was `{key}`"),
            None => Ok(()),
        }
    }
}

/// Where the bit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flip {
    /// In the covered bytes.
    Covered {
        /// Byte of the covered bytes.
        byte: usize,
        /// Bit of that byte, from 0.
        bit: u8,
    },
    /// In the stored CRC itself.
    Crc {
        /// Byte of the little-endian CRC.
        byte: usize,
        /// Bit of that byte, from 0.
        bit: u8,
    },
}

/// The reversed polynomial of CRC-32.
const POLYNOMIAL: u32 = 0xEDB8_8320;

/// Finds the bit, given how many bytes the CRC covers. Takes time in proportion
/// to that.
pub(super) fn single_flip(stored: u32, computed: u32, covered: usize) -> Option<Flip> {
    let difference = stored ^ computed;
    if difference.count_ones() == 1 {
        let bit = difference.trailing_zeros() as u8;
        return Some(Flip::Crc { byte: usize::from(bit / 8), bit: bit % 8 });
    }
    // Back through the register: the bit is where a single one is left.
    let mut effect = difference;
    let mut distance = 0;
    while distance < covered * 8 {
        // Undoes one step of the CRC's register.
        effect = match effect >> 31 {
            0 => effect << 1,
            _ => (effect ^ POLYNOMIAL) << 1 | 1,
        };
        if effect == 1 {
            return Some(Flip::Covered {
                byte: covered - 1 - distance / 8,
                bit: 7 - (distance % 8) as u8,
            });
        }
        distance += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::crc32;

    #[test]
    fn a_repair_says_what_it_flips_and_what_that_restores() {
        let text = |repair: Repair| repair.to_string();
        assert_eq!(
            text(Repair::at(0x1004, 7)),
            "flipping bit 7 of byte 4 of the page restores the CRC"
        );
        assert_eq!(
            text(Repair::at(0x1003, 1)),
            "flipping bit 1 of byte 3 of the page restores its state"
        );
        assert_eq!(text(Repair::at(0x1040, 0)), "flipping bit 0 of byte 0x1040 restores the CRC");
        let at = Location { page: 1, entry: 6 };
        let state = Repair::of_entry_state(at, EntryState::Empty).unwrap();
        assert_eq!(text(state), "flipping bit 4 of byte 0x1021 restores the entry's state");
        assert_eq!(Repair::of_entry_state(at, EntryState::Illegal), None);
        let key = Some(Key::new("ssid").unwrap());
        assert_eq!(
            text(Repair { key, ..Repair::at(0x68, 5) }),
            "flipping bit 5 of byte 0x68 restores the CRC; the key was `ssid`"
        );
    }

    #[test]
    fn every_single_bit_is_found() {
        let sound = *b"twenty-eight bytes in a row.";
        let stored = crc32(&sound);
        for byte in 0..sound.len() {
            for bit in 0..8 {
                let mut damaged = sound;
                damaged[byte] ^= 1 << bit;
                let found = single_flip(stored, crc32(&damaged), sound.len());
                assert_eq!(found, Some(Flip::Covered { byte, bit }));
            }
        }
        let found = single_flip(stored ^ 1 << 13, stored, sound.len());
        assert_eq!(found, Some(Flip::Crc { byte: 1, bit: 5 }));
    }

    #[test]
    fn other_damage_is_not_explained() {
        let computed = crc32(b"something else entirely here");
        assert_eq!(single_flip(!computed, computed, 28), None);
    }
}
