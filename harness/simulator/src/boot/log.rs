//! The words of ROM and bootloader, with a clock that runs as a real one does.

use crate::chip::{Chip, Model};
use crate::layout::image::Image;
use crate::layout::partitions::PartitionTable;

/// Milliseconds until the bootloader prints its first line.
const FIRST_LINE_MS: u32 = 27;
/// Milliseconds that one line takes at 115200 baud.
const LINE_MS: u32 = 4;
/// First byte of the bootloader's own description, and where in it its version is.
const BOOTLOADER_DESCRIPTION: u8 = 0x50;
const VERSION_OFFSET: usize = 8;
const VERSION_LENGTH: usize = 32;

/// The log of one boot.
#[derive(Debug)]
pub(super) struct BootLog {
    text: String,
    milliseconds: u32,
}

impl Default for BootLog {
    fn default() -> Self {
        Self { text: String::new(), milliseconds: FIRST_LINE_MS }
    }
}

impl BootLog {
    pub(super) fn milliseconds(&self) -> u32 {
        self.milliseconds
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn info(&mut self, tag: &str, text: &str) {
        self.line('I', tag, text);
    }

    pub(super) fn error(&mut self, tag: &str, text: &str) {
        self.line('E', tag, text);
    }

    fn line(&mut self, level: char, tag: &str, text: &str) {
        let at = self.milliseconds;
        self.raw(&format!("{level} ({at}) {tag}: {text}\r\n"));
        self.milliseconds += LINE_MS;
    }

    pub(super) fn second_stage_banner(&mut self, chip: &Chip, bootloader: &Image) {
        let version = version(chip, bootloader);
        let (major, minor) = (chip.model.revision / 100, chip.model.revision % 100);
        let speed = match bootloader.flash_config & 0xF {
            0 => "40MHz",
            1 => "26.7MHz",
            2 => "20MHz",
            _ => "80MHz",
        };
        let size = 1 << (bootloader.flash_config >> 4);
        let mode = mode(bootloader.flash_mode);
        let tag = format!("boot.{}", chip.model.name);
        self.info("boot", &format!("ESP-IDF {version} 2nd stage bootloader"));
        self.info("boot", &format!("chip revision: v{major}.{minor}"));
        self.info(&tag, &format!("SPI Speed      : {speed}"));
        self.info(&tag, &format!("SPI Mode       : {mode}"));
        self.info(&tag, &format!("SPI Flash Size : {size}MB"));
        self.info("boot", "Enabling RNG early entropy source...");
    }

    pub(super) fn partition_table(&mut self, table: &PartitionTable) {
        self.info("boot", "Partition Table:");
        self.info("boot", "## Label            Usage          Type ST Offset   Length");
        for (index, partition) in table.iter().enumerate() {
            self.info(
                "boot",
                &format!(
                    "{index:2} {:<16} {:<16} {:02x} {:02x} {:08x} {:08x}",
                    partition.label,
                    partition.usage(),
                    partition.kind,
                    partition.subtype,
                    partition.offset,
                    partition.size
                ),
            );
        }
        self.info("boot", "End of partition table");
    }

    pub(super) fn segments(&mut self, image: &Image, model: &Model) {
        for (index, segment) in image.segments.iter().enumerate() {
            let (at, address, length) = (segment.flash_offset, segment.address, segment.length);
            let how = match address {
                0 => "",
                address if model.memory.is_mapped(address) => "map",
                _ => "load",
            };
            let text = format!(
                "segment {index}: paddr={at:08x} vaddr={address:08x} size={length:05x}h ({length:6}) {how}"
            );
            self.info("esp_image", &text);
        }
    }
}

/// The flash mode of an image header.
pub(super) fn mode(byte: u8) -> &'static str {
    ["QIO", "QOUT", "DIO", "DOUT"].get(usize::from(byte)).unwrap_or(&"DIO")
}

/// The version that the bootloader in flash carries.
fn version(chip: &Chip, bootloader: &Image) -> String {
    let described = bootloader.segments.first().and_then(|segment| {
        let data = chip.mapped_flash().read(segment.flash_offset, segment.length).ok()?;
        let text = data.get(VERSION_OFFSET..VERSION_OFFSET + VERSION_LENGTH)?;
        let text = text.split(|byte| *byte == 0).next()?;
        let text = std::str::from_utf8(text).ok()?;
        (data[0] == BOOTLOADER_DESCRIPTION && !text.is_empty()).then(|| text.to_owned())
    });
    described.unwrap_or_else(|| "v5.1".to_owned())
}
