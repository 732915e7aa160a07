//! A unit's TCP/IP stack at the other end of a link: smoltcp, as much firmware has it.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddrV4},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::{dhcpv4, dns, tcp, udp},
    time::Instant as Moment,
    wire::{DnsQueryType, EthernetAddress, HardwareAddress, IpAddress, IpCidr, Ipv4Cidr},
};

use super::super::bench::PATIENCE;

/// What an emulated access point writes into both addresses of every frame.
pub const ACCESS_POINT: [u8; 6] = [0x10, 0x01, 0x00, 0xC4, 0x0A, 0x56];

/// Frames on a stream, each behind its length.
pub struct Frames {
    stream: UnixStream,
    arriving: mpsc::Receiver<Vec<u8>>,
    received: VecDeque<Vec<u8>>,
    access_point: Option<[u8; 6]>,
    /// Everything that arrived, when somebody asked for it.
    pub seen: Option<Vec<Vec<u8>>>,
}

/// A unit on a link.
pub struct Peer {
    pub frames: Frames,
    interface: Interface,
    pub sockets: SocketSet<'static>,
    next_port: u16,
}

/// What DHCP gave.
#[derive(PartialEq, Eq, Debug)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub mask: u8,
    pub router: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
}

impl Frames {
    pub fn on(end: OwnedFd) -> Self {
        let stream = UnixStream::from(end);
        let mut reader = stream.try_clone().expect("another handle");
        let (sender, arriving) = mpsc::channel();
        thread::spawn(move || {
            let mut length = [0; 4];
            while reader.read_exact(&mut length).is_ok() {
                let mut frame = vec![0; u32::from_be_bytes(length) as usize];
                if reader.read_exact(&mut frame).is_err() || sender.send(frame).is_err() {
                    return;
                }
            }
        });
        Self { stream, arriving, received: VecDeque::new(), access_point: None, seen: None }
    }

    /// Sends a frame, if the link is still there.
    pub fn send(&mut self, frame: &[u8]) -> std::io::Result<()> {
        let mut bytes = u32::try_from(frame.len()).expect("short").to_be_bytes().to_vec();
        bytes.extend_from_slice(frame);
        if let Some(access_point) = self.access_point {
            bytes[4..10].copy_from_slice(&access_point);
            bytes[10..16].copy_from_slice(&access_point);
        }
        self.stream.write_all(&bytes)
    }

    /// Sends what is no frame.
    pub fn send_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next frame that arrives within that time; none also when the link has ended.
    pub fn next(&mut self, within: Duration) -> Option<Vec<u8>> {
        self.arriving.recv_timeout(within).ok()
    }

    /// Whether the bench ended the link.
    pub fn has_ended(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            match self.arriving.recv_timeout(Duration::from_millis(50)) {
                Err(RecvTimeoutError::Disconnected) => return true,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
        false
    }
}

impl Peer {
    pub fn on(end: OwnedFd, mac: [u8; 6]) -> Self {
        Self::with(Frames::on(end), mac)
    }

    /// Behind an emulated access point, which writes its own address over the unit's.
    pub fn behind_access_point(end: OwnedFd, mac: [u8; 6]) -> Self {
        let mut frames = Frames::on(end);
        frames.access_point = Some(ACCESS_POINT);
        Self::with(frames, mac)
    }

    fn with(mut frames: Frames, mac: [u8; 6]) -> Self {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
        config.random_seed = u64::from_le_bytes(
            uuid::Uuid::new_v4().as_bytes()[..8].try_into().expect("eight bytes"),
        );
        let interface = Interface::new(config, &mut frames, Moment::now());
        let sockets = SocketSet::new(Vec::new());
        Self { frames, interface, sockets, next_port: 49_152 }
    }

    /// Lets the stack work until something is found.
    pub fn until<T>(
        &mut self,
        what: &str,
        mut find: impl FnMut(&mut SocketSet<'static>) -> Option<T>,
    ) -> T {
        let began = Instant::now();
        loop {
            self.turn(Duration::from_millis(2));
            if let Some(found) = find(&mut self.sockets) {
                self.turn(Duration::ZERO);
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        }
    }

    /// Lets the stack work for a while.
    pub fn work_for(&mut self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            self.turn(Duration::from_millis(2));
        }
    }

    pub fn turn(&mut self, wait: Duration) {
        self.interface.poll(Moment::now(), &mut self.frames, &mut self.sockets);
        let idle = self.interface.poll_delay(Moment::now(), &self.sockets);
        let idle = idle.map_or(wait, |idle| Duration::from_micros(idle.total_micros()).min(wait));
        if let Some(frame) = self.frames.next(idle) {
            self.frames.take(frame);
        }
        while let Ok(frame) = self.frames.arriving.try_recv() {
            self.frames.take(frame);
        }
        self.interface.poll(Moment::now(), &mut self.frames, &mut self.sockets);
    }

    /// Gets an address, and keeps it.
    pub fn join(&mut self) -> Lease {
        let handle = self.sockets.add(dhcpv4::Socket::new());
        let lease = self.until("an address", |sockets| {
            let socket = sockets.get_mut::<dhcpv4::Socket<'_>>(handle);
            match socket.poll() {
                Some(dhcpv4::Event::Configured(config)) => Some(Lease {
                    address: config.address.address(),
                    mask: config.address.prefix_len(),
                    router: config.router,
                    dns: config.dns_servers.to_vec(),
                }),
                _ => None,
            }
        });
        self.sockets.remove(handle);
        self.have(lease.address, lease.mask, lease.router.expect("a way out"));
        lease
    }

    /// Has an address that nobody gave it.
    pub fn have(&mut self, address: Ipv4Addr, mask: u8, router: Ipv4Addr) {
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            let own = IpCidr::Ipv4(Ipv4Cidr::new(address, mask));
            addresses.push(own).expect("there is room for one");
        });
        self.interface.routes_mut().add_default_ipv4_route(router).expect("there is room");
    }

