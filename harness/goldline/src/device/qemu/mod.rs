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

use std::{
    io,
    time::{Duration, Instant},
};

use md5::{Digest, Md5};

pub use guest::GuestError;
pub use power::{Plug, PowerError};

use super::{
    BootMode, ChipFacts, Device, DeviceError, LineHandle, Provision, QemuOptions,
    emulator::{
        boots::{BOOTS, Start, starts},
        flash::{FlashFile, FlashFileError},
        program::{Emulator, NoEmulator},
    },
    line::{Line, terminal},
    loader::ROM_BAUD,
};
use crate::profile::Chip;
use by_loader::ByLoader;
use machine::Machine;
use power::{Parts, Power};

/// What a unit that stands still has said is all there when nothing more came for so long.
const SILENCE: Duration = Duration::from_millis(30);

/// An emulated unit as the profile and the device URL describe it.
#[derive(Clone, Debug)]
pub struct EmulatedUnit {
    /// The profile's chip, unless the URL names another.
    pub chip: Chip,
    /// In bytes.
    pub flash_size: u32,
    /// From the device URL.
    pub options: QemuOptions,
}

impl EmulatedUnit {
    /// The emulator that will run it. Runs the candidates to ask what they are.
    ///
    /// # Errors
    /// [`NoEmulator`] says where was looked, and what was there.
    pub fn find_emulator(&self) -> Result<Emulator, NoEmulator> {
        let machine = self.machine()?;
        find::find(&machine, &self.machine_name(&machine), self.options.binary.as_deref())
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

    fn machine_name(&self, machine: &Machine) -> String {
        self.options.machine.clone().unwrap_or_else(|| machine.name.to_owned())
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
    let nic = match unit.options.nic.as_deref() {
        Some("none") => None,
        Some(model) => Some(model.to_owned()),
        None => Some(machine.ethernet.to_owned()),
    };
    let parts = Parts {
        machine_name: unit.machine_name(&machine),
        machine,
        emulator,
        nic,
        efuse: unit.options.efuse.clone(),
    };
    let power = Power::new(parts, plug, flash, master, private);
    if unit.options.provision == Provision::Loader {
        return Ok(Box::new(ByLoader::new(power, line, unit.chip())));
    }
    Ok(Box::new(QemuDevice {
        power,
        line,
        chip: unit.chip(),
        known: None,
        attempts: 1,
        last_reset: None,
    }))
}

fn refuse_odd_size(size: u32) -> Result<(), FlashFileError> {
    match matches!(size >> 20, 2 | 4 | 8 | 16) && size.is_power_of_two() {
        true => Ok(()),
        false => {
            Err(FlashFileError::NoSuchChip { emulator: "QEMU", size, expected: "2, 4, 8 or 16" })
        }
    }
}

/// A unit whose flash is a file.
struct QemuDevice {
    // Before the line, which sees it end.
    power: Power,
    line: Line,
    chip: Chip,
    known: Option<ChipFacts>,
    attempts: u32,
    last_reset: Option<Instant>,
}

impl QemuDevice {
    /// What the unit printed before must not be heard as what it prints next.
    fn hush(&mut self) -> Result<(), DeviceError> {
        self.line.stillness().begin();
        if self.power.hold()? {
            self.line.stillness().wait_out(SILENCE, || self.line.is_cancelled());
        }
        Ok(())
    }

    fn past_the_end(&self, action: &'static str, offset: u32, size: usize) -> DeviceError {
        let detail = format!(
            "{size:#x} bytes at {offset:#x} are more than its flash of {:#x} bytes holds",
            self.power.flash.size()
        );
        DeviceError::Loader { action, detail }
    }
}

impl Device for QemuDevice {
    fn identify(&mut self) -> Result<ChipFacts, DeviceError> {
        self.line.console().pause();
        if let Some(known) = &self.known {
            self.power.hold()?;
            return Ok(known.clone());
        }
        let facts = ChipFacts {
            chip: self.chip,
            revision: None,
            mac: self.power.mac()?,
            flash_size: self.power.flash.size(),
        };
        Ok(self.known.insert(facts).clone())
    }

    fn erase(&mut self) -> Result<(), DeviceError> {
        Ok(self.power.rewrite()?.erase().map_err(PowerError::from)?)
    }

    fn write(
        &mut self,
        offset: u32,
        bytes: &[u8],
        progress: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), DeviceError> {
        let written = self.power.rewrite()?.write(offset, bytes).map_err(PowerError::from)?;
        written.ok_or_else(|| self.past_the_end("write its flash", offset, bytes.len()))?;
        progress(bytes.len());
        Ok(())
    }

    fn digest(&mut self, offset: u32, size: u32) -> Result<[u8; 16], DeviceError> {
        self.read(offset, size).map(|bytes| Md5::digest(bytes).into())
    }

    fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, DeviceError> {
        self.power.hold()?;
        let bytes = self.power.flash.read(offset, size).map_err(PowerError::from)?;
        bytes.ok_or_else(|| self.past_the_end("read its flash", offset, size as usize))
    }

    fn boot(&mut self) -> Result<(), DeviceError> {
        self.hush()?;
        let before = self.power.flash.copy().map_err(PowerError::from)?;
        for attempt in 1..=BOOTS {
            self.attempts = self.attempts.max(attempt);
            self.line.console().listen();
            self.last_reset = Some(Instant::now());
            self.power.reset_into(BootMode::Application)?;
            let start = starts(&self.line.handle(), || self.power.standstill())?;
            if start == Start::Runs {
                return Ok(());
            }
            tracing::info!(attempt, ?start, "the emulated unit hangs: switching it off and on");
            self.hush()?;
            self.power.off()?;
            self.power.flash.restore(&before).map_err(PowerError::from)?;
        }
        Err(self.power.hung(BOOTS).into())
    }

    fn last_reset(&self) -> Option<Instant> {
        self.last_reset
    }

    fn refuse_to_blame(&mut self) -> Result<(), DeviceError> {
        Ok(self.power.refuse_standstill()?)
    }

    fn type_text(&mut self, text: &[u8]) -> Result<(), DeviceError> {
        let sent = self.line.send(text);
        let vanished = |_: io::Error| DeviceError::Vanished {
            port: "qemu:".to_owned(),
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
