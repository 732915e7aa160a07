//! A conversation at hostapd's control socket: datagrams, each way from a socket with a name of its own.
//!
//! Must not know what is said.

use std::{
    fs, io,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{NoHostapd, words::is_event};

/// It answers within milliseconds, unless it hangs.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
/// Longer than any of its answers (`wpa_cli` has as much room).
pub(super) const LONGEST: usize = 4096;

/// Where hostapd is, and where its answers come in: a folder that nobody else looks into.
#[derive(Debug)]
pub(super) struct Door {
    path: PathBuf,
    folder: TempDir,
    next: AtomicU32,
}

/// One socket of ours at it. Its name goes with it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) socket: UnixDatagram,
    _name: Name,
}

#[derive(Debug)]
struct Name(PathBuf);

impl Drop for Name {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}

impl Door {
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("goldline-hostapd-").tempdir()?;
        Ok(Self { path: path.to_owned(), folder, next: AtomicU32::new(0) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn open(&self) -> Result<Line, NoHostapd> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = Name(self.folder.path().join(number.to_string()));
        let socket = UnixDatagram::bind(&name.0).map_err(NoHostapd::Open)?;
        socket.connect(&self.path).map_err(unreachable)?;
        Ok(Line { socket, _name: name })
    }

    /// Says something, and hears the answer. Each time from a socket of its own, so that no late answer is taken for
    /// another's. Blocks.
    pub(super) fn ask(&self, command: &str) -> Result<String, NoHostapd> {
        self.open()?.ask(command)
    }
}

impl Line {
    /// As [`Door::ask`], and the line stays.
    pub(super) fn ask(&self, command: &str) -> Result<String, NoHostapd> {
        let began = Instant::now();
        self.socket.set_write_timeout(Some(ANSWERS_WITHIN)).map_err(NoHostapd::Open)?;
        self.socket.send(command.as_bytes()).map_err(unreachable)?;
        let mut buffer = [0; LONGEST];
        loop {
            let left = ANSWERS_WITHIN.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(NoHostapd::Silent { within: ANSWERS_WITHIN });
            }
            self.socket.set_read_timeout(Some(left)).map_err(NoHostapd::Open)?;
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    if !is_event(&said) {
                        return Ok(said);
                    }
                }
                Err(error) => return Err(unreachable(error)),
            }
        }
    }
}

fn unreachable(error: io::Error) -> NoHostapd {
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset => NoHostapd::Absent,
        io::ErrorKind::PermissionDenied => NoHostapd::NotAllowed,
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            NoHostapd::Silent { within: ANSWERS_WITHIN }
        }
        _ => NoHostapd::Open(error),
    }
}
