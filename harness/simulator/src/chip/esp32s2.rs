//! Data of the ESP32-S2.

use super::efuse::{Beside, modern};
use super::{Architecture, MemoryMap, Model, RomText, SecurityInfoForm, SpiMap, WatchdogMap};

pub(super) const ESP32S2: Model = Model {
    name: "esp32s2",
    title: "ESP32-S2",
    id: 2,
    architecture: Architecture::Xtensa,
    magic: 0x0000_07C6,
    security_info: SecurityInfoForm::Short,
    bootloader_offset: 0x1000,
    crystal_hz: 40_000_000,
    measured_crystal_hz: 40_000_000,
    uart_divider: 0x3F40_0014,
    spi: SpiMap::modern(0x3F40_2000),
    efuse: modern(0x3F41_A000, Beside::Nothing, &[(0x44 + 12, 1 << 18)]),
    memory: MemoryMap {
        mapped_data: 0x3F00_0000,
        instruction_ram: 0x4002_4000,
        mapped: &[(0x3F00_0000, 0x3F_0000), (0x4008_0000, 0xB0_0000)],
    },
    rom: RomText {
        banner: "ESP-ROM:esp32s2-rc4-20191025\r\nBuild:Oct 25 2019\r\n",
        load_preamble: "SPIWP:0xee\r\n",
        boot_from_flash: "0x1f (SPI_FAST_FLASH_BOOT)",
        download: "0x7 (DOWNLOAD(USB/UART0/1/SPI))",
        power_on: "0x1 (POWERON)",
        software: "0xc (RTC_SW_CPU_RST)",
        watchdog: "0x10 (RTCWDT_RTC_RST)",
        task_watchdog: "0x8 (TG1WDT_SYS_RST)",
        brown_out: "0xf (BROWN_OUT_RST)",
    },
    revision: 100,
    wifi: true,
    watchdog: Some(WatchdogMap { configuration: 0x3F40_8094, write_protection: 0x3F40_80AC }),
    fixed_words: &[],
};
