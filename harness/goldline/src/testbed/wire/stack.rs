//! The bench's end of a link as a TCP/IP stack: one interface, and the sockets of the unit's connections.
//!
//! Must not know what a connection leads to, nor why it is there.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::tcp::{self, State},
    time::Instant,
    wire::{EthernetAddress, HardwareAddress, IpCidr},
};
use tokio::sync::Notify;

use super::{
    frame::{Ends, OWN_MAC},
    seed,
};

/// What waits in a socket each way.
const BUFFER: usize = 32 << 10;
/// What waits for the stack, and for the link. Past that a frame is lost, as on any wire.
const MOST_FRAMES: usize = 256;
/// The stack asks to be polled at once as long as it holds back an answer to a SYN.
const WHILE_HELD_BACK: Duration = Duration::from_millis(5);

/// A stack that its connections share with the task that turns it.
pub(super) struct Stack {
    locked: Mutex<Turning>,
    /// Somebody did something that the stack must be turned for.
    pub(super) changed: Notify,
}

/// A connection of a stack, never given twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct SocketId(u64);

pub(super) struct Turning {
    interface: Interface,
    sockets: SocketSet<'static>,
    open: HashMap<SocketId, SocketHandle>,
    frames: Frames,
    next: u64,
}

#[derive(Default)]
struct Frames {
    received: VecDeque<Vec<u8>>,
    to_send: VecDeque<Vec<u8>>,
}

impl Stack {
    pub(super) fn new(gateway: std::net::Ipv4Addr) -> Self {
        let mut frames = Frames::default();
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(OWN_MAC)));
        config.random_seed = seed();
        let mut interface = Interface::new(config, &mut frames, now());
        interface.update_ip_addrs(|addresses| {
            // The prefix of everything: a unit may have brought an address of its own.
            let own = IpCidr::new(gateway.into(), 0);
            addresses.push(own).expect("there is room for one");
        });
        // Every address that a unit connects to is the bench.
        interface.set_any_ip(true);
        let turning = Turning {
            interface,
            sockets: SocketSet::new(Vec::new()),
            open: HashMap::new(),
            frames,
            next: 0,
        };
        Self { locked: Mutex::new(turning), changed: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Turning> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with a socket, if it is still there, and has the stack turned for it.
    pub(super) fn with<T>(
        &self,
        id: SocketId,
        act: impl FnOnce(&mut tcp::Socket<'static>) -> T,
    ) -> Option<T> {
        let done = self.lock().socket(id).map(act);
        self.changed.notify_one();
        done
    }
}

impl Turning {
    /// A frame for the stack.
    pub(super) fn receive(&mut self, frame: Vec<u8>) {
        if self.frames.received.len() < MOST_FRAMES {
            self.frames.received.push_back(frame);
        }
    }

    /// A frame for the unit that the stack did not make.
    pub(super) fn send(&mut self, frame: Vec<u8>) {
        if self.frames.to_send.len() < MOST_FRAMES {
            self.frames.to_send.push_back(frame);
        }
    }

    /// The next frame for the unit.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        self.frames.to_send.pop_front()
    }

    /// One that the link did not take yet.
    pub(super) fn put_back(&mut self, frame: Vec<u8>) {
        self.frames.to_send.push_front(frame);
    }

    pub(super) fn has_frames(&self) -> bool {
        !self.frames.to_send.is_empty()
    }

    /// Lets the stack do what it can; says how long it has nothing to do then by itself.
    pub(super) fn turn(&mut self) -> Option<Duration> {
        let now = now();
        self.interface.poll(now, &mut self.frames, &mut self.sockets);
        let wait = self.interface.poll_delay(now, &self.sockets)?;
        let held_back = self.sockets.iter().any(|(_, socket)| {
            let smoltcp::socket::Socket::Tcp(socket) = socket else { return false };
            socket.state() == State::SynReceived
        });
        let wait = Duration::from_micros(wait.total_micros());
        Some(if held_back { wait.max(WHILE_HELD_BACK) } else { wait })
    }

    /// Lets a connection begin with this SYN, without an answer to it yet; none when it is no sound one.
    pub(super) fn begin(&mut self, ends: Ends, syn: Vec<u8>) -> Option<SocketId> {
        // Two sockets that wait on one port would take each other's first segment; one that was reset before
        // its handshake ended waits again.
        self.turn();
        for (_, socket) in self.sockets.iter_mut() {
            if let smoltcp::socket::Socket::Tcp(socket) = socket
                && socket.is_listening()
            {
                socket.abort();
            }
        }
        if !self.frames.received.is_empty() {
            return None;
        }
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        // Not yet: whether something listens there is asked first. No timeout either: the stack would end
        // an idle connection, as no service here does.
        socket.pause_synack(true);
        socket.listen((*ends.to.ip(), ends.to.port())).ok()?;
        let handle = self.sockets.add(socket);
        self.receive(syn);
        self.turn();
        self.frames.received.clear();
        let socket = self.sockets.get::<tcp::Socket<'_>>(handle);
        if socket.state() != State::SynReceived {
            self.sockets.remove(handle);
            return None;
        }
        let id = SocketId(self.next);
        self.next += 1;
        self.open.insert(id, handle);
        Some(id)
    }

    pub(super) fn socket(&mut self, id: SocketId) -> Option<&mut tcp::Socket<'static>> {
        let handle = *self.open.get(&id)?;
        Some(self.sockets.get_mut(handle))
    }

    /// Whether the unit has not ended its handshake.
    pub(super) fn is_half_open(&mut self, id: SocketId) -> bool {
        self.socket(id).is_some_and(|socket| socket.state() == State::SynReceived)
    }

    /// Whether nothing is left to be said on it.
    pub(super) fn is_over(&mut self, id: SocketId) -> bool {
        self.socket(id).is_none_or(|socket| match socket.state() {
            State::TimeWait | State::Listen => true,
            // A reset that is still to be sent has its remote end.
            State::Closed => socket.remote_endpoint().is_none(),
            _ => false,
        })
    }

    /// Forgets it; whoever waits on it is woken.
    pub(super) fn remove(&mut self, id: SocketId) {
        if let Some(handle) = self.open.remove(&id) {
            self.sockets.get_mut::<tcp::Socket<'_>>(handle).abort();
            self.sockets.remove(handle);
        }
    }
}

fn now() -> Instant {
    Instant::now()
}

impl Device for Frames {
    type RxToken<'a> = Received;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, ToSend<'_>)> {
        if self.to_send.len() >= MOST_FRAMES {
            return None;
        }
        let frame = self.received.pop_front()?;
        Some((Received(frame), ToSend(&mut self.to_send)))
    }

    fn transmit(&mut self, _: Instant) -> Option<ToSend<'_>> {
        (self.to_send.len() < MOST_FRAMES).then_some(ToSend(&mut self.to_send))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        // Packets of this machine's own kernel have none yet when they come over a link: a card would add it.
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities.checksum.udp = Checksum::Tx;
        capabilities
    }
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

struct ToSend<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let written = write(&mut frame);
        self.0.push_back(frame);
        written
    }
}
