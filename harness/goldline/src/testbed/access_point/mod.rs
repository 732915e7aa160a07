//! The bench's access point: one network, its addresses, its DNS, and the way to the bench's services.
//!
//! It answers for a station of any kind (a simulated unit, the bench's own station). No name reaches
//! the machine's resolver: what is not redirected does not exist. Each station has an address of its
//! own in 127.77.0.0/16; the services know it by the connection that was opened for it, and announced.
//! Must not know units, profiles or MQTT.
//! Signal strength is in dBm.

mod addresses;
mod own_networks;
mod refusal;

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use addresses::AddressLease;
pub use addresses::Addresses;
use own_networks::OwnNetworks;
pub use own_networks::{UnitNetwork, Visitors};
pub use refusal::{Refusal, reason};

use rustix::io::Errno;

use super::{
    caller::{Borrower, Caller, Callers},
    event_log::{EventLog, Follower, NotSeen, Stamped},
    fault::TestbedFault,
};
use crate::{
    clock::{Clock, Deadline},
    identity::Mac,
    secret::Secret,
};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);
const NETMASK: Ipv4Addr = Ipv4Addr::new(255, 255, 0, 0);
/// TEST-NET-1 of RFC 5737: an address that never leads anywhere by accident.
const SERVICES: [u8; 3] = [192, 0, 2];

/// What the network is like.
#[derive(Clone, Debug)]
pub struct AccessPointConfig {
    /// Network name, at most 32 bytes.
    pub ssid: String,
    /// WPA2 passphrase, 8 to 63 characters.
    pub passphrase: Secret,
    /// 2.4 GHz channel, 1 to 13.
    pub channel: u8,
    /// What every station hears, in dBm.
    pub rssi_dbm: i8,
    /// The access point's own address.
    pub bssid: [u8; 6],
}

/// What a station says when it wants to join.
#[derive(Clone, Copy)]
pub struct Association<'a> {
    /// The station's address.
    pub mac: [u8; 6],
    /// Network name, 1 to 32 bytes of any value.
    pub ssid: &'a [u8],
    /// WPA2 passphrase.
    pub passphrase: &'a str,
}

/// What a station that joined is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// The station's own address.
    pub address: Ipv4Addr,
    /// The network's mask.
    pub netmask: Ipv4Addr,
    /// The way out, and the DNS server.
    pub gateway: Ipv4Addr,
    /// The access point's own address.
    pub bssid: [u8; 6],
    /// 2.4 GHz channel.
    pub channel: u8,
    /// Signal strength in dBm.
    pub rssi_dbm: i8,
}

/// What the access point saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccessPointEvent {
    /// A station asked to join.
    Association {
        /// Which station.
        mac: Mac,
        /// The network it asked for, what is no UTF-8 in it replaced.
        ssid: String,
        /// Its address, or why it was not taken.
        outcome: Result<Ipv4Addr, Refusal>,
    },
    /// A station left.
    Left {
        /// Which station.
        mac: Mac,
    },
    /// A station asked for a name.
    Resolved {
        /// The station's address.
        from: Ipv4Addr,
        /// The name.
        name: String,
        /// The answer; none means that the name does not exist.
        answer: Option<Ipv4Addr>,
    },
    /// A station opened a connection, or was refused.
    Connection {
        /// The station's address.
        from: Ipv4Addr,
        /// Where it wanted to go.
        to: SocketAddrV4,
        /// Whether it got there.
        connected: bool,
    },
    /// A station sent a datagram.
    Datagram {
        /// The station's address.
        from: Ipv4Addr,
        /// Where it was to go.
        to: SocketAddrV4,
        /// Whether it was answered in time.
        answered: bool,
    },
    /// A unit opened a network of its own.
    NetworkOpened {
        /// Which unit.
        mac: Mac,
        /// The network's name.
        ssid: String,
    },
    /// A unit's own network ended.
    NetworkClosed {
        /// Which unit.
        mac: Mac,
    },
}

