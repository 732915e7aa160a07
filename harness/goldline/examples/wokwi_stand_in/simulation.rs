//! The simulated unit of a connection. Nothing of its flash outlives a restart: it is what was uploaded.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    sync::{
        Arc,
        mpsc::{Receiver, TryRecvError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use goldline_simulator::{Config, Fault, Mode, Simulator, world::Silence};
use tempfile::TempDir;

use crate::board::Board;

/// A unit that was started.
pub struct Simulation {
    board: Board,
    faults: Vec<Fault>,
    flash: Vec<u8>,
    on: Option<On>,
    /// Time that went by before the last pause.
    before: Duration,
    runs_since: Option<Instant>,
    is_frozen: bool,
}

/// A unit with power.
struct On {
    // Before its folder.
    _unit: Simulator,
    _flash: TempDir,
    port: File,
    printed: Receiver<Vec<u8>>,
}

impl Simulation {
    /// A unit without power.
    pub fn new(board: Board, flash: Vec<u8>, faults: Vec<Fault>) -> Self {
        let (on, before, runs_since) = (None, Duration::ZERO, None);
        Self { board, faults, flash, on, before, runs_since, is_frozen: false }
    }

    /// Lets time go on; the first time, power comes.
    pub fn resume(&mut self) -> Result<(), String> {
        if self.on.is_none() {
            self.on = Some(On::new(&self.board, &self.flash, &self.faults)?);
        }
        // A unit may have printed enough to be frozen before it is told to go on.
        if !self.is_frozen {
            self.runs_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Time stands still: what the unit prints meanwhile is kept back.
    pub fn pause(&mut self) {
        self.before += self.runs_since.take().map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// Time stands still for good, although it is said to go on.
    pub fn freeze(&mut self) {
        if !self.is_frozen {
            self.pause();
            self.is_frozen = true;
        }
    }

    /// Takes power away. What was uploaded is what the flash holds again.
    pub fn restart(&mut self) {
        self.on = None;
        (self.before, self.runs_since) = (Duration::ZERO, None);
    }

    /// Whether time goes on.
    pub fn is_running(&self) -> bool {
        self.runs_since.is_some() || self.is_frozen
    }

    /// Since power came.
    pub fn nanos(&self) -> u64 {
        let running = self.runs_since.map_or(Duration::ZERO, |since| since.elapsed());
        u64::try_from((self.before + running).as_nanos()).unwrap_or(u64::MAX)
    }

    /// What the unit printed, if anything.
    pub fn printed(&self) -> Option<Vec<u8>> {
        let on = self.on.as_ref().filter(|_| self.is_running() && !self.is_frozen)?;
        match on.printed.try_recv() {
            Ok(bytes) => Some(bytes).filter(|_| self.board.is_heard),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    /// Types into its console.
    pub fn type_bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        let on = self.on.as_mut().ok_or("the simulation has not begun")?;
        match self.board.is_heard {
            true => on.port.write_all(bytes).map_err(|error| error.to_string()),
            false => Ok(()),
        }
    }

    /// Whether the diagram has a part of this name.
    pub fn has_part(&self, id: &str) -> bool {
        self.board.parts.iter().any(|part| part == id)
    }
}

impl On {
    fn new(board: &Board, flash: &[u8], faults: &[Fault]) -> Result<Self, String> {
        let words = |error: std::io::Error| error.to_string();
        let folder = tempfile::tempdir().map_err(words)?;
        let path = folder.path().join("flash.bin");
        std::fs::write(&path, flash).map_err(words)?;
        let mut config = Config::new(board.model);
        config.mac = board.mac;
        config.flash_size = u32::try_from(flash.len()).map_err(|error| error.to_string())?;
        config.flash_file = Some(path);
        config.mode = Mode::Boot;
        config.faults = faults.to_vec();
        let unit =
            Simulator::start(config, Arc::new(Silence)).map_err(|error| error.to_string())?;
        let port = OpenOptions::new().read(true).write(true).open(unit.port_path());
        let port = port.map_err(words)?;
        let mut from = port.try_clone().map_err(words)?;
        let (said, printed) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if said.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { _unit: unit, _flash: folder, port, printed })
    }
}
