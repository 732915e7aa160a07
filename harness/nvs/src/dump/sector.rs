//! What one sector of the flash seems to hold, told by its own bytes.
//!
//! Must not know what lies beside it.

use std::fmt;

use crate::format::{PageState, crc32, header, header_crc, is_blank, read_u32};
use crate::identify::{self, looks_like_nvs};
use crate::image::Page;
use crate::limits::PAGE_BYTES;

/// What a sector of the flash holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Erased flash.
    Blank,
    /// A page of an NVS partition, its header sound.
    NvsPage,
    /// The keys of encrypted NVS partitions.
    Keys,
    /// The start of an application or of a bootloader.
    AppImage,
    /// A record that says which application to boot.
    OtaData,
    /// The start of the radio's initial data.
    PhyData,
    /// The start of a file system.
    FileSystem,
    /// Bytes without any pattern: encrypted, or compressed.
    Noise,
    /// Anything else.
    Unknown,
}

impl Content {
    pub(super) fn of(sector: &[u8; PAGE_BYTES]) -> Self {
        match sector {
            _ if is_blank(sector) => Content::Blank,
            _ if is_sound_page(sector) => Content::NvsPage,
            _ if is_key_partition(sector) => Content::Keys,
            _ if is_app_image(sector) => Content::AppImage,
            _ if is_ota_data(sector) => Content::OtaData,
            _ if sector.starts_with(b"PHYINIT\0") => Content::PhyData,
            _ if is_file_system(sector) => Content::FileSystem,
            _ if is_noise(sector) => Content::Noise,
            _ => Content::Unknown,
        }
    }

    /// Whether it belongs to a partition that is no NVS partition.
    pub(super) fn is_of_another_partition(self) -> bool {
        use Content::{AppImage, FileSystem, Keys, OtaData, PhyData};
        matches!(self, Keys | AppImage | OtaData | PhyData | FileSystem)
    }
}

/// Whether a sector that is no sound page may be a damaged one.
pub(super) fn may_be_damaged_page(sector: &[u8; PAGE_BYTES]) -> bool {
    looks_like_nvs(&Page::decode(0, sector))
}

/// Order in which the pages of a partition were opened, of a sound page.
pub(super) fn sequence(page: &[u8; PAGE_BYTES]) -> u32 {
    read_u32(page, header::SEQUENCE)
}

fn is_sound_page(sector: &[u8; PAGE_BYTES]) -> bool {
    PageState::from_word(read_u32(sector, 0)).is_written()
        && read_u32(sector, header::CRC) == header_crc(sector)
}

/// The CRC of zeros is blank flash, so that zeros over the start of a blank sector
/// have it: those are no keys.
fn is_key_partition(sector: &[u8; PAGE_BYTES]) -> bool {
    sector[0..64] != [0; 64]
        && identify::key_partition(sector) == Some(identify::Kind::KeyPartition)
}

/// The header of an image: magic, number of segments, how the flash is read. Since
/// one in 200,000 sectors of noise has that too, noise must also say where in the
/// memory the program starts.
fn is_app_image(sector: &[u8; PAGE_BYTES]) -> bool {
    const MAGIC: u8 = 0xE9;
    const MOST_SEGMENTS: u8 = 16;
    const LAST_SPI_MODE: u8 = 5;
    let [magic, segments, spi_mode, ..] = *sector;
    let is_header =
        magic == MAGIC && (1..=MOST_SEGMENTS).contains(&segments) && spi_mode <= LAST_SPI_MODE;
    let starts_in_memory = (0x4000_0000..0x5100_0000).contains(&read_u32(sector, 4));
    is_header && (starts_in_memory || !is_noise(sector))
}

/// A sequence number, a label, a state and the CRC of the number; then nothing.
/// Numbers start from 1, and the CRC of 0 is blank flash.
fn is_ota_data(sector: &[u8; PAGE_BYTES]) -> bool {
    const CRC: usize = 28;
    let (record, rest) = sector.split_at(32);
    let number = &record[..4];
    number != [0; 4] && read_u32(record, CRC) == crc32(number) && is_blank(rest)
}

fn is_file_system(sector: &[u8; PAGE_BYTES]) -> bool {
    let is_little_fs = sector[8..].starts_with(b"littlefs");
    let is_fat = matches!(sector[0], 0xEB | 0xE9) && sector[510..512] == [0x55, 0xAA];
    is_little_fs || is_fat
}

/// Whether all byte values are about as frequent as in noise, by the sum of
/// their squared counts: some 69,600 ± 360 of noise, above 90,000 of code.
fn is_noise(sector: &[u8; PAGE_BYTES]) -> bool {
    const MOST_IN_NOISE: u32 = 75_000;
    let mut counts = [0u32; 256];
    for byte in sector {
        counts[usize::from(*byte)] += 1;
    }
    counts.iter().map(|count| count * count).sum::<u32>() <= MOST_IN_NOISE
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Content::Blank => "erased flash",
            Content::NvsPage => "a page of an NVS partition",
            Content::Keys => "a key partition",
            Content::AppImage => "an application or a bootloader",
            Content::OtaData => "a record of which application to boot",
            Content::PhyData => "the radio's initial data",
            Content::FileSystem => "a file system",
            Content::Noise => "noise, as flash encryption or compression makes it,",
            Content::Unknown => "something else",
        })
    }
}
