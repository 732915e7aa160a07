//! A unit by its device URL alone: what is done with it needs no profile, and proves nothing.

use std::{fs, io, path::PathBuf, sync::Arc};

use goldline_simulator::world::Silence;

use crate::{
    device::{
        Device, DeviceError, DeviceUrl, EmulatedUnit, NoEmulator, NotAPort, Radio, SimulatedUnit,
        open_qemu, open_remote, open_serial, open_simulator, refuse_what_is_no_port,
    },
    profile::Chip,
};

/// The flash of a simulated unit whose file is not there yet.
const NEW_FLASH: u32 = 4 << 20;

/// A unit cannot be had by its URL alone.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum BareUnitError {
    #[error(
        "a simulated unit ends with this command, and its flash with it: expected {kind}?flash-file=FILE"
    )]
    NoFlashFile { kind: &'static str },
    #[error("nothing says which chip is to be emulated: expected qemu:?chip=esp32c3, for instance")]
    NoChip,
    #[error("{kind} units are reached in a run only: {why}")]
    InRunsOnly { kind: &'static str, why: &'static str },
    #[error("cannot look at the flash file {}: {error}", .path.display())]
    FlashFile { path: PathBuf, error: io::Error },
    #[error("the flash file {} has {length} bytes, which no flash has", .path.display())]
    NoFlash { path: PathBuf, length: u64 },
    #[error(transparent)]
    NotAPort(#[from] NotAPort),
    #[error(transparent)]
    NoEmulator(#[from] NoEmulator),
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Opens the unit.
///
/// # Errors
/// [`BareUnitError::Device`] when its port or its emulator fails; all others are what the URL asks for.
pub fn open_bare_unit(url: DeviceUrl) -> Result<Box<dyn Device>, BareUnitError> {
    match url {
        DeviceUrl::Serial { path, baud, reset } => {
            refuse_what_is_no_port(&path)?;
            Ok(open_serial(&path, baud, reset)?)
        }
        DeviceUrl::Remote(port) => Ok(open_remote(port, &|| false)?),
        DeviceUrl::Simulator(options) => {
            let flash_size = flash_size("simulator:", options.flash_file.clone())?;
            let unit = SimulatedUnit {
                chip: Chip::Esp32,
                flash_size,
                options,
                hmac_key: None,
                faults: Vec::new(),
                tampering: None,
                seed: 0,
            };
            Ok(open_simulator(unit, Arc::new(Silence))?)
        }
        DeviceUrl::Qemu(options) => {
            let flash_size = flash_size("qemu:", options.flash_file.clone())?;
            let chip = options.chip.ok_or(BareUnitError::NoChip)?;
            let unit = EmulatedUnit { chip, flash_size, options, radio: Radio::Unneeded };
            let emulator = unit.find_emulator()?;
            Ok(open_qemu(&unit, emulator, None)?)
        }
        DeviceUrl::EspEmu(_) => {
            let why = "esp-emu has a network from the start, which is the bench's";
            Err(BareUnitError::InRunsOnly { kind: "esp-emu:", why })
        }
        DeviceUrl::Wokwi(_) => {
            let why = "what runs there is the image of a profile";
            Err(BareUnitError::InRunsOnly { kind: "wokwi:", why })
        }
    }
}

fn flash_size(kind: &'static str, file: Option<PathBuf>) -> Result<u32, BareUnitError> {
    let path = file.ok_or(BareUnitError::NoFlashFile { kind })?;
    match fs::metadata(&path) {
        Ok(found) => u32::try_from(found.len())
            .map_err(|_| BareUnitError::NoFlash { path, length: found.len() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(NEW_FLASH),
        Err(error) => Err(BareUnitError::FlashFile { path, error }),
    }
}
