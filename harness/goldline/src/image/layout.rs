//! A partition table and an ELF as the bytes that lie in flash, by espflash.
//!
//! Must not know what a profile names as its files.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use esp_idf_part::PartitionTable;
use espflash::{
    flasher::{FlashData, FlashSettings, FlashSize},
    image_format::idf::IdfBootloaderFormat,
    target::{Chip as EspChip, XtalFrequency},
};

use super::error::ImageError;
use crate::profile::{Chip, FlashMap, Profile};

/// The product's own partition table, or one made of the profile's partitions.
pub(super) fn partition_table(profile: &Profile) -> Result<Vec<u8>, ImageError> {
    match &profile.images.table {
        Some(table) => Ok(table.clone()),
        None => encode_table(&profile.flash),
    }
}

fn encode_table(flash: &FlashMap) -> Result<Vec<u8>, ImageError> {
    let mut csv = String::new();
    for partition in flash.partitions() {
        let flags = if partition.encrypted { "encrypted" } else { "" };
        csv += &format!(
            "{},{},{},{:#x},{:#x},{flags}\n",
            partition.name,
            partition.kind.kind,
            partition.kind.subtype,
            partition.offset,
            partition.size
        );
    }
    Ok(PartitionTable::try_from_str(csv)?.to_bin()?)
}

/// Bootloader and application as espflash lays them out.
pub(super) fn lay_out(
    profile: &Profile,
    elf: &[u8],
    table: &[u8],
    bootloader: Option<&Path>,
) -> Result<(Vec<u8>, Vec<u8>), ImageError> {
    let layout = |detail: String| ImageError::Layout { chip: profile.chip, detail };
    // espflash takes a table by path only, and tells a binary from a CSV by its content.
    let folder = tempfile::tempdir().map_err(ImageError::Scratch)?;
    let table_path = folder.path().join("partitions.bin");
    fs::write(&table_path, table).map_err(ImageError::Scratch)?;
    let settings = FlashSettings::new(None, Some(flash_size(profile.flash.size())?), None);
    let chip = esp_chip(profile.chip);
    let data = FlashData::new(settings, 0, None, chip, crystal(profile.chip));
    // espflash panics where the application's description lies in no segment that this chip loads.
    let made = catch_unwind(AssertUnwindSafe(|| {
        IdfBootloaderFormat::new(
            elf,
            &data,
            Some(&table_path),
            bootloader,
            Some(profile.flash.table_offset()),
            Some(&profile.images.app_partition),
        )
    }));
    let of_another =
        "its description lies where this chip loads nothing: the ELF file is another chip's";
    let format = made
        .map_err(|_panic| layout(of_another.to_owned()))?
        .map_err(|error| layout(error.to_string()))?;
    let app_offset = profile.flash.partition(&profile.images.app_partition).map(|app| app.offset);
    let (mut bootloader, mut app) = (None, None);
    for segment in format.flash_segments() {
        if segment.addr == profile.chip.bootloader_offset() {
            bootloader = Some(segment.data().to_vec());
        } else if Some(segment.addr) == app_offset {
            app = Some(segment.data().to_vec());
        }
    }
    let bootloader = bootloader.ok_or_else(|| layout("no bootloader came out".to_owned()))?;
    let app = app.ok_or_else(|| layout("no application came out".to_owned()))?;
    Ok((bootloader, app))
}

fn flash_size(size: u32) -> Result<FlashSize, ImageError> {
    const MB: u32 = 1024 * 1024;
    Ok(match size {
        s if s == MB => FlashSize::_1Mb,
        s if s == 2 * MB => FlashSize::_2Mb,
        s if s == 4 * MB => FlashSize::_4Mb,
        s if s == 8 * MB => FlashSize::_8Mb,
        s if s == 16 * MB => FlashSize::_16Mb,
        s if s == 32 * MB => FlashSize::_32Mb,
        _ => return Err(ImageError::FlashSize { size }),
    })
}

fn esp_chip(chip: Chip) -> EspChip {
    match chip {
        Chip::Esp32 => EspChip::Esp32,
        Chip::Esp32S2 => EspChip::Esp32s2,
        Chip::Esp32S3 => EspChip::Esp32s3,
        Chip::Esp32C2 => EspChip::Esp32c2,
        Chip::Esp32C3 => EspChip::Esp32c3,
        Chip::Esp32C5 => EspChip::Esp32c5,
        Chip::Esp32C6 => EspChip::Esp32c6,
        Chip::Esp32C61 => EspChip::Esp32c61,
        Chip::Esp32H2 => EspChip::Esp32h2,
        Chip::Esp32P4 => EspChip::Esp32p4,
    }
}

fn crystal(chip: Chip) -> XtalFrequency {
    match chip {
        Chip::Esp32H2 => XtalFrequency::_32Mhz,
        Chip::Esp32C5 => XtalFrequency::_48Mhz,
        _ => XtalFrequency::_40Mhz,
    }
}
