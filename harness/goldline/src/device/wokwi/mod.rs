//! A unit that Wokwi simulates: a service elsewhere, of which the bench has the console and a reset.
//!
//! What is written is kept here and goes there when the unit is started; nothing comes back, so nobody may take
//! what was written for what is in a flash. Machine code runs there, and reaches no service of the bench. Must not
//! know what a profile or a check is.

mod diagram;
mod error;
mod protocol;
mod server;
mod session;
mod socket;

use std::{
    collections::BTreeMap,
    fs::File,
    time::{Duration, Instant},
};

use serde_json::Value;

pub use error::WokwiError;

use super::{
    ChipFacts, Device, DeviceError, LineHandle, WokwiOptions,
    line::{Line, terminal},
    rate::ROM_BAUD,
};
use crate::{identity::Mac, profile::Chip};
use diagram::{Diagram, DiagramError};
use protocol::{Command, Status};
use server::{NoServer, Server};
use session::{Ending, Session};

/// What a unit that stands still has said is all there when nothing more came for so long.
const SILENCE: Duration = Duration::from_millis(30);

/// Of real time, below which a simulation is too slow to blame a unit for what it did not do in time.
const SLOWEST: f64 = 0.5;

/// A unit cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum NoWokwi {
    /// Nobody says where and by whose right.
    #[error(transparent)]
    Server(#[from] NoServer),
    /// There is nothing to be simulated.
    #[error(transparent)]
    Diagram(#[from] DiagramError),
    /// Its flash chips have other sizes.
    #[error(
        "Wokwi has no flash chip of {size} bytes: expected 2, 4, 8, 16 or 32 MB in [chip] flash_size"
    )]
    FlashSize {
        /// The profile's.
        size: u32,
    },
}

impl NoWokwi {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Server(error) => error.action(),
            Self::Diagram(error) => error.action(),
            Self::FlashSize { .. } => "correct flash_size in the profile's [chip]",
        }
    }
}

/// A unit that can be simulated: all that is known of it before the service is asked.
#[derive(Clone, Debug)]
pub struct WokwiUnit {
    server: Server,
    diagram: Diagram,
    chip: Chip,
    flash_size: u32,
}

impl WokwiUnit {
    /// Of a profile's chip and flash size in bytes, and a device URL. Reads the diagram and the environment, and
    /// connects to nothing.
    ///
    /// # Errors
    /// [`NoWokwi`] says what is missing.
    pub fn new(chip: Chip, flash_size: u32, options: &WokwiOptions) -> Result<Self, NoWokwi> {
        let chip = options.chip.unwrap_or(chip);
        let diagram = match &options.diagram {
            Some(path) => Diagram::read(path)?,
            None => Diagram::of_chip(chip, options.mac)?,
        };
        if ![2, 4, 8, 16, 32].contains(&(flash_size >> 20)) || !flash_size.is_power_of_two() {
            return Err(NoWokwi::FlashSize { size: flash_size });
        }
        Ok(Self { server: Server::of_environment()?, diagram, chip, flash_size })
    }

    /// Its base MAC, as the diagram says it.
    pub fn mac(&self) -> Mac {
        self.diagram.mac
    }
}

/// Makes the unit's console. The service is asked when the unit is identified.
///
/// # Errors
/// [`DeviceError::Line`] when the system has no pseudo terminal left.
pub fn open_wokwi(unit: WokwiUnit) -> Result<Box<dyn Device>, DeviceError> {
    let (console, path) = terminal()?;
    let line = Line::open(&path, ROM_BAUD)?;
    Ok(Box::new(WokwiDevice {
        unit,
        console: Some(console),
        session: None,
        ending: None,
        app: None,
        line,
        flash: BTreeMap::new(),
        is_loaded: false,
        runs_since: None,
    }))
}

/// A unit in the service.
struct WokwiDevice {
    unit: WokwiUnit,
    /// Until a session carries it.
    console: Option<File>,
    // Before the line, which sees it end.
    session: Option<Session>,
    ending: Option<Ending>,
    app: Option<String>,
    line: Line,
    /// What is to be in the flash, by its offset.
    flash: BTreeMap<u32, Vec<u8>>,
    /// Whether the service has all of it.
    is_loaded: bool,
    /// Since when time goes on for the unit.
    runs_since: Option<Instant>,
}

impl WokwiDevice {
    fn execute(&mut self, command: Command) -> Result<(), WokwiError> {
        self.ask(command).map(drop)
    }

    fn ask(&mut self, command: Command) -> Result<Value, WokwiError> {
        let handle = self.line.handle();
        let session = self.session.as_mut().ok_or(WokwiError::Blank)?;
        session.execute(command, &|| handle.is_cancelled())
    }

