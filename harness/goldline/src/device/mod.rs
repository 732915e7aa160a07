//! The seam to hardware: what the engine may ask of a unit, whatever holds it.
//!
//! Blocking; the engine calls it off its async threads. Must not know profiles, plans or checks.
//! Addresses and sizes are bytes.

mod by_hand;
mod console;
mod emulator;
mod esp_emu;
mod esptool_configuration;
mod fuses;
mod line;
mod loader;
mod patience;
mod port;
mod ports;
mod presence;
mod qemu;
mod rate;
mod remote;
mod reset;
mod reset_error;
mod sequence;
mod serial;
mod simulator;
mod stillness;
mod tampered;
mod transport;
mod url;
mod wokwi;

use std::time::Instant;

use crate::{
    identity::Mac,
    profile::Chip,
    record::{Code, Transfer},
};

pub use by_hand::{AskHand, HandRequest};
pub use console::{Absence, CAUGHT_UP, Console, ConsoleLine, Listener, NumberedLine};
pub use emulator::{
    flash::FlashFileError,
    program::{Emulator, NoEmulator},
};
pub use esp_emu::{EspEmuError, EspEmuUnit, Uplink, UplinkOfRun, open_esp_emu};
pub use esptool_configuration::{ConfigurationError, CustomReset};
#[cfg(test)]
pub(crate) use fuses::is_read as is_fuse_read;
pub use fuses::{Fuses, PURPOSE_FUSES};
pub use line::LineHandle;
pub use port::{Barrier, LineError, NotAPort, refuse_what_is_no_port};
pub use ports::{
    Asked, ChoiceError, Chosen, Holder, Holders, How, Known, MAKERS, Machine, Port, UsbPlace,
    choose, find_unit, holders, known, only_candidate, serial_ports,
};
pub use presence::{Move, OnMove};
pub use qemu::{EmulatedUnit, GuestError, Plug, PowerError, Radio, open_qemu};
pub use remote::open_remote;
pub use reset_error::ResetError;
pub use sequence::{Sequence, SequenceError};
pub use serial::{open_serial, open_sought};
pub use simulator::{SimulatedUnit, open_simulator};
pub use tampered::TamperedDevice;
pub use url::{
    DeviceName, DeviceUrl, DeviceUrlError, EspEmuOptions, PortChoice, Provision, QemuOptions,
    RemotePort, RemoteProtocol, ResetMethod, SimulatorOptions, SoughtPort, WokwiOptions,
};
pub use wokwi::{NoWokwi, WokwiError, WokwiUnit, open_wokwi};

/// One unit under test.
pub trait Device: Send {
    /// Resets into the download mode, loads the flasher stub and says what chip it is.
    ///
    /// # Errors
    /// [`DeviceError::NoAnswer`] when nothing speaks the loader's protocol.
    fn identify(&mut self) -> Result<ChipFacts, DeviceError>;

    /// What is left of the loader of a unit that was locked; the unit is reset for it.
    ///
    /// # Errors
    /// When the port fails. That no loader answers is none.
    fn find_locked(&mut self) -> Result<LockedLoader, DeviceError> {
        self.identify().map(LockedLoader::Open)
    }

    /// Erases the whole flash.
    ///
    /// # Errors
    /// When the port or the flash fails.
    fn erase(&mut self) -> Result<(), DeviceError>;

    /// Erases whole sectors.
    ///
    /// # Errors
    /// When the port or the flash fails.
    fn erase_sectors(&mut self, offset: u32, size: u32) -> Result<(), DeviceError> {
        // A write erases first; each device has that, and what it leaves is the same.
        self.write(offset, &vec![0xFF; size as usize], &mut |_| {})
    }

    /// Whether its flash is erased when the device is opened, and cannot be asked what it holds.
    fn begins_erased(&self) -> bool {
        false
    }

    /// Writes bytes; `progress` hears how many of them are done.
    ///
    /// # Errors
    /// When the port or the flash fails.
    fn write(
        &mut self,
        offset: u32,
        bytes: &[u8],
        progress: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), DeviceError>;

    /// MD5 of a region, computed by the unit.
    ///
    /// # Errors
    /// When the port fails.
    fn digest(&mut self, offset: u32, size: u32) -> Result<[u8; 16], DeviceError>;

    /// Reads a region back.
    ///
    /// # Errors
    /// When the port fails or the unit's own digest does not fit the bytes.
    fn read(&mut self, offset: u32, size: u32) -> Result<Vec<u8>, DeviceError>;

    /// What the chip's security fuses say, read until two answers in a row agree; `None` where nobody can ask for
    /// them. The unit is in its loader.
    ///
    /// # Errors
    /// When the port fails, or it says something else each time.
    fn read_fuses(&mut self) -> Result<Option<Fuses>, DeviceError> {
        Ok(None)
    }

    /// Resets into the application and starts a new console log.
    ///
    /// # Errors
    /// When the unit cannot be reset.
    fn boot(&mut self) -> Result<(), DeviceError>;

