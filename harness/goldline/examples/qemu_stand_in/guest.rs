//! The simulated unit behind the stand-in's sockets.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    net::{Shutdown, TcpListener},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use goldline_simulator::{Config, Mode, Simulator, Stack, World, chip::Model, world::Silence};

use crate::arguments::Arguments;

/// The addresses that the real ones have where no eFuses say otherwise.
const MACS: [(&str, [u8; 6]); 2] = [
    ("esp32", [0x10, 0x01, 0x00, 0xC4, 0x0A, 0x24]),
    ("esp32c3", [0xC4, 0x0A, 0x24, 0xFE, 0x10, 0x01]),
];

/// A file with a number: so often a boot hangs where the second-stage bootloader was to begin, as emulated chips
/// do now and then. Each takes one off.
const HANGS: &str = "GOLDLINE_STAND_IN_HANGS";
/// What the ROM says last.
const ENTRY: &[u8] = b"entry 0x";

/// A unit that can be switched on and off.
pub struct Guest {
    model: &'static Model,
    mac: [u8; 6],
    flash: PathBuf,
    flash_size: u32,
    console: UnixStream,
    world: Arc<dyn World>,
    unit: Option<Simulator>,
    hangs: bool,
    /// Where the console's bytes go while the unit is on.
    port: Arc<Mutex<Option<File>>>,
}

impl Guest {
    pub fn new(arguments: &mut Arguments, console: UnixStream) -> Result<Self, String> {
        let mac = MACS.iter().find(|(name, _)| *name == arguments.model.name).map(|(_, mac)| *mac);
        let mac = mac.ok_or("no transcript shows this machine")?;
        let own = arguments.efuse.as_ref().map(mac_in).transpose()?;
        let world: Arc<dyn World> = match arguments.frames.take() {
            Some(frames) => {
                let stack = wired_to(frames).map_err(|error| error.to_string())?;
                Arc::new(stack)
            }
            None => Arc::new(Silence),
        };
        let port = Arc::new(Mutex::new(None));
        type_into(console.try_clone().map_err(|error| error.to_string())?, Arc::clone(&port));
        Ok(Self {
            model: arguments.model,
            mac: own.unwrap_or(mac),
            flash: arguments.flash.clone(),
            flash_size: arguments.flash_size,
            console,
            world,
            unit: None,
            hangs: false,
            port,
        })
    }

    /// Its base MAC.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// What an ESP32 has beside its address, a CRC of 8 bits; other chips have something else there.
    pub fn mac_digest(&self) -> u8 {
        if self.model.name != "esp32" {
            return 0;
        }
        let bit = |crc: u8, _| if crc & 1 == 1 { (crc >> 1) ^ 0x8C } else { crc >> 1 };
        self.mac.iter().fold(0, |crc, byte| (0..8).fold(crc ^ byte, bit))
    }

    /// The registers that tell a processor that hangs from one that waits, as a real one showed both.
    pub fn registers(&self) -> &'static str {
        match (self.model.name == "esp32", self.hangs) {
            (true, true) => "\r\nCPU#0\r\nPC=40081da0\r\nPS=00060523\r\n",
            (true, false) => "\r\nCPU#0\r\nPC=401e1a46\r\nPS=00060320\r\n",
            (false, true) => "\r\nCPU#0\r\n pc       4207d658\r\n mstatus  00001880\r\n",
            (false, false) => "\r\nCPU#0\r\n pc       4207d658\r\n mstatus  00001888\r\n",
        }
    }

    /// Powers it up.
    pub fn on(&mut self, mode: Mode) -> Result<(), String> {
        let mut config = Config::new(self.model);
        config.mac = self.mac;
        config.flash_size = self.flash_size;
        config.flash_file = Some(self.flash.clone());
        config.mode = mode;
        let unit =
            Simulator::start(config, Arc::clone(&self.world)).map_err(|error| error.to_string())?;
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

/// A network stack whose frames go where the network card's would. The stack reaches for a bench over TCP, so
/// the frames are passed on.
fn wired_to(frames: UnixStream) -> io::Result<Stack> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let stack = Stack::reach(listener.local_addr()?)?;
    let (link, _) = listener.accept()?;
    link.set_nodelay(true)?;
    let (mut from, mut to) = (link.try_clone()?, frames.try_clone()?);
    thread::spawn(move || {
        pass(&mut from, &mut to);
        let _ended = to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (frames, link);
    thread::spawn(move || {
        pass(&mut from, &mut to);
        let _ended = to.shutdown(Shutdown::Both);
    });
    Ok(stack)
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

fn pass(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

/// In the form of an ESP32-C3's: two words behind the six of the first block.
fn mac_in(path: &PathBuf) -> Result<[u8; 6], String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let words = bytes.get(24..30).ok_or("the eFuses are cut short")?;
    let mut mac = [0; 6];
    mac.copy_from_slice(words);
    mac.reverse();
    Ok(mac)
}
