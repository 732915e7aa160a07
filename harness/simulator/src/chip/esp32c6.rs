//! Data of the ESP32-C6.

use super::efuse::{Beside, modern};
use super::{Architecture, MemoryMap, Model, RomText, SecurityInfoForm, SpiMap};

pub(super) const ESP32C6: Model = Model {
    name: "esp32c6",
    title: "ESP32-C6",
    id: 13,
    architecture: Architecture::RiscV,
    magic: 0x2CE0_806F,
    security_info: SecurityInfoForm::Full,
    bootloader_offset: 0x0,
    crystal_hz: 40_000_000,
    measured_crystal_hz: 40_000_000,
    uart_divider: 0x6000_0014,
    spi: SpiMap::modern(0x6000_3000),
    efuse: modern(0x600B_0800, Beside::Extension, &[(0x44 + 12, 1 << 18)]),
    memory: MemoryMap {
        mapped_data: 0x4200_0000,
        instruction_ram: 0x4080_0000,
        mapped: &[(0x4200_0000, 0x100_0000)],
    },
    rom: RomText {
        banner: "ESP-ROM:esp32c6-20220919\r\nBuild:Sep 19 2022\r\n",
        load_preamble: "SPIWP:0xee\r\n",
        boot_from_flash: "0x8 (SPI_FAST_FLASH_BOOT)",
        download: "0x4 (DOWNLOAD(USB/UART0/SDIO_FEI_FEO))",
        power_on: "0x1 (POWERON)",
        software: "0xc (SW_CPU)",
        watchdog: "0x10 (RTCWDT_RTC_RST)",
        task_watchdog: "0x8 (TG1WDT_SYS_RST)",
        brown_out: "0xf (BROWN_OUT_RST)",
    },
    revision: 1,
    wifi: true,
    watchdog: None,
    fixed_words: &[],
};
