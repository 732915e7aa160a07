//! The line between this process and a unit, with a PTY of our own in the middle.
//!
//! espflash opens the PTY's end and cannot be cancelled; a hang-up on our side of it can. Every byte
//! that the unit sends is seen here, so the console needs no second reader. What the bytes mean, only
//! [`Patience`] knows.
//!
//! ```text
//! unit port ── reader ──┬─▶ console (while the unit runs)
//!                       └─▶ PTY master ═ PTY slave ◀─▶ espflash (while attached)
//!          ◀── writer ────────┘
//! ```

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    console::{Absence, Console},
    patience::Patience,
    port::LineError,
    presence::{OnMove, Presence, Reopen},
    stillness::Stillness,
    transport::{Source, Transport},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_setfl},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

/// Bytes that wait when others were taken in: a tenth of a second's at the usual rate.
const BACKLOG: u32 = 1024;

/// A loader's answer is whole long before, at the lowest rate too.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A unit's line; its threads end when it is dropped.
pub struct Line {
    port_name: String,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

struct Shared {
    ended: AtomicBool,
    /// Set once by a [`LineHandle`]: no later session may begin either.
    cancelled: AtomicBool,
    presence: Presence,
    first_byte: OnceLock<Instant>,
    /// Whether the unit sent anything since the session began.
    answered: AtomicBool,
    /// Why the session that began last was broken off, where what came was no loader's.
    broken: Mutex<Option<Broken>>,
    session: Mutex<Option<Arc<Session>>>,
    console: Console,
    /// Heard while somebody presses the unit's buttons, whatever the console is for then.
    beside: Console,
    stillness: Stillness,
}

/// What a loader that was spoken to gave way to. espflash would wait among it for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Broken {
    /// A boot log.
    Reset,
    /// Bytes without an end.
    Talk,
}

impl Broken {
    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Reset => "the unit was reset meanwhile, and its boot log came for an answer",
            Self::Talk => "something talks on there that is no loader",
        }
    }
}

/// One PTY between espflash and the line.
struct Session {
    master: File,
    /// Kept open: without any open slave the master reads an error before espflash has opened it.
    _slave: OwnedFd,
    hung_up: AtomicBool,
    patience: Mutex<Patience>,
    /// Behind so many ENDs, and since when, something comes that has not ended.
    unended: Mutex<Option<(usize, Instant)>>,
}

impl Line {
    /// Opens a port of this machine's and starts reading it.
    ///
    /// # Errors
    /// [`LineError::Open`] when the port is missing, busy or not allowed.
    pub fn open(path: &Path, baud: u32) -> Result<Self, LineError> {
        Self::start(path.display().to_string(), Transport::serial(path, baud)?, baud, None)
    }

    /// Starts reading a port that was opened, and may go for a while.
    ///
    /// # Errors
    /// [`LineError::Pty`] when the system has no thread left.
    pub(super) fn that_returns(
        port_name: String,
        opened: (Transport, Source),
        baud: u32,
        reopen: Reopen,
    ) -> Result<Self, LineError> {
        Self::start(port_name, opened, baud, Some(reopen))
    }

