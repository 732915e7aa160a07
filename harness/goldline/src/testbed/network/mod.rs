//! What lies between a unit and the services of a bench, for one run.
//!
//! One seam for every kind of network: who joined and how that is known, which names and ports lead to
//! which service, whose a connection is, a way for the bench to do as a unit does, and what the network
//! can prove. The engine and the bench's probes know this trait alone; who implements it knows neither
//! plans nor checks nor what is said on a connection. Signal strength is in dBm.

mod addresses;
mod by_station;
mod directory;
mod kind;
mod medium;
mod no_port;
pub(super) mod own_networks;
mod redirect;
mod refusal;
pub(super) mod segment;

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

use tokio::sync::mpsc;

pub use addresses::Addresses;
pub use kind::{NetworkKind, UnknownNetwork};
pub use medium::Medium;
pub use no_port::NoPort;
pub use own_networks::UnitNetwork;
pub use redirect::NoRedirect;
pub use refusal::{Refusal, reason};
pub use segment::Segment;

use super::{
    caller::Callers,
    event_log::{Follower, Stamped},
};
use crate::{identity::Mac, profile::Host, secret::Secret};

/// The network of one run.
pub trait Network: fmt::Debug + Send + Sync {
    /// What of a unit it can prove.
    fn proves(&self) -> Proofs;

    /// Who announces what its stations open.
    fn callers(&self) -> &Callers;

    /// Whether a station that was seen is the run's unit, whose own MAC is the other. On a wire the link says
    /// so and not the MAC: an emulated interface has one of its own, or even that of its access point.
    fn is_unit(&self, station: Mac, unit: Mac) -> bool {
        station == unit
    }

    /// Whether a unit that joins would be seen, where the bench cannot join as the unit does and try it; `None`
    /// where it can.
    fn sees_joins(&self) -> Option<Result<(), String>> {
        None
    }

    /// What is wrong with the network itself, or was since the run began, as far as it can tell: with it, what a unit
    /// did not do is not the unit's fault.
    fn fault(&self) -> Option<String> {
        None
    }

    /// Whether it is a site's: nobody tells there who comes, and how a unit came in only its console claims.
    fn is_site(&self) -> bool {
        false
    }

    /// What its stations come over outside of this process. A join of the bench's own goes nowhere near it, and proves
    /// only that there are addresses left.
    fn medium(&self) -> Option<&Medium> {
        None
    }

    /// Which station services see under an address, where stations are told apart by their hardware addresses.
    fn station_seen_as(&self, _: IpAddr) -> Option<Mac> {
        None
    }

    /// Leads connections for the host and port to a listener of the bench.
    ///
    /// # Errors
    /// [`NoRedirect`] when no name or port is left for it.
    fn redirect(&self, host: &Host, port: u16, listener: SocketAddr) -> Result<IpAddr, NoRedirect>;

    /// As [`Network::redirect`], where on a site's network no unit is to come: it is the bench's own way there.
    ///
    /// # Errors
    /// As [`Network::redirect`].
    fn redirect_for_bench(
        &self,
        host: &Host,
        port: u16,
        listener: SocketAddr,
    ) -> Result<IpAddr, NoRedirect> {
        self.redirect(host, port, listener)
    }

    /// Leads connections for a host and port that lead to one listener already to another one from now on.
    ///
    /// # Errors
    /// As [`Network::redirect`].
    fn redirect_instead(
        &self,
        host: &Host,
        port: u16,
        listener: SocketAddr,
    ) -> Result<IpAddr, NoRedirect> {
        self.redirect(host, port, listener)
    }

    /// Leads datagrams for the host and port to a socket of the bench.
    ///
    /// # Errors
    /// As [`Network::redirect`].
    fn redirect_datagrams(
        &self,
        host: &Host,
        port: u16,
        socket: SocketAddr,
    ) -> Result<IpAddr, NoRedirect>;

