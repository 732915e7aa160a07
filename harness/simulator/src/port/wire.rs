//! What lies between client and unit: time, and what goes wrong on the way.

use std::time::Duration;

use super::pace::Pace;
use crate::chip::registers::ROM_BAUD;
use crate::fault::flip::Flip;
use crate::fault::lateness::Lateness;
use crate::fault::noise::Noise;
use crate::fault::{Fault, Faults};

/// What lies between client and unit.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// Whether bytes to the client are lost on the way.
    pub(super) silent: bool,
    lateness: Lateness,
    /// What disturbs what comes and what goes, each by itself: only so does a run repeat exactly,
    /// however the two directions interleave.
    noise: Option<(Noise, Noise)>,
    flip: Option<Flip>,
    /// Pace of what comes; without it, bytes take no time.
    pub(super) incoming: Option<Pace>,
}

impl Wire {
    /// `mac` is the unit's address, of which one fault hits the answer.
    pub(crate) fn new(faults: &Faults, seed: u64, paced: bool, mac: [u8; 6]) -> Self {
        Self {
            silent: faults.has(Fault::WireSilent),
            lateness: Lateness::new(faults, seed),
            noise: Noise::new(faults, seed).zip(Noise::new(faults, !seed)),
            flip: Flip::new(faults, seed, mac),
            incoming: paced.then(|| Pace::new(ROM_BAUD)),
        }
    }

    /// The same wire, with one bit that is inverted in a text.
    pub(crate) fn with_bit_in(self, text: Option<&str>) -> Self {
        Self { flip: text.map(Flip::in_text).or(self.flip), ..self }
    }

    /// The UART's rate changed.
    pub(super) fn set_baud(&mut self, baud: u32) {
        if let Some(incoming) = &mut self.incoming {
            incoming.set_baud(baud);
        }
        if let Some((incoming, outgoing)) = &mut self.noise {
            incoming.set_baud(baud);
            outgoing.set_baud(baud);
        }
    }

    /// A pace for what goes, where bytes take time.
    pub(super) fn pace(&self) -> Option<Pace> {
        self.incoming.is_some().then(|| Pace::new(ROM_BAUD))
    }

    /// How late arrives what the unit sends next.
    pub(super) fn lateness(&mut self) -> Duration {
        self.lateness.next()
    }

    /// What arrives at the unit of what its client sent.
    pub(super) fn disturb_incoming(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = match &mut self.noise {
            Some((incoming, _)) => incoming.disturb(bytes),
            None => bytes.to_vec(),
        };
        if let Some(flip) = &mut self.flip {
            flip.incoming(&mut bytes);
        }
        bytes
    }

    /// What arrives at the client of what the unit sent.
    pub(super) fn disturb_outgoing(&mut self, bytes: &[u8]) -> Vec<u8> {
        match &mut self.noise {
            Some((_, outgoing)) => outgoing.disturb(bytes),
            None => bytes.to_vec(),
        }
    }

    /// What becomes of a text that a program prints.
    pub(super) fn disturb_text(&mut self, text: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        if let Some(flip) = &mut self.flip {
            flip.text(&mut text);
        }
        text
    }

    /// What becomes of an answer of the loader.
    pub(super) fn disturb_answer(&mut self, answer: &[u8]) -> Vec<u8> {
        let mut answer = answer.to_vec();
        if let Some(flip) = &mut self.flip {
            flip.answer(&mut answer);
        }
        answer
    }
}