/// A name cannot be redirected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the access point has no address left for \"{name}\": it answers for 254 names at most; redirect fewer"
)]
pub struct TooManyNames {
    name: String,
}

/// A simulated access point. Cheap to clone: all clones are the same access point.
#[derive(Clone, Debug)]
pub struct AccessPoint(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    run: Borrower,
    callers: Callers,
    addresses: Addresses,
    config: AccessPointConfig,
    absent: bool,
    network: Mutex<Network>,
    own_networks: Mutex<OwnNetworks>,
    log: Arc<EventLog<AccessPointEvent>>,
}

#[derive(Debug, Default)]
struct Network {
    /// Who has which address; kept after a station leaves, so that an address is never shared.
    leases: HashMap<Mac, AddressLease>,
    /// Who is joined now.
    joined: HashMap<Ipv4Addr, Mac>,
    names: HashMap<String, Ipv4Addr>,
    services: HashMap<SocketAddrV4, SocketAddr>,
    /// Where datagrams are answered.
    datagrams: HashMap<SocketAddrV4, SocketAddr>,
}

impl AccessPoint {
    /// Goes on the air by itself, with those of the faults that concern an access point.
    pub fn start(config: AccessPointConfig, faults: &[TestbedFault], clock: Clock) -> Self {
        let (callers, addresses) = (Callers::default(), Addresses::default());
        Self::of_run(Borrower::new(), config, faults, callers, addresses, clock)
    }

    /// The same for a run, among others: its stations have addresses of their own, and what they open is
    /// announced as the run's.
    pub fn of_run(
        run: Borrower,
        mut config: AccessPointConfig,
        faults: &[TestbedFault],
        callers: Callers,
        addresses: Addresses,
        clock: Clock,
    ) -> Self {
        if faults.contains(&TestbedFault::AccessPointPassword) {
            config.passphrase = Secret::new(format!("not-{}", config.passphrase.expose()));
        }
        Self(Arc::new(Inner {
            run,
            callers,
            addresses,
            config,
            absent: faults.contains(&TestbedFault::AccessPointAbsent),
            network: Mutex::default(),
            own_networks: Mutex::default(),
            log: Arc::new(EventLog::new(clock)),
        }))
    }

    /// Who announces what its stations open.
    pub fn callers(&self) -> &Callers {
        &self.0.callers
    }

    /// Leads connections for the name (or the literal IPv4 address) and port to a listener of the bench.
    ///
    /// # Errors
    /// [`TooManyNames`] when the addresses for names are used up.
    pub fn redirect(
        &self,
        name: &str,
        port: u16,
        listener: SocketAddr,
    ) -> Result<Ipv4Addr, TooManyNames> {
        let mut network = self.network();
        let address = network.name(name)?;
        network.services.insert(SocketAddrV4::new(address, port), listener);
        Ok(address)
    }

    /// Leads datagrams for the name and port to a socket of the bench.
    ///
    /// # Errors
    /// As [`AccessPoint::redirect`].
    pub fn redirect_datagrams(
        &self,
        name: &str,
        port: u16,
        socket: SocketAddr,
    ) -> Result<Ipv4Addr, TooManyNames> {
        let mut network = self.network();
        let address = network.name(name)?;
        network.datagrams.insert(SocketAddrV4::new(address, port), socket);
        Ok(address)
    }

    /// Sends a datagram from a joined station's own address and waits for one answer; blocks.
    ///
    /// # Errors
    /// `NetworkUnreachable` when the station has not joined, `TimedOut` when nothing answers.
    pub fn exchange(
        &self,
        from: Ipv4Addr,
        to: SocketAddrV4,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        self.ask(from, to, self.unit(), datagram, limit)
    }

    /// The same for the bench's own station.
    ///
    /// # Errors
    /// As [`AccessPoint::exchange`].
    pub fn exchange_as_bench(
        &self,
        from: Ipv4Addr,
        to: SocketAddrV4,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        self.ask(from, to, Caller::Bench(self.0.run), datagram, limit)
    }

