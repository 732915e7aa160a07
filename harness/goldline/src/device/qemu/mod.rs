//! An emulated unit: QEMU on a flash file, written from outside while the unit stands still.
//!
//! It has no loader to talk to, so nothing of the serial protocol is proven here: that is what
//! `provision=loader` and the simulator are for. What it boots is machine code. Must not know what lies on its
//! network: it is given a link each time that it is switched on.

mod by_loader;
mod find;
mod guest;
mod machine;
mod power;
mod qmp;
mod standstill;

pub use guest::GuestError;
pub use power::{Plug, PowerError};

use super::{
    Device, DeviceError, Provision, QemuOptions,
    emulator::{
        flash::{FlashFile, FlashFileError},
        program::{Emulator, NoEmulator},
        unit::EmulatedDevice,
    },
    line::{Line, terminal},
    rate::ROM_BAUD,
};
use crate::profile::Chip;
use by_loader::ByLoader;
use machine::Machine;
use power::{Parts, Power};

/// An emulated unit as the profile and the device URL describe it.
#[derive(Clone, Debug)]
pub struct EmulatedUnit {
    /// The profile's chip, unless the URL names another.
    pub chip: Chip,
    /// In bytes.
    pub flash_size: u32,
    /// From the device URL.
    pub options: QemuOptions,
    /// What its firmware has for a network.
    pub radio: Radio,
}

/// What a firmware wants with a radio.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Radio {
    /// Nothing, or it has an emulator's Ethernet card for it as well.
    Unneeded,
    /// It has nothing else, and may crash where there is none; it is asked to join nothing.
    Wanted,
    /// It has nothing else, and is to join a network.
    Needed,
}

impl EmulatedUnit {
    /// The emulator that will run it. Runs the candidates to ask what they are.
    ///
    /// # Errors
    /// [`NoEmulator`] says where was looked, and what was there.
    pub fn find_emulator(&self) -> Result<Emulator, NoEmulator> {
        let machine = self.machine()?;
        let named = self.options.binary.as_deref();
        // Whoever names a card or a machine knows what it is for.
        let is_free = self.options.nic.is_none() && self.options.machine.is_none();
        if is_free && self.radio != Radio::Unneeded {
            let found = find::find_with_radio(&machine, named);
            if found.is_ok() || self.radio == Radio::Needed {
                return found;
            }
        }
        let name = self.options.machine.as_deref().unwrap_or(machine.name);
        find::find(&machine, name, named)
    }

    fn chip(&self) -> Chip {
        self.options.chip.unwrap_or(self.chip)
    }

    fn machine(&self) -> Result<Machine, NoEmulator> {
        Machine::of(self.chip()).ok_or(NoEmulator::Chip {
            emulator: "QEMU",
            chip: self.chip(),
            has: Machine::CHIPS,
            action: "name one of those chips, or test on a real port",
        })
    }
}

/// Makes the unit's flash and its console. It is switched on when it is identified.
///
/// # Errors
/// [`DeviceError::Emulator`] when its flash cannot be used.
pub fn open_qemu(
    unit: &EmulatedUnit,
    emulator: Emulator,
    plug: Option<Plug>,
) -> Result<Box<dyn Device>, DeviceError> {
    let machine = unit.machine().map_err(|error| DeviceError::Simulator(error.to_string()))?;
    refuse_odd_size(unit.flash_size).map_err(PowerError::from)?;
    let private = tempfile::Builder::new().prefix("goldline-qemu").tempdir()?;
    let flash = FlashFile::open(unit.options.flash_file.as_deref(), &private, unit.flash_size)
        .map_err(PowerError::from)?;
    let (master, path) = terminal()?;
    let line = Line::open(&path, ROM_BAUD)?;
    let radio = machine.radio.filter(|_| emulator.with_radio);
    let own = radio.map_or(machine.name, |(with_radio, _)| with_radio);
    let nic = match unit.options.nic.as_deref() {
        Some("none") => None,
        Some(model) => Some(model.to_owned()),
        None => Some(radio.map_or(machine.ethernet, |(_, model)| model).to_owned()),
    };
    let parts = Parts {
        machine_name: unit.options.machine.clone().unwrap_or_else(|| own.to_owned()),
        machine,
        emulator,
        nic,
        efuse: unit.options.efuse.clone(),
    };
    let power = Power::new(parts, plug, flash, master, private);
    if unit.options.provision == Provision::Loader {
        return Ok(Box::new(ByLoader::new(power, line, unit.chip())));
    }
    Ok(Box::new(EmulatedDevice::new(power, line, unit.chip())))
}

fn refuse_odd_size(size: u32) -> Result<(), FlashFileError> {
    match matches!(size >> 20, 2 | 4 | 8 | 16) && size.is_power_of_two() {
        true => Ok(()),
        false => {
            Err(FlashFileError::NoSuchChip { emulator: "QEMU", size, expected: "2, 4, 8 or 16" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flash_that_qemu_has_no_chip_for_is_refused() {
        assert!(refuse_odd_size(4 << 20).is_ok());
        for odd in [1 << 20, 3 << 20, 32 << 20] {
            let refused = refuse_odd_size(odd);
            assert!(matches!(refused, Err(FlashFileError::NoSuchChip { .. })), "{odd}");
        }
    }
}
