//! Switches an emulated unit on and off: which program with which arguments, on which flash.
//!
//! Straps cannot change while QEMU runs, so a reset into another mode is another process; within one mode, and
//! while nobody wrote to the flash behind its back, it is a reset of the same.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tempfile::TempDir;

use super::{
    guest::{Guest, GuestError, escaped},
    machine::Machine,
    qmp::QmpError,
    standstill::look,
};
use crate::{
    device::{
        BootMode,
        emulator::{
            boots::Look,
            carrier::Console,
            flash::{FlashFile, FlashFileError},
            program::Emulator,
            unit::Supply,
        },
    },
    identity::Mac,
};

/// Gives the unit's end of a new link to its network, each time that it is switched on: a stream of Ethernet
/// frames, each behind its length in four bytes, the highest first.
pub type Plug = Box<dyn FnMut() -> io::Result<OwnedFd> + Send>;

/// What an emulated unit is made of.
pub(super) struct Parts {
    pub(super) machine: Machine,
    /// What `-M` takes.
    pub(super) machine_name: String,
    pub(super) emulator: Emulator,
    /// Model of its network card; without one it has none.
    pub(super) nic: Option<String>,
    pub(super) efuse: Option<PathBuf>,
}

/// The unit could not be switched.
#[derive(Debug, thiserror::Error)]
pub enum PowerError {
    /// The emulator failed.
    #[error("{program}: {source}")]
    Guest {
        /// Its path.
        program: String,
        /// Why.
        source: GuestError,
    },
    /// Its flash failed.
    #[error(transparent)]
    Flash(#[from] FlashFileError),
    /// It has no way to its network.
    #[error("the emulated unit cannot be plugged into the network: {0}")]
    Network(io::Error),
}

/// A unit's supply and straps.
pub(super) struct Power {
    parts: Parts,
    plug: Option<Plug>,
    pub(super) flash: FlashFile,
    /// Gone when the guest died by itself: then the port vanishes.
    terminal: Arc<Mutex<Option<File>>>,
    guest: Option<(Guest, BootMode)>,
    /// Whether the flash is another one than the guest has read.
    rewritten: bool,
    _private: TempDir,
}

impl Power {
    pub(super) fn new(
        parts: Parts,
        plug: Option<Plug>,
        flash: FlashFile,
        terminal: File,
        private: TempDir,
    ) -> Self {
        let terminal = Arc::new(Mutex::new(Some(terminal)));
        Self { parts, plug, flash, terminal, guest: None, rewritten: false, _private: private }
    }

    /// Resets into a mode.
    pub(super) fn reset_into(&mut self, mode: BootMode) -> Result<(), PowerError> {
        match &mut self.guest {
            Some((guest, running)) if *running == mode && !self.rewritten => {
                let reset = guest.qmp().execute("system_reset");
                let reset = reset.and_then(|_| guest.qmp().execute("cont"));
                reset.map(drop).map_err(|source| self.failed(source.into()))
            }
            _ => {
                self.off()?;
                self.flash.keep()?;
                self.guest = Some((self.start(mode, Standing::Runs)?, mode));
                self.rewritten = false;
                Ok(())
            }
        }
    }

    fn start(&mut self, mode: BootMode, standing: Standing) -> Result<Guest, PowerError> {
        let terminal = self.terminal.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = || GuestError::Start(io::ErrorKind::BrokenPipe.into());
        let master = terminal.as_ref().ok_or_else(|| self.failed(gone()))?;
        let frames = match (&mut self.plug, standing) {
            (Some(plug), Standing::Runs) if self.parts.nic.is_some() => {
                Some(plug().map_err(PowerError::Network)?)
            }
            _ => None,
        };
        let arguments = self.parts.arguments(&self.flash, mode, standing, frames.is_some());
        let vanished = {
            let terminal = Arc::clone(&self.terminal);
            move || drop(terminal.lock().unwrap_or_else(PoisonError::into_inner).take())
        };
        let console = Console { master, vanished: Arc::new(vanished) };
        let started = Guest::start(&self.parts.emulator.path, arguments, frames, console);
        started.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: GuestError) -> PowerError {
        PowerError::Guest { program: self.program(), source }
    }

    fn program(&self) -> String {
        self.parts.emulator.path.display().to_string()
    }
}

impl Supply for Power {
    type Error = PowerError;

    const NAME: &'static str = "qemu:";

    fn flash(&self) -> &FlashFile {
        &self.flash
    }

