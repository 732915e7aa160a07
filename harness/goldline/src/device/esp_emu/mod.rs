//! A unit in esp-emu, Espressif's own emulator in Rust: an access point with WPA2, user-mode networking, and the
//! flash in memory until it ends in order.
//!
//! **The real one was never run here**: it is written from its README and from pytest-embedded's service for it,
//! and tried on a stand-in. So it relies on little: `--save-state` and an end by SIGINT write the flash back, which
//! is seen and not believed; the console is standard input and output, of which nothing is lost while a
//! client of `--uart-tcp` is still to connect; and each boot is a new process, so that no line of the
//! life before is heard in it, which a `reset` over `--control-tcp` cannot promise.
//!
//! Must not know what lies behind the guest's NAT: it is told what the access point is called.

mod chip;
mod error;
mod find;
mod power;

pub use error::EspEmuError;
pub use power::{Uplink, UplinkOfRun};

use super::{
    Device, DeviceError, EspEmuOptions,
    emulator::{
        flash::FlashFile,
        program::{Emulator, NoEmulator},
        unit::EmulatedDevice,
    },
    line::{Line, terminal},
    rate::ROM_BAUD,
};
use crate::profile::Chip;
use power::{Parts, Power};

/// A unit in esp-emu as the profile and the device URL describe it.
#[derive(Clone, Debug)]
pub struct EspEmuUnit {
    /// The profile's chip, unless the URL names another.
    pub chip: Chip,
    /// In bytes.
    pub flash_size: u32,
    /// From the device URL.
    pub options: EspEmuOptions,
}

impl EspEmuUnit {
    /// The emulator that will run it. Runs the candidates to ask what they know.
    ///
    /// # Errors
    /// [`NoEmulator`] says where was looked, and what each lacks.
    pub fn find_emulator(&self) -> Result<Emulator, NoEmulator> {
        chip::refuse_other(self.chip())?;
        find::find(self.chip(), self.options.efuse.is_some(), self.options.binary.as_deref())
    }

    fn chip(&self) -> Chip {
        self.options.chip.unwrap_or(self.chip)
    }
}

/// Makes the unit's flash and its console. It is switched on when it boots.
///
/// # Errors
/// [`DeviceError::EspEmu`] when its flash or its eFuses cannot be used.
pub fn open_esp_emu(
    unit: &EspEmuUnit,
    emulator: Emulator,
    uplink: Uplink,
) -> Result<Box<dyn Device>, DeviceError> {
    let private = tempfile::Builder::new().prefix("goldline-esp-emu").tempdir()?;
    chip::refuse_odd_size(unit.flash_size).map_err(EspEmuError::from)?;
    let flash = FlashFile::open(unit.options.flash_file.as_deref(), &private, unit.flash_size)
        .map_err(EspEmuError::from)?;
    let efuse = unit.options.efuse.as_deref();
    let efuse = efuse.map(|path| chip::Fuses::copy(path, &private)).transpose()?;
    let (master, path) = terminal()?;
    let line = Line::open(&path, ROM_BAUD)?;
    let parts = Parts { chip: unit.chip(), emulator, efuse };
    let power = Power::new(parts, uplink, flash, master, private);
    Ok(Box::new(EmulatedDevice::new(power, line, unit.chip())))
}
