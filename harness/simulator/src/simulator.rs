//! A unit on a thread of its own, with its port and its control lines.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::chip::{self, Chip, Model, efuse::Burnt};
use crate::circuit::{Circuit, LineState, ResetCircuit};
use crate::damage::Damage;
use crate::fault::{Fault, Faults};
use crate::flash::{Nor, SECTOR_SIZE};
use crate::journal::Journal;
use crate::port::{Link, Port, Pty, Wire};
use crate::tampering::Tampering;
use crate::unit::Unit;
use crate::world::World;

pub use crate::start::{Mode, StartError};

/// What kind of unit to simulate.
#[derive(Debug, Clone)]
pub struct Config {
    /// The chip.
    pub chip: &'static Model,
    /// Its base MAC address.
    pub mac: [u8; 6],
    /// Size of its flash in bytes: a power of two from 1 MB to 16 MB.
    pub flash_size: u32,
    /// A file that keeps the flash contents; without one they end with the simulator.
    pub flash_file: Option<PathBuf>,
    /// A file that keeps what is burnt into its eFuses; without one they are a new chip's at each start.
    pub efuse_file: Option<PathBuf>,
    /// Security fuses that were burnt before the unit came to the bench, by the names that espefuse has for them.
    /// What the file keeps is burnt besides.
    pub efuses: Vec<Burnt>,
    /// A file that says what the unit does: each start, and each change of its flash.
    pub journal: Option<PathBuf>,
    /// A name for the port; a link that lasts as long as the unit. Without one, the port has the
    /// name that the system gave.
    pub link: Option<PathBuf>,
    /// How the strapping pins are set when power comes.
    pub mode: Mode,
    /// Whether a client's SYNC resets the chip into download mode: the first one after it opened
    /// the port, and any one while an application runs.
    ///
    /// No chip does that. It stands for the reset by DTR and RTS, which a pseudo-terminal cannot
    /// carry, so that tools which reset on their own work there too.
    pub sync_resets: bool,
    /// Whether the port is the chip's own USB: its control lines act as the USB Serial/JTAG controller's do, and
    /// a port with a link goes at each reset and returns under its name. What is printed before a client opened
    /// it again is lost.
    pub native_usb: bool,
    /// Whether everything takes its time: bytes that of the UART's baud rate, and what
    /// [`Config::timed_erase`] names.
    pub paced: bool,
    /// Whether a loader's erasing takes the time that it takes on real chips, 45 ms for a sector,
    /// 150 ms for a block of 64 KB, 10 s for a chip of 4 MB; and its digesting, 150 ms for 1 MB.
    pub timed_erase: bool,
    /// Whether what the unit has printed is still sent when it is reset, and its programs never wait
    /// for the UART. No chip does that, but what stands between a chip and its client may; it is there
    /// for tests of clients.
    pub keeps_queue_over_reset: bool,
    /// A text of a program's, in the last byte of which the lowest bit is inverted on the wire, once.
    pub bit_in: Option<String>,
    /// A key that was burnt into the eFuses for the HMAC peripheral, before the unit came to the bench.
    pub hmac_key: Option<[u8; 32]>,
    /// What is wrong with the unit.
    pub faults: Vec<Fault>,
    /// What becomes of its flash behind the client's back.
    pub tampering: Option<Tampering>,
    /// Decides everything that is random about the unit and its faults.
    pub seed: u64,
}

impl Config {
    /// A sound unit with 4 MB of flash that powers up in download mode.
    pub fn new(chip: &'static Model) -> Self {
        Self {
            chip,
            mac: [0x24, 0x0A, 0xC4, 0x00, 0x01, 0x10],
            flash_size: 4 << 20,
            flash_file: None,
            efuse_file: None,
            efuses: Vec::new(),
            journal: None,
            link: None,
            mode: Mode::Download,
            sync_resets: false,
            native_usb: false,
            paced: false,
            timed_erase: false,
            keeps_queue_over_reset: false,
            bit_in: None,
            hmac_key: None,
            faults: Vec::new(),
            tampering: None,
            seed: 0,
        }
    }

    /// Says whether a unit could start with this: its flash size, and the files that it names. Makes and
    /// changes nothing.
    pub fn refuse_unusable(&self) -> Result<(), StartError> {
        let sizes = (1 << 20)..=(16 << 20);
        if !self.flash_size.is_power_of_two() || !sizes.contains(&self.flash_size) {
            return Err(StartError::FlashSize(self.flash_size));
        }
        let faults = self.faults();
        if faults.has(Fault::ChipUsbVanishes) && self.link.is_none() {
            return Err(StartError::NeedsLink);
        }
        if let Some(path) = &self.flash_file {
            Nor::refuse_unusable_file(path, self.carried_flash_size(&faults))?;
        }
        for burnt in &self.efuses {
            chip::efuse::place_of(self.chip.name, burnt)?;
        }
        if let Some(path) = &self.link {
            Link::look(path)?;
        }
        Ok(())
    }

    fn faults(&self) -> Faults {
        self.faults.iter().copied().collect::<Faults>().with_seed(self.seed)
    }

    /// Size of the flash that the unit really carries.
    fn carried_flash_size(&self, faults: &Faults) -> u32 {
        match faults.has(Fault::FlashWrongSize) {
            true => self.flash_size / 2,
            false => self.flash_size,
        }
    }
}

