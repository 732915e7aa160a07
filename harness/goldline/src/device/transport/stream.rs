//! A connection to a port elsewhere: TCP, or a socket of this machine's.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt},
};

use super::Allowance;

/// For each address of a host.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// So often a server is asked whose queue is full.
const LOOK: Duration = Duration::from_millis(20);
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
    pub(super) fn tcp(address: &str, allowed: &Allowance<'_>) -> io::Result<Self> {
        let stream = reach(address, allowed)?;
        stream.set_nodelay(true)?;
        notice_its_end(&stream)?;
        Ok(Self::Tcp(stream))
    }

    /// Connects to a socket of this machine's.
    pub(super) fn unix(path: &str, allowed: &Allowance<'_>) -> io::Result<Self> {
        let address = SocketAddrUnix::new(path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        loop {
            match connect(&socket, &address) {
                Ok(()) => break,
                // As many wait as the server lets wait; one that hangs takes none of them.
                Err(Errno::AGAIN) => sleep(allowed.step(LOOK)?),
                Err(error) => return Err(error.into()),
            }
        }
        let stream = UnixStream::from(socket);
        stream.set_nonblocking(false)?;
        Ok(Self::Unix(stream))
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

fn reach(address: &str, allowed: &Allowance<'_>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match connect_within(address, allowed) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Looks again and again whether it is still wanted: a host that answers nothing keeps nobody from ending.
fn connect_within(address: SocketAddr, allowed: &Allowance<'_>) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    let until = Instant::now() + CONNECT_LIMIT;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    loop {
        let slice = allowed.step(LOOK)?;
        let slice = Timespec { tv_sec: 0, tv_nsec: i64::from(slice.subsec_nanos()) };
        let mut polled = [PollFd::new(&socket, PollFlags::OUT)];
        match poll(&mut polled, Some(&slice)) {
            Ok(0) if Instant::now() < until => {}
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => break,
        }
    }
    sockopt::socket_error(&socket)??;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn notice_its_end(stream: &TcpStream) -> io::Result<()> {
    let limit = u32::try_from(UNACKNOWLEDGED_LIMIT.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, limit)?;
    sockopt::set_tcp_keepidle(stream, PROBE_PAUSE)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_PAUSE)?;
    Ok(sockopt::set_socket_keepalive(stream, true)?)
}

#[cfg(test)]
mod tests {
    use rustix::net::{bind, listen};

    use super::*;

    /// It blocked for ever, and with it the run.
    #[test]
    fn a_server_that_takes_nobody_is_left_in_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("unit");
        let socket = || {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("a socket")
        };
        let address = SocketAddrUnix::new(&path).expect("a path");
        let server = socket();
        bind(&server, &address).and_then(|()| listen(&server, 0)).expect("it listens");
        let mut waiting = Vec::new();
        loop {
            let client = socket();
            match connect(&client, &address) {
                Ok(()) => waiting.push(client),
                Err(error) => break assert_eq!(error, Errno::AGAIN),
            }
        }
        let path = path.to_str().expect("UTF-8");
        let refused = Stream::unix(path, &Allowance::new(LOOK * 3, &|| false));
        assert_eq!(refused.err().map(|error| error.kind()), Some(io::ErrorKind::TimedOut));
    }

    /// As it was: Ctrl-C waited for the host, which said nothing.
    #[test]
    fn a_host_that_says_nothing_keeps_nobody() {
        let flags = SocketFlags::CLOEXEC;
        let server = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
        let server = server.expect("a socket");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        bind(&server, &any).and_then(|()| listen(&server, 0)).expect("it listens");
        let address = rustix::net::getsockname(&server).expect("its address");
        let address = SocketAddr::try_from(address).expect("an address").to_string();
        let mut waiting = Vec::new();
        // As many as its queue takes; the next is answered nothing.
        let kind = loop {
            match Stream::tcp(&address, &Allowance::new(LOOK * 10, &|| false)) {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error.kind(),
            }
            assert!(waiting.len() < 1000, "it takes all of them");
        };
        assert_eq!(kind, io::ErrorKind::TimedOut);
        let began = Instant::now();
        let wants_no_more = || began.elapsed() > LOOK * 3;
        let given_up = Stream::tcp(&address, &Allowance::new(CONNECT_LIMIT, &wants_no_more));
        assert!(given_up.is_err() && began.elapsed() < CONNECT_LIMIT, "{:?}", began.elapsed());
    }
}