    fn start(
        port_name: String,
        (transport, source): (Transport, Source),
        baud: u32,
        reopen: Option<Reopen>,
    ) -> Result<Self, LineError> {
        let shared = Arc::new(Shared {
            ended: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            presence: Presence::new(transport, baud, reopen),
            first_byte: OnceLock::new(),
            answered: AtomicBool::new(false),
            broken: Mutex::default(),
            session: Mutex::new(None),
            console: Console::default(),
            beside: Console::default(),
            stillness: Stillness::default(),
        });
        let reader = std::thread::Builder::new().name("line-reader".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || read_unit(source, &shared)
        })?;
        Ok(Self { port_name, shared, reader: Some(reader) })
    }

    /// Starts a session for espflash and returns the path of its PTY. A session that is still open is
    /// hung up first.
    ///
    /// # Errors
    /// [`LineError::Pty`] when the system has no pseudo terminal left.
    pub fn attach(&self) -> Result<PathBuf, LineError> {
        self.hang_up();
        self.shared.answered.store(false, Ordering::Release);
        *self.shared.broken() = None;
        let (session, path) = open_session()?;
        let session = Arc::new(session);
        std::thread::Builder::new().name("line-writer".to_owned()).spawn({
            let (session, shared) = (Arc::clone(&session), Arc::clone(&self.shared));
            move || write_unit(&session, &shared)
        })?;
        *self.shared.session() = Some(session);
        // Cancelled before there was a session to hang up, for instance while the unit was reset.
        if self.shared.cancelled.load(Ordering::Acquire) {
            self.hang_up();
        }
        Ok(path)
    }

    /// Ends the session: espflash's next read or write fails at once.
    pub fn hang_up(&self) {
        self.shared.hang_up();
    }

    /// Sends bytes to the unit's console, outside of any session.
    ///
    /// # Errors
    /// When the port does not take them.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.shared.presence.with(|transport| {
            transport.write_all(bytes)?;
            Ok(transport.flush()?)
        });
        Ok(written?)
    }

    /// What others may do with the line while a call blocks on it.
    pub fn handle(&self) -> LineHandle {
        LineHandle(Arc::clone(&self.shared))
    }

    /// Whether the port went away for good; waits while it may return.
    pub fn has_vanished(&self) -> bool {
        self.shared.presence.is_gone()
    }

    /// How often the port went away and came back.
    pub(super) fn returns(&self) -> u32 {
        self.shared.presence.returns()
    }

    /// Says whether what is under way can be taken up again when the port goes and comes back.
    pub(super) fn be_fragile(&self, is_fragile: bool) {
        self.shared.presence.be_fragile(is_fragile);
    }

    /// Whether the unit sent anything since the session began.
    pub fn has_answered(&self) -> bool {
        self.shared.answered.load(Ordering::Acquire)
    }

    /// Why the last session was broken off, where it was.
    pub(super) fn broken(&self) -> Option<Broken> {
        *self.shared.broken()
    }

    /// Whether a call that blocks must end.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Acquire)
    }

    /// What the unit prints while it runs.
    pub fn console(&self) -> &Console {
        &self.shared.console
    }

    /// The same beside it, for whoever waits for a boot log while nobody keeps one.
    pub(super) fn beside(&self) -> &Console {
        &self.shared.beside
    }

    /// Whether the port went and came back since the console listens.
    pub(super) fn came_back_since_it_listened(&self) -> bool {
        let told = |text: &str| Absence::told_by(text) == Some(Absence::Port);
        self.console().lines().iter().any(|heard| told(&heard.line.text))
    }

    /// When the unit sends nothing more of what it sent before.
    pub(super) fn stillness(&self) -> &Stillness {
        &self.shared.stillness
    }

    /// Sets the rate of the unit's port.
    ///
    /// # Errors
    /// [`LineError::Baud`] when the port refuses the rate.
    pub fn set_baud(&mut self, baud: u32) -> Result<(), LineError> {
        let set = self.shared.presence.with(|transport| transport.set_baud(baud));
        set.map_err(|source| LineError::Baud { port: self.port_name.clone(), baud, source })?;
        self.shared.presence.keep_baud(baud);
        Ok(())
    }

    /// Sets the modem lines of the unit's port, both in one write; one that is not named stays as it is.
    ///
    /// # Errors
    /// When the port has none.
    pub fn set_lines(&mut self, dtr: Option<bool>, rts: Option<bool>) -> serialport::Result<()> {
        self.shared.presence.with(|transport| transport.set_lines(dtr, rts))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.hang_up();
        self.shared.ended.store(true, Ordering::Release);
        if let Some(reader) = self.reader.take() {
            // A panic in the reader was printed already; there is nobody left to tell.
            let _ended = reader.join();
        }
    }
}

/// A unit's line as seen from other threads than the one that uses it.
#[derive(Clone)]
pub struct LineHandle(Arc<Shared>);

