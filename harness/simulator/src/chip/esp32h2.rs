//! Data of the ESP32-H2.

use super::efuse::{Beside, modern};
use super::{Architecture, MemoryMap, Model, RomText, SecurityInfoForm, SpiMap};

pub(super) const ESP32H2: Model = Model {
    name: "esp32h2",
    title: "ESP32-H2",
    id: 16,
    architecture: Architecture::RiscV,
    magic: 0xD7B7_3E80,
    security_info: SecurityInfoForm::Full,
    bootloader_offset: 0x0,
    crystal_hz: 32_000_000,
    measured_crystal_hz: 32_000_000,
    uart_divider: 0x6000_0014,
    spi: SpiMap::modern(0x6000_3000),
    efuse: modern(0x600B_0800, Beside::Extension, &[(0x44 + 12, 1 << 18)]),
    memory: MemoryMap {
        mapped_data: 0x4200_0000,
        instruction_ram: 0x4080_0000,
        mapped: &[(0x4200_0000, 0x100_0000)],
    },
    rom: RomText {
        banner: "ESP-ROM:esp32h2-20221101\r\nBuild:Nov  1 2022\r\n",
        load_preamble: "SPIWP:0xee\r\n",
        boot_from_flash: "0xc (SPI_FAST_FLASH_BOOT)",
        download: "0x4 (DOWNLOAD(USB/UART0))",
        power_on: "0x1 (POWERON)",
        software: "0xc (SW_CPU)",
        watchdog: "0x10 (RTCWDT_RTC_RST)",
        task_watchdog: "0x8 (TG1WDT_SYS_RST)",
        brown_out: "0xf (BROWN_OUT_RST)",
    },
    revision: 1,
    wifi: false,
    watchdog: None,
    fixed_words: &[],
};
