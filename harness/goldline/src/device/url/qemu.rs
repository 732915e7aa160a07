//! `qemu:?chip=esp32c3&…`: which emulated unit is meant.
//!
//! Must not open or start anything.

use std::path::PathBuf;

use super::error::{DeviceUrlError, chip, file, unknown, wrong};
use crate::profile::Chip;

/// The names of the options, for people.
const EXPECTED: &str = "chip, binary, flash-file, nic, machine, efuse, provision";

/// What may be asked of an emulated unit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QemuOptions {
    /// The profile's chip unless given.
    pub chip: Option<Chip>,
    /// The emulator's program; looked for unless given.
    pub binary: Option<PathBuf>,
    /// Where its flash is kept; in a private file that ends with the run unless given.
    pub flash_file: Option<PathBuf>,
    /// QEMU's model of its network card, or `none`; the chip's Ethernet unless given.
    pub nic: Option<String>,
    /// QEMU's machine; the chip's own unless given.
    pub machine: Option<String>,
    /// The content of its eFuses, in QEMU's form.
    pub efuse: Option<PathBuf>,
    /// How its flash is written.
    pub provision: Provision,
}

/// How the flash of an emulated unit is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Provision {
    /// Into the file that stands for the flash chip.
    #[default]
    File,
    /// By the ROM's serial loader, as on a real port.
    Loader,
}

impl QemuOptions {
    /// Of the options of a device URL.
    ///
    /// # Errors
    /// [`DeviceUrlError`] names the option that is wrong.
    pub(super) fn parse(url: &str, options: &[(&str, &str)]) -> Result<Self, DeviceUrlError> {
        let mut parsed = Self::default();
        for &(option, value) in options {
            let path = || file(url, option, value).map(Some);
            let name = || match is_a_name(value) {
                true => Ok(Some(value.to_owned())),
                false => Err(wrong(url, option, value, "a name of letters, digits, - and _")),
            };
            match option {
                "chip" => parsed.chip = Some(chip(url, option, value)?),
                "binary" => parsed.binary = path()?,
                "flash-file" => parsed.flash_file = path()?,
                "efuse" => parsed.efuse = path()?,
                "nic" => parsed.nic = name()?,
                "machine" => parsed.machine = name()?,
                "provision" => parsed.provision = provision(url, option, value)?,
                _ => return Err(unknown(url, option, EXPECTED)),
            }
        }
        Ok(parsed)
    }
}

fn provision(url: &str, option: &str, value: &str) -> Result<Provision, DeviceUrlError> {
    match value {
        "file" => Ok(Provision::File),
        "loader" => Ok(Provision::Loader),
        _ => Err(wrong(url, option, value, "file or loader")),
    }
}

/// What goes into QEMU's comma-separated arguments as it is.
fn is_a_name(value: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !value.is_empty() && value.bytes().all(fits)
}
