//! Damage that needs no knowledge of what is damaged: bits, bytes, sectors.

use crate::profile::SECTOR;

/// What is done to bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Damage {
    /// One bit is another.
    Bit {
        /// Where.
        at: usize,
        /// Which.
        mask: u8,
    },
    /// One byte is another.
    Byte {
        /// Where.
        at: usize,
        /// What is added to it; not 0.
        by: u8,
    },
    /// A sector is erased.
    Erased {
        /// Where it begins.
        at: usize,
    },
    /// All lies further behind; what stood last is lost.
    Shifted {
        /// By so many bytes.
        by: usize,
    },
    /// From there on it is erased.
    CutShort {
        /// Where.
        at: usize,
    },
}

impl Damage {
    /// What it is, as a clause.
    pub(super) fn of(self, name: &str, offset: usize) -> String {
        let place = |at: usize| format!("{:#x}", offset + at);
        match self {
            Self::Bit { at, .. } => format!("a bit of {name} at {} is inverted", place(at)),
            Self::Byte { at, .. } => format!("the byte of {name} at {} is another", place(at)),
            Self::Erased { at } => format!("the sector of {name} at {} is erased", place(at)),
            Self::Shifted { by } => format!("{name} lies {by:#x} bytes too far behind"),
            Self::CutShort { at } => format!("{name} ends at {}", place(at)),
        }
    }

    /// Does it.
    pub(super) fn on(self, bytes: &mut [u8]) {
        match self {
            Self::Bit { at, mask } => bytes[at] ^= mask,
            Self::Byte { at, by } => bytes[at] = bytes[at].wrapping_add(by),
            Self::Erased { at } => {
                let end = (at + SECTOR as usize).min(bytes.len());
                bytes[at..end].fill(0xFF);
            }
            Self::Shifted { by } => {
                let by = by.min(bytes.len());
                bytes.copy_within(..bytes.len() - by, by);
                bytes[..by].fill(0xFF);
            }
            Self::CutShort { at } => bytes[at..].fill(0xFF),
        }
    }

    /// The first byte that it can change.
    pub(super) fn first(self) -> usize {
        match self {
            Self::Bit { at, .. }
            | Self::Byte { at, .. }
            | Self::Erased { at }
            | Self::CutShort { at } => at,
            Self::Shifted { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_damage_changes_what_it_says() {
        let done = |damage: Damage| {
            let mut bytes: Vec<u8> = (0..=u8::MAX).cycle().take(0x2000).collect();
            let before = bytes.clone();
            damage.on(&mut bytes);
            let differ = bytes.iter().zip(&before).filter(|(now, before)| now != before).count();
            let first = bytes.iter().zip(&before).position(|(now, before)| now != before);
            assert_eq!(first, Some(damage.first()), "{damage:?}");
            (bytes, differ)
        };
        assert_eq!(done(Damage::Bit { at: 9, mask: 4 }).1, 1);
        assert_eq!(done(Damage::Byte { at: 9, by: 255 }).0[9], 8);
        let (erased, differ) = done(Damage::Erased { at: 0x1000 });
        assert!(erased[0x1000..].iter().all(|byte| *byte == 0xFF) && differ == 0x1000 - 16);
        let (shifted, _) = done(Damage::Shifted { by: 4 });
        assert_eq!((&shifted[..6], shifted.len()), (&[255, 255, 255, 255, 0, 1][..], 0x2000));
        let (cut, _) = done(Damage::CutShort { at: 0x800 });
        assert!(cut[0x800..].iter().all(|byte| *byte == 0xFF) && cut[0x7FE] == 0xFE);
    }
}
