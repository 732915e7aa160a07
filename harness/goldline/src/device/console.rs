//! What a running unit prints, as lines with the time they arrived.
//!
//! Memory is bounded, evidence is not thrown away: a listener hears every line as it arrives and says
//! which of them tell something. Those are kept when there is no room for talk. Must not know what a line
//! means. A reader waits for an event, never for a guess of time.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// Bytes of the first lines, of the last ones, and of what tells something in between: each.
const ROOM: usize = 512 * 1024;
/// A reader that was not behind for so long has caught up.
pub const CAUGHT_UP: Duration = Duration::from_millis(200);
/// Bytes after which a line without an end is cut.
const LINE_LIMIT: usize = 4096;

/// Why the bench heard nothing for a while, in a line of its own: nobody's word, and least of all the unit's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absence {
    /// The port was away, as a native USB is when its chip is reset.
    Port,
    /// The connection to the port was lost, which leaves the unit alone.
    Connection,
}

impl Absence {
    /// How the line begins, before the time.
    pub(super) fn begins(self) -> &'static str {
        match self {
            Self::Port => "[the port was away for",
            Self::Connection => "[the connection to the port was lost for",
        }
    }

    /// What a line says of an absence, where it is one of those.
    pub fn told_by(text: &str) -> Option<Self> {
        [Self::Port, Self::Connection]
            .into_iter()
            .find(|absence| text.starts_with(absence.begins()))
    }
}

/// One line of the serial log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConsoleLine {
    /// Milliseconds since the unit was last reset by the bench.
    pub at_ms: u64,
    /// Without line end; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// Hears every line as it arrives, those too that are not kept.
pub trait Listener: Send {
    /// A new log begins: the unit is being reset.
    fn begin(&mut self);

    /// Whether the line tells something, so that it is kept however much else is printed.
    fn hear(&mut self, text: &str) -> bool;
}

/// A line and how many were printed before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NumberedLine {
    /// From 0; numbers that are missing are those of lines that were not kept.
    pub number: usize,
    /// The line.
    pub line: ConsoleLine,
}

/// The serial log of a unit; clones share it.
#[derive(Clone, Default)]
pub struct Console(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
    /// For those who block; it goes with `changed`.
    woken: Condvar,
}

#[derive(Default)]
struct State {
    listening_since: Option<Instant>,
    listener: Option<Box<dyn Listener>>,
    partial: Vec<u8>,
    /// How many came since the log began.
    bytes: usize,
    kept: Kept,
    behind: Option<Instant>,
    closed: bool,
}

/// The first lines, the last ones, and between them those that tell something.
struct Kept {
    room: usize,
    printed: usize,
    /// Of these, those that the bench said itself.
    own: usize,
    first: Shelf,
    telling: Shelf,
    last: Shelf,
    lost: usize,
}

/// Lines in their order, and the bytes that they take.
#[derive(Default)]
struct Shelf {
    lines: VecDeque<Heard>,
    bytes: usize,
}

struct Heard {
    line: NumberedLine,
    tells: bool,
}

impl Console {
    /// Starts a new log: what comes from now on is text.
    pub fn listen(&self) {
        let mut state = self.state();
        state.listening_since = Some(Instant::now());
        state.partial.clear();
        state.bytes = 0;
        state.kept = Kept::default();
        state.behind = None;
        if let Some(listener) = &mut state.listener {
            listener.begin();
        }
    }

    /// Puts in place who hears the lines from now on.
    pub fn tell(&self, listener: Box<dyn Listener>) {
        self.state().listener = Some(listener);
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
        state.bytes += bytes.len();
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
        self.0.notify();
    }

    /// The unit was not heard for a while: what was printed meanwhile is lost, which the log says. Nothing, where
    /// nobody listens.
    pub(super) fn miss(&self, absence: Absence, lasted: Duration) {
        let (begins, ms) = (absence.begins(), lasted.as_millis());
        let text = format!("{begins} {ms} ms: what was printed meanwhile was not heard]");
        let mut state = self.state();
        state.end_line();
        if state.listening_since.is_some() {
            state.kept.own += 1;
        }
        state.partial.extend(text.bytes());
        state.end_line();
        drop(state);
        self.0.notify();
    }

    /// More has arrived than was taken.
    pub fn fall_behind(&self) {
        self.state().behind = Some(Instant::now());
    }

    /// When the log was last behind what the unit had said.
    pub fn behind(&self) -> Option<Instant> {
        self.state().behind
    }

    /// The port went away; waiting readers are told.
    pub fn close(&self) {
        self.state().closed = true;
        self.0.notify();
    }

    /// Whether the port went away.
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// How many lines the log has so far, kept or not, the bench's own among them.
    pub fn printed(&self) -> usize {
        self.state().kept.printed
    }