    fn boot(&mut self) -> Result<(), PowerError> {
        self.reset_into(BootMode::Application)
    }

    fn hold(&mut self) -> Result<bool, PowerError> {
        let Some((guest, _)) = &mut self.guest else { return Ok(false) };
        let stopped = guest.qmp().execute("stop");
        stopped.map_err(|source| self.failed(source.into()))?;
        self.flash.keep()?;
        Ok(true)
    }

    fn look(&mut self) -> Result<Look, PowerError> {
        let Some((guest, _)) = &mut self.guest else { return Ok(Look::Unknown) };
        look(guest.qmp(), self.parts.machine.cores).map_err(|source| self.failed(source.into()))
    }

    fn rewrite(&mut self) -> Result<&FlashFile, PowerError> {
        self.hold()?;
        self.rewritten = true;
        Ok(&self.flash)
    }

    fn off(&mut self) -> Result<(), PowerError> {
        let Some((guest, _)) = self.guest.take() else { return Ok(()) };
        guest.end().map_err(|source| self.failed(source))
    }

    fn mac(&mut self) -> Result<Mac, PowerError> {
        let words = self.parts.machine.mac_words;
        let mut guest = self.start(BootMode::Application, Standing::Still)?;
        let said = guest.qmp().monitor(&format!("xp /2xw {words:#x}"));
        let said = said.map_err(|source| self.failed(source.into()))?;
        guest.end().map_err(|source| self.failed(source))?;
        mac_of(&said).ok_or_else(|| {
            let command = "human-monitor-command";
            self.failed(QmpError::Answer { command, answer: said }.into())
        })
    }
}

impl Drop for Power {
    fn drop(&mut self) {
        let kept = self.off().and_then(|()| Ok(self.flash.keep()?));
        if let Err(error) = kept {
            tracing::error!(%error, "the emulated unit was not switched off in order");
        }
    }
}

/// Whether a guest begins to run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Runs,
    Still,
}

impl Parts {
    fn arguments(
        &self,
        flash: &FlashFile,
        mode: BootMode,
        standing: Standing,
        wired: bool,
    ) -> Vec<OsString> {
        let Machine { timers, efuse, .. } = self.machine;
        let mut arguments: Vec<OsString> =
            ["-M", &self.machine_name, "-display", "none", "-monitor", "none"]
                .map(OsString::from)
                .into();
        let mut add = |option: &str, value: OsString| arguments.extend([option.into(), value]);
        let drive = |path: &std::path::Path, rest: &str| {
            let mut drive = OsString::from("file=");
            drive.push(escaped(path.as_os_str()));
            drive.push(rest);
            drive
        };
        add("-drive", drive(flash.path(), ",if=mtd,format=raw"));
        if let Some(path) = &self.efuse {
            add("-drive", drive(path, ",if=none,format=raw,id=efuse"));
            add("-global", format!("driver={efuse},property=drive,value=efuse").into());
        }
        add("-global", self.machine.strap(mode).into());
        // They count the host's time, and would bite a guest that a busy machine holds up.
        add("-global", format!("driver={timers},property=wdt_disable,value=true").into());
        match &self.nic {
            Some(model) if wired => add("-nic", format!("socket,fd=0,model={model}").into()),
            _ => add("-nic", "none".into()),
        }
        if standing == Standing::Still {
            arguments.push("-S".into());
        }
        arguments
    }
}

/// Of `0000000060008844: 0x24fe1001 0x0000c40a`.
fn mac_of(memory: &str) -> Option<Mac> {
    let (_, words) = memory.trim().split_once(':')?;
    let mut words =
        words.split_whitespace().map(|word| u32::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    let (low, high) = (words.next()??, words.next()??);
    let [_, _, first, second] = high.to_be_bytes();
    let [third, fourth, fifth, sixth] = low.to_be_bytes();
    Some(Mac([first, second, third, fourth, fifth, sixth]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_mac_is_read_from_two_words_of_the_efuses() {
        let mac = mac_of("0000000060008844: 0x24fe1001 0x0000c40a\r\n").expect("a MAC");
        assert_eq!(mac.to_string(), "c4:0a:24:fe:10:01");
        let mac = mac_of("000000003ff5a004: 0x00c40a24 0x00fe1001\r\n").expect("a MAC");
        assert_eq!(mac.to_string(), "10:01:00:c4:0a:24");
        assert_eq!(mac_of("Cannot access memory"), None);
    }
}
