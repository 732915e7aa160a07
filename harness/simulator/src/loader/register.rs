//! READ_REG and WRITE_REG.

use super::packet::{Answer, Failure, Request};
use crate::chip::Chip;

pub(super) fn read(chip: &mut Chip, request: &Request) -> Result<Answer, Failure> {
    let [address] = request.words()?;
    Ok(Answer::value(chip.read_register(address)))
}

/// One request can hold many writes: address, value, mask, delay in µs.
///
/// True when the client thereby resets the chip.
pub(super) fn write(chip: &mut Chip, request: &Request) -> Result<bool, Failure> {
    if request.data.is_empty() || !request.data.len().is_multiple_of(16) {
        return Err(Failure::BadLength);
    }
    let mut resets = false;
    for entry in request.data.chunks_exact(16) {
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| entry[at + i]));
        let (address, value, mask) = (word(0), word(4), word(8));
        let kept = if mask == u32::MAX { 0 } else { chip.read_register(address) & !mask };
        resets |= chip.write_register(address, kept | value & mask);
    }
    Ok(resets)
}
