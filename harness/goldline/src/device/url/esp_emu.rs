//! `esp-emu:?chip=esp32c3&…`: which unit in Espressif's own emulator is meant.
//!
//! Must not open or start anything.

use std::path::PathBuf;

use super::error::{DeviceUrlError, chip, file, unknown};
use crate::profile::Chip;

/// The names of the options, for people.
const EXPECTED: &str = "chip, binary, efuse, flash-file";

/// What may be asked of a unit in esp-emu.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EspEmuOptions {
    /// The profile's chip unless given.
    pub chip: Option<Chip>,
    /// The emulator's program; looked for unless given.
    pub binary: Option<PathBuf>,
    /// The content of its eFuses, 336 bytes; those of a chip that nobody burnt unless given.
    pub efuse: Option<PathBuf>,
    /// Where its flash is kept; in a private file that ends with the run unless given.
    pub flash_file: Option<PathBuf>,
}

impl EspEmuOptions {
    /// Of the options of a device URL.
    ///
    /// # Errors
    /// [`DeviceUrlError`] names the option that is wrong.
    pub(super) fn parse(url: &str, options: &[(&str, &str)]) -> Result<Self, DeviceUrlError> {
        let mut parsed = Self::default();
        for &(option, value) in options {
            let path = || file(url, option, value).map(Some);
            match option {
                "chip" => parsed.chip = Some(chip(url, option, value)?),
                "binary" => parsed.binary = path()?,
                "efuse" => parsed.efuse = path()?,
                "flash-file" => parsed.flash_file = path()?,
                _ => return Err(unknown(url, option, EXPECTED)),
            }
        }
        Ok(parsed)
    }
}