    /// Leaves the unit in its loader for somebody else, as a reset would.
    ///
    /// # Errors
    /// When it cannot be reset.
    fn wait_in_loader(&mut self) -> Result<(), DeviceError> {
        self.identify().map(drop)
    }

    /// Leaves the unit where nothing starts its application, and says whether that is so: the last that is asked of it.
    /// Never resets it. What is switched off when it is let go does not start.
    fn hold(&mut self) -> Left {
        Left::Held("it is switched off where it was emulated")
    }

    /// The reset that the last [`Device::boot`] ended with, where it needed more than one.
    fn last_reset(&self) -> Option<Instant> {
        None
    }

    /// Types into the console of the running unit.
    ///
    /// # Errors
    /// When the port does not take the bytes.
    fn type_text(&mut self, text: &[u8]) -> Result<(), DeviceError>;

    /// Says who presses its buttons, where nothing else resets it.
    fn set_hand(&mut self, _hand: AskHand) {}

    /// How often a call had to be tried at most since this was last asked; 1 when all went well.
    fn take_attempts(&mut self) -> u32;

    /// The line to the unit: its serial log, and a way to cancel a call that blocks.
    fn line(&self) -> LineHandle;

    /// How fast its loader is spoken to, where its port has rates.
    fn transfer(&self) -> Option<Transfer> {
        None
    }

    /// What emulates the unit, where that is known only once it was reached.
    fn emulator(&self) -> Option<String> {
        None
    }

    /// Whether what runs the unit is well and gave it its time: asked before a unit is blamed for its silence.
    ///
    /// # Errors
    /// What was wrong with it.
    fn vouch(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    /// Why the line ended, where more is known than that it did.
    fn ending(&self) -> Option<DeviceError> {
        None
    }
}

/// What is left of the loader of a unit that was locked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LockedLoader {
    /// All of it, and who answers.
    Open(ChipFacts),
    /// It is in Secure Download Mode, and tells of its fuses what it tells there.
    Secure(Fuses),
    /// None answers.
    Silent,
}

/// How a unit was left that must not start on the bench any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// Where nothing starts it; how.
    Held(&'static str),
    /// Nobody can say that it did not start; why.
    MayHaveBooted(&'static str),
}

/// What a reset leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootMode {
    /// The ROM loader waits for commands.
    Download,
    /// The application in flash runs.
    Application,
}

impl BootMode {
    /// What a program that resets a unit is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Application => "application",
        }
    }
}

/// What the chip says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChipFacts {
    /// Which chip.
    pub chip: Chip,
    /// Major and minor revision, when the chip tells.
    pub revision: Option<(u32, u32)>,
    /// Base MAC.
    pub mac: Mac,
    /// Flash size in bytes, as the flash chip reports it.
    pub flash_size: u32,
}

