//! What makes a reset, and the mode after it, of DTR and RTS.

use std::future::pending;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use crate::start::Mode;

/// How long the reset line stays low when RTS is released into the state where both are asserted.
const RESET_HOLD: Duration = Duration::from_millis(600);

/// What DTR and RTS lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Circuit {
    /// Two transistors: RTS alone pulls EN low, DTR alone pulls the strapping pin low, which is read when EN
    /// is released.
    Transistors,
    /// The chip's own USB: DTR alone is remembered as the wish for the loader, both released forget it, RTS
    /// alone resets the chip there and then.
    UsbSerialJtag,
}

/// The control lines as a client sets them; true is asserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineState {
    pub(crate) dtr: bool,
    pub(crate) rts: bool,
}

impl Circuit {
    /// What a client does with the lines to reset the chip into a mode.
    pub(crate) fn reset_into(self, mode: Mode) -> &'static [(bool, bool)] {
        match (self, mode) {
            (Self::Transistors, Mode::Download) => &[(false, true), (true, false), (false, false)],
            (Self::UsbSerialJtag, Mode::Download) => {
                &[(false, false), (true, false), (false, true), (false, false)]
            }
            (_, Mode::Boot) => &[(false, false), (false, true), (false, false)],
        }
    }
}

/// A circuit with its lines.
pub(crate) struct ResetCircuit {
    circuit: Circuit,
    lines: UnboundedReceiver<LineState>,
    last: LineState,
    /// What the chip's own USB remembers.
    wants_loader: bool,
}

impl ResetCircuit {
    pub(crate) fn new(circuit: Circuit, lines: UnboundedReceiver<LineState>) -> Self {
        Self { circuit, lines, last: LineState { dtr: false, rts: false }, wants_loader: false }
    }

    async fn next(&mut self) -> LineState {
        match self.lines.recv().await {
            Some(state) => state,
            None => pending().await,
        }
    }

    /// Waits until the chip is held in reset, or was reset.
    pub(crate) async fn asserted(&mut self) {
        loop {
            let state = self.next().await;
            let before = std::mem::replace(&mut self.last, state);
            match (state.dtr, state.rts) {
                (true, false) => self.wants_loader = true,
                (false, false) => self.wants_loader = false,
                // What is said twice changes nothing there.
                (false, true) if self.circuit == Circuit::UsbSerialJtag && before == state => {}
                (false, true) => return,
                (true, true) => {}
            }
        }
    }

    /// Waits until the chip is out of its reset; into which mode.
    pub(crate) async fn released(&mut self) -> Mode {
        if self.circuit == Circuit::UsbSerialJtag {
            return if self.wants_loader { Mode::Download } else { Mode::Boot };
        }
        let mut between = false;
        loop {
            let state = tokio::select! {
                state = self.next() => state,
                () = sleep(RESET_HOLD), if between => return Mode::Boot,
            };
            self.last = state;
            match (state.dtr, state.rts) {
                (true, false) => return Mode::Download,
                (false, false) => return Mode::Boot,
                (dtr, _) => between = dtr,
            }
        }
    }
}
