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
    // The effect of the last byte's highest bit, then of ever earlier bits.
    let mut effect = step(1);
    let mut effects = [0; 8];
    for byte in (0..covered).rev() {
        for bit in (0..8u8).rev() {
            effects[usize::from(bit)] = effect;
            effect = step(effect);
        }
        if let Some(bit) = effects.iter().position(|effect| *effect == difference) {
            return Some(Flip::Covered { byte, bit: bit as u8 });
        }
    }
    None
}

const fn step(register: u32) -> u32 {
    match register & 1 {
        0 => register >> 1,
        _ => register >> 1 ^ POLYNOMIAL,
    }
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
