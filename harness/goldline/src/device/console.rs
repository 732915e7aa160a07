//! What a running unit prints, as lines with the time they arrived.
//!
//! Must not know what a line means. A reader waits for an event, never for a guess of time.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// Lines kept; a unit that prints more for hours must not eat the station's memory.
const LINES_KEPT: usize = 20_000;
/// Bytes after which a line without an end is cut.
const LINE_LIMIT: usize = 4096;

/// One line of the serial log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConsoleLine {
    /// Milliseconds since the unit was last reset by the bench.
    pub at_ms: u64,
    /// Without line end; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// The serial log of a unit; clones share it.
#[derive(Clone, Default)]
pub struct Console(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    listening_since: Option<Instant>,
    partial: Vec<u8>,
    lines: Vec<ConsoleLine>,
    closed: bool,
}

impl Console {
    /// Starts a new log: what comes from now on is text.
    pub fn listen(&self) {
        let mut state = self.state();
        state.listening_since = Some(Instant::now());
        state.partial.clear();
        state.lines.clear();
    }

    /// Stops listening: what comes from now on is the loader's protocol. The lines stay.
    pub fn pause(&self) {
        let mut state = self.state();
        state.end_line();
        state.listening_since = None;
    }

    /// Takes bytes from the unit.
    pub fn feed(&self, bytes: &[u8]) {
        let mut state = self.state();
        if state.listening_since.is_none() {
            return;
        }
        for &byte in bytes {
            match byte {
                b'\n' => state.end_line(),
                b'\r' => {}
                _ => state.partial.push(byte),
            }
            if state.partial.len() >= LINE_LIMIT {
                state.end_line();
            }
        }
        drop(state);
        self.0.changed.notify_waiters();
    }

    /// The port went away; waiting readers are told.
    pub fn close(&self) {
        self.state().closed = true;
        self.0.changed.notify_waiters();
    }

    /// Whether the port went away.
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<ConsoleLine> {
        self.state().lines.clone()
    }

    /// Waits until something was printed after the first `seen` lines, or the port went away.
    pub async fn changed(&self, seen: usize) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that nothing printed in between is missed.
            changed.as_mut().enable();
            {
                let state = self.state();
                if state.lines.len() > seen || state.closed {
                    return;
                }
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no thread panics while it holds the console")
    }
}

impl State {
    fn end_line(&mut self) {
        let Some(since) = self.listening_since else { return };
        if self.partial.is_empty() || self.lines.len() >= LINES_KEPT {
            self.partial.clear();
            return;
        }
        let text = String::from_utf8_lossy(&self.partial).into_owned();
        self.partial.clear();
        let at_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.lines.push(ConsoleLine { at_ms, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_in_pieces_arrives_whole_and_wakes_the_reader() {
        let console = Console::default();
        console.listen();
        let reader = tokio::spawn({
            let console = console.clone();
            async move {
                console.changed(0).await;
                console.lines()
            }
        });
        console.feed(b"wifi:con");
        console.feed(b"nected\r\n");
        let lines = reader.await.expect("the reader ends");
        assert_eq!(lines[0].text, "wifi:connected");
    }

    #[test]
    fn protocol_bytes_are_not_text() {
        let console = Console::default();
        console.feed(b"\xC0\x01\x08\n");
        assert!(console.lines().is_empty());
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let console = Console::default();
        console.listen();
        console.feed(&[b'x'; 3 * LINE_LIMIT]);
        assert_eq!(console.lines().len(), 3);
    }
}