    fn ask(
        &self,
        from: Ipv4Addr,
        to: SocketAddrV4,
        caller: Caller,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        let socket = {
            let network = self.network();
            if !network.joined.contains_key(&from) {
                return Err(Errno::NETUNREACH.into());
            }
            network.datagrams.get(&to).copied()
        };
        let answer = match socket {
            Some(socket) => self.0.callers.ask(from, socket, caller, datagram, limit),
            // Nobody hears a datagram to nowhere.
            None => Err(io::ErrorKind::TimedOut.into()),
        };
        self.0.log.record(AccessPointEvent::Datagram { from, to, answered: answer.is_ok() });
        answer
    }

    /// A unit opens a network of its own; the connections of those come out who join it and connect to
    /// `service`.
    pub fn open_network(
        &self,
        mac: [u8; 6],
        ssid: &[u8],
        passphrase: Secret,
        service: SocketAddrV4,
    ) -> Visitors {
        let mac = Mac(mac);
        let visitors = self.own_networks().open(mac, ssid, passphrase, service);
        self.0.log.record(AccessPointEvent::NetworkOpened { mac, ssid: shown(ssid) });
        visitors
    }

    /// The bench joins a unit's own network.
    ///
    /// # Errors
    /// A [`Refusal`] when the unit has none of that name, or with another passphrase.
    pub fn join_network(
        &self,
        mac: Mac,
        ssid: &str,
        passphrase: &str,
    ) -> Result<UnitNetwork, Refusal> {
        self.own_networks().join(mac, ssid, passphrase)
    }

    /// Lets a station join, or says why not.
    ///
    /// # Errors
    /// A [`Refusal`] with ESP-IDF's reason code.
    pub fn associate(&self, station: &Association<'_>) -> Result<Link, Refusal> {
        let mac = Mac(station.mac);
        let outcome = self.admit(mac, station);
        self.0.log.record(AccessPointEvent::Association {
            mac,
            ssid: shown(station.ssid),
            outcome,
        });
        let config = &self.0.config;
        outcome.map(|address| Link {
            address,
            netmask: NETMASK,
            gateway: GATEWAY,
            bssid: config.bssid,
            channel: config.channel,
            rssi_dbm: config.rssi_dbm,
        })
    }

    fn admit(&self, mac: Mac, station: &Association<'_>) -> Result<Ipv4Addr, Refusal> {
        if self.0.absent || station.ssid != self.0.config.ssid.as_bytes() {
            return Err(Refusal { reason: reason::NO_AP_FOUND });
        }
        if station.passphrase != self.0.config.passphrase.expose() {
            return Err(Refusal { reason: reason::FOUR_WAY_HANDSHAKE_TIMEOUT });
        }
        self.network().join(mac, &self.0.addresses).ok_or(Refusal { reason: reason::ASSOC_TOOMANY })
    }

    /// What the access point's DNS answers a joined station; none means that the name does not exist.
    pub fn resolve(&self, from: Ipv4Addr, name: &str) -> Option<Ipv4Addr> {
        let answer = {
            let network = self.network();
            network.joined.get(&from).and_then(|_| network.names.get(&canonical(name)).copied())
        };
        self.0.log.record(AccessPointEvent::Resolved { from, name: name.to_owned(), answer });
        answer
    }

    /// Opens a connection for the unit from a joined station's own address. Blocks until the listener
    /// accepts or refuses, which on loopback is at once.
    ///
    /// # Errors
    /// `NetworkUnreachable` when the station has not joined, `ConnectionRefused` when nothing is
    /// redirected there, and the operating system's own.
    pub fn connect(&self, from: Ipv4Addr, to: SocketAddrV4) -> io::Result<TcpStream> {
        self.open(from, to, self.unit())
    }

    /// The same for the bench's own station.
    ///
    /// # Errors
    /// As [`AccessPoint::connect`].
    pub fn connect_as_bench(&self, from: Ipv4Addr, to: SocketAddrV4) -> io::Result<TcpStream> {
        self.open(from, to, Caller::Bench(self.0.run))
    }

