//! What listens on this machine's loopback for a guest behind NAT, and carries it to the services of its run.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket as StdUdpSocket},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    task::spawn_blocking,
};
use tokio_util::task::AbortOnDropHandle;

use super::{GATEWAY, owner};
use crate::{
    identity::Mac,
    testbed::{
        dns,
        network::{Network, Party, Segment},
    },
};

/// What the guest has of the emulator's DHCP server.
const GUEST: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 2);
/// Connections, and datagrams that wait for an answer, at once.
const MOST_AT_ONCE: usize = 256;
/// How long a service is given for its answer to a datagram.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// What one packet of a datagram holds.
const LONGEST_DATAGRAM: usize = 1500;

/// What is behind the fronts of one run. Cheap to clone: all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Behind {
    segment: Arc<Segment>,
    guest: Arc<Mutex<Guest>>,
    room: Arc<Semaphore>,
}

/// Whose sockets are the guest's.
#[derive(Debug, Default)]
struct Guest {
    /// Leader of the emulator's process group.
    leader: Option<u32>,
    mac: [u8; 6],
    joined: bool,
}

impl Behind {
    pub(super) fn new(segment: Arc<Segment>) -> Self {
        Self { segment, guest: Arc::default(), room: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }

    pub(super) fn segment(&self) -> &Segment {
        &self.segment
    }

    pub(super) fn attach(&self, leader: u32, mac: Mac) {
        let before = std::mem::replace(
            &mut *self.guest(),
            Guest { leader: Some(leader), mac: mac.0, joined: false },
        );
        if before.joined {
            self.segment.leave(before.mac);
        }
    }

    /// Whether the guest would be known by its sockets.
    pub(super) fn sees(&self) -> Result<(), String> {
        match self.guest().leader {
            Some(leader) if !owner::is_told(leader) => Err(format!(
                "nobody tells which sockets process {leader} has, so the guest is not known from others: the emulator must be an ordinary program of this user's, without capabilities (setcap), on Linux"
            )),
            _ => Ok(()),
        }
    }

    /// Whether the guest's emulator has that end of a connection or a socket; then the guest is joined.
    fn admits(&self, kind: owner::Kind, peer: SocketAddr) -> bool {
        let mut guest = self.guest();
        let Some(leader) = guest.leader else { return false };
        if !owner::holds(leader, kind, peer) {
            tracing::info!(%peer, "turned away from a guest's port: no socket of its emulator");
            return false;
        }
        if !guest.joined {
            guest.joined = self.segment.plug_in(guest.mac, Some(GUEST)).is_ok();
        }
        guest.joined
    }

    async fn let_in(&self, kind: owner::Kind, peer: SocketAddr) -> bool {
        let behind = self.clone();
        spawn_blocking(move || behind.admits(kind, peer)).await.unwrap_or(false)
    }

    fn guest(&self) -> MutexGuard<'_, Guest> {
        self.guest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens at a port of 127.0.0.1. Needs a tokio runtime.
pub(super) fn take_connections(port: u16, behind: Behind) -> io::Result<AbortOnDropHandle<()>> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let task = tokio::spawn(async move {
        // What is carried ends with the front.
        let mut carried = tokio::task::JoinSet::new();
        loop {
            while carried.try_join_next().is_some() {}
            let Ok(room) = Arc::clone(&behind.room).acquire_owned().await else { return };
            let Ok((stream, peer)) = listener.accept().await else {
                // Out of descriptors, as a rule; it passes.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let behind = behind.clone();
            carried.spawn(async move {
                carry(stream, peer, port, behind).await;
                drop(room);
            });
        }
    });
    Ok(AbortOnDropHandle::new(task))
}

async fn carry(mut guest: TcpStream, peer: SocketAddr, port: u16, behind: Behind) {
    let opened = match behind
        .let_in(owner::Kind::Connection((Ipv4Addr::LOCALHOST, port).into()), peer)
        .await
    {
        true => open(port, &behind).await,
        false => None,
    };
    let Some(mut service) = opened else {
        // The guest hears of a reset, as from a port where nothing listens.
        let _deaf = guest.set_zero_linger();
        return;
    };
    for stream in [&guest, &service] {
        // Only a matter of speed.
        let _nodelay = stream.set_nodelay(true);
    }
    if copy_bidirectional(&mut guest, &mut service).await.is_err() {
        for stream in [guest, service] {
            let _reset = stream.set_zero_linger();
        }
    }
}

async fn open(port: u16, behind: &Behind) -> Option<TcpStream> {
    let segment = Arc::clone(&behind.segment);
    let to = SocketAddr::from((GATEWAY, port));
    let opened = spawn_blocking(move || segment.connect(GUEST, to, Party::Unit)).await;
    let service = opened.ok()?.ok()?;
    service.set_nonblocking(true).ok()?;
    TcpStream::from_std(service).ok()
}

/// Takes datagrams at a port of 127.0.0.1. Needs a tokio runtime.
pub(super) fn take_datagrams(port: u16, behind: Behind) -> io::Result<AbortOnDropHandle<()>> {
    serve((Ipv4Addr::LOCALHOST, port), behind, move |behind, payload| {
        let to = SocketAddr::from((GATEWAY, port));
        behind.segment.exchange(GUEST, to, Party::Unit, payload, ANSWER_WITHIN).ok()
    })
}

/// Answers DNS at an address of loopback that nobody else has, and says which. Needs a tokio runtime.
pub(super) fn answer_names(behind: &Behind) -> (Ipv4Addr, io::Result<AbortOnDropHandle<()>>) {
    const DNS: u16 = 53;
    // Runs of other processes choose theirs in the same way.
    const TRIES: usize = 16;
    let answer = |behind: &Behind, payload: &[u8]| dns::answer_of(&behind.segment, GUEST, payload);
    let mut tried = 1;
    loop {
        let mut random = [0; 2];
        // Any address will do, this one too.
        let _as_is = getrandom::fill(&mut random);
        let at = Ipv4Addr::new(127, 78, random[0], random[1].max(1));
        match serve((at, DNS), behind.clone(), answer) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tried < TRIES => tried += 1,
            served => return (at, served),
        }
    }
}

/// Gives each datagram of the guest its answer, if there is one; `answer` may block.
fn serve(
    at: (Ipv4Addr, u16),
    behind: Behind,
    answer: impl Fn(&Behind, &[u8]) -> Option<Vec<u8>> + Clone + Send + 'static,
) -> io::Result<AbortOnDropHandle<()>> {
    let socket = StdUdpSocket::bind(at)?;
    socket.set_nonblocking(true)?;
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    let task = tokio::spawn(async move {
        let mut asked = tokio::task::JoinSet::new();
        let mut buffer = [0; LONGEST_DATAGRAM];
        loop {
            while asked.try_join_next().is_some() {}
            let Ok(room) = Arc::clone(&behind.room).acquire_owned().await else { return };
            // An error is that of an answer which found nobody.
            let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
            let payload = buffer[..length].to_vec();
            let (behind, answer, socket) = (behind.clone(), answer.clone(), Arc::clone(&socket));
            asked.spawn(async move {
                if behind.let_in(owner::Kind::Datagrams, peer).await {
                    let answered = spawn_blocking(move || answer(&behind, &payload)).await;
                    if let Ok(Some(answered)) = answered {
                        // Whoever asked may be gone.
                        let _sent = socket.send_to(&answered, peer).await;
                    }
                }
                drop(room);
            });
        }
    });
    Ok(AbortOnDropHandle::new(task))
}
