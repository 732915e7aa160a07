//! Which single flipped bit explains a CRC that does not match.
//!
//! A CRC is linear: flipping one bit changes it by a value that depends only on
//! the bit's distance from the end. So the difference between the stored and
//! the computed CRC names the bit, without trying each.

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