    /// Opens a connection to a service of the bench for the run itself, past the network.
    ///
    /// # Errors
    /// The operating system's own.
    pub fn open_for_bench(&self, service: SocketAddr) -> io::Result<TcpStream> {
        self.0.callers.connect(Ipv4Addr::LOCALHOST, service, Caller::Bench(self.0.run))
    }

    fn unit(&self) -> Caller {
        Caller::Unit(self.0.run)
    }

    fn open(&self, from: Ipv4Addr, to: SocketAddrV4, caller: Caller) -> io::Result<TcpStream> {
        let listener = self.route(from, to);
        let outcome = listener.and_then(|listener| self.0.callers.connect(from, listener, caller));
        let connected = outcome.is_ok();
        self.0.log.record(AccessPointEvent::Connection { from, to, connected });
        outcome
    }

    fn route(&self, from: Ipv4Addr, to: SocketAddrV4) -> io::Result<SocketAddr> {
        let network = self.network();
        if !network.joined.contains_key(&from) {
            return Err(Errno::NETUNREACH.into());
        }
        network.services.get(&to).copied().ok_or_else(|| Errno::CONNREFUSED.into())
    }

    /// A station goes away. Its address stays its own.
    pub fn leave(&self, mac: [u8; 6]) {
        let mac = Mac(mac);
        self.network().joined.retain(|_, station| *station != mac);
        self.0.log.record(AccessPointEvent::Left { mac });
        if self.own_networks().close(mac) {
            self.0.log.record(AccessPointEvent::NetworkClosed { mac });
        }
    }

    /// Everything that was seen, in order.
    pub fn events(&self) -> Vec<Stamped<AccessPointEvent>> {
        self.0.log.all()
    }

    /// How many events are not in the log any more; see [`EventLog::dropped`].
    pub fn dropped(&self) -> u64 {
        self.0.log.dropped()
    }

    /// A reader of the log from its beginning.
    pub fn follow(&self) -> Follower<AccessPointEvent> {
        Follower::new(Arc::clone(&self.0.log))
    }

    /// Waits until `answer` finds something in the log.
    ///
    /// # Errors
    /// [`NotSeen`] when the deadline passes first.
    pub async fn wait_for<T>(
        &self,
        deadline: Deadline,
        answer: impl FnMut(&[Stamped<AccessPointEvent>]) -> Option<T>,
    ) -> Result<T, NotSeen> {
        self.0.log.wait_until(deadline, answer).await
    }

    fn own_networks(&self) -> MutexGuard<'_, OwnNetworks> {
        self.0.own_networks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn network(&self) -> MutexGuard<'_, Network> {
        self.0.network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network {
    /// The address that stands for a name: its own if it is a literal, else the next free one.
    fn name(&mut self, name: &str) -> Result<Ipv4Addr, TooManyNames> {
        let name = canonical(name);
        if let Ok(literal) = name.parse() {
            return Ok(literal);
        }
        if let Some(&known) = self.names.get(&name) {
            return Ok(known);
        }
        let [a, b, c] = SERVICES;
        let Some(host) = u8::try_from(self.names.len() + 1).ok().filter(|&host| host < u8::MAX)
        else {
            return Err(TooManyNames { name });
        };
        let address = Ipv4Addr::new(a, b, c, host);
        self.names.insert(name, address);
        Ok(address)
    }

    fn join(&mut self, mac: Mac, addresses: &Addresses) -> Option<Ipv4Addr> {
        let address = match self.leases.get(&mac) {
            Some(leased) => leased.address(),
            None => {
                let lease = addresses.take()?;
                let address = lease.address();
                self.leases.insert(mac, lease);
                address
            }
        };
        self.joined.insert(address, mac);
        Some(address)
    }
}

/// DNS names do not distinguish case, and a trailing dot only says that the name is complete.
fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// A network name for the log; any byte may be in one.
fn shown(ssid: &[u8]) -> String {
    String::from_utf8_lossy(ssid).into_owned()
}
