//! A pseudo-terminal whose slave side is the unit's serial port.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, inotify};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};
use tokio::time::Instant;

use super::pace::Pace;
use crate::chip::registers::ROM_BAUD;
use crate::fault::noise::Noise;
use crate::fault::{Fault, Faults};

/// Bytes that wait for a client which does not read; a UART would lose them much earlier.
const LONGEST_QUEUE: usize = 1 << 20;

/// How late answers are with `wire.delay`.
const LATENESS: Duration = Duration::from_millis(40);

/// Both ends of a pseudo-terminal, before it is served.
#[derive(Debug)]
pub(crate) struct Pty {
    master: OwnedFd,
    /// Held open so that the master never sees a hang-up between two clients.
    slave: OwnedFd,
    /// Tells when somebody else opens the slave; asked for only where it is needed, because a
    /// system gives few of these.
    opens: Option<OwnedFd>,
    path: PathBuf,
}

impl Pty {
    pub(crate) fn open(watch_clients: bool) -> io::Result<Self> {
        let master =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
        let name = rustix::pty::ptsname(&master, Vec::new())?;
        let path = PathBuf::from(name.to_string_lossy().into_owned());
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(&path, flags, Mode::empty())?;
        let mut settings = rustix::termios::tcgetattr(&slave)?;
        settings.make_raw();
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &settings)?;
        let status = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, status | OFlags::NONBLOCK)?;
        let opens = watch_clients.then(|| watch_opens(&path)).transpose()?;
        Ok(Self {
            master,
            slave,
            opens,
            path,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn watch_opens(path: &Path) -> io::Result<OwnedFd> {
    let opens = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&opens, path, inotify::WatchFlags::OPEN)?;
    Ok(opens)
}

/// A pseudo-terminal that is served.
#[derive(Debug)]
pub(crate) struct Port {
    line: Option<Line>,
    outgoing: VecDeque<u8>,
    /// Bytes that are still on the wire, or were put back.
    incoming: Vec<u8>,
    wire: Wire,
}

#[derive(Debug)]
struct Line {
    master: AsyncFd<OwnedFd>,
    _slave: OwnedFd,
    opens: Option<OwnedFd>,
}

/// What lies between client and unit.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// Whether bytes to the client are lost on the way.
    silent: bool,
    /// How long each answer is held back.
    delay: Duration,
    noise: Option<Noise>,
    /// Pace of what comes and of what goes; without it, bytes take no time.
    pace: Option<(Pace, Pace)>,
}

impl Wire {
    pub(crate) fn new(faults: &Faults, seed: u64, paced: bool) -> Self {
        let late = faults.has(Fault::WireDelay);
        let pace = || Pace::new(ROM_BAUD);
        Self {
            silent: faults.has(Fault::WireSilent),
            delay: if late { LATENESS } else { Duration::ZERO },
            noise: Noise::new(faults, seed),
            pace: (paced || late).then(|| (pace(), pace())),
        }
    }

    fn disturbed(&mut self, bytes: &[u8]) -> Vec<u8> {
        match &mut self.noise {
            Some(noise) => noise.disturb(bytes),
            None => bytes.to_vec(),
        }
    }

    fn incoming(&mut self) -> Option<&mut Pace> {
        self.pace.as_mut().map(|(incoming, _)| incoming)
    }

    fn outgoing(&mut self) -> Option<&mut Pace> {
        self.pace.as_mut().map(|(_, outgoing)| outgoing)
    }
}

