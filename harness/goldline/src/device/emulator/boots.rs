//! Whether an emulated unit goes on after its ROM: emulated chips hang now and then before their application's
//! first word, those of two cores in half of their boots.

use std::time::Duration;

use crate::device::LineHandle;

/// How often a unit is switched on until it starts: with every second boot lost, one in a thousand runs is.
pub(in crate::device) const BOOTS: u32 = 10;
/// After so long without a word the processor is looked at.
const QUIET: Duration = Duration::from_secs(2);
/// So many quiet times in a row are all that is waited for.
const LONG: u32 = 5;
/// How often a unit is switched on whose processor nobody can look at, and which may be one that prints nothing.
const UNSEEN_BOOTS: u32 = 4;
/// What the ROM says last.
const ENTRY: &str = "entry 0x";
/// A unit that has said so much has started, whatever it says: perhaps the ROM's complaint, for ever.
const MANY_LINES: usize = 60;

/// What became of a boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::device) enum Start {
    /// The unit runs. It may be one that prints nothing.
    Runs,
    /// Not a word came, and nobody can look why.
    Silent,
    /// The emulated processor stands still at that address.
    StandsStill(u32),
    /// It does not even come to the end of its ROM.
    InRom,
}

/// What the processor of a running unit does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::device) enum Look {
    /// The emulator does not tell.
    Unknown,
    /// It goes on, or waits for an interrupt.
    Goes,
    /// It stands still at that address, with its interrupts masked.
    Stands(u32),
}

impl Start {
    /// Whether there is nothing to be gained by another attempt.
    pub(in crate::device) fn is_final(self, attempt: u32) -> bool {
        self == Self::Runs || self == Self::Silent && attempt >= UNSEEN_BOOTS
    }
}

/// Waits for the first word after the ROM's last. `look` says what the processor does. A run that was stopped and a unit that is gone are not waited for.
pub(in crate::device) fn starts<E>(
    line: &LineHandle,
    mut look: impl FnMut() -> Result<Look, E>,
) -> Result<Start, E> {
    let console = line.console();
    let mut quiet = 0;
    loop {
        let lines = console.lines();
        let entry = lines.iter().position(|line| line.line.text.starts_with(ENTRY));
        if entry.is_some_and(|at| at + 1 < lines.len()) || lines.len() >= MANY_LINES {
            return Ok(Start::Runs);
        }
        if line.is_cancelled() || console.is_closed() {
            return Ok(Start::Runs);
        }
        if console.wait_for_more(console.printed(), QUIET, || line.is_cancelled()) {
            quiet = 0;
            continue;
        }
        if line.is_cancelled() || console.is_closed() {
            return Ok(Start::Runs);
        }
        let looked = look()?;
        if let Look::Stands(at) = looked {
            return Ok(Start::StandsStill(at));
        }
        quiet += 1;
        if quiet >= LONG {
            return Ok(match (entry, looked) {
                (None, _) => Start::InRom,
                (Some(_), Look::Unknown) => Start::Silent,
                (Some(_), _) => Start::Runs,
            });
        }
    }
}
