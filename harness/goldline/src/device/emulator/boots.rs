//! Whether an emulated unit goes on after its ROM: emulated chips hang now and then before their application's
//! first word, those of two cores in half of their boots.

use std::time::Duration;

use crate::device::LineHandle;

/// How often a unit is switched on until it starts: with every second boot lost, one in a thousand runs is.
pub(in crate::device) const BOOTS: u32 = 10;
/// After so long without a word the processor is looked at.
const QUIET: Duration = Duration::from_secs(2);
/// So many quiet times in a row are no start where nobody can look.
const LONG: u32 = 5;
/// What the ROM says last.
const ENTRY: &str = "entry 0x";
/// A unit that has said so much has started, whatever it says: perhaps the ROM's complaint, for ever.
const MANY_LINES: usize = 60;

/// What became of a boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::device) enum Start {
    /// The unit runs. It may be one that prints nothing.
    Runs,
    /// The emulated processor stands still at that address.
    StandsStill(u32),
    /// It does not even come to the end of its ROM.
    InRom,
}

/// Waits for the first word after the ROM's last. `standstill` looks where the processor stands still, when it
/// does. A run that was stopped and a unit that is gone are not waited for.
pub(in crate::device) fn starts<E>(
    line: &LineHandle,
    mut standstill: impl FnMut() -> Result<Option<u32>, E>,
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
        if let Some(at) = standstill()? {
            return Ok(Start::StandsStill(at));
        }
        quiet += 1;
        if quiet >= LONG {
            return Ok(if entry.is_some() { Start::Runs } else { Start::InRom });
        }
    }
}
