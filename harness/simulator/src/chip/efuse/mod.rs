//! eFuses: bits that can be burnt once and never cleared.
//!
//! Offsets are bytes from the controller's base address. The controller works on two commands:
//! *program* burns what is in its write registers, *read* refreshes the read registers from the
//! fuses. Each needs its own key in the configuration register.

mod file;
mod map;
mod names;

use std::path::Path;

use super::words::Words;
use crate::flash::encryption::FlashCipher;
use file::EfuseFile;
pub use file::EfuseFileError;
pub(super) use map::modern;
pub use map::{Beside, Block, EfuseMap, Field, FlashKey, MacPlace, SecurityFields};
pub(crate) use names::place_of;
pub use names::{Burnt, NoFuse, NotBurnt, has_fuse};

const PROGRAM: u32 = 2;
const READ: u32 = 1;
const COMMANDS: u32 = PROGRAM | READ;
const PROGRAM_KEY: u32 = 0x5A5A;
const READ_KEY: u32 = 0x5AA5;
const WRITE_WORDS: u32 = 8;
/// Number of the first key block, where blocks have purposes.
const FIRST_KEY: usize = 4;
/// Purposes of key blocks that encrypt the flash.
const XTS_AES_256_KEY_1: u8 = 2;
const XTS_AES_256_KEY_2: u8 = 3;
const XTS_AES_128_KEY: u8 = 4;
/// Purpose of a key block that only the HMAC peripheral reads, for software to use.
const HMAC_UP: u8 = 8;

/// What a chip's factory burns when it switches flash encryption on.
const FACTORY_KEY: [u32; 8] = [
    0x6A09_E667,
    0xBB67_AE85,
    0x3C6E_F372,
    0xA54F_F53A,
    0x510E_527F,
    0x9B05_688C,
    0x1F83_D9AB,
    0x5BE0_CD19,
];

/// The eFuse controller of one chip, with its fuses.
#[derive(Debug)]
pub struct Efuse {
    map: &'static EfuseMap,
    /// The fuses themselves, by the offset at which they are read.
    fuses: Words,
    /// What the read registers show: the fuses at the last read command.
    shown: Words,
    /// Write registers and everything else.
    registers: Words,
    /// Keeps the fuses when the chip has no power.
    file: Option<EfuseFile>,
}

impl Efuse {
    /// The eFuses as the chip's factory burnt them.
    pub(super) fn new(map: &'static EfuseMap, mac: [u8; 6]) -> Self {
        let mut fuses = Words::default();
        for (offset, bits) in map.factory {
            fuses.set(*offset, *bits);
        }
        let low = u32::from_be_bytes([mac[2], mac[3], mac[4], mac[5]]);
        let beside = match map.mac.beside {
            Beside::Nothing => 0,
            Beside::Crc => u32::from(crc8(&mac)),
            Beside::Extension => 0xFFFE,
        };
        let high = u32::from(u16::from_be_bytes([mac[0], mac[1]])) | beside << 16;
        let at = map.mac.offset;
        fuses.set(at, low);
        fuses.set(at + 4, fuses.get(at + 4) | high);
        let mut efuse =
            Self { map, shown: Words::default(), fuses, registers: Words::default(), file: None };
        efuse.refresh();
        efuse
    }

    /// Takes the fuses as a file has them, and keeps them there from now on.
    pub(super) fn keep_in(&mut self, path: &Path, mac: &[u8; 6]) -> Result<(), EfuseFileError> {
        let offsets: Vec<u32> = self.offsets().collect();
        let (file, held) = EfuseFile::open(path, offsets.len())?;
        if let Some(held) = held {
            let own = self.mac_words();
            for (offset, word) in offsets.iter().zip(held) {
                self.fuses.set(*offset, word);
            }
            if self.mac_words() != own {
                let found = self.mac_words();
                let [a, b] = (found.1 as u16).to_be_bytes();
                let [c, d, e, f] = found.0.to_be_bytes();
                return Err(EfuseFileError::OtherChip {
                    path: path.to_owned(),
                    found: address(&[a, b, c, d, e, f]),
                    expected: address(mac),
                });
            }
        }
        self.file = Some(file);
        self.refresh();
        self.store();
        Ok(())
    }

    /// Burns a field of block 0 beforehand.
    pub(super) fn burn_before(&mut self, field: Field, bits: u32) {
        self.burn(field, bits);
        self.refresh();
        self.store();
    }

    /// Where each word of each block is read.
    fn offsets(&self) -> impl Iterator<Item = u32> + use<> {
        let blocks = self.map.blocks.iter();
        blocks.flat_map(|block| (0..block.words).map(|word| block.read + word * 4))
    }