/// A running unit; dropping it switches the unit off.
#[derive(Debug)]
pub struct Simulator {
    port_path: PathBuf,
    lines: Lines,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Powers a unit up.
    pub fn start(config: Config, world: Arc<dyn World>) -> Result<Self, StartError> {
        config.refuse_unusable()?;
        debug_assert!(config.flash_size.is_multiple_of(SECTOR_SIZE));
        let faults = config.faults();
        let link = config.link.as_deref().map(Link::claim).transpose()?;
        let journal = match &config.journal {
            Some(path) => Journal::in_file(path)
                .map_err(|source| StartError::Journal { path: path.clone(), source })?,
            None => Journal::default(),
        };
        let chip = chip(&config, &faults, &journal)?;
        let pty = Pty::open(config.sync_resets)?;
        if let Some(link) = &link {
            link.point_to(pty.path())?;
        }
        let port_path = config.link.as_deref().unwrap_or(pty.path()).to_owned();
        let wire_faults = faults.clone();
        let circuit = match config.native_usb {
            true => Circuit::UsbSerialJtag,
            false => Circuit::Transistors,
        };
        let is_native_usb = config.native_usb || faults.has(Fault::ChipUsbVanishes);
        let unit = Unit::new(chip, faults, world, link, config.sync_resets, is_native_usb);
        let unit = unit.with_journal(journal);
        let (line_sender, line_receiver) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let life = move || {
            runtime.block_on(async move {
                let wire = Wire::new(&wire_faults, config.seed, config.paced, config.mac);
                let wire = wire.with_bit_in(config.bit_in.as_deref());
                match Port::serve(pty, wire, config.keeps_queue_over_reset) {
                    Ok(port) => {
                        let circuit = ResetCircuit::new(circuit, line_receiver);
                        tokio::select! {
                            _ = stopped => {}
                            () = unit.live(port, circuit, config.mode) => {}
                        }
                    }
                    Err(error) => tracing::error!(%error, "simulated port not served"),
                }
            });
            // A question to the world may still be open; it must not keep the unit alive.
            runtime.shutdown_timeout(Duration::from_millis(100));
        };
        let thread = thread::Builder::new().name("simulated-unit".to_owned()).spawn(life)?;
        let lines = Lines { sender: line_sender, circuit };
        Ok(Self { port_path, lines, stop: Some(stop), thread: Some(thread) })
    }

    /// The device file that clients open.
    pub fn port_path(&self) -> &Path {
        &self.port_path
    }

    /// The unit's control lines, which a pseudo-terminal does not have.
    pub fn lines(&self) -> Lines {
        self.lines.clone()
    }
}

/// The silicon that a unit really carries, faults and all.
fn chip(config: &Config, faults: &Faults, journal: &Journal) -> Result<Chip, StartError> {
    let size = config.carried_flash_size(faults);
    let flash = match &config.flash_file {
        Some(path) => Nor::in_file(path, size)?,
        None => Nor::in_memory(size),
    };
    let flash = if config.timed_erase || config.paced { flash.with_busy_times() } else { flash };
    let model = match faults.has(Fault::ChipWrongChip) {
        true if config.chip.id == chip::ESP32S2.id => chip::ESP32,
        true => chip::ESP32S2,
        false => config.chip,
    };
    let mac = match faults.has(Fault::ChipWrongMac) {
        true => [0; 6],
        false => config.mac,
    };
    let damage = Damage::new(faults, config.seed).with_tampering(config.tampering.clone());
    let flash = flash.with_defects(faults, config.seed).with_journal(journal.clone());
    let mut chip = Chip::new(model, mac, flash).with_damage(damage);
    if let Some(path) = &config.efuse_file {
        chip.keep_efuses(path)?;
    }
    for burnt in &config.efuses {
        chip.burn(burnt)?;
    }
    if let Some(key) = &config.hmac_key {
        let other = faults.has(Fault::ChipOtherHmacKey);
        chip.registers.burn_hmac_key(&key.map(|byte| if other { !byte } else { byte }));
    }
    if faults.has(Fault::ChipEncrypted) {
        chip.registers.burn_flash_encryption();
    }
    Ok(chip)
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // The unit may have ended by itself; then nobody receives, and that is fine.
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("simulated unit panicked");
        }
    }
}

/// DTR and RTS behind the usual two-transistor circuit that drives EN and GPIO0, or of a native USB.
#[derive(Debug, Clone)]
pub struct Lines {
    sender: mpsc::UnboundedSender<LineState>,
    circuit: Circuit,
}

impl Lines {
    /// Sets both lines; true is asserted, as in terminal programs.
    ///
    /// Behind the circuit RTS alone holds the chip in reset, DTR alone holds GPIO0 low, both together do neither.
    pub fn set(&self, dtr: bool, rts: bool) {
        // A unit that is switched off has no lines; nothing is lost by not telling it.
        let _ = self.sender.send(LineState { dtr, rts });
    }

    /// Resets the chip into a mode.
    pub fn reset_into(&self, mode: Mode) {
        for (dtr, rts) in self.circuit.reset_into(mode) {
            self.set(*dtr, *rts);
        }
    }
}
