//! The unit's stack while it is on the network: its address, and all that the firmware has open.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::{dhcpv4, dns, tcp, udp};
use smoltcp::time::{Duration as StackDuration, Instant as StackInstant};
use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr,
    DnsQueryType, EthernetAddress, HardwareAddress, IpAddress, IpCidr, IpEndpoint, Ipv4Address,
    Ipv4Cidr,
};

use super::device::Device;
use super::relay::Relay;
use crate::world::{Link, Refusal};

/// Where an answer is waited for; one that nobody waits for any more is dropped.
pub(super) type Reply<T> = SyncSender<T>;

/// How long the firmware waits until the link stands, as for an access point that is not heard.
const LINK_LIMIT: Duration = Duration::from_secs(3);
/// As lwIP's and ESP-IDF's own limits, rounded.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
const LOOKUP_LIMIT: Duration = Duration::from_secs(8);
/// How long what is said at the end may take.
const FAREWELL_LIMIT: Duration = Duration::from_millis(300);
const BUFFER: usize = 0x1_0000;
const DATAGRAMS: usize = 4;
const LONGEST_DATAGRAM: usize = 1472;
/// Sockets that still wait out their end; the oldest goes when there are more.
const CLOSING: usize = 64;
const FIRST_PORT: u16 = 49_152;
/// Rounds in which the stack and the firmware feed each other before others get their turn.
const ROUNDS: usize = 16;
/// What ESP-IDF calls a station unless told otherwise.
const HOST_NAME: &[DhcpOption<'_>] = &[DhcpOption { kind: 12, data: b"espressif" }];
/// What a unit without a radio is told of one: a signal in the middle of what a link can have.
const NO_SIGNAL: (u8, i8) = (1, -50);

/// A station on the wire.
pub(super) struct Station {
    mac: EthernetAddress,
    interface: Interface,
    sockets: SocketSet<'static>,
    dhcp: SocketHandle,
    dns: SocketHandle,
    began: Instant,
    lease: Option<Lease>,
    asked: Option<Asked>,
    lookups: Vec<Lookup>,
    dials: Vec<Dial>,
    exchanges: Vec<Exchange>,
    relays: Vec<Relay>,
    closing: VecDeque<SocketHandle>,
    next_port: u16,
    leaving: Option<Farewell>,
}

/// What a DHCP server gave.
#[derive(Clone, Copy)]
struct Lease {
    address: Ipv4Cidr,
    router: Option<Ipv4Address>,
    server: Ipv4Address,
}

struct Asked {
    reply: Reply<Result<Link, Refusal>>,
    link_by: Instant,
    lease_by: Instant,
}

struct Lookup {
    query: dns::QueryHandle,
    reply: Reply<Option<IpAddr>>,
    until: Instant,
}

struct Dial {
    handle: SocketHandle,
    reply: Reply<io::Result<UnixStream>>,
    until: Instant,
}

struct Exchange {
    handle: SocketHandle,
    peer: IpEndpoint,
    reply: Reply<io::Result<Vec<u8>>>,
    until: Instant,
}

struct Farewell {
    release: Option<SocketHandle>,
    until: Instant,
}

impl Station {
    /// Begins to ask for an address, which the firmware hears of within `patience`.
    pub(super) fn new(
        mac: [u8; 6],
        device: &mut Device,
        reply: Reply<Result<Link, Refusal>>,
        patience: Duration,
    ) -> Self {
        let began = Instant::now();
        let mac = EthernetAddress(mac);
        let random = RandomState::new().hash_one(mac.0);
        let mut config = Config::new(HardwareAddress::Ethernet(mac));
        // Numbers and ports of a life before would be taken for its own.
        config.random_seed = random;
        let interface = Interface::new(config, device, StackInstant::ZERO);
        let mut sockets = SocketSet::new(Vec::new());
        let dhcp = sockets.add(dhcp_client());
        let dns = sockets.add(dns::Socket::new(&[], Vec::new()));
        let asked = Asked { reply, link_by: began + LINK_LIMIT, lease_by: began + patience };
        Self {
            mac,
            interface,
            sockets,
            dhcp,
            dns,
            began,
            lease: None,
            asked: Some(asked),
            lookups: Vec::new(),
            dials: Vec::new(),
            exchanges: Vec::new(),
            relays: Vec::new(),
            closing: VecDeque::new(),
            next_port: FIRST_PORT | (random >> 48) as u16,
            leaving: None,
        }
    }

    /// Asks for the address of a name.
    pub(super) fn resolve(&mut self, name: &str, reply: Reply<Option<IpAddr>>) {
        let until = Instant::now() + LOOKUP_LIMIT;
        let context = self.interface.context();
        let dns = self.sockets.get_mut::<dns::Socket<'_>>(self.dns);
        let query = match self.lease {
            Some(_) => dns.start_query(context, name, DnsQueryType::A).ok(),
            None => None,
        };
        match query {
            Some(query) => self.lookups.push(Lookup { query, reply, until }),
            None => answer(&reply, None),
        }
    }

    /// Opens a connection.
    pub(super) fn connect(&mut self, to: SocketAddr, reply: Reply<io::Result<UnixStream>>) {
        let Some(peer) = self.reachable(to) else {
            return answer(&reply, Err(io::ErrorKind::NetworkUnreachable.into()));
        };
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        let port = self.port();
        match socket.connect(self.interface.context(), peer, port) {
            Ok(()) => {
                let handle = self.sockets.add(socket);
                self.dials.push(Dial { handle, reply, until: Instant::now() + CONNECT_LIMIT });
            }
            Err(_) => answer(&reply, Err(io::ErrorKind::AddrNotAvailable.into())),
        }
    }

    /// Sends a datagram and waits for one answer.
    pub(super) fn exchange(
        &mut self,
        to: SocketAddr,
        datagram: &[u8],
        limit: Duration,
        reply: Reply<io::Result<Vec<u8>>>,
    ) {
        let Some(peer) = self.reachable(to) else {
            return answer(&reply, Err(io::ErrorKind::NetworkUnreachable.into()));
        };
        let mut socket = datagrams();
        let sent = socket.bind(self.port()).is_ok() && socket.send_slice(datagram, peer).is_ok();
        if !sent {
            return answer(&reply, Err(io::ErrorKind::InvalidInput.into()));
        }
        let handle = self.sockets.add(socket);
        self.exchanges.push(Exchange { handle, peer, reply, until: Instant::now() + limit });
    }

    /// The link stands anew: whatever is there now knows nothing of the lease of before.
    pub(super) fn link_up(&mut self) {
        self.sockets.get_mut::<dhcpv4::Socket<'_>>(self.dhcp).reset();
    }

    /// Everything that was open ends, as nothing can reach its peer any more. The address goes too.
    pub(super) fn lose(&mut self) {
        let gone = || io::Error::from(io::ErrorKind::NetworkDown);
        self.end_all(gone);
        for handle in self.closing.drain(..) {
            self.sockets.remove(handle);
        }
        self.lease = None;
        self.interface.update_ip_addrs(|addresses| addresses.clear());
        self.interface.routes_mut().remove_default_ipv4_route();
        self.sockets.get_mut::<dns::Socket<'_>>(self.dns).update_servers(&[]);
        self.sockets.get_mut::<dhcpv4::Socket<'_>>(self.dhcp).reset();
    }

    /// Begins to say farewell: connections are reset, the address is given back.
    pub(super) fn leave(&mut self) {
        if let Some(asked) = self.asked.take() {
            answer(&asked.reply, Err(Refusal::LEFT));
        }
        self.end_all(|| io::ErrorKind::ConnectionAborted.into());
        let release = self.lease.map(|lease| {
            let socket = release(self.mac, lease);
            self.sockets.add(socket)
        });
        self.leaving = Some(Farewell { release, until: Instant::now() + FAREWELL_LIMIT });
    }

    /// Whether all is said, or nobody can hear it.
    pub(super) fn has_left(&self, device: &Device) -> bool {
        let Some(farewell) = &self.leaving else { return false };
        let released = farewell
            .release
            .is_none_or(|handle| self.sockets.get::<udp::Socket<'_>>(handle).send_queue() == 0);
        let said = released && self.closing.iter().all(|handle| self.is_silent(*handle));
        said || device.link.is_none() || Instant::now() >= farewell.until
    }

    /// Whether it is on its way out.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Takes what came, says what is to be said and tells the firmware; how long nothing will happen by
    /// itself.
    pub(super) fn turn(&mut self, device: &mut Device) -> Option<Duration> {
        for _ in 0..ROUNDS {
            let now = self.now();
            self.interface.poll(now, device, &mut self.sockets);
            let moved = self.take_lease() | self.pump();
            if !moved {
                break;
            }
        }
        self.finish_asking(device);
        self.finish_lookups();
        self.finish_dials();
        self.finish_exchanges();
        self.reap();
        let now = self.now();
        let stack = self.interface.poll_delay(now, &self.sockets).map(Duration::from);
        let own = self.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
        // A link that takes nothing wakes by itself when it does.
        let stack = stack.filter(|delay| !(device.is_blocked && delay.is_zero()));
        stack.into_iter().chain(own).min()
    }

    /// Ready when the firmware has something to say, or took something in.
    pub(super) fn poll_firmware(&self, cx: &mut Context<'_>) -> Poll<()> {
        let ready = self.relays.iter().any(|relay| {
            let socket = self.sockets.get::<tcp::Socket<'_>>(relay.handle);
            relay.poll_ready(socket, cx).is_ready()
        });
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    fn now(&self) -> StackInstant {
        let micros = self.began.elapsed().as_micros();
        StackInstant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
        port
    }

    /// Only IPv4, and only with an address of its own.
    fn reachable(&self, to: SocketAddr) -> Option<IpEndpoint> {
        let SocketAddr::V4(to) = to else { return None };
        self.lease.map(|_| endpoint(to))
    }

    fn is_silent(&self, handle: SocketHandle) -> bool {
        let socket = self.sockets.get::<tcp::Socket<'_>>(handle);
        socket.state() == tcp::State::Closed && socket.remote_endpoint().is_none()
    }

    fn end_all(&mut self, error: impl Fn() -> io::Error) {
        let dns = self.sockets.get_mut::<dns::Socket<'_>>(self.dns);
        for lookup in self.lookups.drain(..) {
            dns.cancel_query(lookup.query);
            answer(&lookup.reply, None);
        }
        for exchange in self.exchanges.drain(..) {
            self.sockets.remove(exchange.handle);
            answer(&exchange.reply, Err(error()));
        }
        let dialled = self.dials.drain(..).map(|dial| {
            answer(&dial.reply, Err(error()));
            dial.handle
        });
        self.closing.extend(dialled.chain(self.relays.drain(..).map(|relay| relay.handle)));
        for handle in &self.closing {
            self.sockets.get_mut::<tcp::Socket<'_>>(*handle).abort();
        }
    }

    fn take_lease(&mut self) -> bool {
        let event = self.sockets.get_mut::<dhcpv4::Socket<'_>>(self.dhcp).poll();
        match event {
            None => false,
            Some(dhcpv4::Event::Deconfigured) => {
                if self.lease.is_some() {
                    self.lose();
                }
                true
            }
            Some(dhcpv4::Event::Configured(config)) => {
                let servers: Vec<IpAddress> =
                    config.dns_servers.iter().copied().map(IpAddress::from).collect();
                let lease = Lease {
                    address: config.address,
                    router: config.router,
                    server: config.server.identifier,
                };
                self.adopt(lease, &servers);
                true
            }
        }
    }

    fn adopt(&mut self, lease: Lease, dns_servers: &[IpAddress]) {
        if self.lease.is_some_and(|had| had.address != lease.address) {
            self.end_all(|| io::ErrorKind::ConnectionAborted.into());
        }
        self.lease = Some(lease);
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            // There is room for the first.
            let _ = addresses.push(IpCidr::Ipv4(lease.address));
        });
        let routes = self.interface.routes_mut();
        match lease.router {
            // There is room for the first.
            Some(router) => drop(routes.add_default_ipv4_route(router)),
            None => drop(routes.remove_default_ipv4_route()),
        }
        self.sockets.get_mut::<dns::Socket<'_>>(self.dns).update_servers(dns_servers);
    }

    fn pump(&mut self) -> bool {
        let mut moved = false;
        for relay in &mut self.relays {
            moved |= relay.pump(self.sockets.get_mut(relay.handle));
        }
        moved
    }

    fn finish_asking(&mut self, device: &Device) {
        let now = Instant::now();
        let finished = self.asked.as_ref().and_then(|asked| match self.lease {
            Some(lease) => Some(Ok(lease.link())),
            None if device.link.is_none() && now >= asked.link_by => {
                Some(Err(Refusal::NO_AP_FOUND))
            }
            None if now >= asked.lease_by => Some(Err(Refusal::LEFT)),
            None => None,
        });
        if let Some(result) = finished
            && let Some(asked) = self.asked.take()
        {
            answer(&asked.reply, result);
        }
    }

    fn finish_lookups(&mut self) {
        let now = Instant::now();
        let dns = self.sockets.get_mut::<dns::Socket<'_>>(self.dns);
        self.lookups.retain(|lookup| {
            let found = match dns.get_query_result(lookup.query) {
                Ok(addresses) => addresses.first().copied().map(IpAddr::from),
                Err(dns::GetQueryResultError::Failed) => None,
                Err(dns::GetQueryResultError::Pending) if now < lookup.until => return true,
                Err(dns::GetQueryResultError::Pending) => {
                    dns.cancel_query(lookup.query);
                    None
                }
            };
            answer(&lookup.reply, found);
            false
        });
    }

    fn finish_dials(&mut self) {
        let now = Instant::now();
        for dial in std::mem::take(&mut self.dials) {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(dial.handle);
            let result = match socket.state() {
                tcp::State::SynSent | tcp::State::SynReceived if now < dial.until => {
                    self.dials.push(dial);
                    continue;
                }
                tcp::State::SynSent | tcp::State::SynReceived => {
                    Err(io::ErrorKind::TimedOut.into())
                }
                tcp::State::Closed => Err(io::ErrorKind::ConnectionRefused.into()),
                _ => Relay::open(dial.handle),
            };
            match result {
                // Nobody waits for it any more: the relay's end is closed, and it closes the connection.
                Ok((relay, firmware)) => {
                    self.relays.push(relay);
                    answer(&dial.reply, Ok(firmware));
                }
                Err(error) => {
                    socket.abort();
                    self.closing.push_back(dial.handle);
                    answer(&dial.reply, Err(error));
                }
            }
        }
    }

    fn finish_exchanges(&mut self) {
        let now = Instant::now();
        for exchange in std::mem::take(&mut self.exchanges) {
            let socket = self.sockets.get_mut::<udp::Socket<'_>>(exchange.handle);
            let mut answered = None;
            while let Ok((bytes, from)) = socket.recv() {
                if from.endpoint == exchange.peer {
                    answered = Some(bytes.to_vec());
                    break;
                }
            }
            let result = match answered {
                Some(bytes) => Ok(bytes),
                None if now >= exchange.until => Err(io::ErrorKind::TimedOut.into()),
                None => {
                    self.exchanges.push(exchange);
                    continue;
                }
            };
            self.sockets.remove(exchange.handle);
            answer(&exchange.reply, result);
        }
    }

    fn reap(&mut self) {
        let sockets = &self.sockets;
        let over = self
            .relays
            .extract_if(.., |relay| relay.is_over(sockets.get::<tcp::Socket<'_>>(relay.handle)));
        self.closing.extend(over.map(|relay| relay.handle));
        // Those that leave are looked at once more when all is said.
        if self.leaving.is_some() {
            return;
        }
        let (silent, mut speaking): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.closing)
            .into_iter()
            .partition(|handle| self.is_silent(*handle));
        let surplus = speaking.len().saturating_sub(CLOSING);
        for handle in silent.into_iter().chain(speaking.drain(..surplus)) {
            self.sockets.remove(handle);
        }
        self.closing = speaking;
    }

    fn next_deadline(&self) -> Option<Instant> {
        let asked = self.asked.iter().flat_map(|asked| [asked.link_by, asked.lease_by]);
        let lookups = self.lookups.iter().map(|lookup| lookup.until);
        let dials = self.dials.iter().map(|dial| dial.until);
        let exchanges = self.exchanges.iter().map(|exchange| exchange.until);
        let leaving = self.leaving.iter().map(|farewell| farewell.until);
        // The link's limit may be past while the lease is awaited.
        let now = Instant::now();
        let all = asked.chain(lookups).chain(dials).chain(exchanges).chain(leaving);
        all.filter(|at| *at > now).min()
    }
}

impl Lease {
    fn link(self) -> Link {
        let (channel, rssi_dbm) = NO_SIGNAL;
        Link {
            address: self.address.address(),
            netmask: self.address.netmask(),
            gateway: self.router.unwrap_or(Ipv4Address::UNSPECIFIED),
            bssid: [0; 6],
            channel,
            rssi_dbm,
        }
    }
}

fn answer<T>(reply: &Reply<T>, value: T) {
    // Who asked may have gone.
    let _ = reply.try_send(value);
}

fn endpoint(to: SocketAddrV4) -> IpEndpoint {
    IpEndpoint::new(IpAddress::from(*to.ip()), to.port())
}

fn dhcp_client() -> dhcpv4::Socket<'static> {
    let mut client = dhcpv4::Socket::new();
    let mut retries = client.get_retry_config();
    retries.discover_timeout = StackDuration::from_secs(1);
    retries.initial_request_timeout = StackDuration::from_secs(1);
    client.set_retry_config(retries);
    client.set_outgoing_options(HOST_NAME);
    client
}

fn datagrams() -> udp::Socket<'static> {
    let buffer = || {
        let metadata = vec![udp::PacketMetadata::EMPTY; DATAGRAMS];
        udp::PacketBuffer::new(metadata, vec![0; LONGEST_DATAGRAM * DATAGRAMS])
    };
    udp::Socket::new(buffer(), buffer())
}

/// A socket that gives the address back; the stack's own client never does.
fn release(mac: EthernetAddress, lease: Lease) -> udp::Socket<'static> {
    let message = DhcpRepr {
        message_type: DhcpMessageType::Release,
        transaction_id: RandomState::new().hash_one(mac.0) as u32,
        secs: 0,
        client_hardware_address: mac,
        client_ip: lease.address.address(),
        your_ip: Ipv4Address::UNSPECIFIED,
        server_ip: Ipv4Address::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Address::UNSPECIFIED,
        broadcast: false,
        requested_ip: None,
        client_identifier: Some(mac),
        server_identifier: Some(lease.server),
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut bytes = vec![0; message.buffer_len()];
    let mut socket = datagrams();
    let server = IpEndpoint::new(IpAddress::Ipv4(lease.server), DHCP_SERVER_PORT);
    let sent = message.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).is_ok()
        && socket.bind(DHCP_CLIENT_PORT).is_ok()
        && socket.send_slice(&bytes, server).is_ok();
    debug_assert!(sent, "a release fits its buffers");
    socket
}
