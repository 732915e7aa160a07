//! Who opened a connection to a service of the bench, known before it is opened.
//!
//! A network opens the connections of its units itself and announces each by both of its ends; a
//! service asks at its door whose it is. An address alone proves nothing: every user of the machine
//! can take any of 127.0.0.0/8. Must not know what is said on a connection.

use std::{
    collections::HashMap,
    fmt, io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, socket_with,
};

/// What fits one packet of Ethernet.
const LONGEST_DATAGRAM: usize = 1500;

/// A run that borrows the bench, for as long as it lasts. Never given twice in a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Borrower(u64);

impl Borrower {
    /// One that nobody was before.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Default for Borrower {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Borrower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}", self.0)
    }
}

/// Who opened a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Caller {
    /// The unit of a run.
    Unit(Borrower),
    /// The bench itself, for a run.
    Bench(Borrower),
    /// A station on an interface of the bench that is no run's unit.
    Guest,
    /// Whoever came over a site's network: who it is, it has still to say.
    Visitor,
    /// Anybody else on the machine.
    Stranger,
}

impl Caller {
    /// The run that it belongs to.
    pub fn borrower(self) -> Option<Borrower> {
        match self {
            Self::Unit(borrower) | Self::Bench(borrower) => Some(borrower),
            Self::Guest | Self::Visitor | Self::Stranger => None,
        }
    }

    /// Whether it is the unit of a run.
    pub fn is_unit(self) -> bool {
        matches!(self, Self::Unit(_))
    }
}

/// A connection from a site's network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visit {
    /// Where it comes from, as this machine sees it: behind one address there may be all units of a line.
    pub from: SocketAddr,
    /// Where it arrived, by the address that units know.
    pub to: SocketAddr,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Who {
    /// Its end.
    pub peer: SocketAddr,
    /// Who opened it.
    pub caller: Caller,
}

/// The two ends of a connection, as the service sees them.
type Ends = (SocketAddr, SocketAddr);

/// The connections that were announced and not yet met at a door. Cheap to clone: all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Callers(Arc<Mutex<HashMap<Ends, Announcement>>>);

/// Who opened a connection, and of a visitor where it came from.
type Announcement = (Caller, Option<Visit>);

impl Callers {
    /// Opens a connection from an address of loopback, announced before the service can see it. Blocks
    /// until the listener accepts or refuses, which on loopback is at once.
    ///
    /// # Errors
    /// The operating system's own.
    pub fn connect(
        &self,
        from: Ipv4Addr,
        service: SocketAddr,
        caller: Caller,
    ) -> io::Result<TcpStream> {
        self.open(from, service, (caller, None))
    }

    /// Opens the connection that a visitor is carried to a service over. Blocks as [`Self::connect`].
    ///
    /// # Errors
    /// The operating system's own.
    pub fn usher(&self, service: SocketAddr, visit: Visit) -> io::Result<TcpStream> {
        self.open(Ipv4Addr::LOCALHOST, service, (Caller::Visitor, Some(visit)))
    }

    fn open(
        &self,
        from: Ipv4Addr,
        service: SocketAddr,
        who: Announcement,
    ) -> io::Result<TcpStream> {
        // The standard library cannot bind before it connects.
        let socket =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrV4::new(from, 0))?;
        let own = SocketAddr::try_from(getsockname(&socket)?)?;
        let announced = self.announce((own, service), who);
        connect(&socket, &service)?;
        // The door has still to ask; the system gives these two ends to nobody else until then.
        announced.stand();
        Ok(TcpStream::from(socket))
    }

    /// Sends one datagram, announced, and waits for one answer; blocks.
    ///
    /// # Errors
    /// `TimedOut` when nothing answers, and the operating system's own.
    pub fn ask(
        &self,
        from: Ipv4Addr,
        service: SocketAddr,
        caller: Caller,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        let socket = UdpSocket::bind(SocketAddrV4::new(from, 0))?;
        let _announced = self.announce((socket.local_addr()?, service), (caller, None));
        socket.connect(service)?;
        socket.set_read_timeout(Some(limit.max(Duration::from_millis(1))))?;
        socket.send(datagram)?;
        let mut answer = vec![0; LONGEST_DATAGRAM];
        let length = socket.recv(&mut answer).map_err(|error| match error.kind() {
            // Loopback tells of a socket that is gone, which a station does not hear.
            io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused => {
                io::ErrorKind::TimedOut.into()
            }
            _ => error,
        })?;
        answer.truncate(length);
        Ok(answer)
    }

    /// Whose connection this is, asked once by the service that accepted it.
    pub fn claim(&self, peer: SocketAddr, service: SocketAddr) -> Caller {
        self.claim_visit(peer, service).0
    }

    /// As [`Self::claim`], and where a visitor came from.
    pub fn claim_visit(&self, peer: SocketAddr, service: SocketAddr) -> Announcement {
        self.announced().remove(&(peer, service)).unwrap_or((Caller::Stranger, None))
    }

    /// Whose datagram this is; its sender waits for the answer, and is known until then.
    pub fn asks(&self, peer: SocketAddr, service: SocketAddr) -> Caller {
        self.announced().get(&(peer, service)).map_or(Caller::Stranger, |(caller, _)| *caller)
    }

    fn announce(&self, ends: Ends, who: Announcement) -> Announced {
        self.announced().insert(ends, who);
        Announced { callers: self.clone(), ends: Some(ends) }
    }

    fn announced(&self) -> MutexGuard<'_, HashMap<Ends, Announcement>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes an announcement back, unless it is to stand.
struct Announced {
    callers: Callers,
    ends: Option<Ends>,
}

impl Announced {
    fn stand(mut self) {
        self.ends = None;
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if let Some(ends) = self.ends {
            self.callers.announced().remove(&ends);
        }
    }
}
