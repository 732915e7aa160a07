//! One running QEMU: its process, its control connection and its console.
//!
//! Its sockets lie in a private folder and QEMU is the one who connects, so there is no moment at which it is
//! asked too early. Must not know what lies in the flash.

use std::{
    ffi::OsString,
    io,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::TempDir;

use super::qmp::{Qmp, QmpError};
use crate::{
    device::emulator::carrier::{Carrier, Console},
    process::{Given, Tied},
};

/// From its start until it connects; a fraction of a second on a quiet machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// From `quit` until it has written what it holds back.
const END_LIMIT: Duration = Duration::from_secs(10);

/// The emulator failed.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// Its sockets or its process cannot be made.
    #[error("it cannot be started: {0}")]
    Start(#[from] io::Error),
    /// It ended before it connected.
    #[error("it ended at once with {status}: {}", .words.lines().last().unwrap_or("it said nothing"))]
    Ended {
        /// How.
        status: ExitStatus,
        /// What it said.
        words: String,
    },
    /// It runs and does not connect.
    #[error("it did not open its sockets within {} s", START_LIMIT.as_secs())]
    Silent,
    /// Its control connection failed.
    #[error(transparent)]
    Qmp(#[from] QmpError),
}

/// A QEMU that runs; it ends when this is dropped.
pub(super) struct Guest {
    qmp: Qmp,
    carrier: Option<Carrier>,
    process: Tied,
    _sockets: TempDir,
}

impl Guest {
    /// Starts the program and waits until it has connected. It stands still if `arguments` say so.
    /// The network card's frames go over `frames`, which is the program's descriptor 0.
    pub(super) fn start(
        program: &Path,
        mut arguments: Vec<OsString>,
        frames: Option<OwnedFd>,
        console: Console<'_>,
    ) -> Result<Self, GuestError> {
        let sockets = tempfile::Builder::new().prefix("qemu").tempdir()?;
        let (control, serial) = (Socket::new(&sockets, "q")?, Socket::new(&sockets, "c")?);
        arguments.extend(control.as_chardev("qmp"));
        arguments.extend(["-mon", "chardev=qmp,mode=control"].map(OsString::from));
        arguments.extend(serial.as_chardev("console"));
        arguments.extend(["-serial", "chardev:console"].map(OsString::from));
        let mut process =
            Tied::spawn(program, &arguments, Given { input: frames, ..Given::default() })?;
        let began = Instant::now();
        // It connects as it parses its arguments, whichever is first.
        let serial = serial.accept(&mut process, began)?;
        let qmp = Qmp::greet(control.accept(&mut process, began)?)?;
        let carrier = Carrier::new(serial, console)?;
        Ok(Self { qmp, carrier: Some(carrier), process, _sockets: sockets })
    }

    /// The control connection.
    pub(super) fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// Ends it in order: what it has of the flash is in the file afterwards.
    pub(super) fn end(mut self) -> Result<(), GuestError> {
        if let Some(carrier) = &self.carrier {
            carrier.expect_end();
        }
        // One that is dead already has nothing to quit.
        let quit = self.qmp.execute("quit");
        match self.process.wait_within(END_LIMIT)? {
            Some(_) => Ok(()),
            None => Err(quit.err().map_or(GuestError::Silent, GuestError::Qmp)),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(carrier) = self.carrier.take() {
            carrier.end();
        }
    }
}

/// A socket that QEMU is to connect to.
struct Socket {
    path: OsString,
    listener: UnixListener,
}

impl Socket {
    fn new(folder: &TempDir, name: &str) -> io::Result<Self> {
        let path = folder.path().join(name);
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { path: path.into_os_string(), listener })
    }

    fn as_chardev(&self, id: &str) -> [OsString; 2] {
        let mut chardev = OsString::from(format!("socket,id={id},path="));
        chardev.push(escaped(&self.path));
        ["-chardev".into(), chardev]
    }

    fn accept(&self, process: &mut Tied, began: Instant) -> Result<UnixStream, GuestError> {
        const SLICE: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(status) = process.ended()? {
                return Err(GuestError::Ended { status, words: process.last_words() });
            }
            if began.elapsed() > START_LIMIT {
                return Err(GuestError::Silent);
            }
            let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
            let _waited = poll(&mut fds, Some(&SLICE));
        }
    }
}

/// A path within QEMU's comma-separated arguments.
pub(super) fn escaped(path: &std::ffi::OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let double = |byte: &u8| if *byte == b',' { vec![b',', b','] } else { vec![*byte] };
    OsString::from_vec(path.as_bytes().iter().flat_map(double).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_path_stays_part_of_it() {
        assert_eq!(escaped("/tmp/a,b".as_ref()), OsString::from("/tmp/a,,b"));
    }
}
