//! Whether an emulated unit goes on after its ROM: emulated chips hang now and then where the second-stage
//! bootloader was to begin.

use std::time::Duration;

use crate::device::LineHandle;

/// How often a unit is switched on until it starts.
pub(super) const BOOTS: u32 = 4;
/// A boot that says nothing more for so long hangs.
const SILENCE: Duration = Duration::from_secs(10);
/// What the ROM says last.
const ENTRY: &str = "entry 0x";
/// A unit that has said so much has started, whatever it says: perhaps the ROM's complaint, for ever.
const MANY_LINES: usize = 60;

/// Waits for the first word after the ROM's last. `false` when it hangs; a run that was stopped and a unit
/// that is gone are not waited for.
pub(super) fn starts(line: &LineHandle) -> bool {
    let console = line.console();
    loop {
        let lines = console.lines();
        let entry = lines.iter().position(|line| line.line.text.starts_with(ENTRY));
        if entry.is_some_and(|at| at + 1 < lines.len()) || lines.len() >= MANY_LINES {
            return true;
        }
        if line.is_cancelled() || console.is_closed() {
            return true;
        }
        let more = console.wait_for_more(console.printed(), SILENCE, || line.is_cancelled());
        if !more && !line.is_cancelled() && !console.is_closed() {
            return false;
        }
    }
}