    /// Uploads diagram and flash, and starts the simulation. The console is listened to before.
    fn start(&mut self) -> Result<(), WokwiError> {
        if self.flash.is_empty() {
            return Err(WokwiError::Blank);
        }
        self.execute(Command::upload_text("diagram.json", &self.unit.diagram.text.clone()))?;
        let mut sections = Vec::with_capacity(self.flash.len());
        for (offset, bytes) in self.flash.clone() {
            let name = format!("flash-{offset:x}.bin");
            self.execute(Command::upload(&name, &bytes))?;
            sections.push((offset, name));
        }
        self.execute(Command::listen())?;
        self.execute(Command::start(&sections, self.unit.flash_size))?;
        self.resume()?;
        self.is_loaded = true;
        Ok(())
    }

    fn resume(&mut self) -> Result<(), WokwiError> {
        self.execute(Command::resume())?;
        self.runs_since = Some(Instant::now());
        Ok(())
    }
}

impl Device for WokwiDevice {
    fn identify(&mut self) -> Result<ChipFacts, DeviceError> {
        self.line.console().pause();
        if let Some(console) = self.console.take() {
            let handle = self.line.handle();
            let session = Session::open(&self.unit.server, console, &|| handle.is_cancelled())?;
            self.app = Some(session.app().to_owned());
            self.ending = Some(session.ending());
            self.session = Some(session);
        }
        Ok(ChipFacts {
            chip: self.unit.chip,
            revision: None,
            mac: self.unit.mac(),
            flash_size: self.unit.flash_size,
        })
    }

    fn begins_erased(&self) -> bool {
        true
    }

    fn erase(&mut self) -> Result<(), DeviceError> {
        self.flash.clear();
        self.is_loaded = false;
        Ok(())
    }

    fn write(
        &mut self,
        offset: u32,
        bytes: &[u8],
        progress: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), DeviceError> {
        let flash = self.unit.flash_size;
        let fits = u32::try_from(bytes.len())
            .is_ok_and(|size| offset.checked_add(size).is_some_and(|end| end <= flash));
        if !fits {
            return Err(WokwiError::PastTheEnd { offset, size: bytes.len(), flash }.into());
        }
        self.flash.insert(offset, bytes.to_vec());
        self.is_loaded = false;
        progress(bytes.len());
        Ok(())
    }

    fn digest(&mut self, _: u32, _: u32) -> Result<[u8; 16], DeviceError> {
        Err(WokwiError::NoReadBack { action: "digest the flash" }.into())
    }

    fn read(&mut self, _: u32, _: u32) -> Result<Vec<u8>, DeviceError> {
        Err(WokwiError::NoReadBack { action: "read the flash" }.into())
    }

    fn boot(&mut self) -> Result<(), DeviceError> {
        if !self.is_loaded {
            self.line.console().listen();
            return Ok(self.start()?);
        }
        self.line.stillness().begin();
        self.execute(Command::restart())?;
        // What the boot before said must not be heard as what this one says.
        self.line.stillness().wait_out(SILENCE, || self.line.is_cancelled());
        self.line.console().listen();
        Ok(self.resume()?)
    }

    fn type_text(&mut self, text: &[u8]) -> Result<(), DeviceError> {
        Ok(self.execute(Command::write(text))?)
    }

    fn take_attempts(&mut self) -> u32 {
        1
    }

    fn line(&self) -> LineHandle {
        self.line.handle()
    }

    fn emulator(&self) -> Option<String> {
        self.app.clone()
    }

    fn vouch(&mut self) -> Result<(), DeviceError> {
        let Some(since) = self.runs_since else { return Ok(()) };
        let url = self.unit.server.url.clone();
        // Before, so that a slow answer does not pass for a slow simulation.
        let real_s = since.elapsed().as_secs_f64();
        let answer = self.ask(Command::status())?;
        let Ok(Status { running, nanos }) = serde_json::from_value(answer.clone()) else {
            return Err(WokwiError::NotUnderstood { url, said: answer.to_string() }.into());
        };
        let simulated_s = nanos / 1e9;
        match running {
            false => Err(WokwiError::Paused { url, at_s: simulated_s }.into()),
            true if simulated_s < real_s * SLOWEST => {
                Err(WokwiError::Slow { simulated_s, real_s }.into())
            }
            true => Ok(()),
        }
    }

    fn ending(&self) -> Option<DeviceError> {
        self.ending.as_ref()?.get().map(DeviceError::from)
    }
}