    /// Lets a station join, or says why not.
    ///
    /// # Errors
    /// A [`Refusal`] with ESP-IDF's reason code.
    fn join(&self, station: &Station<'_>) -> Result<Link, Refusal>;

    /// A station goes away. Its address stays its own.
    fn leave(&self, mac: [u8; 6]);

    /// What DNS answers a joined station; none means that the name does not exist.
    fn resolve(&self, from: Ipv4Addr, name: &str) -> Option<IpAddr>;

    /// Opens a connection from a joined station's own address. Blocks until the listener accepts or
    /// refuses, which on loopback is at once.
    ///
    /// # Errors
    /// `NetworkUnreachable` when the station has not joined, `ConnectionRefused` when nothing is
    /// redirected there, and the operating system's own.
    fn connect(&self, from: Ipv4Addr, to: SocketAddr, party: Party) -> io::Result<TcpStream>;

    /// Sends a datagram from a joined station's own address and waits for one answer; blocks.
    ///
    /// # Errors
    /// `NetworkUnreachable` when the station has not joined, `TimedOut` when nothing answers.
    fn exchange(
        &self,
        from: Ipv4Addr,
        to: SocketAddr,
        party: Party,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>>;

    /// Opens a connection to a service of the bench for the run itself, past the network.
    ///
    /// # Errors
    /// The operating system's own.
    fn open_for_bench(&self, service: SocketAddr) -> io::Result<TcpStream>;

    /// A unit opens a network of its own; the connections of those come out who join it and connect to
    /// `service`.
    ///
    /// # Errors
    /// `Unsupported` where units can have none.
    fn open_network(
        &self,
        mac: [u8; 6],
        ssid: &[u8],
        passphrase: Secret,
        service: SocketAddrV4,
    ) -> io::Result<Visitors>;

    /// The bench joins a unit's own network.
    ///
    /// # Errors
    /// A [`Refusal`] when the unit has none of that name, or with another passphrase.
    fn join_network(&self, mac: Mac, ssid: &str, passphrase: &str) -> Result<UnitNetwork, Refusal>;

    /// Everything that was seen, in order.
    fn events(&self) -> Vec<Stamped<NetworkEvent>>;

    /// A reader of what is seen, from its beginning.
    fn follow(&self) -> Follower<NetworkEvent>;
}

/// The connections to a unit's own service: the unit's end of each.
pub type Visitors = mpsc::UnboundedReceiver<UnixStream>;

/// What of a unit a network can prove, besides that it reached the services.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proofs {
    /// That its radio joined the planned network with the planned password.
    pub radio: bool,
    /// That it opens a network of its own, which the bench can join.
    pub own_networks: bool,
}

/// Who does something on a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Party {
    /// The unit of the run.
    Unit,
    /// The bench, which does as the unit does.
    Bench,
}

/// What a station says when it wants to join.
#[derive(Clone, Copy)]
pub struct Station<'a> {
    /// The station's address.
    pub mac: [u8; 6],
    /// Network name, 1 to 32 bytes of any value.
    pub ssid: &'a [u8],
    /// WPA2 passphrase; empty for an open network.
    pub passphrase: &'a str,
    /// Whether it asks for the network by its name, and so finds one that hides it.
    pub asks_by_name: bool,
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
    /// The signal, where there is a radio.
    pub signal: Option<Signal>,
}

/// What a station hears of its access point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal {
    /// The access point's own address.
    pub bssid: [u8; 6],
    /// 2.4 GHz channel, 1 to 13.
    pub channel: u8,
    /// Signal strength in dBm.
    pub rssi_dbm: i8,
}

/// What a network saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NetworkEvent {
    /// A station asked to join.
    Join {
        /// Which station.
        mac: Mac,
        /// The network it asked for, what is no UTF-8 in it replaced; empty where networks have no name.
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
        answer: Option<IpAddr>,
    },
    /// A station opened a connection, or was refused.
    Connection {
        /// The station's address.
        from: Ipv4Addr,
        /// Where it wanted to go.
        to: SocketAddr,
        /// Whether it got there.
        connected: bool,
    },
    /// A station sent a datagram.
    Datagram {
        /// The station's address.
        from: Ipv4Addr,
        /// Where it was to go.
        to: SocketAddr,
        /// Whether it was answered in time.
        answered: bool,
    },
    /// A unit's link to the bench came up.
    LinkUp,
    /// A unit's link to the bench ended; whatever was open on it is cut.
    LinkDown {
        /// Why.
        why: String,
    },
    /// A station on a link spoke of its address.
    Dhcp {
        /// What it calls its hardware address.
        mac: Mac,
        /// The message, such as `DISCOVER`.
        message: &'static str,
        /// What it calls itself, 255 bytes at most.
        host_name: Option<String>,
        /// What it says that it is, such as `udhcp 1.35.0`.
        class: Option<String>,
        /// What it was answered: the address that was offered, or given; none when it got none.
        address: Option<Ipv4Addr>,
    },
    /// A connection of a station on a link ended, which was reported as [`Self::Connection`] before.
    Closed {
        /// The station's address.
        from: Ipv4Addr,
        /// Where it led.
        to: SocketAddr,
        /// Bytes from the station.
        sent: u64,
        /// Bytes to the station.
        received: u64,
        /// Who ended it first.
        by: Closer,
        /// Whether it was broken off, and not closed.
        reset: bool,
        /// For how long it was open.
        lasted: Duration,
    },
    /// A station on a link sent what nobody here answers: told once for each protocol and destination.
    Ignored {
        /// The station's address.
        from: Ipv4Addr,
        /// Where it was to go.
        to: Ipv4Addr,
        /// IP protocol number, such as 1 for ICMP.
        protocol: u8,
    },
    /// The unit came to a service over a site's network, which told it by what it was given.
    Came {
        /// Which unit.
        mac: Mac,
        /// Where it came from, as this machine sees it.
        from: SocketAddr,
        /// Where it arrived.
        to: SocketAddr,
    },
    /// Somebody came to a service over a site's network and is no run's unit.
    TurnedAway {
        /// Where it came from, as this machine sees it.
        from: SocketAddr,
        /// Where it arrived.
        to: SocketAddr,
        /// Why nobody is known by it.
        because: String,
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

/// Who ends a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closer {
    /// The station.
    Station,
    /// The service that it led to.
    Service,
    /// The bench, because the link ended, the station started anew, or it had too many.
    Bench,
}
