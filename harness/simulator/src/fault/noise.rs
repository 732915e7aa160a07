//! Defects of the wire, which meet bytes in both directions.

use super::chance::Chance;
use super::{Fault, Faults};

/// Between two disturbed bytes lie this many sound ones, and as many again by chance.
const SOUND_BYTES: u64 = 700;

#[derive(Debug, Clone, Copy)]
enum Disturbance {
    Drop,
    Duplicate,
    Corrupt,
}

/// What happens to bytes on their way.
#[derive(Debug)]
pub(crate) struct Noise {
    kind: Disturbance,
    chance: Chance,
    sound: u64,
}

impl Noise {
    pub(crate) fn new(faults: &Faults, seed: u64) -> Option<Self> {
        let kinds = [
            (Fault::WireDrop, Disturbance::Drop),
            (Fault::WireDuplicate, Disturbance::Duplicate),
            (Fault::WireCorrupt, Disturbance::Corrupt),
        ];
        let (_, kind) = kinds.into_iter().find(|(fault, _)| faults.has(*fault))?;
        let mut noise = Self { kind, chance: Chance::new(seed), sound: 0 };
        noise.sound = noise.interval();
        Some(noise)
    }

    /// What arrives of these bytes.
    pub(crate) fn disturb(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut arrived = Vec::with_capacity(bytes.len() + 1);
        for byte in bytes {
            if self.sound > 0 {
                self.sound -= 1;
                arrived.push(*byte);
                continue;
            }
            self.sound = self.interval();
            match self.kind {
                Disturbance::Drop => {}
                Disturbance::Duplicate => arrived.extend([*byte, *byte]),
                Disturbance::Corrupt => arrived.push(byte ^ self.chance.bit()),
            }
        }
        arrived
    }

    fn interval(&mut self) -> u64 {
        SOUND_BYTES + self.chance.below(SOUND_BYTES)
    }
}
