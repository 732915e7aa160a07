//! Words by address, as READ_REG and WRITE_REG reach them.

use super::Model;
use super::efuse::Efuse;
use super::words::Words;

/// Address of the word by which tools tell chips apart.
pub const MAGIC_ADDRESS: u32 = 0x4000_1000;
/// Bit of the SPI command register that starts a user-defined command.
const SPI_USER_COMMAND: u32 = 1 << 18;
/// All addressable state of a chip but its flash.
#[derive(Debug)]
pub struct Registers {
    model: &'static Model,
    efuse: Efuse,
    scratch: Words,
    baud: u32,
    /// Whether the loader attached the flash to the SPI controller.
    pub(crate) flash_attached: bool,
}

/// Baud rate of the ROM after a reset.
pub const ROM_BAUD: u32 = 115_200;

impl Registers {
    pub(super) fn new(model: &'static Model, efuse: Efuse) -> Self {
        Self { model, efuse, scratch: Words::default(), baud: ROM_BAUD, flash_attached: false }
    }

    pub(super) fn reset(&mut self) {
        self.scratch = Words::default();
        self.baud = ROM_BAUD;
        self.flash_attached = false;
        self.efuse.reset();
    }

    /// The fuses.
    pub(crate) fn efuse(&self) -> &Efuse {
        &self.efuse
    }

    /// The same, to burn what was burnt before the unit came to the bench.
    pub(super) fn efuse_mut(&mut self) -> &mut Efuse {
        &mut self.efuse
    }

    /// Makes a chip whose factory switched flash encryption on.
    pub(crate) fn burn_flash_encryption(&mut self) {
        self.efuse.burn_flash_encryption();
    }

    /// Burns a key of the HMAC peripheral.
    pub(crate) fn burn_hmac_key(&mut self, key: &[u8; 32]) {
        self.efuse.burn_hmac_key(key);
    }

    /// The UART's current rate in bits per second.
    pub fn baud(&self) -> u32 {
        self.baud
    }

    /// Sets the UART's rate in bits per second; 0 is ignored.
    pub fn set_baud(&mut self, baud: u32) {
        if baud != 0 {
            self.baud = baud;
        }
    }

    /// Sets it as a ROM does, which divides by the crystal that it believes in.
    pub(crate) fn set_baud_of_rom(&mut self, baud: u32) {
        let crystal = u64::from(self.model.crystal_hz);
        let real = u64::from(baud) * crystal / u64::from(self.model.measured_crystal_hz);
        self.set_baud(u32::try_from(real).unwrap_or(u32::MAX));
    }

    pub(super) fn read(&self, address: u32) -> u32 {
        let model = self.model;
        if address == MAGIC_ADDRESS {
            return model.magic;
        }
        if address == model.uart_divider {
            return model.crystal_hz / self.baud;
        }
        if let Some((_, word)) = model.fixed_words.iter().find(|(at, _)| *at == address) {
            return *word;
        }
        match self.efuse_offset(address) {
            Some(offset) => self.efuse.read(offset),
            None => self.scratch.get(address),
        }
    }

    fn efuse_offset(&self, address: u32) -> Option<u32> {
        let map = &self.model.efuse;
        let offset = address.checked_sub(map.base)?;
        (offset < map.length).then_some(offset)
    }

    /// Stores a word; true when it starts a command of the SPI controller.
    pub(super) fn write(&mut self, address: u32, value: u32) -> bool {
        match self.efuse_offset(address) {
            Some(offset) => self.efuse.write(offset, value),
            None => self.scratch.set(address, value),
        }
        address == self.model.spi.base && value & SPI_USER_COMMAND != 0
    }

    /// Whether a write to `address` was the last step of starting the watchdog.
    ///
    /// Its lock is that step: until then a client may still change its mind.
    pub(super) fn watchdog_runs(&self, address: u32) -> bool {
        const RUNNING: u32 = 1 << 31;
        self.model.watchdog.as_ref().is_some_and(|watchdog| {
            address == watchdog.write_protection
                && self.scratch.get(watchdog.write_protection) == 0
                && self.scratch.get(watchdog.configuration) & RUNNING != 0
        })
    }

    pub(super) fn finish_spi_command(&mut self) {
        self.scratch.set(self.model.spi.base, 0);
    }

    pub(super) fn scratch(&self, address: u32) -> u32 {
        self.scratch.get(address)
    }

    pub(super) fn set_scratch(&mut self, address: u32, value: u32) {
        self.scratch.set(address, value);
    }
}
