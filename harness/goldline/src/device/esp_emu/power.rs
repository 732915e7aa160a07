//! Switches a unit in esp-emu on and off: with which arguments, on which flash, and whether what it wrote came
//! back.

use std::{
    ffi::OsString,
    fs::File,
    io,
    net::Ipv4Addr,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, Mutex, PoisonError},
};

use tempfile::TempDir;

use super::{
    chip::{DEFAULT_MAC, Fuses},
    error::{END_LIMIT, EspEmuError, PASSPHRASE},
};
use crate::{
    device::emulator::{
        carrier::{Carrier, Console},
        flash::{FlashFile, Mark},
        program::Emulator,
        unit::Supply,
    },
    identity::Mac,
    process::{Environment, Given, Tied},
    profile::Chip,
    secret::Secret,
};

/// Its own log would stand between the lines of the unit's console.
const QUIET: &[(&str, &str)] = &[("RUST_LOG", "error")];

/// The network of the run, from when on it has one; asked each time that the unit is switched on.
pub type Uplink = Box<dyn FnMut() -> io::Result<UplinkOfRun> + Send>;

/// What the guest's network is to be like.
pub struct UplinkOfRun {
    /// Name of the access point.
    pub ssid: String,
    /// Its passphrase, which stands in the process's arguments: none that is anybody's secret. Empty for an open
    /// network.
    pub passphrase: Secret,
    /// Where the guest's names are answered.
    pub names: Ipv4Addr,
    /// Is told which process has the guest's connections, and the guest's MAC.
    pub attach: Box<dyn FnOnce(u32, Mac) + Send>,
}

/// What the unit is made of.
pub(super) struct Parts {
    pub(super) chip: Chip,
    pub(super) emulator: Emulator,
    pub(super) efuse: Option<Fuses>,
}

/// A unit's supply.
pub(super) struct Power {
    parts: Parts,
    uplink: Uplink,
    flash: FlashFile,
    /// Gone when the guest died by itself: then the port vanishes.
    terminal: Arc<Mutex<Option<File>>>,
    guest: Option<Guest>,
    _private: TempDir,
}

/// An esp-emu that runs; it ends when this is dropped.
struct Guest {
    carrier: Option<Carrier>,
    process: Tied,
    /// The flash as it was when it started.
    before: Mark,
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(carrier) = self.carrier.take() {
            carrier.end();
        }
    }
}

impl Power {
    pub(super) fn new(
        parts: Parts,
        uplink: Uplink,
        flash: FlashFile,
        terminal: File,
        private: TempDir,
    ) -> Self {
        let terminal = Arc::new(Mutex::new(Some(terminal)));
        Self { parts, uplink, flash, terminal, guest: None, _private: private }
    }

    fn start(&mut self) -> Result<Guest, EspEmuError> {
        let uplink = (self.uplink)().map_err(EspEmuError::Network)?;
        let arguments = self.parts.arguments(&self.flash, &uplink)?;
        let before = self.flash.mark()?;
        let started = self.spawn(&arguments);
        let (mut process, carrier) =
            started.map_err(|source| EspEmuError::Start { program: self.program(), source })?;
        (uplink.attach)(process.leader(), self.parts.mac());
        Ok(Guest { carrier: Some(carrier), process, before })
    }

    /// Its standard input and output are the console.
    fn spawn(&self, arguments: &[OsString]) -> io::Result<(Tied, Carrier)> {
        let terminal = self.terminal.lock().unwrap_or_else(PoisonError::into_inner);
        let master = terminal.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        let vanished = {
            let terminal = Arc::clone(&self.terminal);
            move || drop(terminal.lock().unwrap_or_else(PoisonError::into_inner).take())
        };
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs);
        let given = Given {
            input: Some(theirs.try_clone()?),
            output: Some(theirs),
            environment: Environment::And(QUIET),
        };
        let process = Tied::spawn(&self.parts.emulator.path, arguments, given)?;
        let carrier = Carrier::new(ours, Console { master, vanished: Arc::new(vanished) })?;
        Ok((process, carrier))
    }

    fn program(&self) -> String {
        self.parts.emulator.path.display().to_string()
    }
}

