//! A pseudo-terminal whose slave side is the unit's serial port.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, inotify};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;

/// Both ends of a pseudo-terminal, before it is served.
#[derive(Debug)]
pub(crate) struct Pty {
    pub(super) master: OwnedFd,
    /// Held open so that the master never sees a hang-up between two clients.
    pub(super) slave: OwnedFd,
    /// Tells when somebody else opens the slave; asked for only where it is needed, because a
    /// system gives few of these.
    pub(super) opens: Option<OwnedFd>,
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
        Ok(Self { master, slave, opens, path })
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