    /// How many of them the unit printed.
    pub fn printed_by_unit(&self) -> usize {
        let state = self.state();
        state.kept.printed - state.kept.own
    }

    /// The line that has not ended: a prompt waits there.
    pub fn partial(&self) -> String {
        String::from_utf8_lossy(&self.state().partial).into_owned()
    }

    /// How many bytes came since the log began.
    pub fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// The unit's lines that were kept, without the first `seen` of the log.
    pub fn lines_after(&self, seen: usize) -> Vec<ConsoleLine> {
        let state = self.state();
        let lines =
            state.kept.lines().filter(|heard| heard.number >= seen).map(|heard| &heard.line);
        lines.filter(|line| Absence::told_by(&line.text).is_none()).cloned().collect()
    }

    /// All lines that were kept, the bench's own among them.
    pub fn lines(&self) -> Vec<NumberedLine> {
        self.state().kept.lines().cloned().collect()
    }

    /// How many lines that tell something found no room: while there are any, absence proves nothing.
    pub fn lost(&self) -> usize {
        self.state().kept.lost
    }

    /// Waits until something was printed after the first `seen` lines, or the port went away.
    pub async fn changed(&self, seen: usize) {
        self.until(|state| state.kept.printed > seen).await;
    }

    /// Waits until more than the first `seen` bytes came, or the port went away.
    pub async fn fed(&self, seen: usize) {
        self.until(|state| state.bytes > seen).await;
    }

    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that nothing that came in between is missed.
            changed.as_mut().enable();
            {
                let state = self.state();
                if is_so(&state) || state.closed {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Blocks until the log holds a line that fits. `false` when none came within the limit, the port
    /// went away, or whoever called [`Console::wake`] wants no more of it.
    pub fn wait_for_line(
        &self,
        limit: Duration,
        fits: impl Fn(&str) -> bool,
        given_up: impl Fn() -> bool,
    ) -> bool {
        let is_there = |state: &State| state.kept.lines().any(|heard| fits(&heard.line.text));
        self.block_until(limit, is_there, given_up)
    }

    /// Blocks until something was printed after the first `seen` lines; `false` as in
    /// [`Console::wait_for_line`].
    pub fn wait_for_more(&self, seen: usize, limit: Duration, given_up: impl Fn() -> bool) -> bool {
        self.block_until(limit, |state| state.kept.printed > seen, given_up)
    }

    fn block_until(
        &self,
        limit: Duration,
        is_so: impl Fn(&State) -> bool,
        given_up: impl Fn() -> bool,
    ) -> bool {
        let began = Instant::now();
        let mut state = self.state();
        loop {
            if is_so(&state) {
                return true;
            }
            let left = limit.saturating_sub(began.elapsed());
            if left.is_zero() || state.closed || given_up() {
                return false;
            }
            let woken = self.0.woken.wait_timeout(state, left);
            state = woken.expect("no thread panics while it holds the console").0;
        }
    }

    /// Lets whoever blocks look whether to go on.
    pub fn wake(&self) {
        // Held once, so that nobody is between looking and waiting.
        drop(self.state());
        self.0.notify();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no thread panics while it holds the console")
    }
}

impl Inner {
    fn notify(&self) {
        self.changed.notify_waiters();
        self.woken.notify_all();
    }
}

impl State {
    fn end_line(&mut self) {
        let Some(since) = self.listening_since else { return };
        if self.partial.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&self.partial).into_owned();
        self.partial.clear();
        let at_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let tells = self.listener.as_mut().is_some_and(|listener| listener.hear(&text));
        self.kept.take(ConsoleLine { at_ms, text }, tells);
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self::with_room(ROOM)
    }
}

impl Kept {
    fn with_room(room: usize) -> Self {
        let [first, telling, last] = [(); 3].map(|()| Shelf::default());
        Self { room, printed: 0, own: 0, first, telling, last, lost: 0 }
    }

    fn take(&mut self, line: ConsoleLine, tells: bool) {
        let heard = Heard { line: NumberedLine { number: self.printed, line }, tells };
        self.printed += 1;
        if self.last.lines.is_empty() && self.first.has_room(self.room, &heard) {
            return self.first.push(heard);
        }
        while !self.last.has_room(self.room, &heard) {
            let Some(oldest) = self.last.pop() else { break };
            if !oldest.tells {
                continue;
            }
            if self.telling.has_room(self.room, &oldest) {
                self.telling.push(oldest);
            } else {
                self.lost += 1;
            }
        }
        self.last.push(heard);
    }

    fn lines(&self) -> impl Iterator<Item = &NumberedLine> {
        let shelves = [&self.first, &self.telling, &self.last];
        shelves.into_iter().flat_map(|shelf| shelf.lines.iter()).map(|heard| &heard.line)
    }
}

impl Shelf {
    fn has_room(&self, room: usize, heard: &Heard) -> bool {
        self.bytes + heard.cost() <= room
    }

