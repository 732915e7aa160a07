//! The security fuses of a chip, as its eFuse controller shows them.
//!
//! Where each lies is espflash's knowledge; names are espefuse's. What they mean is not known here.

use std::collections::BTreeMap;

use espflash::{
    connection::{Connection, SecurityInfo},
    target::{
        Chip as EspChip,
        efuse::{EfuseField, esp32, esp32c2, esp32c3, esp32c6, esp32h2, esp32s2, esp32s3},
    },
};

use crate::profile::{Chip, KEY_BLOCKS};

/// The block in which all of them lie.
const BLOCK: u32 = 0;
const WORD_BITS: u32 = 32;

/// The fuse of each key block that says what it is for, by espefuse's names.
pub const PURPOSE_FUSES: [&str; KEY_BLOCKS as usize] = [
    "KEY_PURPOSE_0",
    "KEY_PURPOSE_1",
    "KEY_PURPOSE_2",
    "KEY_PURPOSE_3",
    "KEY_PURPOSE_4",
    "KEY_PURPOSE_5",
];

/// What the security fuses of a chip say: bits by espefuse's names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fuses {
    /// Whose they are.
    pub chip: Chip,
    values: BTreeMap<&'static str, u32>,
}

impl Fuses {
    /// Fuses with these bits burnt, for whoever reads them elsewhere.
    pub fn new(chip: Chip, values: impl IntoIterator<Item = (&'static str, u32)>) -> Self {
        Self { chip, values: values.into_iter().collect() }
    }

    /// The bits of the fuse of that name; `None` when it is not one of those that are read of this chip.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.values.get(name).copied()
    }

    /// Whether that fuse was read.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// All that were read, by their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.values.iter().map(|(name, bits)| (*name, *bits))
    }
}

/// Reads them once; `None` of a chip whose fuses are not known here.
pub(super) fn read(
    connection: &mut Connection,
    model: EspChip,
    chip: Chip,
) -> Result<Option<Fuses>, espflash::Error> {
    let fields = fields(chip);
    let Some(last) = fields.iter().map(|(_, field)| field.bit_start / WORD_BITS).max() else {
        return Ok(None);
    };
    let words: Vec<u32> = (0..=last)
        .map(|word| model.read_efuse_raw(connection, BLOCK, word))
        .collect::<Result<_, _>>()?;
    let bits = |field: &EfuseField| {
        let word = words[(field.bit_start / WORD_BITS) as usize];
        word >> (field.bit_start % WORD_BITS) & (u32::MAX >> (WORD_BITS - field.bit_count))
    };
    Ok(Some(Fuses::new(chip, fields.iter().map(|(name, field)| (*name, bits(field))))))
}

/// What a ROM tells of its fuses without a register being read: in Secure Download Mode nothing else can be had.
///
/// Not in it are the protections, what a loader may still encrypt, and which ways to debug are left.
pub(super) fn told(chip: Chip, info: &SecurityInfo) -> Fuses {
    const SECURE_BOOT: u32 = 1 << 0;
    const SECURE_DOWNLOAD: u32 = 1 << 2;
    let flag = |bit: u32| u32::from(info.flags & bit != 0);
    let switches = [
        ("SECURE_BOOT_EN", flag(SECURE_BOOT)),
        ("ENABLE_SECURITY_DOWNLOAD", flag(SECURE_DOWNLOAD)),
        // It answered.
        ("DIS_DOWNLOAD_MODE", 0),
        ("SPI_BOOT_CRYPT_CNT", info.flash_crypt_cnt.into()),
    ];
    let purposes = PURPOSE_FUSES.into_iter().zip(info.key_purposes.map(u32::from));
    let all = switches.into_iter().chain(purposes);
    Fuses::new(chip, all.filter(|(name, _)| fields(chip).iter().any(|(known, _)| known == name)))
}

macro_rules! fuses {
    ($chip:ident: $($name:ident)+) => {
        &[$((stringify!($name), $chip::$name)),+]
    };
}

