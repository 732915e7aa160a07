//! Chance that repeats: the same seed gives the same run.

use super::{Fault, Faults};

/// FNV-1a, which makes a number of a name.
const FNV_OFFSET: u64 = 0xCBF2_9CE4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01B3;

/// A small generator of numbers (SplitMix64); nothing secret may come from it.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The numbers of one fault: two faults of a unit do not share theirs.
    pub(crate) fn of(seed: u64, fault: Fault) -> Self {
        let fold = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        Self(seed ^ fault.name().bytes().fold(FNV_OFFSET, fold))
    }

    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit` - 1; 0 when the limit is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// A byte with one bit set.
    pub(crate) fn bit(&mut self) -> u8 {
        1 << self.below(8)
    }
}

impl Faults {
    /// Which of so many places or moments a fault has, from 0; without a seed it is the first, which is the
    /// usual one.
    pub(crate) fn pick(&self, fault: Fault, of: u64) -> u64 {
        match self.seed {
            0 => 0,
            seed => Chance::of(seed, fault).below(of),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_seeds_and_the_first_without_one() {
        let pick = |seed| {
            let faults: Faults = [Fault::WireVanish].into_iter().collect();
            faults.with_seed(seed).pick(Fault::WireVanish, 1000)
        };
        assert_eq!(pick(0), 0);
        let places: std::collections::BTreeSet<u64> = (1..=50).map(pick).collect();
        assert!(places.len() > 40 && places.iter().all(|place| *place < 1000), "{places:?}");
        assert_eq!(pick(7), pick(7));
    }
}
