//! An emulated unit whose flash is a file, written from outside while the unit stands still.
//!
//! Must not know which emulator runs it.

use std::{
    io,
    time::{Duration, Instant},
};

use md5::{Digest, Md5};

use super::{
    boots::{BOOTS, Look, starts},
    flash::{FlashFile, FlashFileError},
};
use crate::{
    device::{ChipFacts, Device, DeviceError, LineHandle, line::Line},
    identity::Mac,
    profile::Chip,
};

/// What a unit that stands still has said is all there when nothing more came for so long.
const SILENCE: Duration = Duration::from_millis(30);

/// The supply of an emulated unit: an emulator's process, and the flash that it runs on.
pub(in crate::device) trait Supply: Send {
    /// Why the unit cannot be switched.
    type Error: Into<DeviceError> + From<FlashFileError>;

    /// The device URL's scheme, for messages.
    const NAME: &'static str;

    /// What the unit runs on; it changes while the unit runs.
    fn flash(&self) -> &FlashFile;

    /// The base MAC of the eFuses.
    fn mac(&mut self) -> Result<Mac, Self::Error>;

    /// Lets the unit stand still, so that its flash does not change. Says whether it ran.
    fn hold(&mut self) -> Result<bool, Self::Error>;

    /// The flash is about to be written from outside.
    fn rewrite(&mut self) -> Result<&FlashFile, Self::Error>;

    /// Resets the unit into its application.
    fn boot(&mut self) -> Result<(), Self::Error>;

    /// Switches the unit off; what it wrote is in its flash.
    fn off(&mut self) -> Result<(), Self::Error>;

    /// What the processor of the unit does, which may be looked at while it runs.
    fn look(&mut self) -> Result<Look, Self::Error> {
        Ok(Look::Unknown)
    }

    /// Says why the emulator ended, if it did.
    fn look_after(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// A unit whose flash is a file.
pub(in crate::device) struct EmulatedDevice<S> {
    // Before the line, which sees it end.
    supply: S,
    line: Line,
    chip: Chip,
    known: Option<ChipFacts>,
    attempts: u32,
    last_reset: Option<Instant>,
}

/// A unit whose emulator hangs does nothing of what it would do.
pub(in crate::device) fn refuse_standstill<S: Supply>(supply: &mut S) -> Result<(), DeviceError> {
    match supply.look().map_err(Into::into)? {
        Look::Stands(at) => Err(DeviceError::StandsStill { at }),
        Look::Unknown | Look::Goes => Ok(()),
    }
}

impl<S: Supply> EmulatedDevice<S> {
    pub(in crate::device) fn new(supply: S, line: Line, chip: Chip) -> Self {
        Self { supply, line, chip, known: None, attempts: 1, last_reset: None }
    }

    /// What the unit printed before must not be heard as what it prints next.
    fn hush(&mut self) -> Result<(), DeviceError> {
        self.line.stillness().begin();
        if self.supply.hold().map_err(Into::into)? {
            self.line.stillness().wait_out(SILENCE, || self.line.is_cancelled());
        }
        Ok(())
    }

    fn past_the_end(&self, action: &'static str, offset: u32, size: usize) -> DeviceError {
        let detail = format!(
            "{size:#x} bytes at {offset:#x} are more than its flash of {:#x} bytes holds",
            self.supply.flash().size()
        );
        DeviceError::Loader { action, detail }
    }
}

fn of_flash<S: Supply>(error: FlashFileError) -> DeviceError {
    S::Error::from(error).into()
}

impl<S: Supply> Device for EmulatedDevice<S> {
    fn identify(&mut self) -> Result<ChipFacts, DeviceError> {
        self.line.console().pause();
        if let Some(known) = &self.known {
            self.supply.hold().map_err(Into::into)?;
            return Ok(known.clone());
        }
        let facts = ChipFacts {
            chip: self.chip,
            revision: None,
            mac: self.supply.mac().map_err(Into::into)?,
            flash_size: self.supply.flash().size(),
        };
        Ok(self.known.insert(facts).clone())
    }

    fn erase(&mut self) -> Result<(), DeviceError> {
        let flash = self.supply.rewrite().map_err(Into::into)?;
        flash.erase().map_err(of_flash::<S>)
    }

    fn write(
        &mut self,
        offset: u32,
        bytes: &[u8],
        progress: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), DeviceError> {
        let flash = self.supply.rewrite().map_err(Into::into)?;
        let written = flash.write(offset, bytes).map_err(of_flash::<S>)?;
        written.ok_or_else(|| self.past_the_end("write its flash", offset, bytes.len()))?;
        progress(bytes.len());
        Ok(())
    }

    fn digest(&mut self, offset: u32, size: u32) -> Result<[u8; 16], DeviceError> {
        self.read(offset, size).map(|bytes| Md5::digest(bytes).into())
    }

    fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, DeviceError> {
        self.supply.hold().map_err(Into::into)?;
        let bytes = self.supply.flash().read(offset, size).map_err(of_flash::<S>)?;
        bytes.ok_or_else(|| self.past_the_end("read its flash", offset, size as usize))
    }

    fn boot(&mut self) -> Result<(), DeviceError> {
        self.hush()?;
        let before = self.supply.flash().copy().map_err(of_flash::<S>)?;
        for attempt in 1..=BOOTS {
            self.attempts = self.attempts.max(attempt);
            self.line.console().listen();
            self.last_reset = Some(Instant::now());
            self.supply.boot().map_err(Into::into)?;
            let start = starts(&self.line.handle(), || self.supply.look());
            self.supply.look_after().map_err(Into::into)?;
            let start = start.map_err(Into::into)?;
            if start.is_final(attempt) {
                return Ok(());
            }
            tracing::info!(attempt, ?start, "the emulated unit hangs: switching it off and on");
            self.hush()?;
            self.supply.off().map_err(Into::into)?;
            self.supply.flash().restore(&before).map_err(of_flash::<S>)?;
        }
        Err(DeviceError::Hung { boots: BOOTS })
    }

    fn last_reset(&self) -> Option<Instant> {
        self.last_reset
    }

    fn vouch(&mut self) -> Result<(), DeviceError> {
        refuse_standstill(&mut self.supply)
    }

    fn type_text(&mut self, text: &[u8]) -> Result<(), DeviceError> {
        let sent = self.line.send(text);
        let vanished = |_: io::Error| DeviceError::Vanished {
            port: S::NAME.to_owned(),
            action: "type into the console",
        };
        sent.map_err(vanished)
    }

    fn take_attempts(&mut self) -> u32 {
        std::mem::replace(&mut self.attempts, 1)
    }

    fn line(&self) -> LineHandle {
        self.line.handle()
    }
}
