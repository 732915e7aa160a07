//! The simulated unit behind a stand-in's console, which can be switched on and off.
//!
//! Shared by the stand-ins of all emulators; must not know the arguments of any.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use goldline_simulator::{Config, Fault, Mode, Simulator, World, chip::Model};

/// A file with a number: so often a boot hangs where the second-stage bootloader was to begin, as emulated chips
/// do now and then. Each takes one off.
const HANGS: &str = "GOLDLINE_STAND_IN_HANGS";
/// The name of a fault that the unit has.
const FAULT: &str = "GOLDLINE_STAND_IN_FAULT";
/// What the ROM says last.
const ENTRY: &[u8] = b"entry 0x";

/// What a unit is made of.
pub struct Parts {
    pub model: &'static Model,
    pub mac: [u8; 6],
    pub flash: PathBuf,
    pub flash_size: u32,
    pub world: Arc<dyn World>,
}

/// A unit that can be switched on and off.
pub struct Unit {
    parts: Parts,
    console: UnixStream,
    unit: Option<Simulator>,
    hangs: bool,
    /// Where the console's bytes go while the unit is on.
    port: Arc<Mutex<Option<File>>>,
}

impl Unit {
    /// One that is off, and heard and typed to over a socket.
    pub fn new(parts: Parts, console: UnixStream) -> Result<Self, String> {
        let port = Arc::new(Mutex::new(None));
        type_into(console.try_clone().map_err(|error| error.to_string())?, Arc::clone(&port));
        Ok(Self { parts, console, unit: None, hangs: false, port })
    }

    /// Powers it up.
    pub fn on(&mut self, mode: Mode) -> Result<(), String> {
        let mut config = Config::new(self.parts.model);
        config.mac = self.parts.mac;
        config.flash_size = self.parts.flash_size;
        config.flash_file = Some(self.parts.flash.clone());
        config.mode = mode;
        if let Ok(fault) = env::var(FAULT) {
            let fault: Fault = fault.parse().map_err(|_| format!("there is no fault {fault}"))?;
            config.faults = vec![fault];
        }
        let unit = Simulator::start(config, Arc::clone(&self.parts.world))
            .map_err(|error| error.to_string())?;
        let port = OpenOptions::new().read(true).write(true).open(unit.port_path());
        let ends = port.and_then(|port| Ok((port.try_clone()?, port, self.console.try_clone()?)));
        let (mut from, port, mut to) = ends.map_err(|error| error.to_string())?;
        let hangs = mode == Mode::Boot && takes_a_hang();
        self.hangs = hangs;
        // Until the unit is switched off.
        thread::spawn(move || match hangs {
            true => pass_the_rom(&mut from, &mut to),
            false => pass(&mut from, &mut to),
        });
        *self.port.lock().expect("nobody panics with it") = Some(port);
        self.unit = Some(unit);
        Ok(())
    }

    /// Whether its last boot hangs.
    #[allow(dead_code, reason = "not every emulator tells")]
    pub fn hangs(&self) -> bool {
        self.hangs
    }

    /// Switches it off.
    pub fn off(&mut self) {
        *self.port.lock().expect("nobody panics with it") = None;
        self.unit = None;
    }

    /// Resets it while it runs.
    pub fn reset_into(&self, mode: Mode) {
        if let Some(unit) = &self.unit {
            unit.lines().reset_into(mode);
        }
    }
}

/// What is typed while the unit is off is lost, as on a real one.
fn type_into(mut console: UnixStream, port: Arc<Mutex<Option<File>>>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = console.read(&mut buffer) {
            if let Some(port) = &mut *port.lock().expect("nobody panics with it") {
                let _typed = port.write_all(&buffer[..count]);
            }
        }
    });
}

fn takes_a_hang() -> bool {
    let Some(path) = env::var_os(HANGS) else { return false };
    let left = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let Some(less) = left.and_then(|left| left.checked_sub(1)) else { return false };
    fs::write(&path, less.to_string()).is_ok()
}

/// Until the line with the ROM's last word ends; what follows is swallowed.
fn pass_the_rom(from: &mut impl Read, to: &mut impl Write) {
    let (mut said, mut byte) = (Vec::new(), [0]);
    while let Ok(1) = from.read(&mut byte) {
        let is_over =
            said.last() == Some(&b'\n') && said.windows(ENTRY.len()).any(|words| words == ENTRY);
        if !is_over {
            said.push(byte[0]);
            let _heard = to.write_all(&byte);
        }
    }
}

/// Until either ends.
pub fn pass(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() || to.flush().is_err() {
            return;
        }
    }
}

/// The base MAC of eFuses in a file, in the form of an ESP32-C3's: two words behind the six of the first block.
pub fn mac_in(path: &PathBuf) -> Result<[u8; 6], String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let words = bytes.get(24..30).ok_or("the eFuses are cut short")?;
    let mut mac = [0; 6];
    mac.copy_from_slice(words);
    mac.reverse();
    Ok(mac)
}
