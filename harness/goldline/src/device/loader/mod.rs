//! A unit reached through the ROM loader: espflash over the line of a [`Unit`].
//!
//! This is the one place that works round espflash's limits; each says why, and the tests of the
//! simulator's crate fail when upstream mends one.
//!
//! - `entering`: how a unit comes into its loader, and at which rate it is spoken to;
//! - `identity`: who answers there;
//! - `locked`: what it tells of its eFuses, and when they locked it;
//! - `asked`: what it is then asked for.

mod asked;
mod entering;
mod identity;
mod locked;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use espflash::flasher::Flasher;

use super::{ChipFacts, DeviceError, LineError, rate::Rate, reset::Unit};

/// How often a call is tried. What a machine that is busy or a bit on the wire did to one is no longer
/// there at the next; a unit that cannot answer fails as often as it is tried.
const ATTEMPTS: u32 = 3;
/// How often at a rate that is not the ROM's: then a lower one is taken.
const AT_A_RATE: u32 = 2;
/// A refusal by the flash may be a request that arrived damaged: those of the loader carry no checksum.
const REFUSALS: u32 = 2;
/// Nobody answers at all: that is seldom the wire.
const ANSWERS_AGAIN: u32 = 2;
/// Where nothing else tells that all has arrived: what comes late must not be taken for what follows.
const LATE_ANSWERS: Duration = Duration::from_millis(600);

/// What the loader says when the flash itself fails; everything else may be the wire's fault. espflash
/// keeps the kind of error to itself, so its words must do.
const FLASH_FAILED: [&str; 3] =
    ["Bootloader failed to write to flash", "SPI operation failed", "SPI unlock failed"];

/// What espflash says when an answer did not come in time.
const NOT_IN_TIME: &str = "Timeout while running";

/// A unit behind a port that speaks the loader's protocol.
pub(super) struct LoaderDevice {
    unit: Unit,
    rate: Rate,
    flasher: Option<Flasher>,
    /// Who answered when the unit was first identified.
    known: Option<ChipFacts>,
    /// How often a call had to be tried at most since this was last asked.
    attempts: u32,
    speaker: Speaker,
    /// When somebody started the application, whom the bench had to ask for it.
    pressed: Option<Instant>,
}

/// Who carries the loader's commands out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// The program that espflash loads first.
    Stub,
    /// The ROM itself, which is slower, and reads 64 bytes at a time.
    Rom,
}

impl LoaderDevice {
    pub(super) fn new(unit: Unit, baud: Option<u32>) -> Self {
        let speaker = Speaker::Stub;
        let rate = Rate::up_to(baud);
        Self { unit, rate, flasher: None, known: None, attempts: 1, speaker, pressed: None }
    }

    /// With another speaker than the stub.
    pub(super) fn spoken_to_by(self, speaker: Speaker) -> Self {
        Self { speaker, ..self }
    }

    /// Does what the wire may have spoilt until it comes about, each time from a reset on: a loader that
    /// may be in the middle of something else is not asked again.
    fn persistently<T>(
        &mut self,
        mut call: impl FnMut(&mut Self) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let (mut tried, mut attempt) = (1, 1);
        loop {
            self.attempts = self.attempts.max(tried);
            let error = match call(self) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let most = self.most_attempts(&error);
            tracing::info!(%error, attempt, "it failed");
            tried += 1;
            attempt += 1;
            if most > 1 && attempt > AT_A_RATE && self.leave_rate(&error) {
                // At that rate the wire was at fault, if it was.
                attempt = 1;
            } else if attempt > most {
                return Err(error);
            }
        }
    }

    /// Goes on at a lower rate, if there is one. A refusal of the flash may be a damaged request too; it is
    /// asked for once more, at the lowest.
    fn leave_rate(&mut self, error: &DeviceError) -> bool {
        // Who cannot reset the unit cannot tell it another rate either.
        if self.unit.is_reset_by_hand() {
            return false;
        }
        match error {
            DeviceError::Garbled { .. } | DeviceError::TimedOut { .. } => self.rate.lower(),
            DeviceError::Loader { .. } => self.rate.lowest(),
            DeviceError::Line(LineError::Baud { .. }) => self.rate.lower(),
            _ => false,
        }
    }

