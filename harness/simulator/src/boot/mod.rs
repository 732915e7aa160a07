//! From reset to the application, as the ROM and the second-stage bootloader go.
//!
//! Pure: flash in, log and outcome out. Every refusal is the one that the real bootloader makes,
//! in its words. Knows nothing of what an application does.

mod log;
mod otadata;

use crate::chip::{Chip, Model};
use crate::flash::mapped::MappedFlash;
use crate::layout::image::{Fit, Image, ImageError};
use crate::layout::partitions::{Partition, PartitionTable};
use log::BootLog;
pub(crate) use otadata::{
    confirm as confirm_ota_slot, is_pending as ota_is_pending, mark_valid as mark_ota_valid,
    switch as switch_ota_slot, was_rolled_back as ota_was_rolled_back,
};

/// How often the ROM repeats its refusal until the watchdog bites.
const REFUSALS: usize = 8;

/// Why the chip starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetReason {
    /// Power, or the EN line.
    PowerOn,
    /// Software: a panic, or `esp_restart`.
    Software,
    /// The watchdog of a boot that got nowhere.
    Watchdog,
    /// The watchdog of an application that hangs.
    TaskWatchdog,
    /// The supply broke down.
    BrownOut,
}

impl ResetReason {
    fn text(self, model: &Model) -> &'static str {
        match self {
            Self::PowerOn => model.rom.power_on,
            Self::Software => model.rom.software,
            Self::Watchdog => model.rom.watchdog,
            Self::TaskWatchdog => model.rom.task_watchdog,
            Self::BrownOut => model.rom.brown_out,
        }
    }
}

/// What a reset came to.
#[derive(Debug)]
pub struct Boot {
    /// What went out on the serial port.
    pub log: String,
    /// Milliseconds since the reset, as the log counts them.
    pub uptime_ms: u32,
    /// The application, or nothing when the watchdog will reset the chip.
    pub application: Option<Application>,
}

/// An application that is about to run.
#[derive(Debug, Clone)]
pub struct Application {
    /// Where it is.
    pub partition: Partition,
    /// Its verified image.
    pub image: Image,
    /// The partition table that was in force.
    pub table: PartitionTable,
}

/// What the ROM prints in download mode.
pub fn download_log(model: &Model, reason: ResetReason) -> String {
    format!(
        "{}rst:{},boot:{}\r\nwaiting for download\r\n",
        model.rom.banner,
        reason.text(model),
        model.rom.download
    )
}

/// What the bootloader writes before it loads anything.
pub(crate) fn begin(chip: &mut Chip) {
    let table = PartitionTable::read(&chip.mapped_flash());
    if let Ok(table) = table
        && let Err(error) = otadata::begin(&table, chip)
    {
        tracing::error!(%error, "the OTA data lies outside of the flash");
    }
}

/// Whether the application partition holds an image that a bootloader would load.
pub(crate) fn is_bootable(chip: &Chip, partition: &Partition) -> Result<(), ImageError> {
    verify(chip.model, &chip.mapped_flash(), partition).map(|_| ())
}

/// Boots from flash.
pub fn boot(chip: &Chip, reason: ResetReason) -> Boot {
    let mut log = BootLog::default();
    let application = start(chip, reason, &mut log);
    Boot { uptime_ms: log.milliseconds(), log: log.into_text(), application }
}

fn start(chip: &Chip, reason: ResetReason, log: &mut BootLog) -> Option<Application> {
    let bootloader = first_stage(chip, reason, log)?;
    second_stage(chip, &bootloader, log)
}

fn fit(model: &Model) -> Fit {
    Fit { chip_id: model.id, revision: model.revision }
}

/// The ROM: loads the bootloader, whose digest only the bootloader's own chain would check.
fn first_stage(chip: &Chip, reason: ResetReason, log: &mut BootLog) -> Option<Image> {
    let model = chip.model;
    log.raw(&format!(
        "{}rst:{},boot:{}\r\n",
        model.rom.banner,
        reason.text(model),
        model.rom.boot_from_flash
    ));
    // What was written plain is decrypted all the same, into noise.
    let flash = chip.mapped_flash();
    let loaded = Image::parse(&flash, model.bootloader_offset, fit(model));
    let image = match loaded {
        Ok(image) => image,
        Err(error) => {
            log.raw(&rom_refusal(&error));
            return None;
        }
    };
    if chip.registers.efuse().requires_signature() {
        log.raw("secure boot check fail\r\nets_main.c 371 \r\n");
        return None;
    }
    log.raw(model.rom.load_preamble);
    log.raw(&format!("mode:{}, clock div:2\r\n", log::mode(image.flash_mode)));
    for segment in &image.segments {
        let (address, length) = (segment.address, segment.length);
        log.raw(&format!("load:{address:#010x},len:{length}\r\n"));
    }
    if let Err(ImageError::Checksum { calculated, stored }) = image.verify_checksum(&flash) {
        log.raw(&format!("csum err:{calculated:#04x}!={stored:#04x}\r\n"));
        log.raw("ets_main.c 384 \r\n");
        return None;
    }
    log.raw(&format!("entry {:#010x}\r\n", image.entry));
    Some(image)
}

/// The ROM repeats itself until its watchdog bites.
fn rom_refusal(error: &ImageError) -> String {
    match error {
        ImageError::Magic { word, .. } => {
            format!("invalid header: {word:#010x}\r\n").repeat(REFUSALS)
        }
        _ => "ets_main.c 371 \r\n".to_owned(),
    }
}

fn second_stage(chip: &Chip, bootloader: &Image, log: &mut BootLog) -> Option<Application> {
    log.second_stage_banner(chip, bootloader);
    let flash = chip.mapped_flash();
    let table = match PartitionTable::read(&flash) {
        Ok(table) => table,
        Err(error) => {
            log.error("flash_parts", &error.to_string());
            log.error("boot", "Failed to verify partition table");
            log.error("boot", "load partition table error!");
            return None;
        }
    };
    log.partition_table(&table);
    let candidates = otadata::candidates(&table, &flash, log);
    for partition in candidates {
        if let Some(image) = load(chip.model, &flash, &partition, log) {
            return Some(Application { partition, image, table });
        }
    }
    log.error("boot", "No bootable app partitions in the partition table");
    None
}

fn load(
    model: &Model,
    flash: &MappedFlash<'_>,
    partition: &Partition,
    log: &mut BootLog,
) -> Option<Image> {
    match verify(model, flash, partition) {
        Ok(image) => {
            log.segments(&image, model);
            log.info(
                "boot",
                &format!("Loaded app from partition at offset {:#x}", partition.offset),
            );
            log.info("boot", "Disabling RNG early entropy source...");
            Some(image)
        }
        Err(error) => {
            log.error("esp_image", &error.to_string());
            let name = match partition.ota_slot() {
                Some(slot) => format!("OTA app partition slot {slot}"),
                None => "Factory app partition".to_owned(),
            };
            log.error("boot", &format!("{name} is not bootable"));
            None
        }
    }
}

fn verify(
    model: &Model,
    flash: &MappedFlash<'_>,
    partition: &Partition,
) -> Result<Image, ImageError> {
    let image = Image::parse(flash, partition.offset, fit(model))?;
    image.verify_fits(partition.size)?;
    image.verify_checksum(flash)?;
    image.verify_digest(flash)?;
    Ok(image)
}
