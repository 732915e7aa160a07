//! What QEMU calls a chip, its straps and its parts.
//!
//! The names are those of Espressif's QEMU, and of forks of it that emulate the radio.

use crate::{device::BootMode, profile::Chip};

/// A chip that QEMU emulates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    /// The program that has it.
    pub(super) program: &'static str,
    /// The folder of ESP-IDF's tools that holds the program.
    pub(super) tool: &'static str,
    /// What `-M` takes.
    pub(super) name: &'static str,
    /// The device whose property `strap_mode` says where a reset leads.
    gpio: &'static str,
    straps: Straps,
    /// The device whose watchdogs bite where the emulator is slow.
    pub(super) timers: &'static str,
    /// How many of its cores run an application.
    pub(super) cores: u32,
    /// The device that holds the eFuses.
    pub(super) efuse: &'static str,
    /// Where the two words of the base MAC are read, the lower one first.
    pub(super) mac_words: u32,
    /// The card that needs no radio.
    pub(super) ethernet: &'static str,
    /// What `-M` takes where the radio is emulated, and the radio's model as a card. Only forks have it.
    pub(super) radio: Option<(&'static str, &'static str)>,
}

#[derive(Clone, Copy, Debug)]
struct Straps {
    download: u32,
    boot: u32,
}

impl Machine {
    /// The emulation of a chip; `None` where QEMU has none.
    pub(super) fn of(chip: Chip) -> Option<Self> {
        const RISC_V: Straps = Straps { download: 0x02, boot: 0x08 };
        const XTENSA: Straps = Straps { download: 0x0F, boot: 0x12 };
        let machine = match chip {
            Chip::Esp32 => Self {
                program: "qemu-system-xtensa",
                tool: "qemu-xtensa",
                name: "esp32",
                gpio: "esp32.gpio",
                straps: XTENSA,
                timers: "timer.esp32.timg",
                cores: 2,
                efuse: "nvram.esp32.efuse",
                mac_words: 0x3FF5_A004,
                ethernet: "open_eth",
                radio: Some(("esp32-picsimlab", "esp32_wifi")),
            },
            Chip::Esp32S3 => Self {
                program: "qemu-system-xtensa",
                tool: "qemu-xtensa",
                name: "esp32s3",
                gpio: "esp32s3.gpio",
                straps: RISC_V,
                timers: "timer.esp32c3.timg",
                cores: 2,
                efuse: "nvram.esp32s3.efuse",
                mac_words: 0x6000_7044,
                ethernet: "open_eth",
                radio: None,
            },
            Chip::Esp32C3 => Self {
                program: "qemu-system-riscv32",
                tool: "qemu-riscv32",
                name: "esp32c3",
                gpio: "esp32c3.gpio",
                straps: RISC_V,
                timers: "timer.esp32c3.timg",
                cores: 1,
                efuse: "nvram.esp32c3.efuse",
                mac_words: 0x6000_8844,
                ethernet: "open_eth",
                radio: Some(("esp32c3-picsimlab", "esp32c3_wifi")),
            },
            _ => return None,
        };
        Some(machine)
    }

    /// The chips that there is an emulation of, for people.
    pub(super) const CHIPS: &'static str = "esp32, esp32c3, esp32s3";

    /// The arguments that lead a reset to where it should.
    pub(super) fn strap(&self, mode: BootMode) -> String {
        let strap = match mode {
            BootMode::Download => self.straps.download,
            BootMode::Application => self.straps.boot,
        };
        format!("driver={},property=strap_mode,value={strap:#04x}", self.gpio)
    }
}
