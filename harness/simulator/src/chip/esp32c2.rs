//! Data of the ESP32-C2.

use super::efuse::{Beside, Block, EfuseMap, Field, FlashKey, MacPlace, SecurityFields};
use super::{Architecture, MemoryMap, Model, RomText, SecurityInfoForm, SpiMap, WatchdogMap};

pub(super) const ESP32C2: Model = Model {
    name: "esp32c2",
    title: "ESP32-C2",
    id: 12,
    architecture: Architecture::RiscV,
    magic: 0x7C41_A06F,
    security_info: SecurityInfoForm::Full,
    bootloader_offset: 0x0,
    crystal_hz: 40_000_000,
    measured_crystal_hz: 40_000_000,
    uart_divider: 0x6000_0014,
    spi: SpiMap::modern(0x6000_2000),
    efuse: EfuseMap {
        base: 0x6000_8800,
        length: 0x200,
        configuration: 0x8C,
        command: 0x94,
        one_block_at_a_time: true,
        blocks: &[
            Block { read: 0x2C, write: 0, words: 2, write_protect: None, read_protect: 0 },
            Block { read: 0x34, write: 0, words: 3, write_protect: Some(5), read_protect: 0 },
            Block { read: 0x40, write: 0, words: 8, write_protect: Some(6), read_protect: 0 },
            Block { read: 0x60, write: 0, words: 8, write_protect: Some(7), read_protect: 0b11 },
        ],
        read_disable: (1, 0),
        mac: MacPlace { offset: 0x40, beside: Beside::Nothing },
        security: SecurityFields {
            flash_crypt_count: Field { word: 1, shift: 7, bits: 3 },
            secure_boot: Field { word: 1, shift: 21, bits: 1 },
            secure_download: Some(Field { word: 1, shift: 16, bits: 1 }),
            download_off: Field { word: 1, shift: 14, bits: 1 },
            key_purposes: &[],
            flash_key: FlashKey::Xts { block: 3 },
        },
        factory: &[(0x40 + 4, 1 << 20)],
    },
    memory: MemoryMap {
        mapped_data: 0x3C00_0000,
        instruction_ram: 0x4038_0000,
        mapped: &[(0x3C00_0000, 0x40_0000), (0x4200_0000, 0x40_0000)],
    },
    rom: RomText {
        banner: "ESP-ROM:esp8684-api2-20220127\r\nBuild:Jan 27 2022\r\n",
        load_preamble: "SPIWP:0xee\r\n",
        boot_from_flash: "0xc (SPI_FAST_FLASH_BOOT)",
        download: "0x4 (DOWNLOAD(UART0))",
        power_on: "0x1 (POWERON)",
        software: "0xc (RTC_SW_CPU_RST)",
        watchdog: "0x10 (RTCWDT_RTC_RST)",
        task_watchdog: "0x8 (TG1WDT_SYS_RST)",
        brown_out: "0xf (BROWN_OUT_RST)",
    },
    revision: 100,
    wifi: true,
    watchdog: Some(WatchdogMap { configuration: 0x6000_8084, write_protection: 0x6000_809C }),
    fixed_words: &[],
};
