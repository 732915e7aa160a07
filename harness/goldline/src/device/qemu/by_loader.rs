//! An emulated unit whose flash is written by its ROM's serial loader, as a real one's is.
//!
//! What it has over the file is that the loader's protocol is part of the run. Chips whose emulation hangs with
//! the stub are written by the ROM alone. Must not know the protocol.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::power::{Power, PowerError};
use crate::{
    device::{
        ChipFacts, Device, DeviceError, LineHandle,
        emulator::{
            boots::{BOOTS, starts},
            unit::{Supply, refuse_standstill},
        },
        line::Line,
        loader::{LoaderDevice, Speaker},
        reset::{Reset, Unit},
        reset_error::ResetError,
    },
    profile::Chip,
};

/// A loader's unit, and the emulator below it.
pub(super) struct ByLoader {
    // Before the power, so that the line is closed when the unit is switched off.
    loader: LoaderDevice,
    speaker: Speaker,
    power: Arc<Mutex<Power>>,
    attempts: u32,
    last_reset: Option<Instant>,
}

impl ByLoader {
    pub(super) fn new(power: Power, line: Line, chip: Chip) -> Self {
        let power = Arc::new(Mutex::new(power));
        let control = {
            let power = Arc::clone(&power);
            move |mode| {
                let reset = locked(&power).reset_into(mode);
                reset.map_err(|error| ResetError::Control(error.to_string()))
            }
        };
        let unit = Unit::new("qemu:".to_owned(), line, Reset::Control(Box::new(control)));
        let speaker = if chip == Chip::Esp32 { Speaker::Stub } else { Speaker::Rom };
        let loader = LoaderDevice::new(unit, None).spoken_to_by(speaker);
        Self { loader, speaker, power, attempts: 1, last_reset: None }
    }

    fn switch_off_and_restore(&self, flash: &[u8]) -> Result<(), DeviceError> {
        let mut power = locked(&self.power);
        power.off()?;
        Ok(power.flash.restore(flash).map_err(PowerError::from)?)
    }
}

fn locked(power: &Mutex<Power>) -> MutexGuard<'_, Power> {
    power.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device for ByLoader {
    fn identify(&mut self) -> Result<ChipFacts, DeviceError> {
        self.loader.identify()
    }

    fn erase(&mut self) -> Result<(), DeviceError> {
        if self.speaker == Speaker::Stub {
            return self.loader.erase();
        }
        // The ROM has no command for it.
        locked(&self.power).rewrite()?.erase().map_err(PowerError::from)?;
        self.loader.identify().map(drop)
    }

    fn erase_sectors(&mut self, offset: u32, size: u32) -> Result<(), DeviceError> {
        if self.speaker == Speaker::Stub {
            return self.loader.erase_sectors(offset, size);
        }
        // The ROM would write what it erases, some 10 KB in a second.
        let blank = vec![0xFF; size as usize];
        let written = locked(&self.power).rewrite()?.write(offset, &blank);
        // Past the end the loader says so.
        match written.map_err(PowerError::from)? {
            Some(_) => self.loader.identify().map(drop),
            None => self.loader.erase_sectors(offset, size),
        }
    }

    fn write(
        &mut self,
        offset: u32,
        bytes: &[u8],
        progress: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), DeviceError> {
        self.loader.write(offset, bytes, progress)
    }

    fn digest(&mut self, offset: u32, size: u32) -> Result<[u8; 16], DeviceError> {
        self.loader.digest(offset, size)
    }

    fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, DeviceError> {
        self.loader.read(offset, size)
    }

    fn boot(&mut self) -> Result<(), DeviceError> {
        locked(&self.power).hold()?;
        let before = locked(&self.power).flash.copy().map_err(PowerError::from)?;
        for attempt in 1..=BOOTS {
            self.attempts = self.attempts.max(attempt);
            self.last_reset = Some(Instant::now());
            self.loader.boot()?;
            let start = starts(&self.loader.line(), || locked(&self.power).look())?;
            if start.is_final(attempt) {
                return Ok(());
            }
            self.switch_off_and_restore(&before)?;
        }
        Err(DeviceError::Hung { boots: BOOTS })
    }

    fn last_reset(&self) -> Option<Instant> {
        self.last_reset
    }

    fn vouch(&mut self) -> Result<(), DeviceError> {
        refuse_standstill(&mut *locked(&self.power))
    }

    fn type_text(&mut self, text: &[u8]) -> Result<(), DeviceError> {
        self.loader.type_text(text)
    }

    fn take_attempts(&mut self) -> u32 {
        std::mem::replace(&mut self.attempts, 1).max(self.loader.take_attempts())
    }

    fn line(&self) -> LineHandle {
        self.loader.line()
    }
}
