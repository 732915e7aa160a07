//! Who answers in the loader, asked as often as a bit on the wire makes it necessary.

use espflash::target::Chip as EspChip;

use super::LoaderDevice;
use crate::{
    device::{ChipFacts, DeviceError},
    profile::Chip,
};

/// How often the unit is asked who it is until two answers in a row agree.
pub(super) const READINGS: u32 = 5;
/// What is done when a unit says who it is.
pub(super) const READ_IDENTITY: &str = "read its identity";

impl LoaderDevice {
    pub(super) fn same_as_before(&self, facts: &ChipFacts) -> Result<(), DeviceError> {
        match &self.known {
            Some(known) if known.mac != facts.mac => Err(DeviceError::Exchanged {
                port: self.unit.name(),
                was: known.mac,
                is: facts.mac,
            }),
            _ => Ok(()),
        }
    }

    /// The unit that was identified before, if its address is what answers: a few commands, where all that it says
    /// of itself are some forty.
    pub(super) fn is_still_known(&mut self) -> Result<Option<ChipFacts>, DeviceError> {
        let Some(known) = self.known.clone() else { return Ok(None) };
        let (chip, mac) = self.with_flasher(READ_IDENTITY, |flasher| {
            let chip = flasher.chip();
            Ok((chip, chip.mac_address(flasher.connection())?))
        })?;
        let same = known_chip(chip) == Some(known.chip) && mac.parse() == Ok(known.mac);
        Ok(same.then_some(known))
    }

    pub(super) fn settled_reading(&mut self, first: ChipFacts) -> Result<ChipFacts, DeviceError> {
        let mut before = first;
        for _ in 1..READINGS {
            let reading = self.reading()?;
            if reading == before {
                return Ok(reading);
            }
            self.attempts = self.attempts.max(2);
            before = reading;
        }
        Err(self.garbled(READ_IDENTITY, "it says something else each time"))
    }

    /// What espflash heard of the unit while it connected, and its address.
    pub(super) fn first_reading(&mut self) -> Result<ChipFacts, DeviceError> {
        let (info, chip) = self.with_flasher(READ_IDENTITY, |flasher| {
            Ok((flasher.device_info()?, flasher.connection().detect_chip(true)?))
        })?;
        // What espflash took it for decides which stub it loaded, and which registers it reads.
        let Some(mac) = info.mac_address.filter(|_| info.chip == chip) else {
            return Err(
                self.garbled(READ_IDENTITY, "it was taken for another chip or a locked one")
            );
        };
        self.facts(chip, info.revision, &mac, info.flash_size.size())
    }

    /// What the unit says of itself now.
    pub(super) fn reading(&mut self) -> Result<ChipFacts, DeviceError> {
        let reading = self.with_flasher(READ_IDENTITY, |flasher| {
            let flash = flasher.flash_detect()?;
            let connection = flasher.connection();
            let chip = connection.detect_chip(true)?;
            Ok((chip, chip.revision(connection)?, chip.mac_address(connection)?, flash))
        })?;
        let (chip, revision, mac, flash) = reading;
        let flash = flash.ok_or_else(|| self.garbled(READ_IDENTITY, "its flash names no size"))?;
        self.facts(chip, Some(revision), &mac, flash.size())
    }

    fn facts(
        &self,
        chip: EspChip,
        revision: Option<(u32, u32)>,
        mac: &str,
        flash_size: u32,
    ) -> Result<ChipFacts, DeviceError> {
        let port = || self.unit.name();
        let chip = known_chip(chip)
            .ok_or_else(|| DeviceError::UnknownChip { port: port(), chip: chip.to_string() })?;
        let mac = mac.parse().map_err(|error| self.garbled(READ_IDENTITY, format!("{error}")))?;
        Ok(ChipFacts { chip, revision, mac, flash_size })
    }
}

pub(super) fn known_chip(chip: EspChip) -> Option<Chip> {
    Some(match chip {
        EspChip::Esp32 => Chip::Esp32,
        EspChip::Esp32s2 => Chip::Esp32S2,
        EspChip::Esp32s3 => Chip::Esp32S3,
        EspChip::Esp32c2 => Chip::Esp32C2,
        EspChip::Esp32c3 => Chip::Esp32C3,
        EspChip::Esp32c5 => Chip::Esp32C5,
        EspChip::Esp32c6 => Chip::Esp32C6,
        EspChip::Esp32c61 => Chip::Esp32C61,
        EspChip::Esp32h2 => Chip::Esp32H2,
        EspChip::Esp32p4 => Chip::Esp32P4,
        _ => return None,
    })
}
