//! The security fuses of each chip by the names that espefuse has for them.
//!
//! For whoever wants a unit whose fuses were burnt before it came to the bench. Data only.

use std::str::FromStr;

use super::{Field, map::field};

/// A fuse by its name.
type Named = (&'static str, Field);

/// Where a chip has the fuse of that name; all lie in block 0.
fn named(chip: &str, name: &str) -> Option<Field> {
    of(chip).iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
}

/// The fuses that can be named, of one chip.
fn of(chip: &str) -> &'static [Named] {
    match chip {
        "esp32" => ESP32,
        "esp32s2" => ESP32S2,
        "esp32s3" => ESP32S3,
        "esp32c2" => ESP32C2,
        "esp32c3" => ESP32C3,
        "esp32c6" => ESP32C6,
        "esp32h2" => ESP32H2,
        _ => &[],
    }
}

/// Whether a chip has a field of that name in block 0; `chip` as `esp32s3`.
pub fn has_fuse(chip: &str, name: &str) -> bool {
    of(chip).iter().any(|(known, _)| *known == name)
}

/// A field of block 0 that was burnt before the unit came to the bench: its name as espefuse has it, and its bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burnt {
    /// Such as `DIS_PAD_JTAG` or `SPI_BOOT_CRYPT_CNT`.
    pub name: String,
    /// The bits of the field that are burnt.
    pub bits: u32,
}

impl FromStr for Burnt {
    type Err = NotBurnt;

    /// `NAME`, of which the lowest bit is burnt, or `NAME:BITS`, as `SPI_BOOT_CRYPT_CNT:7`.
    fn from_str(text: &str) -> Result<Self, NotBurnt> {
        let (name, bits) = text.split_once(':').unwrap_or((text, "1"));
        let digits = |hex: &str| u32::from_str_radix(hex, 16);
        let bits = bits.strip_prefix("0x").map_or_else(|| bits.parse(), digits);
        match bits {
            Ok(bits) if !name.is_empty() => Ok(Self { name: name.to_owned(), bits }),
            _ => Err(NotBurnt { text: text.to_owned() }),
        }
    }
}

/// A text names no fuse with its bits.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is no eFuse with its bits: expected NAME or NAME:BITS, such as SPI_BOOT_CRYPT_CNT:7"
)]
pub struct NotBurnt {
    text: String,
}

/// A chip has no such field, or it is narrower.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {chip} has no eFuse {name} of these bits ({bits:#x}): expected one of {}, by its width", list(.chip))]
pub struct NoFuse {
    chip: &'static str,
    name: String,
    bits: u32,
}

