//! Data of the ESP32.

use super::efuse::{Beside, Block, EfuseMap, Field, FlashKey, MacPlace, SecurityFields};
use super::{Architecture, MemoryMap, Model, RomText, SecurityInfoForm, SpiMap};

pub(super) const ESP32: Model = Model {
    name: "esp32",
    title: "ESP32",
    id: 0,
    architecture: Architecture::Xtensa,
    magic: 0x00F0_1D83,
    security_info: SecurityInfoForm::Unknown,
    bootloader_offset: 0x1000,
    crystal_hz: 40_000_000,
    // Measured with an oscillator that is a per cent off: 745 cycles at 136 times 62.5 kHz.
    measured_crystal_hz: 39_578_125,
    uart_divider: 0x3FF4_0014,
    spi: SpiMap {
        base: 0x3FF4_2000,
        addr: 0x04,
        address_in_upper_bits: true,
        usr: 0x1C,
        usr1: 0x20,
        usr2: 0x24,
        mosi_length: 0x28,
        miso_length: 0x2C,
        w0: 0x80,
    },
    efuse: EfuseMap {
        base: 0x3FF5_A000,
        length: 0x200,
        configuration: 0xFC,
        command: 0x104,
        one_block_at_a_time: false,
        blocks: &[
            Block { read: 0x00, write: 0x1C, words: 7, write_protect: None, read_protect: 0 },
            key_block(0x38, 0x98, 7, 1 << 0),
            key_block(0x58, 0xB8, 8, 1 << 1),
            key_block(0x78, 0xD8, 9, 1 << 2),
        ],
        read_disable: (0, 16),
        mac: MacPlace { offset: 0x04, beside: Beside::Crc },
        security: SecurityFields {
            flash_crypt_count: Field { word: 0, shift: 20, bits: 7 },
            // The second version of secure boot, which this revision has.
            secure_boot: Field { word: 6, shift: 5, bits: 1 },
            secure_download: None,
            download_off: Field { word: 0, shift: 27, bits: 1 },
            key_purposes: &[],
            flash_key: FlashKey::Tweaked {
                block: 1,
                quarters: Field { word: 5, shift: 28, bits: 4 },
            },
        },
        // Revision 3 is three single bits: two in the eFuses, the third in another register.
        factory: &[(0x0C, 1 << 15), (0x10, 136), (0x14, 1 << 20)],
    },
    memory: MemoryMap {
        mapped_data: 0x3F40_0000,
        instruction_ram: 0x4008_0000,
        mapped: &[(0x3F40_0000, 0x40_0000), (0x400D_0000, 0x33_0000)],
    },
    rom: RomText {
        load_preamble: "configsip: 0, SPIWP:0xee\r\nclk_drv:0x00,q_drv:0x00,d_drv:0x00,cs0_drv:0x00,hd_drv:0x00,wp_drv:0x00\r\n",
        banner: "ets Jul 29 2019 12:21:46\r\n\r\n",
        boot_from_flash: "0x13 (SPI_FAST_FLASH_BOOT)",
        download: "0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))",
        power_on: "0x1 (POWERON_RESET)",
        software: "0xc (SW_CPU_RESET)",
        watchdog: "0x10 (RTCWDT_RTC_RESET)",
        task_watchdog: "0x8 (TG1WDT_SYS_RESET)",
        brown_out: "0xf (RTCWDT_BROWN_OUT_RESET)",
    },
    revision: 300,
    wifi: true,
    watchdog: None,
    fixed_words: &[(0x3FF6_607C, 0x8000_0000), (0x3FF5_F06C, 745 << 7)],
};

const fn key_block(read: u32, write: u32, write_protect: u32, read_protect: u32) -> Block {
    Block { read, write, words: 8, write_protect: Some(write_protect), read_protect }
}