impl Supply for Power {
    type Error = EspEmuError;

    const NAME: &'static str = "esp-emu:";

    fn flash(&self) -> &FlashFile {
        &self.flash
    }

    fn mac(&mut self) -> Result<Mac, EspEmuError> {
        Ok(self.parts.mac())
    }

    /// It cannot stand still: it ends.
    fn hold(&mut self) -> Result<bool, EspEmuError> {
        let ran = self.guest.is_some();
        self.off()?;
        if ran {
            self.flash.keep()?;
        }
        Ok(ran)
    }

    fn rewrite(&mut self) -> Result<&FlashFile, EspEmuError> {
        self.hold()?;
        Ok(&self.flash)
    }

    fn boot(&mut self) -> Result<(), EspEmuError> {
        self.off()?;
        self.flash.keep()?;
        self.guest = Some(self.start()?);
        Ok(())
    }

    fn off(&mut self) -> Result<(), EspEmuError> {
        let Some(mut guest) = self.guest.take() else { return Ok(()) };
        let program = self.program();
        let failed = |source| EspEmuError::Start { program: program.clone(), source };
        if let Some(carrier) = &guest.carrier {
            carrier.expect_end();
        }
        guest.process.interrupt().map_err(failed)?;
        let Some(status) = guest.process.wait_within(END_LIMIT).map_err(failed)? else {
            return Err(EspEmuError::Endless { program });
        };
        if self.flash.mark()? == guest.before {
            let words = guest.process.last_words();
            return Err(EspEmuError::NotSaved { program, status, words });
        }
        Ok(self.flash.reopen()?)
    }

    fn look_after(&mut self) -> Result<(), EspEmuError> {
        let Some(guest) = &mut self.guest else { return Ok(()) };
        let terminal = self.terminal.lock().unwrap_or_else(PoisonError::into_inner);
        // Its console closes a moment before it has ended.
        let ended = match terminal.is_none() {
            true => guest.process.wait_within(END_LIMIT),
            false => guest.process.ended(),
        };
        drop(terminal);
        match ended.map_err(|source| EspEmuError::Start { program: self.program(), source })? {
            None => Ok(()),
            Some(status) => {
                let words = self.guest.take().map(|guest| guest.process.last_words());
                let words = words.unwrap_or_default();
                Err(EspEmuError::Ended { program: self.program(), status, words })
            }
        }
    }
}

impl Drop for Power {
    fn drop(&mut self) {
        let kept = self.hold().map(drop);
        if let Err(error) = kept {
            tracing::error!(%error, "the emulated unit was not switched off in order");
        }
    }
}

impl Parts {
    fn mac(&self) -> Mac {
        self.efuse.as_ref().map_or(DEFAULT_MAC, |fuses| fuses.mac)
    }

    fn arguments(
        &self,
        flash: &FlashFile,
        uplink: &UplinkOfRun,
    ) -> Result<Vec<OsString>, EspEmuError> {
        let length = uplink.passphrase.expose().chars().count();
        if length != 0 && !PASSPHRASE.contains(&length) {
            return Err(EspEmuError::Passphrase { length });
        }
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |option: &str, value: OsString| {
            // What begins with a dash would be taken for an option.
            match value.as_encoded_bytes().first() {
                Some(b'-') => {
                    let mut both = OsString::from(format!("{option}="));
                    both.push(value);
                    arguments.push(both);
                }
                _ => arguments.extend([option.into(), value]),
            }
        };
        add("--chip", self.chip.name().into());
        add("--firmware", flash.path().into());
        if let Some(fuses) = &self.efuse {
            add("--efuse", fuses.path.clone().into());
        }
        // Without it, a tap0 of the machine's would be taken.
        add("--net", format!("user,dns={}", uplink.names).into());
        add("--wifi-ssid", uplink.ssid.clone().into());
        add("--wifi-password", uplink.passphrase.expose().into());
        arguments.push("--save-state".into());
        Ok(arguments)
    }
}
