//! Data of the ESP32-C3.

use super::efuse::{Beside, modern};
use super::{Architecture, MemoryMap, Model, RomText, SecurityInfoForm, SpiMap, WatchdogMap};

pub(super) const ESP32C3: Model = Model {
    name: "esp32c3",
    title: "ESP32-C3",
    id: 5,
    architecture: Architecture::RiscV,
    magic: 0x1B31_506F,
    security_info: SecurityInfoForm::Full,
    bootloader_offset: 0x0,
    crystal_hz: 40_000_000,
    measured_crystal_hz: 40_000_000,
    uart_divider: 0x6000_0014,
    spi: SpiMap::modern(0x6000_2000),
    efuse: modern(0x6000_8800, Beside::Nothing, &[(0x44 + 12, 3 << 18)]),
    memory: MemoryMap {
        mapped_data: 0x3C00_0000,
        instruction_ram: 0x4038_0000,
        mapped: &[(0x3C00_0000, 0x80_0000), (0x4200_0000, 0x80_0000)],
    },
    rom: RomText {
        banner: "ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\n",
        load_preamble: "SPIWP:0xee\r\n",
        boot_from_flash: "0xc (SPI_FAST_FLASH_BOOT)",
        download: "0x5 (DOWNLOAD(USB/UART0/1))",
        power_on: "0x1 (POWERON)",
        software: "0xc (RTC_SW_CPU_RST)",
        watchdog: "0x10 (RTCWDT_RTC_RST)",
        task_watchdog: "0x8 (TG1WDT_SYS_RST)",
        brown_out: "0xf (BROWN_OUT_RST)",
    },
    revision: 3,
    wifi: true,
    watchdog: Some(WatchdogMap { configuration: 0x6000_8090, write_protection: 0x6000_80A8 }),
    fixed_words: &[],
};
