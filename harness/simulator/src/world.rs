//! What surrounds a unit: the radio and the network that it can reach.
//!
//! A unit has no other way out of its simulator. It must not know who implements this, and no name
//! that a firmware looks up may reach the resolver of the machine.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tokio::sync::mpsc;

/// The unit's way to the world; implemented by whoever hosts the simulator.
///
/// All methods but [`World::leave`] may block; the simulator calls them off its own thread.
pub trait World: Send + Sync {
    /// Asks the access points in range for a link.
    fn associate(&self, station: &Association<'_>) -> Result<Link, Refusal>;

    /// Answers a DNS question of the unit that holds the address `from`.
    fn resolve(&self, from: Ipv4Addr, name: &str) -> Option<IpAddr>;

    /// Opens a TCP connection for the unit that holds the address `from`: the unit's end of a pair of
    /// sockets, so that no port of the machine leads to the unit.
    fn connect(&self, from: Ipv4Addr, to: SocketAddr) -> io::Result<UnixStream>;

    /// Sends one UDP datagram for the unit that holds the address `from` and waits for one answer.
    ///
    /// An answer that does not come within `limit` is [`io::ErrorKind::TimedOut`].
    fn exchange(
        &self,
        from: Ipv4Addr,
        to: SocketAddr,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>>;

    /// Opens a network of the unit's own, and gives where the connections of those come out who join it
    /// and connect to [`OwnNetwork::service`]. It ends with [`World::leave`].
    fn open_network(&self, network: &OwnNetwork<'_>) -> io::Result<Visitors>;

    /// The station left: it was reset, switched off or dropped by its firmware. A network of its own
    /// ends too.
    ///
    /// Called on the unit's own thread: it must not wait for anything.
    fn leave(&self, mac: [u8; 6]);
}

/// The connections to a unit's own service, each the unit's end of a pair of sockets.
pub type Visitors = mpsc::UnboundedReceiver<UnixStream>;

/// A station that asks for a link.
#[derive(Debug)]
pub struct Association<'a> {
    /// Address of the station's radio.
    pub mac: [u8; 6],
    /// Network name, 1 to 32 bytes of any value.
    pub ssid: &'a [u8],
    /// What the station believes the passphrase to be; empty where it believes the network to be open.
    pub passphrase: Passphrase<'a>,
    /// Whether it asks for the network by its name: one that hides its name answers nobody else.
    pub asks_by_name: bool,
}

/// A network that a unit opens for those who configure it.
#[derive(Debug)]
pub struct OwnNetwork<'a> {
    /// Address of the unit's radio.
    pub mac: [u8; 6],
    /// Network name, 1 to 32 bytes of any value.
    pub ssid: &'a [u8],
    /// Passphrase of the network; empty for an open one.
    pub passphrase: Passphrase<'a>,
    /// Where the unit serves within its network, such as 192.168.4.1:80.
    pub service: SocketAddrV4,
}

/// A passphrase that cannot be printed by accident.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Passphrase<'a>(&'a str);

impl<'a> Passphrase<'a> {
    /// Wraps a passphrase.
    pub fn new(passphrase: &'a str) -> Self {
        Self(passphrase)
    }

    /// The passphrase itself, for comparing.
    pub fn expose(&self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Passphrase<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// A link that an access point gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The unit's own address.
    pub address: Ipv4Addr,
    /// Network mask.
    pub netmask: Ipv4Addr,
    /// The access point's own address.
    pub gateway: Ipv4Addr,
    /// Address of the access point's radio.
    pub bssid: [u8; 6],
    /// WiFi channel, 1 to 14.
    pub channel: u8,
    /// Received signal strength in dBm.
    pub rssi_dbm: i8,
}

/// Why a station got no link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// IEEE 802.11 reason, or ESP-IDF's own from 200 on (`wifi_err_reason_t`).
    pub reason: u16,
}

impl Refusal {
    /// The link stood and the station left it again, for want of an address.
    pub const LEFT: Self = Self { reason: 8 };
    /// The passphrase did not fit: the four-way handshake ran into its time limit.
    pub const FOUR_WAY_HANDSHAKE_TIMEOUT: Self = Self { reason: 15 };
    /// The link stood, and then its access point was not heard any more.
    pub const BEACON_TIMEOUT: Self = Self { reason: 200 };
    /// No access point with that name was heard.
    pub const NO_AP_FOUND: Self = Self { reason: 201 };
    /// The access point refused the authentication.
    pub const AUTH_FAIL: Self = Self { reason: 202 };
}

/// A world without an access point: every association fails and no name resolves.
#[derive(Debug, Default)]
pub struct Silence;

impl World for Silence {
    fn associate(&self, _: &Association<'_>) -> Result<Link, Refusal> {
        Err(Refusal::NO_AP_FOUND)
    }

    fn resolve(&self, _: Ipv4Addr, _: &str) -> Option<IpAddr> {
        None
    }

    fn connect(&self, _: Ipv4Addr, _: SocketAddr) -> io::Result<UnixStream> {
        Err(io::ErrorKind::NetworkUnreachable.into())
    }

    fn exchange(&self, _: Ipv4Addr, _: SocketAddr, _: &[u8], _: Duration) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NetworkUnreachable.into())
    }

    fn open_network(&self, _: &OwnNetwork<'_>) -> io::Result<Visitors> {
        Err(io::ErrorKind::NetworkDown.into())
    }

    fn leave(&self, _: [u8; 6]) {}
}
