//! A connection to a port elsewhere: TCP, or a socket of this machine's.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    time::Duration,
};

use rustix::net::sockopt;

/// For each address of a host.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A host that vanished is noticed, be it asked or not.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(20);
const PROBE_PAUSE: Duration = Duration::from_secs(5);

/// A connection.
pub(super) enum Stream {
    /// To HOST:PORT.
    Tcp(TcpStream),
    /// To a path.
    Unix(UnixStream),
}

impl Stream {
    /// Connects to the first address of a host that answers. What is written leaves at once.
    pub(super) fn tcp(address: &str) -> io::Result<Self> {
        let stream = reach(address)?;
        stream.set_nodelay(true)?;
        notice_its_end(&stream)?;
        Ok(Self::Tcp(stream))
    }

    /// Connects to a socket of this machine's.
    pub(super) fn unix(path: &str) -> io::Result<Self> {
        UnixStream::connect(path).map(Self::Unix)
    }

    /// The same connection once more, for its reader.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    /// How long a write may take.
    pub(super) fn set_write_timeout(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(Some(limit)),
            Self::Unix(stream) => stream.set_write_timeout(Some(limit)),
        }
    }

    /// How long a read may wait.
    pub(super) fn set_read_timeout(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(limit)),
            Self::Unix(stream) => stream.set_read_timeout(Some(limit)),
        }
    }

    /// Ends it, for all clones.
    pub(super) fn shutdown(&self) {
        // One that has ended already is what is wanted.
        let _ended = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn reach(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn notice_its_end(stream: &TcpStream) -> io::Result<()> {
    let limit = u32::try_from(UNACKNOWLEDGED_LIMIT.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, limit)?;
    sockopt::set_tcp_keepidle(stream, PROBE_PAUSE)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_PAUSE)?;
    Ok(sockopt::set_socket_keepalive(stream, true)?)
}