impl Port {
    /// Serves the terminal; must be called inside a runtime.
    pub(crate) fn serve(pty: Pty, wire: Wire) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may swap their descriptor, which an OwnedFd cannot"
        )]
        let master = AsyncFd::new(pty.master)?;
        let line = Line {
            master,
            _slave: pty.slave,
            opens: pty.opens,
        };
        Ok(Self {
            line: Some(line),
            outgoing: VecDeque::new(),
            incoming: Vec::new(),
            wire,
        })
    }

    /// The UART's rate changed.
    pub(crate) fn set_baud(&mut self, baud: u32) {
        if let Some((incoming, outgoing)) = &mut self.wire.pace {
            incoming.set_baud(baud);
            outgoing.set_baud(baud);
        }
    }

    /// Queues bytes for the client; they leave while [`Port::receive`] waits.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let room = LONGEST_QUEUE.saturating_sub(self.outgoing.len());
        if self.wire.silent || self.line.is_none() || bytes.is_empty() {
            return;
        }
        let delay = self.wire.delay;
        if let Some(pace) = self.wire.outgoing() {
            pace.wait(delay);
        }
        let bytes = self.wire.disturbed(&bytes[..bytes.len().min(room)]);
        self.outgoing.extend(bytes);
    }

    /// Whether all that was sent has left.
    pub(crate) fn is_drained(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Lets the next [`Port::receive`] give these bytes once more.
    pub(crate) fn put_back(&mut self, bytes: &[u8]) {
        self.incoming.splice(0..0, bytes.iter().copied());
    }

    /// Whether a client opened the terminal since this was last asked.
    pub(crate) fn was_opened(&self) -> bool {
        let mut events = [0; 1024];
        let Some(opens) = self.line.as_ref().and_then(|line| line.opens.as_ref()) else {
            return false;
        };
        let mut opened = false;
        while rustix::io::read(opens, &mut events).is_ok_and(|count| count > 0) {
            opened = true;
        }
        opened
    }

    /// Ends the terminal: clients see a hang-up, as when the cable is pulled.
    pub(crate) fn hang_up(&mut self) {
        self.line = None;
        self.outgoing.clear();
        self.incoming.clear();
    }

    /// Waits for bytes from the client, and sends what is queued. Gives at least one byte.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn receive(&mut self, buffer: &mut [u8]) -> usize {
        loop {
            if let Some(count) = self.arrived(buffer) {
                return count;
            }
            let may_read = self.incoming.is_empty();
            let may_write =
                !self.outgoing.is_empty() && self.wire.outgoing().is_none_or(|pace| pace.is_idle());
            let wake_at = self.next_event();
            let Some(line) = &self.line else {
                return pending().await;
            };
            let ready = async {
                match interest(may_read, may_write) {
                    Some(interest) => line.master.ready(interest).await,
                    None => pending().await,
                }
            };
            let guard = tokio::select! {
                guard = ready => guard,
                () = sleep_until(wake_at) => continue,
            };
            let Ok(mut guard) = guard else {
                self.hang_up();
                continue;
            };
            let (mut written, mut read) = (Ok(0), Ok(None));
            if may_write && guard.ready().is_writable() {
                let (front, _) = self.outgoing.as_slices();
                let most = self
                    .wire
                    .pace
                    .as_ref()
                    .map_or(front.len(), |(_, pace)| pace.grain());
                let front = &front[..front.len().min(most)];
                written = again(rustix::io::write(line.master.get_ref(), front)).map(|count| {
                    if count.is_none() {
                        guard.clear_ready_matching(Ready::WRITABLE);
                    }
                    count.unwrap_or(0)
                });
            }
            if may_read && guard.ready().is_readable() {
                read = again(rustix::io::read(line.master.get_ref(), &mut *buffer));
                if read == Ok(None) {
                    guard.clear_ready_matching(Ready::READABLE);
                }
            }
            drop(guard);
            if written.is_err() || matches!(read, Err(_) | Ok(Some(0))) {
                self.hang_up();
                continue;
            }
            if let Ok(count @ 1..) = written {
                self.outgoing.drain(..count);
                if let Some(pace) = self.wire.outgoing() {
                    pace.pass(count);
                }
            }
            if let Ok(Some(count)) = read {
                if let Some(pace) = self.wire.incoming() {
                    pace.pass(count);
                }
                let bytes = self.wire.disturbed(&buffer[..count]);
                self.incoming.extend(bytes);
            }
        }
    }

    /// Hands over what has come over the wire by now.
    fn arrived(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let passed = self.wire.incoming().is_none_or(|pace| pace.is_idle());
        if self.incoming.is_empty() || !passed {
            return None;
        }
        let count = self.incoming.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.incoming[..count]);
        self.incoming.drain(..count);
        Some(count)
    }

    /// When bytes that are on the wire have passed.
    fn next_event(&self) -> Option<Instant> {
        let (incoming, outgoing) = self.wire.pace.as_ref()?;
        let incoming = (!self.incoming.is_empty()).then_some(incoming.idle_at);
        let waiting = !self.outgoing.is_empty() && !outgoing.is_idle();
        let outgoing = waiting.then_some(outgoing.idle_at);
        incoming.into_iter().chain(outgoing).min()
    }
}

fn interest(read: bool, write: bool) -> Option<Interest> {
    match (read, write) {
        (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
        (true, false) => Some(Interest::READABLE),
        (false, true) => Some(Interest::WRITABLE),
        (false, false) => None,
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => pending().await,
    }
}

/// Tells a call that would block from one that failed.
fn again(result: Result<usize, Errno>) -> Result<Option<usize>, Errno> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}
