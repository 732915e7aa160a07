//! SYNC and the baud rate.

use super::Dialect;
use super::packet::{Answer, Failure, Request, respond};
use crate::chip::Chip;

const SYNC: u8 = 0x08;
const SYNC_GREETING: [u8; 4] = [0x07, 0x07, 0x12, 0x20];
/// A client sees this many responses to one SYNC.
const SYNC_RESPONSES: usize = 8;
const ROM_SYNC_VALUE: u32 = 0x2012_0707;

pub(super) fn sync(dialect: Dialect, request: &Request) -> Result<Answer, Failure> {
    if request.data.starts_with(&SYNC_GREETING) {
        Ok(sync_answer(dialect))
    } else {
        Err(Failure::BadLength)
    }
}

/// Appends the responses behind the first.
pub(super) fn repeat_sync(dialect: Dialect, reply: &mut Vec<u8>) {
    for _ in 1..SYNC_RESPONSES {
        respond(dialect, SYNC, &Ok(sync_answer(dialect)), reply);
    }
}

/// By this value clients know whether a stub runs already.
fn sync_answer(dialect: Dialect) -> Answer {
    Answer::value(match dialect {
        Dialect::Rom => ROM_SYNC_VALUE,
        Dialect::Stub => 0,
    })
}

pub(super) fn check_baud(request: &Request) -> Result<Answer, Failure> {
    match request.words::<2>()? {
        [0, _] => Err(Failure::BadLength),
        _ => Ok(Answer::default()),
    }
}

/// The response went out at the old rate; from here on the new one holds.
pub(super) fn change_baud(dialect: Dialect, chip: &mut Chip, request: &Request) {
    let Ok([baud, _old]) = request.words() else { return };
    match dialect {
        Dialect::Rom => chip.registers.set_baud_of_rom(baud),
        Dialect::Stub => chip.registers.set_baud(baud),
    }
}
