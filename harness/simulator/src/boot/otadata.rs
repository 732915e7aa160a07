//! OTA data: which application is to be booted.
//!
//! Two sectors hold one record each; the valid one with the higher sequence number counts.

use super::log::BootLog;
use crate::chip::Chip;
use crate::flash::mapped::MappedFlash;
use crate::flash::{OutOfRange, SECTOR_SIZE};
use crate::layout::partitions::{Partition, PartitionTable};

const RECORD: u32 = 32;
const CHECKSUM: usize = 28;
const STATE: usize = 24;
const NEW: u32 = 0;
const PENDING_VERIFY: u32 = 1;
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

/// What the bootloader does with the chosen record before it loads anything: a new application gets one
/// try, and one that did not confirm itself by the next reset is not chosen any more.
pub(crate) fn begin(table: &PartitionTable, chip: &mut Chip) -> Result<(), OutOfRange> {
    let Some((at, bytes)) = chosen(table, &chip.mapped_flash()) else { return Ok(()) };
    match state(&bytes) {
        NEW => set_state(chip, at, &bytes, PENDING_VERIFY),
        PENDING_VERIFY => set_state(chip, at, &bytes, ABORTED),
        _ => Ok(()),
    }
}

/// The running application is sure of itself.
pub(crate) fn mark_valid(table: &PartitionTable, chip: &mut Chip) -> Result<(), OutOfRange> {
    match chosen(table, &chip.mapped_flash()) {
        Some((at, bytes)) if state(&bytes) == PENDING_VERIFY => set_state(chip, at, &bytes, VALID),
        _ => Ok(()),
    }
}

/// Whether the running application still has to confirm itself.
pub(crate) fn is_pending(table: &PartitionTable, chip: &Chip) -> bool {
    chosen(table, &chip.mapped_flash()).is_some_and(|(_, bytes)| state(&bytes) == PENDING_VERIFY)
}

/// Whether an application in the other slot was given up.
pub(crate) fn was_rolled_back(table: &PartitionTable, chip: &Chip) -> bool {
    let flash = chip.mapped_flash();
    let records = places(table).into_iter().flatten();
    records.filter_map(|at| flash.read(at, RECORD).ok()).any(|bytes| state(&bytes) == ABORTED)
}

/// Chooses the application of `slot` for the next start.
pub(crate) fn switch(table: &PartitionTable, chip: &mut Chip, slot: u8) -> Result<(), OutOfRange> {
    let slots = table.apps().filter(|app| app.ota_slot().is_some()).count() as u32;
    let Some(places) = places(table) else { return Ok(()) };
    let now = chosen(table, &chip.mapped_flash());
    let current = now.as_ref().map_or(0, |(_, bytes)| word(bytes, 0));
    let mut next = current + 1;
    while (next - 1) % slots.max(1) != u32::from(slot) {
        next += 1;
    }
    let at = now.map_or(places[0], |(at, _)| if at == places[0] { places[1] } else { places[0] });
    let mut bytes = [0xFF; RECORD as usize];
    bytes[..4].copy_from_slice(&next.to_le_bytes());
    bytes[CHECKSUM..].copy_from_slice(&checksum(next.to_le_bytes()).to_le_bytes());
    set_state(chip, at, &bytes, NEW)
}

fn set_state(chip: &mut Chip, at: u32, bytes: &[u8], state: u32) -> Result<(), OutOfRange> {
    let mut bytes = bytes.to_vec();
    bytes[STATE..STATE + 4].copy_from_slice(&state.to_le_bytes());
    chip.flash.erase_sector(at)?;
    chip.program_mapped(at, &bytes)
}

fn places(table: &PartitionTable) -> Option<[u32; 2]> {
    let data = table.ota_data()?;
    Some([data.offset, data.offset + SECTOR_SIZE])
}

/// The record that counts, and where it lies.
fn chosen(table: &PartitionTable, flash: &MappedFlash<'_>) -> Option<(u32, Vec<u8>)> {
    let records = places(table)?.into_iter().filter_map(|at| {
        let bytes = flash.read(at, RECORD).ok()?.to_vec();
        record(&bytes).map(|sequence| (sequence, at, bytes))
    });
    records.max_by_key(|(sequence, ..)| *sequence).map(|(_, at, bytes)| (at, bytes))
}

fn state(bytes: &[u8]) -> u32 {
    word(bytes, STATE)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i]))
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
