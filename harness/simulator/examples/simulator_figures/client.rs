//! Clients of a simulated unit's port: one SYNC by hand, and espflash's library.
//!
//! Must not know what is measured.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use espflash::connection::{Connection, ResetAfterOperation, ResetBeforeOperation};
use espflash::flasher::Flasher;
use espflash::target::{Chip, DefaultProgressCallback};
use serialport::{TTYPort, UsbPortInfo};

use crate::Failure;

/// The rate that a ROM loader listens at first.
pub const POWER_UP_BAUD: u32 = 115_200;
/// How the ROM loader's answer to SYNC begins: frame, direction, command.
const SYNC_REPLY: [u8; 3] = [FRAME_END, 0x01, 0x08];
const FRAME_END: u8 = 0xC0;
const FRAME_ESCAPE: u8 = 0xDB;
/// What espflash writes at once with a stub, in bytes.
pub const BLOCK: usize = 0x4000;

/// Opens the port, asks once, and returns when the first reply has begun to arrive.
pub fn sync(port: &Path) -> Result<(), Failure> {
    let mut port = open(port)?;
    let mut request = vec![FRAME_END, 0x00, 0x08, 36, 0, 0, 0, 0, 0, 0x07, 0x07, 0x12, 0x20];
    request.extend([0x55; 32]);
    request.push(FRAME_END);
    port.write_all(&request)?;
    // The ROM's greeting comes first, as from a chip.
    let mut last = [0; 3];
    while last != SYNC_REPLY {
        let mut byte = [0];
        port.read_exact(&mut byte)?;
        last = [last[1], last[2], byte[0]];
    }
    Ok(())
}

/// espflash's library on the port, with its stub loaded, verifying what it writes.
pub fn connect(port: &Path) -> Result<Flasher, Failure> {
    let info =
        UsbPortInfo { vid: 0, pid: 0, serial_number: None, manufacturer: None, product: None };
    let connection = Connection::new(
        open(port)?,
        info,
        ResetAfterOperation::NoResetNoStub,
        ResetBeforeOperation::NoReset,
        POWER_UP_BAUD,
    );
    Ok(Flasher::connect(connection, true, true, false, None::<Chip>, None)?)
}

pub fn write(flasher: &mut Flasher, offset: u32, image: &[u8]) -> Result<(), Failure> {
    Ok(flasher.write_bin_to_flash(offset, image, &mut DefaultProgressCallback)?)
}

/// Bytes that an image takes on the wire; the few around each block are not counted.
pub fn on_the_wire(image: &[u8]) -> usize {
    let is_escaped = |byte: &&u8| [FRAME_END, FRAME_ESCAPE].contains(byte);
    image.len() + image.iter().filter(is_escaped).count()
}

/// The same bytes each time, and none that deflate well.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn open(port: &Path) -> Result<TTYPort, Failure> {
    let name = port.to_string_lossy();
    Ok(serialport::new(name, POWER_UP_BAUD).timeout(Duration::from_secs(3)).open_native()?)
}
