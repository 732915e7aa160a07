//! The simulated unit behind QEMU's sockets.

use std::{
    io,
    net::{Shutdown, TcpListener},
    os::unix::net::UnixStream,
    sync::Arc,
    thread,
};

use goldline_simulator::{Mode, Stack, World, world::Silence};

use crate::{
    arguments::Arguments,
    unit::{Parts, Unit, mac_in, pass},
};

/// The addresses that the real ones have where no eFuses say otherwise.
const MACS: [(&str, [u8; 6]); 2] = [
    ("esp32", [0x10, 0x01, 0x00, 0xC4, 0x0A, 0x24]),
    ("esp32c3", [0xC4, 0x0A, 0x24, 0xFE, 0x10, 0x01]),
];

/// A unit that can be switched on and off.
pub struct Guest {
    unit: Unit,
    mac: [u8; 6],
    is_esp32: bool,
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
        let mac = own.unwrap_or(mac);
        let parts = Parts {
            model: arguments.model,
            mac,
            flash: arguments.flash.clone(),
            flash_size: arguments.flash_size,
            world,
        };
        let is_esp32 = arguments.model.name == "esp32";
        Ok(Self { unit: Unit::new(parts, console)?, mac, is_esp32 })
    }

    /// Its base MAC.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// What an ESP32 has beside its address, a CRC of 8 bits; other chips have something else there.
    pub fn mac_digest(&self) -> u8 {
        if !self.is_esp32 {
            return 0;
        }
        let bit = |crc: u8, _| if crc & 1 == 1 { (crc >> 1) ^ 0x8C } else { crc >> 1 };
        self.mac.iter().fold(0, |crc, byte| (0..8).fold(crc ^ byte, bit))
    }

    /// The registers that tell a processor that hangs from one that waits, as a real one showed both.
    pub fn registers(&self) -> &'static str {
        match (self.is_esp32, self.unit.hangs()) {
            (true, true) => "\r\nCPU#0\r\nPC=40081da0\r\nPS=00060523\r\n",
            (true, false) => "\r\nCPU#0\r\nPC=401e1a46\r\nPS=00060320\r\n",
            (false, _) => "\r\nCPU#0\r\n pc       4207d658\r\n mstatus  00001888\r\n",
        }
    }

    /// Powers it up.
    pub fn on(&mut self, mode: Mode) -> Result<(), String> {
        self.unit.on(mode)
    }

    /// Switches it off.
    pub fn off(&mut self) {
        self.unit.off();
    }

    /// Resets it while it runs.
    pub fn reset_into(&self, mode: Mode) {
        self.unit.reset_into(mode);
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
