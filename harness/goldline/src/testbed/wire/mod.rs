//! The bench's network in user space: Ethernet frames of one unit on a socket, and the services of its run
//! behind them. Nobody needs to be root, and nothing of the machine's own network is touched.
//!
//! ```text
//! unit's stack ── frames ── link ── gateway ┬ ARP, DHCP, DNS, ping: answered here
//!                                           ├ datagrams ── Network::exchange
//!                                           └ TCP (smoltcp) ── carrier ── Network::connect ── service
//! ```
//!
//! - [`link`]: frames over a stream as QEMU sends them, or over a TAP;
//! - `gateway`: one task for each unit, which looks at each frame before the stack does;
//! - `frame`, `dhcp`, and the testbed's `dns`: from bytes to bytes, with no state;
//! - `pace`: what of a flood is taken;
//! - `stack`, `stream`: one smoltcp interface for each unit; a socket as a stream of bytes;
//! - `carrier`: a task for each connection. The SYN is answered when the service took the connection.
//!
//! Every unit sees the same network: 10.77.0.1 is gateway and DNS server, its own address is in 10.77.0.0/16,
//! and names lead to 192.0.2.0/24. The services see 127.77.x.y in place of 10.77.x.y. Who a unit is, its link
//! says: every station on it is the run's unit, whatever MAC its frames carry. A link is trusted as a cable
//! is: whoever holds its other end reaches what the run's unit reaches, and nothing else.
//!
//! A unit that floods, half-opens, sends garbage or dies harms itself alone: its frames, sockets, addresses
//! and log lines are bounded, and no state is shared with another unit's gateway. Must not know what is said
//! on a connection, nor what the run wants to prove.

mod carrier;
mod dhcp;
pub(super) mod frame;
mod gateway;
pub mod link;
mod pace;
mod stack;
mod stream;

use std::{
    io,
    net::SocketAddr,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use carrier::Kept;
use gateway::Gateway;
use link::FrameLink;

use super::network::Segment;

/// What the services see of a unit whose link ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Loss {
    /// Its connections are reset, as by a system that ends a process.
    #[default]
    Reset,
    /// Nothing more is heard of it, as after a power cut, as long as the run lasts.
    Silence,
}

/// Where one unit's link comes in. Everything on it ends when this is dropped.
#[derive(Debug)]
pub struct Wire {
    socket: Arc<Socket>,
    listening: Mutex<Option<AbortOnDropHandle<()>>>,
    runtime: Handle,
}

#[derive(Debug)]
struct Socket {
    network: watch::Sender<Option<Arc<Segment>>>,
    loss: Mutex<Loss>,
    attached: Mutex<Option<Attached>>,
    kept: Kept,
}

/// A link that is served, or was.
#[derive(Debug)]
struct Attached {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(attached) = self.socket.attached().take() {
            attached.stop.cancel();
        }
    }
}

impl Wire {
    /// With no link yet, and no network. Needs a tokio runtime.
    pub fn new() -> Self {
        let socket = Socket {
            network: watch::Sender::new(None),
            loss: Mutex::default(),
            attached: Mutex::default(),
            kept: Kept::default(),
        };
        let runtime = Handle::current();
        Self { socket: Arc::new(socket), listening: Mutex::default(), runtime }
    }

    /// Sets up the network around the unit; what came over its link before is lost.
    pub fn surround(&self, segment: Arc<Segment>) {
        self.socket.network.send_replace(Some(segment));
    }

    /// What the services are to see when a link ends.
    pub fn on_loss(&self, loss: Loss) {
        *self.socket.loss.lock().unwrap_or_else(PoisonError::into_inner) = loss;
    }

    /// Serves a link; an earlier one ends first.
    pub fn attach(&self, link: FrameLink) {
        let _entered = self.runtime.enter();
        self.socket.attach(link);
    }

    /// Serves frames that somebody else tells apart from those of other stations; as [`Self::attach`].
    pub(super) fn attach_through(
        &self,
        incoming: mpsc::Receiver<Vec<u8>>,
        outgoing: mpsc::Sender<Vec<u8>>,
    ) {
        let _entered = self.runtime.enter();
        self.socket.attach(FrameLink::through(incoming, outgoing));
    }

    /// A new link, and the unit's end of it, which an emulator inherits; an earlier link ends first. What is
    /// written there is each frame behind its length, as four bytes, big-endian.
    ///
    /// # Errors
    /// The operating system's own.
    pub fn plug(&self) -> io::Result<OwnedFd> {
        let _entered = self.runtime.enter();
        let (unit, bench) = UnixStream::pair()?;
        bench.set_nonblocking(true)?;
        self.attach(FrameLink::framed(tokio::net::UnixStream::from_std(bench)?));
        Ok(unit.into())
    }

    /// Takes the unit's link as a TCP connection: one at a time, a new one when the one before has ended.
    /// Says where it listens.
    ///
    /// # Errors
    /// The operating system's own.
    pub fn listen(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let _entered = self.runtime.enter();
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let task = tokio::spawn(accept(listener, Arc::clone(&self.socket)));
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        *listening = Some(AbortOnDropHandle::new(task));
        Ok(address)
    }
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

async fn accept(listener: TcpListener, socket: Arc<Socket>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, as a rule; it passes.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        // A second one hears at once that the place is taken.
        if socket.is_taken() {
            continue;
        }
        // Only a matter of speed.
        let _nodelay = stream.set_nodelay(true);
        socket.attach(FrameLink::framed(stream));
    }
}

impl Socket {
    fn attached(&self) -> MutexGuard<'_, Option<Attached>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_taken(&self) -> bool {
        self.attached().as_ref().is_some_and(|attached| !attached.task.is_finished())
    }

    fn attach(self: &Arc<Self>, link: FrameLink) {
        let mut attached = self.attached();
        let before = attached.take();
        if let Some(before) = &before {
            before.stop.cancel();
        }
        let stop = CancellationToken::new();
        let gateway = Gateway::new(link, self.network.subscribe(), self.kept.clone());
        let (token, socket) = (stop.clone(), Arc::downgrade(self));
        let loss = move || {
            let socket = socket.upgrade();
            socket.map(|socket| *socket.loss.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let task = tokio::spawn(async move {
            // What the unit had before is gone before it comes again.
            if let Some(before) = before {
                let _ended = before.task.await;
            }
            gateway.run(token, move || loss().unwrap_or_default()).await;
        });
        *attached = Some(Attached { stop, task });
    }
}

/// Where a stack begins to count.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    // Only units of the bench itself could profit from knowing it.
    let _as_is = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
