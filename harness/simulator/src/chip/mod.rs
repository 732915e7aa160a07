//! What the silicon is, before any software.
//!
//! [`Model`] is the data sheet of a chip, one constant for each; [`Chip`] is one piece of it with
//! its own MAC address, eFuses, registers and flash. Adding a chip adds data, not code.

pub mod efuse;
mod esp32;
mod esp32c2;
mod esp32c3;
mod esp32c6;
mod esp32h2;
mod esp32s2;
mod esp32s3;
pub mod registers;
mod spi;
mod words;

use std::fmt;
use std::path::Path;

use crate::damage::Damage;
use crate::flash::mapped::MappedFlash;
use crate::flash::{Nor, OutOfRange};
use efuse::{Burnt, Efuse, EfuseFileError, NoFuse};
use registers::Registers;

/// The data sheet of one chip.
#[derive(Debug)]
pub struct Model {
    /// Name as esptool spells it in arguments, as `esp32`.
    pub name: &'static str,
    /// Name as people spell it, as `ESP32`.
    pub title: &'static str,
    /// Chip id in image headers and in the security info.
    pub id: u16,
    /// What its processor executes.
    pub architecture: Architecture,
    /// Value of the register at [`registers::MAGIC_ADDRESS`].
    pub magic: u32,
    /// What the ROM answers to GET_SECURITY_INFO.
    pub security_info: SecurityInfoForm,
    /// Flash offset of the second-stage bootloader.
    pub bootloader_offset: u32,
    /// Crystal frequency in Hz.
    pub crystal_hz: u32,
    /// What the ROM takes its crystal for when it reckons a rate.
    pub measured_crystal_hz: u32,
    /// Address of the UART's clock divider.
    pub uart_divider: u32,
    /// The SPI controller that drives the flash.
    pub spi: SpiMap,
    /// The eFuse controller.
    pub efuse: efuse::EfuseMap,
    /// Where an application's parts are mapped.
    pub memory: MemoryMap,
    /// What the ROM prints.
    pub rom: RomText,
    /// Silicon revision, major × 100 + minor.
    pub revision: u16,
    /// Whether there is a WiFi radio.
    pub wifi: bool,
    /// The watchdog by which tools reset a chip that has no reset line.
    pub watchdog: Option<WatchdogMap>,
    /// Words that this silicon always reads.
    pub fixed_words: &'static [(u32, u32)],
}

/// Instruction set of a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// ESP32, S2 and S3.
    Xtensa,
    /// The C and H series.
    RiscV,
}

/// Addresses of the watchdog in the low-power domain.
#[derive(Debug)]
pub struct WatchdogMap {
    /// Its configuration; the highest bit starts it.
    pub configuration: u32,
    /// Its write protection; anything but the key locks it.
    pub write_protection: u32,
}

/// Form of the answer to GET_SECURITY_INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityInfoForm {
    /// The ROM does not know the command.
    Unknown,
    /// 12 bytes: flags, crypt count, key purposes.
    Short,
    /// 20 bytes: also chip id and API version.
    Full,
}

/// Register offsets of the flash's SPI controller.
#[derive(Debug)]
pub struct SpiMap {
    /// First address of the controller.
    pub base: u32,
    /// Offset of the address register.
    pub addr: u32,
    /// Whether an address of 24 bits is written shifted to the top of its register.
    pub address_in_upper_bits: bool,
    /// Offset of USR.
    pub usr: u32,
    /// Offset of USR1.
    pub usr1: u32,
    /// Offset of USR2.
    pub usr2: u32,
    /// Offset of the length of the outgoing data, in bits less one.
    pub mosi_length: u32,
    /// Offset of the length of the incoming data, in bits less one.
    pub miso_length: u32,
    /// Offset of the first data word.
    pub w0: u32,
}

impl SpiMap {
    /// The controller of every chip but the ESP32.
    const fn modern(base: u32) -> Self {
        Self {
            base,
            addr: 0x04,
            address_in_upper_bits: false,
            usr: 0x18,
            usr1: 0x1C,
            usr2: 0x20,
            mosi_length: 0x24,
            miso_length: 0x28,
            w0: 0x58,
        }
    }
}

/// Addresses at which an application's segments are placed.
#[derive(Debug)]
pub struct MemoryMap {
    /// Mapped constants; the application descriptor begins 0x20 behind this.
    pub mapped_data: u32,
    /// Instruction RAM.
    pub instruction_ram: u32,
    /// Address ranges (first address, length) that are mapped from flash.
    pub mapped: &'static [(u32, u32)],
}

impl MemoryMap {
    /// Whether the address is read from flash through the cache.
    pub fn is_mapped(&self, address: u32) -> bool {
        let inside = |(start, length): &(u32, u32)| address.wrapping_sub(*start) < *length;
        self.mapped.iter().any(inside)
    }
}

