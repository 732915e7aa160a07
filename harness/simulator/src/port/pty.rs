//! A pseudo-terminal whose slave side is the unit's serial port.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

/// Bytes that wait for a client which does not read; a UART would lose them much earlier.
const LONGEST_QUEUE: usize = 1 << 20;

/// Both ends of a pseudo-terminal, before it is served.
#[derive(Debug)]
pub(crate) struct Pty {
    master: OwnedFd,
    /// Held open so that the master never sees a hang-up between two clients.
    slave: OwnedFd,
    path: PathBuf,
}

impl Pty {
    pub(crate) fn open() -> io::Result<Self> {
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
        Ok(Self { master, slave, path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A pseudo-terminal that is served.
#[derive(Debug)]
pub(crate) struct Port {
    line: Option<Line>,
    outgoing: VecDeque<u8>,
    /// Whether bytes to the client are lost on the way.
    silent: bool,
}

#[derive(Debug)]
struct Line {
    master: AsyncFd<OwnedFd>,
    _slave: OwnedFd,
}

impl Port {
    /// Serves the terminal; must be called inside a runtime.
    pub(crate) fn serve(pty: Pty, silent: bool) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may swap their descriptor, which an OwnedFd cannot"
        )]
        let master = AsyncFd::new(pty.master)?;
        let line = Line { master, _slave: pty.slave };
        Ok(Self { line: Some(line), outgoing: VecDeque::new(), silent })
    }

    /// Queues bytes for the client; they leave while [`Port::receive`] waits.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let room = LONGEST_QUEUE.saturating_sub(self.outgoing.len());
        if self.silent || self.line.is_none() {
            return;
        }
        self.outgoing.extend(&bytes[..bytes.len().min(room)]);
    }

    /// Ends the terminal: clients see a hang-up, as when the cable is pulled.
    pub(crate) fn hang_up(&mut self) {
        self.line = None;
        self.outgoing.clear();
    }

    /// Waits for bytes from the client, and sends what is queued. Gives at least one byte.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn receive(&mut self, buffer: &mut [u8]) -> usize {
        loop {
            let Some(line) = &self.line else {
                return pending().await;
            };
            let interest = if self.outgoing.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let Ok(mut guard) = line.master.ready(interest).await else {
                self.hang_up();
                continue;
            };
            if guard.ready().is_writable() && !self.outgoing.is_empty() {
                let (front, _) = self.outgoing.as_slices();
                match rustix::io::write(line.master.get_ref(), front) {
                    Ok(count) => drop(self.outgoing.drain(..count)),
                    Err(Errno::AGAIN) => guard.clear_ready_matching(Ready::WRITABLE),
                    Err(Errno::INTR) => {}
                    Err(_) => {
                        self.hang_up();
                        continue;
                    }
                }
            }
            if guard.ready().is_readable() {
                match rustix::io::read(line.master.get_ref(), &mut *buffer) {
                    Ok(count) if count > 0 => return count,
                    Err(Errno::AGAIN) => guard.clear_ready_matching(Ready::READABLE),
                    Err(Errno::INTR) => {}
                    Ok(_) | Err(_) => self.hang_up(),
                }
            }
        }
    }
}
