//! OTA data: which application is to be booted.
//!
//! Two sectors hold one record each; the valid one with the higher sequence number counts.

use super::log::BootLog;
use super::partitions::{Partition, PartitionTable};
use crate::chip::Chip;
use crate::chip::mapped::MappedFlash;
use crate::flash::{OutOfRange, SECTOR_SIZE};

const RECORD: u32 = 32;
const CHECKSUM: usize = 28;
const STATE: usize = 24;
const VALID: u32 = 2;
const INVALID: u32 = 3;
const ABORTED: u32 = 4;
const BLANK: u32 = u32::MAX;

/// Applications in the order in which the bootloader tries them.
pub(super) fn candidates(
    table: &PartitionTable,
    flash: &MappedFlash<'_>,
    log: &mut BootLog,
) -> Vec<Partition> {
    let slots = table.apps().filter(|app| app.ota_slot().is_some()).count() as u32;
    let chosen = match sequence(table, flash) {
        Some(sequence) if slots > 0 => table.ota_app(((sequence - 1) % slots) as u8),
        _ => {
            let factory = table.factory_app();
            if table.ota_data().is_some() {
                log.info(
                    "boot",
                    match factory {
                        Some(_) => "Defaulting to factory image",
                        None => "No factory image, trying OTA 0",
                    },
                );
            }
            factory.or_else(|| table.ota_app(0))
        }
    };
    // A broken choice falls back to the slots before it, then to the others.
    let mut candidates: Vec<Partition> = chosen.into_iter().cloned().collect();
    candidates.extend(table.apps().filter(|app| Some(*app) != chosen).cloned());
    candidates
}

/// Marks the application of `slot` as the one to boot, as firmware does once it is sure of itself.
///
/// Does nothing when there is a valid record already.
pub(crate) fn confirm(table: &PartitionTable, chip: &mut Chip, slot: u8) -> Result<(), OutOfRange> {
    let Some(data) = table.ota_data() else {
        return Ok(());
    };
    if sequence(table, &chip.mapped_flash()).is_some() {
        return Ok(());
    }
    let sequence = (u32::from(slot) + 1).to_le_bytes();
    let mut record = [0xFF; RECORD as usize];
    record[..4].copy_from_slice(&sequence);
    record[STATE..STATE + 4].copy_from_slice(&VALID.to_le_bytes());
    record[CHECKSUM..].copy_from_slice(&checksum(sequence).to_le_bytes());
    chip.flash.erase_sector(data.offset)?;
    chip.program_mapped(data.offset, &record)
}

fn sequence(table: &PartitionTable, flash: &MappedFlash<'_>) -> Option<u32> {
    let data = table.ota_data()?;
    let records = [data.offset, data.offset + SECTOR_SIZE];
    records.into_iter().filter_map(|at| record(&flash.read(at, RECORD).ok()?)).max()
}

fn record(bytes: &[u8]) -> Option<u32> {
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
    let sequence = word(0);
    let bootable = ![INVALID, ABORTED].contains(&word(STATE));
    let sound = word(CHECKSUM) == checksum(sequence.to_le_bytes());
    (sequence != BLANK && sequence != 0 && bootable && sound).then_some(sequence)
}

fn checksum(sequence: [u8; 4]) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(u32::MAX);
    crc.update(&sequence);
    crc.finalize()
}