impl LineHandle {
    /// Ends the current session, if any, and every later one as it begins: espflash is cancelled.
    pub fn hang_up(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        self.0.hang_up();
        self.0.console.wake();
        self.0.stillness.wake();
    }

    /// Whether a call that blocks must end.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// What the unit prints while it runs.
    pub fn console(&self) -> &Console {
        &self.0.console
    }

    /// Says who hears when the port goes and when it is back.
    pub fn tell_of_moves(&self, on_move: OnMove) {
        self.0.presence.tell(on_move);
    }

    /// When the first byte went to the unit.
    pub fn first_byte(&self) -> Option<Instant> {
        self.0.first_byte.get().copied()
    }
}

impl Shared {
    fn hang_up(&self) {
        if let Some(session) = self.session().take() {
            session.hung_up.store(true, Ordering::Release);
        }
    }

    fn session(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.session.lock().expect("no thread panics while it holds the session")
    }
}

impl Session {
    /// Hands bytes to espflash for as long as the session lasts; afterwards they have no reader.
    fn give(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.hung_up.load(Ordering::Acquire) {
            match (&self.master).write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_for(PollFlags::OUT);
                }
                Err(_) => return,
            }
        }
    }

    fn broken_by_what_came(&self) -> Option<Broken> {
        let patience = self.patience();
        if patience.was_reset() {
            return Some(Broken::Reset);
        }
        let mut unended = self.unended.lock().expect("no thread panics while it holds the moment");
        let now = Instant::now();
        *unended = patience.unended().map(|ends| match *unended {
            Some((same, since)) if same == ends => (ends, since),
            _ => (ends, now),
        });
        let (_, since) = (*unended)?;
        (now - since > ANSWER_LIMIT).then_some(Broken::Talk)
    }

    fn patience(&self) -> MutexGuard<'_, Patience> {
        self.patience.lock().expect("no thread panics while it holds the patience")
    }

    /// Waits a moment for the PTY; `false` when nothing happened.
    fn wait_for(&self, flags: PollFlags) -> bool {
        let slice = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        let mut fds = [PollFd::new(&self.master, flags)];
        poll(&mut fds, Some(&slice)).is_ok_and(|ready| ready > 0)
    }
}

fn open_session() -> io::Result<(Session, PathBuf)> {
    let (master, path) = terminal()?;
    fcntl_setfl(&master, OFlags::NONBLOCK)?;
    let slave = open_raw(&path)?;
    let session = Session {
        master,
        _slave: slave,
        hung_up: AtomicBool::new(false),
        patience: Mutex::default(),
        unended: Mutex::default(),
    };
    Ok((session, path))
}

/// A pseudo terminal that passes every byte as it is: the end that is ours, and the path of the other.
pub(super) fn terminal() -> io::Result<(File, PathBuf)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let path = PathBuf::from(name.to_string_lossy().into_owned());
    open_raw(&path)?;
    Ok((File::from(master), path))
}

fn open_raw(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
    let mut attributes = tcgetattr(&slave)?;
    attributes.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &attributes)?;
    Ok(slave)
}

/// Unit → console and espflash, until the line ends or the port vanishes for good.
fn read_unit(mut unit: Source, shared: &Shared) {
    loop {
        read_while_there(&mut unit, shared);
        if shared.ended.load(Ordering::Acquire) {
            return;
        }
        // Before its end fails whoever waits for an answer: that is told by whether the port is there.
        shared.presence.leave();
        drop(unit);
        let went = Instant::now();
        // Before anything of the unit's comes again: espflash would wait among an application's words for ever.
        shared.end_conversation();
        match shared.presence.look_for(|| shared.is_given_up()) {
            Some(source) => unit = source,
            None => return shared.vanish(),
        }
        if let Some(absence) = shared.presence.absence() {
            shared.console.miss(absence, went.elapsed());
            shared.beside.miss(absence, went.elapsed());
        }
    }
}

