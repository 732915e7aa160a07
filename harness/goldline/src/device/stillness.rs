//! Whether a unit that was reset is still heard with what it sent before.
//!
//! Bytes of the session before may lie in buffers between unit and bench for seconds. Who asks the loader
//! while they flow gets its answers behind them, and gives up too early.

use std::{
    sync::{Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// What the ROM says last before it listens.
const READY: &[u8] = b"waiting for download";

/// What came since a reset.
#[derive(Debug, Default)]
pub(super) struct Stillness {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// When the last byte came, if any did.
    last: Option<Instant>,
    /// The end of what came, as long as it takes to find [`READY`] in it.
    tail: Vec<u8>,
    is_ready: bool,
}

impl Stillness {
    /// Forgets what came before.
    pub(super) fn begin(&self) {
        *self.state() = State::default();
    }

    /// Bytes came.
    pub(super) fn disturb(&self, bytes: &[u8]) {
        let mut state = self.state();
        state.last = Some(Instant::now());
        state.tail.extend(bytes);
        state.is_ready |= state.tail.windows(READY.len()).any(|window| window == READY);
        let surplus = state.tail.len().saturating_sub(READY.len() - 1);
        state.tail.drain(..surplus);
        self.changed.notify_all();
    }

    /// Lets who waits look again.
    pub(super) fn wake(&self) {
        self.changed.notify_all();
    }

    /// Waits until no byte has come for so long, or the ROM says that it listens; at once when none came
    /// since [`Stillness::begin`]. Not longer than the limit, and not when the run was stopped.
    pub(super) fn wait(&self, silence: Duration, limit: Duration, stopped: impl Fn() -> bool) {
        let until = Instant::now() + limit;
        let mut state = self.state();
        while let Some(last) = state.last.filter(|_| !state.is_ready) {
            let now = Instant::now();
            let rest = (last + silence).min(until).saturating_duration_since(now);
            if rest.is_zero() || stopped() {
                return;
            }
            let waited = self.changed.wait_timeout(state, rest);
            state = waited.expect("no thread panics while it holds the state").0;
        }
    }

    /// Waits until no byte has come for so long, counted from now at the earliest.
    pub(super) fn wait_out(&self, silence: Duration, stopped: impl Fn() -> bool) {
        self.disturb(&[]);
        self.wait(silence, silence * 10, stopped);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the state")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a wait that never ends meets it.
    const LIMIT: Duration = Duration::from_secs(60);
    const SILENCE: Duration = Duration::from_millis(30);

    fn waits(stillness: &Stillness, limit: Duration) -> Duration {
        let began = Instant::now();
        stillness.wait(SILENCE, limit, || false);
        began.elapsed()
    }

    #[test]
    fn a_line_without_a_byte_is_not_waited_for() {
        let stillness = Stillness::default();
        stillness.disturb(b"of the session before");
        stillness.begin();
        assert!(waits(&stillness, LIMIT) < SILENCE);
    }

    #[test]
    fn text_is_waited_for_until_it_ends() {
        let stillness = Stillness::default();
        let began = Instant::now();
        stillness.disturb(b"I (531) wifi:state: init -> auth\r\n");
        waits(&stillness, LIMIT);
        let waited = began.elapsed();
        assert!(waited >= SILENCE && waited < LIMIT, "{waited:?}");
    }

    #[test]
    fn text_that_does_not_end_is_waited_for_to_the_limit() {
        let stillness = Stillness::default();
        stillness.disturb(b"x");
        let began = Instant::now();
        stillness.wait(LIMIT, SILENCE, || false);
        assert!((SILENCE..LIMIT).contains(&began.elapsed()), "{:?}", began.elapsed());
    }

    #[test]
    fn the_roms_word_ends_the_wait_however_it_is_cut() {
        for size in 1..READY.len() {
            let stillness = Stillness::default();
            b"rst:0x1\r\nwaiting for download\r\n"
                .chunks(size)
                .for_each(|piece| stillness.disturb(piece));
            assert!(waits(&stillness, LIMIT) < SILENCE, "in {size}");
        }
    }
}