/// The ROM's own words.
#[derive(Debug)]
pub struct RomText {
    /// First lines after a reset, without the reset reason.
    pub banner: &'static str,
    /// What stands between reset reason and the list of loaded segments, without the flash mode.
    pub load_preamble: &'static str,
    /// Boot strapping value and its name when booting from flash.
    pub boot_from_flash: &'static str,
    /// The same in download mode.
    pub download: &'static str,
    /// Name of a reset by power or by the EN line, with its code.
    pub power_on: &'static str,
    /// Name of a reset by software.
    pub software: &'static str,
    /// Name of a reset by the watchdog.
    pub watchdog: &'static str,
    /// Name of a reset by the watchdog of the running application.
    pub task_watchdog: &'static str,
    /// Name of a reset by the brown-out detector.
    pub brown_out: &'static str,
}

/// Every chip that can be simulated.
pub const MODELS: &[&Model] = &[ESP32, ESP32S2, ESP32S3, ESP32C2, ESP32C3, ESP32C6, ESP32H2];

impl Model {
    /// The chip of that name, as `esp32`.
    pub fn named(name: &str) -> Option<&'static Self> {
        MODELS.iter().copied().find(|model| model.name == name)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title)
    }
}

/// The ESP32, the first chip of the family.
pub const ESP32: &Model = &esp32::ESP32;
/// The ESP32-S2.
pub const ESP32S2: &Model = &esp32s2::ESP32S2;
/// The ESP32-S3.
pub const ESP32S3: &Model = &esp32s3::ESP32S3;
/// The ESP32-C2, also sold as ESP8684.
pub const ESP32C2: &Model = &esp32c2::ESP32C2;
/// The ESP32-C3.
pub const ESP32C3: &Model = &esp32c3::ESP32C3;
/// The ESP32-C6.
pub const ESP32C6: &Model = &esp32c6::ESP32C6;
/// The ESP32-H2, which has no WiFi.
pub const ESP32H2: &Model = &esp32h2::ESP32H2;

/// One piece of silicon with its flash.
#[derive(Debug)]
pub struct Chip {
    /// What kind of chip this is.
    pub model: &'static Model,
    /// The base MAC address.
    pub mac: [u8; 6],
    /// The flash chip on its SPI bus.
    pub flash: Nor,
    /// Everything else that a loader can read or write by address.
    pub registers: Registers,
    status: spi::StatusRegisters,
    damage: Damage,
}

impl Chip {
    /// A chip as it leaves its factory, with `mac` burnt.
    pub fn new(model: &'static Model, mac: [u8; 6], flash: Nor) -> Self {
        let efuse = Efuse::new(&model.efuse, mac);
        Self {
            model,
            mac,
            registers: Registers::new(model, efuse),
            flash,
            status: spi::StatusRegisters::default(),
            damage: Damage::default(),
        }
    }

    /// Takes its fuses as a file has them, and keeps there what is burnt from now on.
    pub(crate) fn keep_efuses(&mut self, path: &Path) -> Result<(), EfuseFileError> {
        let mac = self.mac;
        self.registers.efuse_mut().keep_in(path, &mac)
    }

    /// Burns a field of block 0 before the chip has power.
    pub(crate) fn burn(&mut self, burnt: &Burnt) -> Result<(), NoFuse> {
        let field = efuse::place_of(self.model.name, burnt)?;
        self.registers.efuse_mut().burn_before(field, burnt.bits);
        Ok(())
    }

    /// Gives the flash defects that appear later.
    pub(crate) fn with_damage(mut self, damage: Damage) -> Self {
        self.damage = damage;
        self
    }

    /// Forgets what a reset clears: registers, but neither flash nor eFuses.
    pub fn reset(&mut self) {
        self.registers.reset();
        self.damage.writing_ended();
    }

    /// A client began to write flash.
    pub fn writing_began(&mut self) {
        self.damage.writing_began();
    }

    /// A client said that it is done with writing flash.
    pub fn writing_ended(&mut self) {
        self.damage.writing_ended();
    }

    /// Called before flash contents leave the chip or are run: a defect shows from here on.
    pub fn settle_flash(&mut self) {
        self.damage.apply(&mut self.flash);
    }

    /// Flash as the running chip sees it.
    pub fn mapped_flash(&self) -> MappedFlash<'_> {
        let efuse = self.registers.efuse();
        MappedFlash::new(&self.flash, efuse.encrypts_flash().then(|| efuse.flash_cipher()))
    }

    /// Programs flash so that [`Chip::mapped_flash`] shows `data`: whole blocks of the encryption
    /// that begin at one.
    pub(crate) fn program_mapped(&mut self, offset: u32, data: &[u8]) -> Result<(), OutOfRange> {
        let efuse = self.registers.efuse();
        let mut cells = data.to_vec();
        if efuse.encrypts_flash() {
            efuse.flash_cipher().encrypt(offset, &mut cells);
        }
        self.flash.program(offset, &cells)
    }

    /// Reads a word by address; unknown addresses read what was last written, or 0.
    pub fn read_register(&mut self, address: u32) -> u32 {
        self.registers.read(address)
    }

    /// Writes a word by address, which may run a command of the SPI controller.
    ///
    /// True when that let the watchdog run, which resets the chip soon after.
    pub fn write_register(&mut self, address: u32, value: u32) -> bool {
        if self.registers.write(address, value) {
            spi::run(self);
        }
        self.registers.watchdog_runs(address)
    }
}
