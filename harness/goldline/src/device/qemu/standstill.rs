//! Whether an emulated processor stands still: at one place, with its interrupts masked, again and again.
//!
//! The interrupt watchdog of a real chip ends that within a second; here it is switched off, for it counts the
//! host's time. Emulated chips of two cores get there by themselves, in half of their boots and more. RISC-V chips
//! were never seen to, and there a masked processor tells nothing: a firmware that polls masks its interrupts for
//! good. Must not know what the unit was doing.

use std::{thread::sleep, time::Duration};

use super::qmp::{Qmp, QmpError};
use crate::device::emulator::boots::Look;

/// How often the processor is looked at.
const LOOKS: usize = 6;
/// Between two looks: no code masks its interrupts for so long.
const APART: Duration = Duration::from_millis(100);

/// The ROM: a second core waits there, masked, until it is started.
const ROM_END: u32 = 0x4007_0000;

/// Where a core is, and whether it can be interrupted there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    counter: u32,
    masked: bool,
}

/// Whether one of the cores of a running guest stands still.
///
/// # Errors
/// When the emulator does not answer.
pub(super) fn look(qmp: &mut Qmp, cores: u32) -> Result<Look, QmpError> {
    let mut places = || -> Result<Vec<Option<Place>>, QmpError> {
        (0..cores).map(|core| Ok(place(&qmp.registers(core)?))).collect()
    };
    let hangs = |place: &Place| place.masked && place.counter > ROM_END;
    let mut still = places()?;
    if still.iter().any(Option::is_none) {
        return Ok(Look::Unknown);
    }
    still.iter_mut().for_each(|place| *place = place.filter(hangs));
    for _ in 1..LOOKS {
        if still.iter().all(Option::is_none) {
            return Ok(Look::Goes);
        }
        sleep(APART);
        for (still, now) in still.iter_mut().zip(places()?) {
            *still = still.filter(|place| Some(*place) == now);
        }
    }
    let stands = still.into_iter().flatten().next();
    Ok(stands.map_or(Look::Goes, |place| Look::Stands(place.counter)))
}

/// Of QEMU's text: `PC=40081da0` and `PS=00060523`; none of a processor that is no Xtensa.
fn place(registers: &str) -> Option<Place> {
    // Interrupts up to a level are masked, or all are by an exception.
    const MASKED: u32 = 0x1F;
    let (mut counter, mut state) = (None, None);
    for word in registers.split_ascii_whitespace() {
        if let Some(digits) = word.strip_prefix("PC=") {
            counter = counter.or_else(|| hex(digits));
        } else if let Some(digits) = word.strip_prefix("PS=") {
            state = state.or_else(|| hex(digits));
        }
    }
    Some(Place { counter: counter?, masked: state? & MASKED != 0 })
}

fn hex(digits: &str) -> Option<u32> {
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_of_an_xtensa() {
        let at = |counter, masked| Some(Place { counter, masked });
        let hung = "\r\nCPU#0\r\nPC=40081da0\r\nPS=00060523  EXCCAUSE=00000004\r\n";
        assert_eq!(place(hung), at(0x4008_1DA0, true));
        let idle = "PC=401e1a46\r\nPS=00060320\r\n";
        assert_eq!(place(idle), at(0x401E_1A46, false));
        let risc_v =
            "\r\nCPU#0\r\n pc       4207d658\r\n mhartid  00000000\r\n mstatus  00001880\r\n";
        assert_eq!(place(risc_v), None);
        assert_eq!(place("unknown command: 'info registers'\r\n"), None);
    }
}