fn read_while_there(unit: &mut Source, shared: &Shared) {
    let mut buffer = [0; 16 * 1024];
    while !shared.ended.load(Ordering::Acquire) {
        match unit.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                shared.deliver(&buffer[..count]);
                if unit.waiting() >= BACKLOG {
                    shared.console.fall_behind();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

impl Shared {
    /// Hangs up on a loader that had answered: what it was told is lost. Who only waits for one goes on waiting.
    fn end_conversation(&self) {
        let session = self.session().clone();
        if session.is_some_and(|session| session.patience().has_begun()) {
            self.hang_up();
        }
    }

    fn is_given_up(&self) -> bool {
        self.ended.load(Ordering::Acquire) || self.cancelled.load(Ordering::Acquire)
    }

    fn deliver(&self, bytes: &[u8]) {
        self.console.feed(bytes);
        self.beside.feed(bytes);
        self.stillness.disturb(bytes);
        let session = self.session().clone();
        if let Some(session) = session {
            self.answered.store(true, Ordering::Release);
            let passed = session.patience().received(bytes);
            if let Some(broken) = session.broken_by_what_came() {
                *self.broken() = Some(broken);
                return self.hang_up();
            }
            session.give(&passed);
        }
    }

    fn broken(&self) -> MutexGuard<'_, Option<Broken>> {
        self.broken.lock().expect("no thread panics while it holds the reason")
    }

    /// Writes to the port as it is now; `unit` is kept from one write to the next.
    fn write(&self, unit: &mut Option<(u32, Transport)>, bytes: &[u8]) -> io::Result<()> {
        if unit.as_ref().is_none_or(|(returns, _)| *returns != self.presence.returns()) {
            let away = || io::Error::from(io::ErrorKind::NotConnected);
            let (returns, transport) = self.presence.transport().ok_or_else(away)?;
            *unit = Some((returns, transport?));
        }
        match unit {
            Some((_, transport)) => transport.write_all(bytes),
            None => Ok(()),
        }
    }

    fn vanish(&self) {
        self.presence.give_up();
        self.console.close();
        self.beside.close();
        self.hang_up();
    }
}

/// espflash → unit, until the session hangs up.
fn write_unit(session: &Session, shared: &Shared) {
    let mut buffer = [0; 16 * 1024];
    let mut unit: Option<(u32, Transport)> = None;
    while !session.hung_up.load(Ordering::Acquire) {
        if !session.wait_for(PollFlags::IN) {
            continue;
        }
        let written = match (&session.master).read(&mut buffer) {
            Ok(count) => {
                shared.first_byte.get_or_init(Instant::now);
                // Before the unit can say anything itself.
                let told = session.patience().sent(&buffer[..count]);
                session.give(told.unwrap_or_default());
                shared.write(&mut unit, &buffer[..count])
            }
            Err(_) => break,
        };
        match written {
            Ok(()) => {}
            // What was asked of a port that is away is asked again; the reader looks for it.
            Err(error)
                if shared.presence.may_return() && error.kind() != io::ErrorKind::TimedOut => {}
            Err(_) => return shared.vanish(),
        }
    }
    // The last owner of the master closes it here or in `deliver`, and espflash sees the hang-up.
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A stop that came while the unit was reset found no session, and espflash tried on for seconds.
    #[test]
    fn a_session_that_begins_after_the_line_was_cancelled_ends_at_once() {
        let (unit, path) = open_session().expect("a pseudo terminal as the unit's port");
        let line = Line::open(&path, 115_200).expect("it opens");
        line.handle().hang_up();
        let session = line.attach().expect("a session");
        let limit = Duration::from_secs(30);
        let port = serialport::new(session.to_string_lossy(), 115_200).timeout(limit).open_native();
        // The session may be gone already; otherwise reading must end, and not for want of time.
        if let Ok(mut port) = port {
            let ended = port.read(&mut [0]).map_err(|error| error.kind());
            assert!(!matches!(ended, Err(io::ErrorKind::TimedOut) | Ok(1..)), "{ended:?}");
        }
        drop(unit);
    }
}
