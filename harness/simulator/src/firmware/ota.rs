//! Updates over the air: download, verify, write to the other slot, choose it.
//!
//! As ESP-IDF's `esp_https_ota` does with rollback switched on: the image is verified before it is chosen,
//! and confirmed only when the new firmware reached its broker.

use std::cell::RefCell;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::http::Client;
use super::package::Program;
use super::signature::{self, Unsigned};
use crate::boot::{is_bootable, switch_ota_slot};
use crate::chip::Chip;
use crate::fault::{Fault, Faults};
use crate::hex::hex;
use crate::layout::partitions::{Partition, PartitionTable};

/// Of an image's header.
const CHIP_ID: usize = 12;
/// Of the descriptor behind two headers and its magic word.
const SECURE_VERSION: usize = 36;

/// What a notice says.
#[derive(Debug, Deserialize)]
pub(super) struct Notice {
    url: String,
    sha256: String,
    size: usize,
    pub(super) version: String,
}

/// Why an update was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("download failed: {0}")]
    Download(#[from] super::http::HttpError),
    #[error("HTTP status {0}")]
    Status(u16),
    #[error("image has {found} bytes, announced are {announced}")]
    Size { found: usize, announced: usize },
    #[error("image hash differs from the announced one")]
    Hash,
    #[error("mismatch chip ID, expected {expected}, found {found}")]
    ChipId { expected: u16, found: u16 },
    #[error("ESP_ERR_OTA_SMALL_SEC_VER: {found} is smaller than {own}")]
    Older { own: u32, found: u32 },
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
    #[error("no slot for an update")]
    NoSlot,
    #[error("image does not fit its slot")]
    TooLarge,
    #[error("ESP_ERR_OTA_VALIDATE_FAILED: {0}")]
    Invalid(#[from] crate::layout::image::ImageError),
}

/// Takes an update; after it the chip must be restarted.
pub(super) async fn take(
    notice: &Notice,
    client: &Client<'_>,
    program: &Program,
    chip: &RefCell<&mut Chip>,
    faults: &Faults,
) -> Result<(), NotTaken> {
    let (running, table) = (&program.partition, &program.table);
    let answer = client.get(&notice.url).await?;
    if answer.status != 200 {
        return Err(NotTaken::Status(answer.status));
    }
    let image = answer.body;
    if image.len() != notice.size {
        return Err(NotTaken::Size { found: image.len(), announced: notice.size });
    }
    let hash = hex(&Sha256::digest(&image));
    if !hash.eq_ignore_ascii_case(&notice.sha256) {
        return Err(NotTaken::Hash);
    }
    let slot = next_slot(running, table).ok_or(NotTaken::NoSlot)?;
    let mut chip = chip.borrow_mut();
    let careless = is_taken_all_the_same(judge(&image, program, chip.model.id), faults)?;
    write(&mut chip, slot, &image).ok_or(NotTaken::TooLarge)?;
    if !careless {
        is_bootable(&chip, slot)?;
    }
    if faults.has(Fault::FirmwareOtaErasesNvs)
        && let Some(nvs) = table.nvs_of_product()
    {
        let _ = chip.flash.erase(nvs.offset, nvs.size);
    }
    if !faults.has(Fault::FirmwareOtaNoSwitch) {
        let number = slot.ota_slot().ok_or(NotTaken::NoSlot)?;
        switch_ota_slot(table, &mut chip, number).map_err(|_| NotTaken::NoSlot)?;
    }
    Ok(())
}

/// What ESP-IDF compares before an image is chosen: chip, secure version, signature.
fn judge(image: &[u8], program: &Program, chip: u16) -> Result<(), NotTaken> {
    let word = |at: usize| image.get(at..at + 4).and_then(|word| word.try_into().ok());
    let found =
        u16::from_le_bytes(image.get(CHIP_ID..CHIP_ID + 2).map_or([0xFF; 2], |id| [id[0], id[1]]));
    if found != chip {
        return Err(NotTaken::ChipId { expected: chip, found });
    }
    let (own, found) = (program.description.app.secure_version, word(SECURE_VERSION));
    let found = found.map_or(0, u32::from_le_bytes);
    if found < own {
        return Err(NotTaken::Older { own, found });
    }
    if program.description.ota.as_ref().is_some_and(|ota| ota.signed) {
        signature::verify(image)?;
    }
    Ok(())
}

/// Whether a firmware that lacks one of the comparisons takes what it should refuse.
fn is_taken_all_the_same(judged: Result<(), NotTaken>, faults: &Faults) -> Result<bool, NotTaken> {
    let lacks = match &judged {
        Ok(()) => return Ok(false),
        Err(NotTaken::ChipId { .. }) => Fault::FirmwareOtaTakesWrongChip,
        Err(NotTaken::Older { .. }) => Fault::FirmwareOtaTakesOlder,
        Err(NotTaken::Unsigned(Unsigned::Missing)) => Fault::FirmwareOtaTakesUnsigned,
        Err(_) => Fault::FirmwareOtaTakesTampered,
    };
    if faults.has(lacks) { Ok(true) } else { judged.map(|()| false) }
}

/// The slot behind the running one, in the order of their numbers.
fn next_slot<'a>(running: &Partition, table: &'a PartitionTable) -> Option<&'a Partition> {
    let mut slots: Vec<&Partition> = table.apps().filter(|app| app.ota_slot().is_some()).collect();
    slots.sort_by_key(|slot| slot.ota_slot());
    let at = slots.iter().position(|slot| slot.offset == running.offset);
    let next = at.map_or(0, |at| (at + 1) % slots.len());
    slots.get(next).copied().filter(|slot| slot.offset != running.offset)
}

fn write(chip: &mut Chip, slot: &Partition, image: &[u8]) -> Option<()> {
    let length = u32::try_from(image.len()).ok().filter(|length| *length <= slot.size)?;
    let sectors = length.next_multiple_of(crate::flash::SECTOR_SIZE);
    chip.flash.erase(slot.offset, sectors).ok()?;
    chip.program_mapped(slot.offset, image).ok()
}