    fn push(&mut self, heard: Heard) {
        self.bytes += heard.cost();
        self.lines.push_back(heard);
    }

    fn pop(&mut self) -> Option<Heard> {
        let heard = self.lines.pop_front()?;
        self.bytes -= heard.cost();
        Some(heard)
    }
}

impl Heard {
    /// Bytes in memory.
    fn cost(&self) -> usize {
        size_of::<Self>() + self.line.line.text.len()
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
        assert_eq!(lines[0].line.text, "wifi:connected");
    }

    #[tokio::test]
    async fn a_line_without_its_end_wakes_who_waits_for_a_prompt() {
        let console = Console::default();
        console.listen();
        console.feed(b"up\r\n");
        let seen = console.bytes();
        let reader = tokio::spawn({
            let console = console.clone();
            async move {
                console.fed(seen).await;
                (console.partial(), console.printed())
            }
        });
        console.feed(b"esp32> ");
        assert_eq!(reader.await.expect("the reader ends"), ("esp32> ".to_owned(), 1));
        console.listen();
        assert_eq!((console.partial(), console.bytes()), (String::new(), 0));
    }

    /// Counted among the unit's, it was an answer to what was typed, and a silent unit's only line.
    #[test]
    fn what_the_bench_says_of_an_absence_is_no_word_of_the_units() {
        let console = Console::default();
        console.miss(Absence::Port, CAUGHT_UP);
        assert_eq!(console.printed(), 0, "nobody listens");
        console.listen();
        for absence in [Absence::Port, Absence::Connection] {
            console.miss(absence, CAUGHT_UP);
        }
        assert_eq!((console.printed(), console.printed_by_unit()), (2, 0));
        assert_eq!(console.lines_after(0), []);
        console.feed(b"up\n");
        assert_eq!((console.lines_after(0).len(), console.printed_by_unit()), (1, 1));
        assert_eq!(console.lines().len(), 3, "the record has them all");
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

    /// Says that a line with an exclamation mark tells something.
    #[derive(Default)]
    struct Marks;

    impl Listener for Marks {
        fn begin(&mut self) {}

        fn hear(&mut self, text: &str) -> bool {
            text.contains('!')
        }
    }

    fn line(text: &str) -> ConsoleLine {
        ConsoleLine { at_ms: 0, text: text.to_owned() }
    }

    fn texts(kept: &Kept) -> Vec<&str> {
        kept.lines().map(|line| line.line.text.as_str()).collect()
    }

    #[test]
    fn what_tells_something_is_kept_among_talk_without_end() {
        let room = 4 * (size_of::<Heard>() + 9);
        let mut kept = Kept::with_room(room);
        for number in 0..100_000 {
            kept.take(line(&format!("talk {number}")), false);
            if number == 50_000 {
                kept.take(line("rssi: -45"), true);
            }
        }
        let found = texts(&kept);
        assert_eq!((found[0], found[4]), ("talk 0", "rssi: -45"), "{found:?}");
        assert_eq!(found.last(), Some(&"talk 99999"));
        assert_eq!((kept.printed, kept.lost), (100_001, 0));
        assert!(found.len() < 12, "{found:?}");
    }

    #[test]
    fn evidence_without_end_is_bounded_and_its_loss_is_said() {
        let room = 4 * (size_of::<Heard>() + 9);
        let mut kept = Kept::with_room(room);
        for number in 0..1_000 {
            kept.take(line(&format!("tells {number:3}")), true);
        }
        let found = kept.lines().count();
        assert!(found <= 12, "{found} lines are kept");
        assert_eq!(found + kept.lost, kept.printed);
    }

    #[test]
    fn no_log_outgrows_its_room() {
        let console = Console::default();
        console.tell(Box::new(Marks));
        console.listen();
        let long = "x".repeat(LINE_LIMIT - 8);
        for number in 0..2_000 {
            console.feed(format!("{number} {long}\n").as_bytes());
            console.feed(format!("{number}!{long}\n").as_bytes());
        }
        let bytes: usize = console.lines().iter().map(|line| line.line.text.len()).sum();
        assert!(bytes <= 3 * ROOM, "{bytes} bytes are kept");
        assert_eq!(console.printed(), 4_000);
        assert!(console.lost() > 0);
        console.listen();
        assert_eq!((console.printed(), console.lost()), (0, 0), "a new log begins empty");
    }

    /// A line that is longer than all room there is must not be waited for.
    #[test]
    fn a_line_longer_than_the_room_is_kept_alone() {
        let mut kept = Kept::with_room(10);
        kept.take(line(&"x".repeat(100)), false);
        kept.take(line(&"y".repeat(100)), false);
        assert_eq!(texts(&kept), ["y".repeat(100)]);
    }
}