    fn most_attempts(&self, error: &DeviceError) -> u32 {
        if self.unit.line().is_cancelled() || self.unit.line().has_vanished() {
            return 1;
        }
        // Without a reset nobody can enter the loader once more.
        if self.unit.is_reset_by_hand() && self.flasher.is_none() {
            return 1;
        }
        match error {
            DeviceError::Garbled { .. } | DeviceError::TimedOut { .. } => ATTEMPTS,
            // It answered before in this run: its supply may have failed for a moment.
            DeviceError::NoAnswer { .. } if self.known.is_some() => ANSWERS_AGAIN,
            DeviceError::Loader { .. } => REFUSALS,
            // A bridge that does not take a rate takes a lower one.
            DeviceError::Line(LineError::Baud { .. }) if self.rate.is_raised() => ATTEMPTS,
            _ => 1,
        }
    }

    /// One call of the unit's loader, as often as it takes.
    fn ask<T>(
        &mut self,
        action: &'static str,
        mut call: impl FnMut(&mut Self) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        if self.flasher.is_none() {
            return Err(DeviceError::NotIdentified { action });
        }
        let mut first = true;
        self.persistently(|device| {
            if !std::mem::take(&mut first) {
                device.begin_anew()?;
            }
            call(device)
        })
    }

    /// Brings the loader to where nothing of a failed call is left.
    fn begin_anew(&mut self) -> Result<(), DeviceError> {
        let line = self.unit.line();
        if !self.unit.is_reset_by_hand() || line.broken().is_some() {
            return self.enter().map(drop);
        }
        line.stillness().begin();
        line.stillness().wait_out(LATE_ANSWERS, || line.is_cancelled());
        // Whoever laid in another unit put it into its loader too.
        let facts = self.reading()?;
        self.same_as_before(&facts)
    }

    /// Runs one espflash call: a panic inside it (it slices by lengths that the unit sends) and a
    /// port that went away become errors that say so.
    fn with_flasher<T>(
        &mut self,
        action: &'static str,
        call: impl FnOnce(&mut Flasher) -> Result<T, espflash::Error>,
    ) -> Result<T, DeviceError> {
        let flasher = self.flasher.as_mut().ok_or(DeviceError::NotIdentified { action })?;
        self.unit.line().be_fragile(true);
        let outcome = catch_unwind(AssertUnwindSafe(|| call(flasher)));
        self.unit.line().be_fragile(false);
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.explain(action, &error)),
            Err(_panic) => Err(self.garbled(action, "a response of impossible length")),
        }
    }

    fn garbled(&self, action: &'static str, detail: impl Into<String>) -> DeviceError {
        DeviceError::Garbled { port: self.unit.name(), action, detail: detail.into() }
    }

    fn explain(&self, action: &'static str, error: &espflash::Error) -> DeviceError {
        let port = self.unit.name();
        if self.unit.line().has_vanished() {
            return DeviceError::Vanished { port, action };
        }
        if let Some(broken) = self.unit.line().broken() {
            return DeviceError::TimedOut { port, action, detail: broken.words().to_owned() };
        }
        let detail = whole_story(error);
        if FLASH_FAILED.iter().any(|words| detail.ends_with(words)) {
            DeviceError::Loader { action, detail }
        } else if detail.contains(NOT_IN_TIME) {
            DeviceError::TimedOut { port, action, detail }
        } else {
            DeviceError::Garbled { port, action, detail }
        }
    }
}

/// An error with all that led to it: espflash's outermost words alone say little.
fn whole_story(error: &espflash::Error) -> String {
    let mut story = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let words = error.to_string();
        if !story.ends_with(&words) {
            story = format!("{story}: {words}");
        }
        cause = error.source();
    }
    story
}
