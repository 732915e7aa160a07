//! Defects of the wire, which meet bytes in both directions.

use super::chance::Chance;
use super::{Fault, Faults};

/// Between two disturbed bytes lie this many sound ones, and as many again by chance.
const SOUND_BYTES: u64 = 700;
/// And where the rate is too high for the wire, so many.
const SOUND_BYTES_TOO_FAST: u64 = 80;
/// A wire that is too long or a bridge that is too slow takes this rate, and no higher one.
const HIGHEST_SOUND_RATE: u32 = 230_400;

#[derive(Debug, Clone, Copy)]
enum Disturbance {
    Drop,
    Duplicate,
    Corrupt,
    /// Of every byte, not now and then.
    Swallow,
}

/// What happens to bytes on their way.
#[derive(Debug)]
pub(crate) struct Noise {
    kind: Disturbance,
    chance: Chance,
    sound: u64,
    sound_bytes: u64,
    /// The highest rate at which the wire is sound.
    sound_rate: Option<u32>,
    is_quiet: bool,
}

impl Noise {
    pub(crate) fn new(faults: &Faults, seed: u64) -> Option<Self> {
        let kinds = [
            (Fault::WireDrop, Disturbance::Drop),
            (Fault::WireDuplicate, Disturbance::Duplicate),
            (Fault::WireCorrupt, Disturbance::Corrupt),
            (Fault::WireFastRate, Disturbance::Corrupt),
            (Fault::WireDeafRate, Disturbance::Swallow),
        ];
        let (fault, kind) = kinds.into_iter().find(|(fault, _)| faults.has(*fault))?;
        let is_of_rate = matches!(fault, Fault::WireFastRate | Fault::WireDeafRate);
        let mut noise = Self {
            kind,
            chance: Chance::new(seed),
            sound: 0,
            sound_bytes: if is_of_rate { SOUND_BYTES_TOO_FAST } else { SOUND_BYTES },
            sound_rate: is_of_rate.then_some(HIGHEST_SOUND_RATE),
            is_quiet: is_of_rate,
        };
        noise.sound = noise.interval();
        Some(noise)
    }

    /// The rate changed.
    pub(crate) fn set_baud(&mut self, baud: u32) {
        self.is_quiet = self.sound_rate.is_some_and(|sound| baud <= sound);
    }

    /// What arrives of these bytes.
    pub(crate) fn disturb(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.is_quiet {
            return bytes.to_vec();
        }
        if matches!(self.kind, Disturbance::Swallow) {
            return Vec::new();
        }
        let mut arrived = Vec::with_capacity(bytes.len() + 1);
        for byte in bytes {
            if self.sound > 0 {
                self.sound -= 1;
                arrived.push(*byte);
                continue;
            }
            self.sound = self.interval();
            match self.kind {
                Disturbance::Drop | Disturbance::Swallow => {}
                Disturbance::Duplicate => arrived.extend([*byte, *byte]),
                Disturbance::Corrupt => arrived.push(byte ^ self.chance.bit()),
            }
        }
        arrived
    }

    fn interval(&mut self) -> u64 {
        self.sound_bytes + self.chance.below(self.sound_bytes)
    }
}
