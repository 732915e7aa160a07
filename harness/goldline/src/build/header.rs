//! The first bytes of a file: whether it is an ELF or an ESP image, and for which chip.
//!
//! Must not know what follows them: whether an image is whole is proven where it is flashed.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::{BuildError, ELF_MAGIC};

/// First byte of every ESP image.
const MAGIC: u8 = 0xE9;
const CHIP_ID: usize = 12;
const HEADER: u64 = 24;

/// Where the ROM of a chip looks for the second-stage bootloader, by ESP-IDF's `esp_chip_id_t`.
pub fn bootloader_offset(chip_id: u16) -> u32 {
    const ESP32: u16 = 0;
    const ESP32_S2: u16 = 2;
    const ESP32_P4: u16 = 18;
    const ESP32_C5: u16 = 23;
    match chip_id {
        ESP32 | ESP32_S2 => 0x1000,
        ESP32_P4 | ESP32_C5 => 0x2000,
        _ => 0,
    }
}

/// Whether a file is an ELF.
pub(super) fn is_elf(path: &Path) -> Result<bool, BuildError> {
    Ok(first_bytes(path)?.starts_with(&ELF_MAGIC))
}

/// For which chip an ESP image is; `None` when it is none.
pub(super) fn chip_of(path: &Path) -> Result<Option<u16>, BuildError> {
    Ok(chip_in(&first_bytes(path)?))
}

/// The same of its bytes.
pub(super) fn chip_in(image: &[u8]) -> Option<u16> {
    let id = image.get(CHIP_ID..CHIP_ID + 2).filter(|_| image[0] == MAGIC)?;
    Some(u16::from_le_bytes([id[0], id[1]]))
}

fn first_bytes(path: &Path) -> Result<Vec<u8>, BuildError> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(HEADER).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| BuildError::File { path: path.to_owned(), source })
}
