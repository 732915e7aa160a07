//! The chips that Goldline knows, by the field's names.
//!
//! Must not know registers: those are the ROM's and espflash's affair.

use std::{fmt, str::FromStr};

use crate::build::bootloader_offset;

/// An ESP chip.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "each name is the chip's own")]
pub enum Chip {
    Esp32,
    Esp32S2,
    Esp32S3,
    Esp32C2,
    Esp32C3,
    Esp32C5,
    Esp32C6,
    Esp32C61,
    Esp32H2,
    Esp32P4,
}

/// What some chips have and others lack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Feature {
    /// A radio for WiFi.
    Wifi,
    /// The peripheral that makes NVS keys of a key in the eFuses.
    Hmac,
    /// Security fuses whose meaning is known here.
    SecurityFuses,
    /// Key blocks that say what they are for.
    KeyPurposes,
    /// Flash encryption with a key of 512 bits.
    Xts256,
    /// A download mode that writes and does nothing else.
    SecureDownload,
}

/// A text names no chip.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "unknown chip \"{text}\": expected one of esp32, esp32s2, esp32s3, esp32c2, esp32c3, esp32c5, esp32c6, esp32c61, esp32h2, esp32p4"
)]
pub struct UnknownChip {
    text: String,
}

impl Chip {
    /// Every chip.
    pub const ALL: [Self; 10] = [
        Self::Esp32,
        Self::Esp32S2,
        Self::Esp32S3,
        Self::Esp32C2,
        Self::Esp32C3,
        Self::Esp32C5,
        Self::Esp32C6,
        Self::Esp32C61,
        Self::Esp32H2,
        Self::Esp32P4,
    ];

    /// The name in profiles and URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Esp32 => "esp32",
            Self::Esp32S2 => "esp32s2",
            Self::Esp32S3 => "esp32s3",
            Self::Esp32C2 => "esp32c2",
            Self::Esp32C3 => "esp32c3",
            Self::Esp32C5 => "esp32c5",
            Self::Esp32C6 => "esp32c6",
            Self::Esp32C61 => "esp32c61",
            Self::Esp32H2 => "esp32h2",
            Self::Esp32P4 => "esp32p4",
        }
    }

    /// Whether it has this.
    pub fn has(self, feature: Feature) -> bool {
        match feature {
            Feature::Wifi => !matches!(self, Self::Esp32H2 | Self::Esp32P4),
            Feature::SecurityFuses => {
                !matches!(self, Self::Esp32C5 | Self::Esp32C61 | Self::Esp32P4)
            }
            Feature::KeyPurposes => {
                self.has(Feature::SecurityFuses) && !matches!(self, Self::Esp32 | Self::Esp32C2)
            }
            Feature::Xts256 => matches!(self, Self::Esp32S2 | Self::Esp32S3),
            Feature::SecureDownload => self != Self::Esp32,
            Feature::Hmac => !matches!(self, Self::Esp32 | Self::Esp32C2 | Self::Esp32C61),
        }
    }

    /// What the header of an image calls it, ESP-IDF's `esp_chip_id_t`.
    pub fn image_id(self) -> u16 {
        match self {
            Self::Esp32 => 0,
            Self::Esp32S2 => 2,
            Self::Esp32C3 => 5,
            Self::Esp32S3 => 9,
            Self::Esp32C2 => 12,
            Self::Esp32C6 => 13,
            Self::Esp32H2 => 16,
            Self::Esp32P4 => 18,
            Self::Esp32C61 => 20,
            Self::Esp32C5 => 23,
        }
    }

    /// Where the ROM looks for the second-stage bootloader.
    pub fn bootloader_offset(self) -> u32 {
        bootloader_offset(self.image_id())
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wifi => "WiFi",
            Self::Hmac => "HMAC peripheral",
            Self::SecurityFuses => "security fuses that goldline knows",
            Self::KeyPurposes => "key blocks with purposes",
            Self::Xts256 => "flash encryption with 512 bits",
            Self::SecureDownload => "secure download mode",
        })
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Chip {
    type Err = UnknownChip;

    /// Accepts either case and dashes, as in `ESP32-C3`.
    fn from_str(text: &str) -> Result<Self, UnknownChip> {
        let plain = text.to_ascii_lowercase().replace('-', "");
        Self::ALL
            .into_iter()
            .find(|chip| chip.name() == plain)
            .ok_or_else(|| UnknownChip { text: text.to_owned() })
    }
}