/// The fuses that are read of a chip; none crosses a word.
fn fields(chip: Chip) -> &'static [(&'static str, EfuseField)] {
    match chip {
        Chip::Esp32 => fuses!(esp32:
            WR_DIS RD_DIS FLASH_CRYPT_CNT UART_DOWNLOAD_DIS FLASH_CRYPT_CONFIG ABS_DONE_0 ABS_DONE_1 JTAG_DISABLE
            DISABLE_DL_ENCRYPT DISABLE_DL_DECRYPT DISABLE_DL_CACHE),
        Chip::Esp32S2 => fuses!(esp32s2:
            WR_DIS RD_DIS DIS_DOWNLOAD_ICACHE DIS_DOWNLOAD_DCACHE SOFT_DIS_JTAG HARD_DIS_JTAG
            DIS_DOWNLOAD_MANUAL_ENCRYPT SPI_BOOT_CRYPT_CNT KEY_PURPOSE_0 KEY_PURPOSE_1 KEY_PURPOSE_2 KEY_PURPOSE_3
            KEY_PURPOSE_4 KEY_PURPOSE_5 SECURE_BOOT_EN DIS_DOWNLOAD_MODE DIS_LEGACY_SPI_BOOT ENABLE_SECURITY_DOWNLOAD),
        Chip::Esp32S3 => fuses!(esp32s3:
            WR_DIS RD_DIS DIS_DOWNLOAD_ICACHE DIS_DOWNLOAD_DCACHE SOFT_DIS_JTAG DIS_PAD_JTAG DIS_USB_JTAG
            DIS_DOWNLOAD_MANUAL_ENCRYPT SPI_BOOT_CRYPT_CNT KEY_PURPOSE_0 KEY_PURPOSE_1 KEY_PURPOSE_2 KEY_PURPOSE_3
            KEY_PURPOSE_4 KEY_PURPOSE_5 SECURE_BOOT_EN DIS_DOWNLOAD_MODE DIS_DIRECT_BOOT ENABLE_SECURITY_DOWNLOAD),
        Chip::Esp32C2 => fuses!(esp32c2:
            WR_DIS RD_DIS DIS_DOWNLOAD_ICACHE DIS_PAD_JTAG DIS_DOWNLOAD_MANUAL_ENCRYPT SPI_BOOT_CRYPT_CNT
            SECURE_BOOT_EN DIS_DOWNLOAD_MODE DIS_DIRECT_BOOT ENABLE_SECURITY_DOWNLOAD),
        Chip::Esp32C3 => fuses!(esp32c3:
            WR_DIS RD_DIS DIS_DOWNLOAD_ICACHE SOFT_DIS_JTAG DIS_PAD_JTAG DIS_USB_JTAG
            DIS_DOWNLOAD_MANUAL_ENCRYPT SPI_BOOT_CRYPT_CNT KEY_PURPOSE_0 KEY_PURPOSE_1 KEY_PURPOSE_2 KEY_PURPOSE_3
            KEY_PURPOSE_4 KEY_PURPOSE_5 SECURE_BOOT_EN DIS_DOWNLOAD_MODE DIS_DIRECT_BOOT ENABLE_SECURITY_DOWNLOAD),
        Chip::Esp32C6 => fuses!(esp32c6:
            WR_DIS RD_DIS SPI_DOWNLOAD_MSPI_DIS SOFT_DIS_JTAG DIS_PAD_JTAG DIS_USB_JTAG
            DIS_DOWNLOAD_MANUAL_ENCRYPT SPI_BOOT_CRYPT_CNT KEY_PURPOSE_0 KEY_PURPOSE_1 KEY_PURPOSE_2 KEY_PURPOSE_3
            KEY_PURPOSE_4 KEY_PURPOSE_5 SECURE_BOOT_EN DIS_DOWNLOAD_MODE DIS_DIRECT_BOOT ENABLE_SECURITY_DOWNLOAD),
        Chip::Esp32H2 => fuses!(esp32h2:
            WR_DIS RD_DIS SPI_DOWNLOAD_MSPI_DIS SOFT_DIS_JTAG DIS_PAD_JTAG DIS_USB_JTAG
            DIS_DOWNLOAD_MANUAL_ENCRYPT SPI_BOOT_CRYPT_CNT KEY_PURPOSE_0 KEY_PURPOSE_1 KEY_PURPOSE_2 KEY_PURPOSE_3
            KEY_PURPOSE_4 KEY_PURPOSE_5 SECURE_BOOT_EN DIS_DOWNLOAD_MODE DIS_DIRECT_BOOT ENABLE_SECURITY_DOWNLOAD),
        Chip::Esp32C5 | Chip::Esp32C61 | Chip::Esp32P4 => &[],
    }
}

/// Whether the fuses of that chip are read under that name.
#[cfg(test)]
pub(crate) fn is_read(chip: Chip, name: &str) -> bool {
    fields(chip).iter().any(|(known, _)| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_crosses_a_word() {
        for chip in Chip::ALL {
            for (name, EfuseField { block, bit_start, bit_count, .. }) in fields(chip) {
                let fits = bit_start % WORD_BITS + bit_count <= WORD_BITS;
                assert!(*block == BLOCK && fits && *bit_count > 0, "{chip} {name}");
            }
        }
    }
}
