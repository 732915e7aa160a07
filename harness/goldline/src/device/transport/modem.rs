//! DTR and RTS of a port of this machine's, in one step.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::ioctl::{Getter, Opcode, Setter, ioctl};
use serialport::TTYPort;

/// The numbers that Linux has for these on x86 and ARM.
const GET: Opcode = 0x5415;
const SET: Opcode = 0x5418;
const DTR: u32 = 0x002;
const RTS: u32 = 0x004;

/// Sets both; one that is not named stays as it is. serialport sets one after the other, and a unit that finds
/// the state between them may start otherwise.
///
/// # Errors
/// When the port has no such lines, or went away.
#[expect(
    unsafe_code,
    reason = "no safe function sets both lines in one call; these numbers take a pointer to 32 bits, and the port is open for as long as it is borrowed"
)]
pub(super) fn set_lines(
    port: &TTYPort,
    dtr: Option<bool>,
    rts: Option<bool>,
) -> Result<(), rustix::io::Errno> {
    let port = unsafe { BorrowedFd::borrow_raw(port.as_raw_fd()) };
    let port = port.as_fd();
    let before = unsafe { ioctl(port, Getter::<GET, u32>::new())? };
    let after = [(DTR, dtr), (RTS, rts)].into_iter().fold(before, |bits, (line, on)| match on {
        Some(true) => bits | line,
        Some(false) => bits & !line,
        None => bits,
    });
    unsafe { ioctl(port, Setter::<SET, u32>::new(after)) }
}
