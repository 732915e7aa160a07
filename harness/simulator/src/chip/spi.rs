//! The SPI controller's user-defined commands, which tools use to ask the flash chip who it is.

use super::Chip;

const READ_ID: u8 = 0x9F;
const MANUFACTURER: u32 = 0xC8;
const DEVICE: u32 = 0x40;

/// Runs the command that the registers describe, and leaves the answer in the data words.
pub(super) fn run(chip: &mut Chip) {
    let map = &chip.model.spi;
    let opcode = chip.registers.scratch(map.base + map.usr2) as u8;
    let answer = if !chip.registers.flash_attached {
        0x00FF_FFFF
    } else if opcode == READ_ID {
        read_id(chip.flash.size())
    } else {
        0
    };
    chip.registers.set_scratch(map.base + map.w0, answer);
    chip.registers.finish_spi_command();
}

/// Manufacturer, device and the size's power of two, from the lowest byte up.
fn read_id(size: u32) -> u32 {
    MANUFACTURER | DEVICE << 8 | size.trailing_zeros() << 16
}
