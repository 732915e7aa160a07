//! Digests and reading back.

use md5::{Digest, Md5};

use super::flash_write::require_attached;
use super::packet::{Answer, Failure, Request};
use super::{Dialect, slip};
use crate::chip::Chip;
use crate::hex::hex;

/// The ROM's slow read always answers with this many bytes.
const SLOW_READ: usize = 64;
/// Largest block of a stub read, as large as the stub's buffer.
const LARGEST_BLOCK: u32 = 0x4000;

/// MD5 of a region: 32 hexadecimal characters from the ROM, 16 bytes from the stub.
pub(super) fn digest(
    dialect: Dialect,
    chip: &mut Chip,
    request: &Request,
) -> Result<Answer, Failure> {
    let [offset, length, _, _] = request.words()?;
    require_attached(chip)?;
    chip.settle_flash();
    let region = chip.flash.read(offset, length).map_err(|_| Failure::Flash)?;
    let digest = Md5::digest(region);
    chip.flash.spend_on_digest(length);
    Ok(match dialect {
        Dialect::Rom => Answer::data(hex(&digest)),
        Dialect::Stub => Answer::data(&digest[..]),
    })
}

/// The ROM's read of up to 64 bytes.
pub(super) fn slow(chip: &mut Chip, request: &Request) -> Result<Answer, Failure> {
    let [offset, length] = request.words()?;
    require_attached(chip)?;
    chip.settle_flash();
    if length as usize > SLOW_READ {
        return Err(Failure::BadLength);
    }
    let region = chip.flash.read(offset, length).map_err(|_| Failure::Flash)?;
    let mut data = region.to_vec();
    data.resize(SLOW_READ, 0);
    Ok(Answer::data(data))
}

/// Checks the arguments of a stub read before its data begins to flow.
pub(super) fn check(chip: &mut Chip, request: &Request) -> Result<Answer, Failure> {
    let [offset, length, block, _in_flight] = request.words()?;
    require_attached(chip)?;
    chip.settle_flash();
    chip.flash.read(offset, length).map_err(|_| Failure::Flash)?;
    if block == 0 || block > LARGEST_BLOCK {
        return Err(Failure::BadLength);
    }
    Ok(Answer::default())
}

/// A stub read in progress: blocks go out while fewer than agreed are unacknowledged.
#[derive(Debug)]
pub(super) struct StubRead {
    offset: u32,
    length: u32,
    block: u32,
    in_flight: u32,
    sent: u32,
    acknowledged: u32,
    done: bool,
}

impl StubRead {
    pub(super) fn begin(request: &Request) -> Option<Self> {
        let [offset, length, block, in_flight] = request.words().ok()?;
        Some(Self {
            offset,
            length,
            block,
            in_flight: in_flight.max(1),
            sent: 0,
            acknowledged: 0,
            done: false,
        })
    }

    /// Takes the running total that the client has; false for a frame that is something else.
    pub(super) fn acknowledge(&mut self, frame: &[u8]) -> bool {
        let Ok(total) = <[u8; 4]>::try_from(frame).map(u32::from_le_bytes) else {
            return false;
        };
        if total > self.sent || total < self.acknowledged {
            return false;
        }
        self.acknowledged = total;
        true
    }

    /// Sends what may go out now; the digest follows the last acknowledgement.
    pub(super) fn send(&mut self, chip: &Chip, reply: &mut Vec<u8>) {
        let window = self.block.saturating_mul(self.in_flight);
        while self.sent < self.length && self.sent - self.acknowledged < window {
            let length = self.block.min(self.length - self.sent);
            slip::encode(self.bytes(chip, self.sent, length), reply);
            self.sent += length;
        }
        if self.acknowledged == self.length {
            slip::encode(&Md5::digest(self.bytes(chip, 0, self.length)), reply);
            self.done = true;
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    fn bytes<'a>(&self, chip: &'a Chip, from: u32, length: u32) -> &'a [u8] {
        chip.flash
            .read(self.offset + from, length)
            .expect("the whole region was checked before the transfer began")
    }
}