    /// What a name leads to.
    pub fn resolve(&mut self, name: &str, server: Ipv4Addr) -> Option<Ipv4Addr> {
        let socket = dns::Socket::new(&[IpAddress::Ipv4(server)], vec![]);
        let handle = self.sockets.add(socket);
        let socket = self.sockets.get_mut::<dns::Socket<'_>>(handle);
        let query =
            socket.start_query(self.interface.context(), name, DnsQueryType::A).expect("a name");
        let answer = self.until("an answer", |sockets| {
            let socket = sockets.get_mut::<dns::Socket<'_>>(handle);
            match socket.get_query_result(query) {
                Ok(addresses) => Some(addresses.first().copied()),
                Err(dns::GetQueryResultError::Pending) => None,
                Err(dns::GetQueryResultError::Failed) => Some(None),
            }
        });
        self.sockets.remove(handle);
        answer.map(|IpAddress::Ipv4(address)| address)
    }

    /// Sends a datagram and waits for the answer to it.
    pub fn ask(&mut self, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(self.port()).expect("a free port");
        socket.send_slice(payload, (*to.ip(), to.port())).expect("there is room");
        let handle = self.sockets.add(socket);
        let answer = self.until("an answer", |sockets| {
            let socket = sockets.get_mut::<udp::Socket<'_>>(handle);
            socket.recv().ok().map(|(answer, _)| answer.to_vec())
        });
        self.sockets.remove(handle);
        answer
    }

    /// Begins a connection.
    pub fn begin(&mut self, to: SocketAddrV4) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 16 << 10]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket
            .connect(self.interface.context(), (*to.ip(), to.port()), self.next_port)
            .expect("it begins");
        self.next_port = self.next_port.checked_add(1).unwrap_or(49_152);
        self.sockets.add(socket)
    }

    fn port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = self.next_port.checked_add(1).unwrap_or(49_152);
        port
    }

    /// Whether a connection came about.
    pub fn is_connected(&mut self, handle: SocketHandle) -> bool {
        self.until("a decision", |sockets| match sockets.get::<tcp::Socket<'_>>(handle).state() {
            tcp::State::SynSent | tcp::State::SynReceived => None,
            tcp::State::Closed => Some(false),
            _ => Some(true),
        })
    }

    pub fn connect(&mut self, to: SocketAddrV4) -> SocketHandle {
        let handle = self.begin(to);
        assert!(self.is_connected(handle), "{to} takes connections");
        handle
    }

    /// Connects, and hears one byte: the service has it.
    pub fn connect_and_hear(&mut self, to: SocketAddrV4) {
        let handle = self.connect(to);
        self.until("a greeting", |sockets| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
            (socket.recv_slice(&mut [0]).expect("it is open") > 0).then_some(())
        });
    }

    pub fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Sends all of it and closes this way, then reads until the other side has closed its own.
    pub fn converse(&mut self, handle: SocketHandle, say: &[u8]) -> Vec<u8> {
        let (mut said, mut heard) = (0, Vec::new());
        self.until("the end of a conversation", |sockets| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
            if said < say.len() {
                said += socket.send_slice(&say[said..]).expect("it takes more");
                if said == say.len() {
                    socket.close();
                }
            }
            loop {
                let mut piece = [0; 8192];
                match socket.recv_slice(&mut piece) {
                    Ok(0) => return None,
                    Ok(length) => heard.extend_from_slice(&piece[..length]),
                    Err(tcp::RecvError::Finished) => return (said == say.len()).then_some(()),
                    Err(error) => panic!("after {} bytes: {error}", heard.len()),
                }
            }
        });
        heard
    }

    /// Says something, and waits for as many bytes.
    pub fn echo(&mut self, handle: SocketHandle, say: &[u8]) {
        let socket = self.socket(handle);
        assert_eq!(socket.send_slice(say).expect("it is open"), say.len());
        let mut heard = Vec::new();
        self.until("an echo", |sockets| {
            let mut piece = [0; 4096];
            let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
            let length = socket.recv_slice(&mut piece).expect("it is open");
            heard.extend_from_slice(&piece[..length]);
            (heard.len() >= say.len()).then_some(())
        });
        assert_eq!(heard, say);
    }
}

impl Frames {
    fn take(&mut self, frame: Vec<u8>) {
        if let Some(seen) = &mut self.seen {
            seen.push(frame.clone());
        }
        self.received.push_back(frame);
    }
}

impl Device for Frames {
    type RxToken<'a> = Received;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, _: Moment) -> Option<(Received, ToSend<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Received(frame), ToSend(self)))
    }

    fn transmit(&mut self, _: Moment) -> Option<ToSend<'_>> {
        Some(ToSend(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

pub struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

pub struct ToSend<'a>(&'a mut Frames);

impl TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let written = write(&mut frame);
        // A link that is cut takes nothing more, which is what its test is about.
        let _gone = self.0.send(&frame);
        written
    }
}