fn list(chip: &str) -> String {
    of(chip).iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Says whether a chip has the field, and where.
pub(crate) fn place_of(chip: &'static str, burnt: &Burnt) -> Result<Field, NoFuse> {
    let fits = |field: &Field| field.bits == 32 || burnt.bits >> field.bits == 0;
    let field = named(chip, &burnt.name).filter(fits);
    field.ok_or_else(|| NoFuse { chip, name: burnt.name.clone(), bits: burnt.bits })
}

const ESP32: &[Named] = &[
    ("WR_DIS", field(0, 0, 16)),
    ("RD_DIS", field(0, 16, 4)),
    ("FLASH_CRYPT_CNT", field(0, 20, 7)),
    ("UART_DOWNLOAD_DIS", field(0, 27, 1)),
    ("FLASH_CRYPT_CONFIG", field(5, 28, 4)),
    ("CONSOLE_DEBUG_DISABLE", field(6, 2, 1)),
    ("ABS_DONE_0", field(6, 4, 1)),
    ("ABS_DONE_1", field(6, 5, 1)),
    ("JTAG_DISABLE", field(6, 6, 1)),
    ("DISABLE_DL_ENCRYPT", field(6, 7, 1)),
    ("DISABLE_DL_DECRYPT", field(6, 8, 1)),
    ("DISABLE_DL_CACHE", field(6, 9, 1)),
];

const ESP32C2: &[Named] = &[
    ("WR_DIS", field(0, 0, 8)),
    ("RD_DIS", field(1, 0, 2)),
    ("DIS_PAD_JTAG", field(1, 4, 1)),
    ("DIS_DOWNLOAD_ICACHE", field(1, 5, 1)),
    ("DIS_DOWNLOAD_MANUAL_ENCRYPT", field(1, 6, 1)),
    ("SPI_BOOT_CRYPT_CNT", field(1, 7, 3)),
    ("XTS_KEY_LENGTH_256", field(1, 10, 1)),
    ("DIS_DOWNLOAD_MODE", field(1, 14, 1)),
    ("DIS_DIRECT_BOOT", field(1, 15, 1)),
    ("ENABLE_SECURITY_DOWNLOAD", field(1, 16, 1)),
    ("SECURE_BOOT_EN", field(1, 21, 1)),
    ("SECURE_VERSION", field(1, 22, 4)),
];

const ESP32S2: &[Named] = &[
    WR_DIS,
    RD_DIS,
    ("DIS_DOWNLOAD_ICACHE", field(1, 10, 1)),
    ("DIS_DOWNLOAD_DCACHE", field(1, 11, 1)),
    ("SOFT_DIS_JTAG", field(1, 17, 1)),
    ("HARD_DIS_JTAG", field(1, 18, 1)),
    ("DIS_DOWNLOAD_MANUAL_ENCRYPT", field(1, 19, 1)),
    CRYPT_COUNT,
    PURPOSES[0],
    PURPOSES[1],
    PURPOSES[2],
    PURPOSES[3],
    PURPOSES[4],
    PURPOSES[5],
    SECURE_BOOT,
    DOWNLOAD_OFF,
    ("DIS_LEGACY_SPI_BOOT", field(4, 1, 1)),
    SECURE_DOWNLOAD,
    ("SECURE_VERSION", field(4, 11, 16)),
];

const ESP32S3: &[Named] = &[
    WR_DIS,
    RD_DIS,
    ("DIS_DOWNLOAD_ICACHE", field(1, 10, 1)),
    ("DIS_DOWNLOAD_DCACHE", field(1, 11, 1)),
    SOFT_JTAG,
    PAD_JTAG,
    MANUAL_ENCRYPT,
    CRYPT_COUNT,
    PURPOSES[0],
    PURPOSES[1],
    PURPOSES[2],
    PURPOSES[3],
    PURPOSES[4],
    PURPOSES[5],
    SECURE_BOOT,
    ("DIS_USB_JTAG", field(3, 22, 1)),
    DOWNLOAD_OFF,
    DIRECT_BOOT,
    SECURE_DOWNLOAD,
    SECURE_VERSION,
];

const ESP32C3: &[Named] = &[
    WR_DIS,
    RD_DIS,
    USB_JTAG,
    ("DIS_DOWNLOAD_ICACHE", field(1, 10, 1)),
    SOFT_JTAG,
    PAD_JTAG,
    MANUAL_ENCRYPT,
    CRYPT_COUNT,
    PURPOSES[0],
    PURPOSES[1],
    PURPOSES[2],
    PURPOSES[3],
    PURPOSES[4],
    PURPOSES[5],
    SECURE_BOOT,
    DOWNLOAD_OFF,
    DIRECT_BOOT,
    SECURE_DOWNLOAD,
    SECURE_VERSION,
];

const ESP32C6: &[Named] = &[
    WR_DIS,
    RD_DIS,
    USB_JTAG,
    MSPI_OFF,
    SOFT_JTAG,
    PAD_JTAG,
    MANUAL_ENCRYPT,
    CRYPT_COUNT,
    PURPOSES[0],
    PURPOSES[1],
    PURPOSES[2],
    PURPOSES[3],
    PURPOSES[4],
    PURPOSES[5],
    SECURE_BOOT,
    DOWNLOAD_OFF,
    DIRECT_BOOT,
    SECURE_DOWNLOAD,
    SECURE_VERSION,
];

const ESP32H2: &[Named] = &[
    WR_DIS,
    RD_DIS,
    USB_JTAG,
    MSPI_OFF,
    SOFT_JTAG,
    PAD_JTAG,
    MANUAL_ENCRYPT,
    CRYPT_COUNT,
    PURPOSES[0],
    PURPOSES[1],
    PURPOSES[2],
    PURPOSES[3],
    PURPOSES[4],
    PURPOSES[5],
    SECURE_BOOT,
    DOWNLOAD_OFF,
    DIRECT_BOOT,
    SECURE_DOWNLOAD,
    ("SECURE_VERSION", field(4, 9, 16)),
];

const WR_DIS: Named = ("WR_DIS", field(0, 0, 32));
const RD_DIS: Named = ("RD_DIS", field(1, 0, 7));
const USB_JTAG: Named = ("DIS_USB_JTAG", field(1, 9, 1));
const MSPI_OFF: Named = ("SPI_DOWNLOAD_MSPI_DIS", field(1, 13, 1));
const SOFT_JTAG: Named = ("SOFT_DIS_JTAG", field(1, 16, 3));
const PAD_JTAG: Named = ("DIS_PAD_JTAG", field(1, 19, 1));
const MANUAL_ENCRYPT: Named = ("DIS_DOWNLOAD_MANUAL_ENCRYPT", field(1, 20, 1));
const CRYPT_COUNT: Named = ("SPI_BOOT_CRYPT_CNT", field(2, 18, 3));
const PURPOSES: [Named; 6] = [
    ("KEY_PURPOSE_0", field(2, 24, 4)),
    ("KEY_PURPOSE_1", field(2, 28, 4)),
    ("KEY_PURPOSE_2", field(3, 0, 4)),
    ("KEY_PURPOSE_3", field(3, 4, 4)),
    ("KEY_PURPOSE_4", field(3, 8, 4)),
    ("KEY_PURPOSE_5", field(3, 12, 4)),
];
const SECURE_BOOT: Named = ("SECURE_BOOT_EN", field(3, 20, 1));
const DOWNLOAD_OFF: Named = ("DIS_DOWNLOAD_MODE", field(4, 0, 1));
const DIRECT_BOOT: Named = ("DIS_DIRECT_BOOT", field(4, 1, 1));
const SECURE_DOWNLOAD: Named = ("ENABLE_SECURITY_DOWNLOAD", field(4, 5, 1));
const SECURE_VERSION: Named = ("SECURE_VERSION", field(4, 14, 16));