    fn mac_words(&self) -> (u32, u32) {
        let at = self.map.mac.offset;
        (self.fuses.get(at), self.fuses.get(at + 4) & 0xFFFF)
    }

    fn store(&self) {
        if let Some(file) = &self.file {
            let words: Vec<u32> = self.offsets().map(|offset| self.fuses.get(offset)).collect();
            file.store(&words);
        }
    }

    /// A reset reads the fuses anew and forgets what was to be programmed.
    pub(super) fn reset(&mut self) {
        self.registers = Words::default();
        self.refresh();
    }

    pub(super) fn read(&self, offset: u32) -> u32 {
        if self.is_readout(offset) { self.shown.get(offset) } else { self.registers.get(offset) }
    }

    pub(super) fn write(&mut self, offset: u32, value: u32) {
        if offset == self.map.command {
            // A command is over before anyone can look: the register reads 0 again.
            self.command(value);
        } else if !self.is_readout(offset) {
            self.registers.set(offset, value);
        }
    }

    /// Whether the flash controller decrypts what the chip runs.
    pub(crate) fn encrypts_flash(&self) -> bool {
        self.flash_crypt_count().count_ones() % 2 == 1
    }

    /// The bits that decide it.
    pub(crate) fn flash_crypt_count(&self) -> u32 {
        self.field(self.map.security.flash_crypt_count)
    }

    /// Whether the ROM starts signed bootloaders only.
    pub(crate) fn requires_signature(&self) -> bool {
        self.field(self.map.security.secure_boot) != 0
    }

    /// Whether the ROM loader neither reads nor runs anything.
    pub(crate) fn restricts_download(&self) -> bool {
        let field = self.map.security.secure_download;
        field.is_some_and(|field| self.field(field) != 0)
    }

    /// Whether there is no ROM loader any more.
    pub(crate) fn has_no_download(&self) -> bool {
        self.field(self.map.security.download_off) != 0
    }

    /// What each key block is for.
    pub(crate) fn key_purposes(&self) -> impl Iterator<Item = u8> {
        let fields = self.map.security.key_purposes.iter();
        fields.map(|field| self.field(*field) as u8)
    }

    /// What encrypts the flash; fuses that were never burnt make a key of zeros.
    pub(crate) fn flash_cipher(&self) -> FlashCipher {
        match &self.map.security.flash_key {
            FlashKey::Tweaked { block, quarters } => {
                FlashCipher::Tweaked { key: self.key(*block), quarters: self.field(*quarters) }
            }
            FlashKey::Xts { block } => FlashCipher::xts_128(&self.key(*block)),
            FlashKey::XtsByPurpose => {
                let purposes: Vec<u8> = self.key_purposes().collect();
                let key = |purpose: u8| {
                    let index = purposes.iter().position(|known| *known == purpose)?;
                    Some(self.key(FIRST_KEY + index))
                };
                match (key(XTS_AES_256_KEY_1), key(XTS_AES_256_KEY_2)) {
                    (Some(data), Some(tweak)) => FlashCipher::xts_256(&data, &tweak),
                    _ => FlashCipher::xts_128(&key(XTS_AES_128_KEY).unwrap_or_default()),
                }
            }
        }
    }

    /// The key of the HMAC peripheral, of chips whose key blocks have purposes.
    pub(crate) fn hmac_key(&self) -> Option<[u8; 32]> {
        let index = self.key_purposes().position(|purpose| purpose == HMAC_UP)?;
        let start = self.map.blocks[FIRST_KEY + index].read;
        let mut key = [0; 32];
        for (bytes, offset) in key.chunks_exact_mut(4).zip((start..).step_by(4)) {
            bytes.copy_from_slice(&self.fuses.get(offset).to_le_bytes());
        }
        Some(key)
    }

