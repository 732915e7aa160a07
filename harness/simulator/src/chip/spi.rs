//! The SPI controller's user-defined commands, with which tools talk to the flash chip itself.

use super::Chip;

const WRITE_STATUS: [u8; 3] = [0x01, 0x31, 0x11];
const READ_STATUS: [u8; 3] = [0x05, 0x35, 0x15];
const WRITE_DISABLE: u8 = 0x04;
const WRITE_ENABLE: u8 = 0x06;
const WRITE_ENABLE_VOLATILE: u8 = 0x50;
const READ_SFDP: u8 = 0x5A;
const READ_ID: u8 = 0x9F;

const MANUFACTURER: u32 = 0xC8;
const DEVICE: u32 = 0x40;
/// Bit of USR that says that data goes out.
const DATA_OUT: u32 = 1 << 27;
const UNDRIVEN: u32 = u32::MAX;
/// Signature, revision 1.6, one parameter header.
const SFDP: [u8; 16] = [b'S', b'F', b'D', b'P', 6, 1, 0, 0xFF, 0, 6, 1, 16, 0x30, 0, 0, 0xFF];

/// The status registers of a flash chip.
#[derive(Debug, Default)]
pub(super) struct StatusRegisters {
    bytes: [u8; 3],
    write_enabled: bool,
}

impl StatusRegisters {
    fn write(&mut self, register: usize, data: &[u8]) {
        if !self.write_enabled {
            return;
        }
        self.write_enabled = false;
        for (byte, new) in self.bytes[register..].iter_mut().zip(data) {
            *byte = *new;
        }
    }
}

/// Runs the command that the registers describe, and leaves the answer in the first data word.
pub(super) fn run(chip: &mut Chip) {
    let map = &chip.model.spi;
    let answer = if chip.registers.flash_attached { execute(chip) } else { UNDRIVEN };
    let answer = answer & read_mask(chip);
    chip.registers.set_scratch(map.base + map.w0, answer);
    chip.registers.finish_spi_command();
}

fn execute(chip: &mut Chip) -> u32 {
    let map = &chip.model.spi;
    let register = |offset| chip.registers.scratch(map.base + offset);
    let (opcode, data) = (register(map.usr2) as u8, register(map.w0));
    let out_bits = register(map.mosi_length).wrapping_add(1);
    let has_data = register(map.usr) & DATA_OUT != 0;
    let address = if chip.model.spi.address_in_upper_bits {
        register(map.addr) >> 8
    } else {
        register(map.addr)
    };
    let status = &mut chip.status;
    if let Some(index) = READ_STATUS.iter().position(|op| *op == opcode) {
        return status.bytes[index].into();
    }
    if let Some(index) = WRITE_STATUS.iter().position(|op| *op == opcode) {
        if has_data {
            let length = out_bits.div_ceil(8).min(2) as usize;
            status.write(index, &data.to_le_bytes()[..length]);
        }
        return 0;
    }
    match opcode {
        WRITE_ENABLE | WRITE_ENABLE_VOLATILE => status.write_enabled = true,
        WRITE_DISABLE => status.write_enabled = false,
        READ_ID => return read_id(chip.flash.size()),
        READ_SFDP => return sfdp(address),
        _ => {}
    }
    0
}

/// Only as many bits as were asked for arrive.
fn read_mask(chip: &Chip) -> u32 {
    let map = &chip.model.spi;
    let bits = chip.registers.scratch(map.base + map.miso_length).saturating_add(1);
    if bits >= 32 { u32::MAX } else { (1 << bits) - 1 }
}

/// Manufacturer, device and the size's power of two, from the lowest byte up.
fn read_id(size: u32) -> u32 {
    MANUFACTURER | DEVICE << 8 | size.trailing_zeros() << 16
}

fn sfdp(address: u32) -> u32 {
    let byte = |offset: u32| {
        let at = address.saturating_add(offset) as usize;
        SFDP.get(at).copied().unwrap_or(0xFF)
    };
    u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)])
}
