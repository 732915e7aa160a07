//! What carries bytes to a unit's port and sets its rate and its modem lines, wherever that port is.
//!
//! A transport is written to from several places, and read in one: its [`Source`].

mod allowance;
mod modem;
mod remote;
mod stream;
mod telnet;

use std::{
    io::{self, Read, Write},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serialport::{SerialPort, TTYPort};

use super::port::LineError;
pub(super) use allowance::Allowance;
use remote::{Remote, RemoteSource};

/// How long a read that brings nothing lasts at most; data ends it at once.
const READ_SLICE: Duration = Duration::from_millis(20);
/// How long the unit's port may refuse bytes before the line counts as dead.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// The way to a unit's port.
pub(super) enum Transport {
    /// A port of this machine's. One for all who write: serialport gives the port free for others (TIOCNXCL) as
    /// soon as any copy of it is closed.
    Serial(Arc<Mutex<TTYPort>>),
    /// A port on the network.
    Remote(Remote),
}

/// What comes from a unit's port.
pub(super) enum Source {
    /// A port of this machine's.
    Serial(TTYPort),
    /// A port on the network.
    Remote(RemoteSource),
}

impl Transport {
    /// Opens a port of this machine's.
    ///
    /// # Errors
    /// [`LineError::Open`] when the port is missing, busy or not allowed.
    pub(super) fn serial(path: &Path, baud: u32) -> Result<(Self, Source), LineError> {
        let port = path.display().to_string();
        let refuse = |source| LineError::Open { port: port.clone(), source };
        let builder = serialport::new(&port, baud).timeout(WRITE_LIMIT);
        let tty = builder.open_native().map_err(refuse)?;
        let mut source = tty.try_clone_native().map_err(refuse)?;
        source.set_timeout(READ_SLICE).map_err(refuse)?;
        Ok((Self::Serial(Arc::new(Mutex::new(tty))), Source::Serial(source)))
    }

    /// Connects to a port that carries bytes and nothing else; `port` is what people call it.
    ///
    /// # Errors
    /// [`LineError::Connect`] when nobody listens there.
    pub(super) fn raw(
        address: &str,
        port: &str,
        allowed: &Allowance<'_>,
    ) -> Result<(Self, Source), LineError> {
        let (remote, source) = Remote::raw(address, port, allowed)?;
        Ok((Self::Remote(remote), Source::Remote(source)))
    }

    /// The same at a socket of this machine's.
    ///
    /// # Errors
    /// [`LineError::Connect`] when nobody listens there.
    pub(super) fn unix(
        path: &str,
        port: &str,
        allowed: &Allowance<'_>,
    ) -> Result<(Self, Source), LineError> {
        let (remote, source) = Remote::unix(path, port, allowed)?;
        Ok((Self::Remote(remote), Source::Remote(source)))
    }

    /// Connects to a port with rate and modem lines.
    ///
    /// # Errors
    /// When nobody listens there, or whoever does speaks another protocol.
    pub(super) fn rfc2217(
        address: &str,
        baud: u32,
        port: &str,
        allowed: &Allowance<'_>,
    ) -> Result<(Self, Source), LineError> {
        let (remote, source) = Remote::rfc2217(address, baud, port, allowed)?;
        Ok((Self::Remote(remote), Source::Remote(source)))
    }

    /// The same way for another thread.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub(super) fn try_clone(&self) -> serialport::Result<Self> {
        match self {
            Self::Serial(port) => Ok(Self::Serial(Arc::clone(port))),
            Self::Remote(remote) => Ok(Self::Remote(remote.clone())),
        }
    }

    /// Ends what is left of it, for all clones: a server may serve one client at a time.
    pub(super) fn close(&self) {
        if let Self::Remote(remote) = self {
            remote.close();
        }
    }

    /// Sets the rate of the unit's port.
    ///
    /// # Errors
    /// When the port refuses the rate.
    pub(super) fn set_baud(&mut self, baud: u32) -> serialport::Result<()> {
        match self {
            Self::Serial(port) => locked(port).set_baud_rate(baud),
            Self::Remote(remote) => remote.set_baud(baud),
        }
    }

    /// Sets DTR and RTS, both in one write; one that is not named stays as it is.
    ///
    /// # Errors
    /// When the port has no such lines.
    pub(super) fn set_lines(
        &mut self,
        dtr: Option<bool>,
        rts: Option<bool>,
    ) -> serialport::Result<()> {
        match self {
            Self::Serial(port) => {
                let port = locked(port);
                modem::set_lines(&port, dtr, rts).map_err(|error| io::Error::from(error).into())
            }
            Self::Remote(remote) => remote.set_lines(dtr, rts),
        }
    }
}

fn locked(port: &Mutex<TTYPort>) -> MutexGuard<'_, TTYPort> {
    port.lock().expect("no thread panics while it holds the port")
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Serial(port) => locked(port).write(bytes),
            Self::Remote(remote) => remote.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Serial(port) => locked(port).flush(),
            Self::Remote(_) => Ok(()),
        }
    }
}

impl Source {
    /// How many bytes came that were not read yet, as far as can be told.
    pub(super) fn waiting(&self) -> u32 {
        match self {
            Self::Serial(port) => port.bytes_to_read().unwrap_or(0),
            Self::Remote(source) => source.waiting(),
        }
    }
}

impl Read for Source {
    /// An error of the kind [`io::ErrorKind::TimedOut`] says that nothing came meanwhile.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Serial(port) => port.read(buffer),
            Self::Remote(source) => source.read(buffer),
        }
    }
}