    /// Burns a key of the HMAC peripheral into the first key block, as a factory does beforehand.
    pub(super) fn burn_hmac_key(&mut self, key: &[u8; 32]) {
        let Some(purpose) = self.map.security.key_purposes.first() else { return };
        self.burn(*purpose, HMAC_UP.into());
        let block = &self.map.blocks[FIRST_KEY];
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(key.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        for (offset, word) in (block.read..).step_by(4).zip(words) {
            self.fuses.set(offset, word);
        }
        let (word, shift) = self.map.read_disable;
        self.burn(Field { word, shift, bits: 32 - shift }, block.read_protect);
        self.refresh();
        self.store();
    }

    /// A key as a key file has it, which is the other way round than in the fuses.
    fn key(&self, block: usize) -> [u8; 32] {
        let mut key = [0; 32];
        let start = self.map.blocks[block].read;
        for (bytes, offset) in key.rchunks_exact_mut(4).zip((start..).step_by(4)) {
            bytes.copy_from_slice(&self.fuses.get(offset).to_be_bytes());
        }
        key
    }

    /// Burns what switches flash encryption on, with a key that nobody can read.
    pub(super) fn burn_flash_encryption(&mut self) {
        let security = &self.map.security;
        let key_block = match &security.flash_key {
            FlashKey::Tweaked { block, quarters } => {
                self.burn(*quarters, 0xF);
                *block
            }
            FlashKey::Xts { block } => *block,
            FlashKey::XtsByPurpose => {
                self.burn(security.key_purposes[0], XTS_AES_128_KEY.into());
                FIRST_KEY
            }
        };
        let block = &self.map.blocks[key_block];
        for (offset, word) in (block.read..).step_by(4).zip(FACTORY_KEY) {
            self.fuses.set(offset, word);
        }
        let (word, shift) = self.map.read_disable;
        self.burn(Field { word, shift, bits: 32 - shift }, block.read_protect);
        self.burn(security.flash_crypt_count, 1);
        self.refresh();
        self.store();
    }

    fn burn(&mut self, field: Field, bits: u32) {
        let at = self.map.blocks[0].read + field.word * 4;
        self.fuses.set(at, self.fuses.get(at) | bits << field.shift);
    }

    fn field(&self, field: Field) -> u32 {
        self.control_word(field.word) >> field.shift & (u32::MAX >> (32 - field.bits))
    }

    /// A word of block 0 as it was last read; what was burnt since is not in force yet.
    fn control_word(&self, index: u32) -> u32 {
        self.shown.get(self.map.blocks[0].read + index * 4)
    }

    fn is_readout(&self, offset: u32) -> bool {
        let mut blocks = self.map.blocks.iter();
        blocks.any(|block| offset.wrapping_sub(block.read) < block.words * 4)
    }

    fn command(&mut self, value: u32) {
        let key = self.registers.get(self.map.configuration) & 0xFFFF;
        match value & COMMANDS {
            PROGRAM if key == PROGRAM_KEY => self.program(value >> 2 & 0xF),
            READ if key == READ_KEY => self.refresh(),
            _ => {}
        }
    }

    fn program(&mut self, number: u32) {
        let protected = self.control_word(0);
        for (index, block) in self.map.blocks.iter().enumerate() {
            let chosen = !self.map.one_block_at_a_time || index as u32 == number;
            let locked = block.write_protect.is_some_and(|bit| protected >> bit & 1 == 1);
            if !chosen || locked {
                continue;
            }
            for word in 0..block.words.min(WRITE_WORDS) {
                let at = block.read + word * 4;
                let burnt = self.registers.get(block.write + word * 4);
                self.fuses.set(at, self.fuses.get(at) | burnt);
            }
        }
        self.store();
    }

    fn refresh(&mut self) {
        let (word, shift) = self.map.read_disable;
        let hidden = self.fuses.get(self.map.blocks[0].read + word * 4) >> shift;
        for block in self.map.blocks {
            for word in 0..block.words {
                let at = block.read + word * 4;
                let readable = hidden & block.read_protect == 0;
                let shown = if readable { self.fuses.get(at) } else { 0 };
                self.shown.set(at, shown);
            }
        }
    }
}

fn address(mac: &[u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// Dallas/Maxim CRC-8, as the ESP32 stores it beside its MAC address.
fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x8C } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip;

    const KEY0: u32 = 0x9C;

    fn c3() -> Efuse {
        Efuse::new(&chip::ESP32C3.efuse, [2, 0, 0, 0, 0, 1])
    }

    fn burn(efuse: &mut Efuse, block: u32, words: &[u32]) {
        for (index, word) in words.iter().enumerate() {
            efuse.write(index as u32 * 4, *word);
        }
        efuse.write(0x1CC, PROGRAM_KEY);
        efuse.write(0x1D4, PROGRAM | block << 2);
        efuse.write(0x1CC, READ_KEY);
        efuse.write(0x1D4, READ);
        for index in 0..WRITE_WORDS {
            efuse.write(index * 4, 0);
        }
    }

    #[test]
    fn a_burnt_bit_never_clears() {
        let mut efuse = c3();
        burn(&mut efuse, 4, &[0b1010]);
        burn(&mut efuse, 4, &[0b0110]);
        assert_eq!(efuse.read(KEY0), 0b1110);
        efuse.reset();
        assert_eq!(efuse.read(KEY0), 0b1110);
    }

    #[test]
    fn programming_needs_its_key() {
        let mut efuse = c3();
        efuse.write(0, 1);
        efuse.write(0x1D4, PROGRAM | 4 << 2);
        efuse.write(0x1CC, READ_KEY);
        efuse.write(0x1D4, READ);
        assert_eq!(efuse.read(KEY0), 0);
    }

    #[test]
    fn a_write_protected_block_is_not_burnt() {
        let mut efuse = c3();
        burn(&mut efuse, 0, &[1 << 23]);
        burn(&mut efuse, 4, &[1]);
        assert_eq!(efuse.read(KEY0), 0);
    }

    #[test]
    fn a_burnt_switch_has_no_effect_before_the_fuses_are_read() {
        let mut efuse = c3();
        efuse.write(0x10, 1 << 5);
        efuse.write(0x1CC, PROGRAM_KEY);
        efuse.write(0x1D4, PROGRAM);
        assert!(!efuse.restricts_download());
        efuse.write(0x1CC, READ_KEY);
        efuse.write(0x1D4, READ);
        assert!(efuse.restricts_download());
    }

    #[test]
    fn a_read_protected_block_reads_zero() {
        let mut efuse = c3();
        burn(&mut efuse, 4, &[0x1234]);
        burn(&mut efuse, 0, &[0, 1]);
        assert_eq!(efuse.read(KEY0), 0);
    }

    #[test]
    fn read_registers_cannot_be_written() {
        let mut efuse = c3();
        let before = efuse.read(0x44);
        efuse.write(0x44, !before);
        assert_eq!(efuse.read(0x44), before);
    }

    fn of(chip: &'static chip::Model, burnt: &str, mac: [u8; 6]) -> Efuse {
        let mut efuse = Efuse::new(&chip.efuse, mac);
        let burnt: Burnt = burnt.parse().expect("a name and bits");
        efuse.burn_before(place_of(chip.name, &burnt).expect("the chip has it"), burnt.bits);
        efuse
    }

    #[test]
    fn what_is_burnt_beforehand_is_in_force() {
        let mac = [2, 0, 0, 0, 0, 1];
        assert!(of(chip::ESP32, "FLASH_CRYPT_CNT:0x7F", mac).encrypts_flash());
        assert!(of(chip::ESP32, "UART_DOWNLOAD_DIS", mac).has_no_download());
        assert!(of(chip::ESP32C2, "SECURE_BOOT_EN", mac).requires_signature());
        assert!(of(chip::ESP32H2, "ENABLE_SECURITY_DOWNLOAD", mac).restricts_download());
        assert_eq!(of(chip::ESP32S3, "KEY_PURPOSE_3:9", mac).key_purposes().nth(3), Some(9));
    }

    #[test]
    fn a_fuse_that_the_chip_lacks_or_that_is_narrower_is_refused() {
        for (chip, burnt) in [
            ("esp32", "DIS_PAD_JTAG"),
            ("esp32c3", "SPI_BOOT_CRYPT_CNT:8"),
            ("esp32c3", "dis_pad_jtag"),
        ] {
            let burnt: Burnt = burnt.parse().expect("a name and bits");
            assert!(place_of(chip, &burnt).is_err(), "{chip} {burnt:?}");
        }
        for text in ["", ":1", "DIS_PAD_JTAG:", "DIS_PAD_JTAG:x"] {
            assert!(text.parse::<Burnt>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_keeps_what_is_burnt_and_is_this_chips_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("efuse");
        let mac = [2, 0, 0, 0, 0, 1];
        let mut efuse = c3();
        efuse.keep_in(&path, &mac).expect("a new file");
        burn(&mut efuse, 4, &[0x1234]);
        let in_use = c3().keep_in(&path, &mac);
        assert!(matches!(in_use, Err(EfuseFileError::InUse { .. })), "{in_use:?}");
        drop(efuse);
        let mut again = c3();
        again.keep_in(&path, &mac).expect("its own file");
        assert_eq!(again.read(KEY0), 0x1234);
        drop(again);
        let mut other = Efuse::new(&chip::ESP32C3.efuse, [2, 0, 0, 0, 0, 2]);
        let refused = other.keep_in(&path, &[2, 0, 0, 0, 0, 2]);
        assert!(matches!(refused, Err(EfuseFileError::OtherChip { .. })), "{refused:?}");
        let refused = Efuse::new(&chip::ESP32.efuse, mac).keep_in(&path, &mac);
        assert!(matches!(refused, Err(EfuseFileError::WrongSize { .. })), "{refused:?}");
    }
}
