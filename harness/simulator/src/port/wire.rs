//! What lies between client and unit: time, and what goes wrong on the way.

use std::time::Duration;

use super::pace::Pace;
use crate::chip::registers::ROM_BAUD;
use crate::fault::noise::Noise;
use crate::fault::{Fault, Faults};

/// How late answers are with `wire.delay`.
const LATENESS: Duration = Duration::from_millis(40);

/// What lies between client and unit.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// Whether bytes to the client are lost on the way.
    pub(super) silent: bool,
    /// How long each answer is held back.
    pub(super) delay: Duration,
    /// What disturbs what comes and what goes, each by itself: only so does a run repeat exactly,
    /// however the two directions interleave.
    noise: Option<(Noise, Noise)>,
    /// Pace of what comes and of what goes; without it, bytes take no time.
    pub(super) pace: Option<(Pace, Pace)>,
}

impl Wire {
    pub(crate) fn new(faults: &Faults, seed: u64, paced: bool) -> Self {
        let late = faults.has(Fault::WireDelay);
        let pace = || Pace::new(ROM_BAUD);
        Self {
            silent: faults.has(Fault::WireSilent),
            delay: if late { LATENESS } else { Duration::ZERO },
            noise: Noise::new(faults, seed).zip(Noise::new(faults, !seed)),
            pace: (paced || late).then(|| (pace(), pace())),
        }
    }

    /// What arrives at the unit of what its client sent.
    pub(super) fn disturb_incoming(&mut self, bytes: &[u8]) -> Vec<u8> {
        match &mut self.noise {
            Some((incoming, _)) => incoming.disturb(bytes),
            None => bytes.to_vec(),
        }
    }

    /// What arrives at the client of what the unit sent.
    pub(super) fn disturb_outgoing(&mut self, bytes: &[u8]) -> Vec<u8> {
        match &mut self.noise {
            Some((_, outgoing)) => outgoing.disturb(bytes),
            None => bytes.to_vec(),
        }
    }

    pub(super) fn incoming(&mut self) -> Option<&mut Pace> {
        self.pace.as_mut().map(|(incoming, _)| incoming)
    }

    pub(super) fn outgoing(&mut self) -> Option<&mut Pace> {
        self.pace.as_mut().map(|(_, outgoing)| outgoing)
    }
}