/// A unit or its port failed.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The port cannot be used.
    #[error(transparent)]
    Line(#[from] LineError),
    /// Nothing is plugged in where the port is to be, although its nest has power.
    #[error("the nest has power, and after {waited_s} s still {source}")]
    NotThere {
        /// How long it was waited for.
        waited_s: u64,
        /// What there is instead.
        source: ChoiceError,
    },
    /// esptool's configuration names a reset that is none.
    #[error(transparent)]
    Esptool(#[from] ConfigurationError),
    /// Nothing speaks the loader's protocol.
    #[error("nothing answered on {port} to the loader's SYNC ({detail})")]
    NoAnswer {
        /// Path of the port.
        port: String,
        /// espflash's own words.
        detail: String,
    },
    /// The port went away.
    #[error("{port} went away while the bench tried to {action}")]
    Vanished {
        /// Path of the port.
        port: String,
        /// What was going on.
        action: &'static str,
    },
    /// A chip that Goldline does not know.
    #[error("the chip on {port} is a {chip}, which goldline does not support yet")]
    UnknownChip {
        /// Path of the port.
        port: String,
        /// espflash's name of it.
        chip: String,
    },
    /// The loader refused or broke off.
    #[error("the unit failed to {action}: {detail}")]
    Loader {
        /// What was going on.
        action: &'static str,
        /// espflash's own words.
        detail: String,
    },
    /// An answer did not come in time.
    #[error("no answer came in time on {port} while the bench tried to {action}: {detail}")]
    TimedOut {
        /// Path of the port.
        port: String,
        /// What was going on.
        action: &'static str,
        /// espflash's own words.
        detail: String,
    },
    /// Another unit answers than before.
    #[error("another unit answers on {port}: it was {was}, it is {is}")]
    Exchanged {
        /// Path of the port.
        port: String,
        /// The unit that was identified first.
        was: Mac,
        /// The unit that is there now.
        is: Mac,
    },
    /// Bytes arrived damaged.
    #[error("damaged bytes arrived on {port} while the bench tried to {action}: {detail}")]
    Garbled {
        /// Path of the port.
        port: String,
        /// What was going on.
        action: &'static str,
        /// What was wrong with them.
        detail: String,
    },
    /// The unit cannot be reset through this port.
    #[error("cannot reset the unit on {port}: {source}")]
    Reset {
        /// Path of the port.
        port: String,
        /// The reason.
        source: ResetError,
    },
    /// Nothing speaks the loader's protocol, and the bench cannot reset the unit into it.
    #[error("no loader answered SYNC on {port}, and reset=none leaves it to you to start it")]
    NotInLoader {
        /// Path of the port.
        port: String,
    },
    /// Somebody was asked to press its buttons, and it is not where they were to lead it.
    #[error("nobody led the unit on {port} there: {source}")]
    NotPressed {
        /// Path of the port.
        port: String,
        /// What was asked for, and what was seen.
        source: ResetError,
    },
    /// The ROM's loader writes, and neither reads nor runs anything: nobody can tell which unit it is.
    #[error(
        "the unit on {port} is in Secure Download Mode, in which its loader tells neither its MAC address nor its flash"
    )]
    Locked {
        /// Path of the port.
        port: String,
    },
    /// A temporary file for a read-back cannot be used.
    #[error("cannot hold a read-back in a temporary file: {0}")]
    Scratch(#[from] std::io::Error),
    /// A call came before [`Device::identify`].
    #[error("the unit was not identified before it was asked to {action}")]
    NotIdentified {
        /// What was asked.
        action: &'static str,
    },
    /// An emulated unit cannot be run.
    #[error("cannot run the emulated unit: {0}")]
    Emulator(#[from] PowerError),
    /// A unit in esp-emu cannot be run.
    #[error("cannot run the emulated unit: {0}")]
    EspEmu(#[from] EspEmuError),
    /// An emulated processor hung at every attempt to start.
    #[error(
        "the emulated unit hung before its application's first word in each of {boots} boots, as no real one does for more than a second"
    )]
    Hung {
        /// How many.
        boots: u32,
    },
    /// An emulated processor hangs.
    #[error(
        "the emulated processor stands still at {at:#010x} with its interrupts masked, as no real one does for more than a second"
    )]
    StandsStill {
        /// Its program counter.
        at: u32,
    },
    /// Wokwi does not simulate the unit, or does no longer.
    #[error(transparent)]
    Wokwi(#[from] WokwiError),
    /// The simulator could not start.
    #[error("cannot start the simulated unit: {0}")]
    Simulator(String),
}

impl DeviceError {
    /// The diagnosis of this error.
    pub fn code(&self) -> Code {
        match self {
            Self::Line(_)
            | Self::NotThere { .. }
            | Self::Esptool(_)
            | Self::Reset { .. }
            | Self::Simulator(_) => Code::PortUnusable,
            Self::Emulator(_) | Self::EspEmu(_) | Self::Hung { .. } | Self::StandsStill { .. } => {
                Code::EmulatorFailed
            }
            Self::Wokwi(error) => error.code(),
            Self::NoAnswer { .. } | Self::NotInLoader { .. } | Self::NotPressed { .. } => {
                Code::PortNoAnswer
            }
            Self::Vanished { .. } => Code::PortVanished,
            Self::UnknownChip { .. } => Code::ChipMismatch,
            Self::Locked { .. } => Code::SecurityLocked,
            Self::Loader { .. } => Code::WriteFailed,
            Self::TimedOut { .. } => Code::PortTimeout,
            Self::Exchanged { .. } => Code::PortOtherUnit,
            Self::Garbled { .. } => Code::PortGarbled,
            Self::Scratch(_) => Code::StationState,
            Self::NotIdentified { .. } => Code::Internal,
        }
    }

    /// What to do about it, where it is more than the code's own advice.
    pub fn action(&self) -> Option<&'static str> {
        match self {
            Self::Line(error) => Some(error.action()),
            Self::NotThere { .. } => Some(
                "look whether the nest's supply reaches the port's bridge; goldline device list shows what is there while it is on",
            ),
            Self::Esptool(error) => Some(error.action()),
            Self::Reset { source, .. } => Some(source.action()),
            Self::Wokwi(error) => Some(error.action()),
            Self::Simulator(_) => Some(
                "correct what was asked of the simulated unit with --device and --fault, then test it again",
            ),
            Self::Hung { .. } | Self::StandsStill { .. } => Some(
                "run it again where less runs beside it (--retry-errors N does), take a chip of one core or another version of QEMU; on a real unit its watchdog would say where",
            ),
            Self::NotPressed { source, .. } => Some(source.action()),
            Self::NotInLoader { .. } => Some(
                "put the unit into its download mode (hold BOOT while pressing reset) and begin again, or name a reset with ?reset=classic or ?reset=command:PROGRAM",
            ),
            _ => None,
        }
    }

    /// Whether the unit itself is at fault; everything else is the station's.
    pub fn blames_unit(&self) -> bool {
        matches!(self, Self::Loader { .. } | Self::UnknownChip { .. })
    }
}
