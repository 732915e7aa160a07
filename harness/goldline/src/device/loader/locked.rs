//! What the loader tells of a unit's eFuses, and what it still tells when they have locked it.

use super::{
    LoaderDevice,
    identity::{READ_IDENTITY, READINGS, known_chip},
};
use crate::device::{DeviceError, Fuses, LockedLoader, fuses};

impl LoaderDevice {
    /// In Secure Download Mode nobody learns which unit it is. Once said, it is asked for again: a bit on the wire locks
    /// no chip.
    pub(super) fn refuse_locked(&mut self) -> Result<(), DeviceError> {
        const SECURE_DOWNLOAD: u32 = 1 << 2;
        let port = self.unit.name();
        let locked = self.with_flasher(READ_IDENTITY, |flasher| {
            Ok(flasher.secure_download_mode()
                && flasher.security_info()?.flags & SECURE_DOWNLOAD != 0)
        })?;
        if locked { Err(DeviceError::Locked { port }) } else { Ok(()) }
    }

    /// What the loader tells of fuses in Secure Download Mode, asked until two answers in a row agree.
    pub(super) fn told_when_locked(&mut self) -> Result<LockedLoader, DeviceError> {
        let mut reading = || {
            self.with_flasher(READ_IDENTITY, |flasher| {
                Ok((known_chip(flasher.chip()), flasher.security_info()?))
            })
        };
        let mut before = reading()?;
        for _ in 1..READINGS {
            let now = reading()?;
            if let (true, (Some(chip), info)) = (now == before, &now) {
                return Ok(LockedLoader::Secure(fuses::told(*chip, info)));
            }
            before = now;
        }
        Err(self.garbled(READ_IDENTITY, "it says something else each time"))
    }

    /// All fuses, read until two answers in a row agree; `None` of a chip of which nobody knows them.
    pub(super) fn settled_fuses(
        &mut self,
        action: &'static str,
    ) -> Result<Option<Fuses>, DeviceError> {
        let mut before = self.fuses(action)?;
        for _ in 1..READINGS {
            let reading = self.fuses(action)?;
            if reading == before {
                return Ok(reading);
            }
            self.attempts = self.attempts.max(2);
            before = reading;
        }
        Err(self.garbled(action, "they say something else each time"))
    }

    fn fuses(&mut self, action: &'static str) -> Result<Option<Fuses>, DeviceError> {
        self.with_flasher(action, |flasher| {
            let model = flasher.chip();
            let Some(chip) = known_chip(model) else { return Ok(None) };
            fuses::read(flasher.connection(), model, chip)
        })
    }
}
