//! eFuses: bits that can be burnt once and never cleared.
//!
//! Offsets are bytes from the controller's base address; words are little-endian.

use super::registers::Words;

/// Where a chip keeps what in its eFuse controller.
#[derive(Debug)]
pub struct EfuseMap {
    /// First address of the controller.
    pub base: u32,
    /// Bytes of its address range.
    pub length: u32,
    /// Where the MAC address is read.
    pub mac: MacPlace,
    /// Single bits (offset, bit) that are set on the simulated revision.
    pub revision_bits: &'static [(u32, u32)],
}

/// How the MAC address is laid out.
#[derive(Debug)]
pub struct MacPlace {
    /// Offset of the low word.
    pub offset: u32,
    /// Whether the byte above the MAC holds its CRC-8.
    pub with_crc: bool,
}

/// The eFuse controller of one chip.
#[derive(Debug)]
pub struct Efuse {
    words: Words,
}

impl Efuse {
    /// The eFuses as the chip's factory burnt them.
    pub(super) fn new(map: &EfuseMap, mac: [u8; 6]) -> Self {
        let mut words = Words::default();
        let low = u32::from_be_bytes([mac[2], mac[3], mac[4], mac[5]]);
        let mut high = u32::from(u16::from_be_bytes([mac[0], mac[1]]));
        if map.mac.with_crc {
            high |= u32::from(crc8(&mac)) << 16;
        }
        words.set(map.mac.offset, low);
        words.set(map.mac.offset + 4, high);
        for (offset, bit) in map.revision_bits {
            words.set(*offset, words.get(*offset) | 1 << bit);
        }
        Self { words }
    }

    pub(super) fn read(&self, offset: u32) -> u32 {
        self.words.get(offset)
    }
}

/// Dallas/Maxim CRC-8, as the ESP32 stores it beside its MAC address.
fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x8C } else { crc >> 1 })
    })
}
