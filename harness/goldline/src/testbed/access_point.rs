//! The bench's access point: a network with a radio, which stations join by its name and passphrase, and
//! beside which units open networks of their own.
//!
//! It answers for a station of any kind (a simulated unit, the bench's own station). Must not know units,
//! profiles or MQTT.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    caller::{Borrower, Callers},
    event_log::{Follower, Stamped},
    fault::TestbedFault,
    network::{
        Addresses, Link, Network, NetworkEvent, NetworkKind, NoRedirect, Party, Proofs, Refusal,
        Segment, Signal, Station, UnitNetwork, Visitors,
        own_networks::OwnNetworks,
        reason,
        segment::{GATEWAY, NETMASK, shown},
    },
};
use crate::{clock::Clock, identity::Mac, profile::Host, secret::Secret};

/// What the network is like.
#[derive(Clone, Debug)]
pub struct AccessPointConfig {
    /// Network name, at most 32 bytes.
    pub ssid: String,
    /// WPA2 passphrase, 8 to 63 characters, or 64 hexadecimal digits of the key itself; empty for an open network.
    pub passphrase: Secret,
    /// Whether it says its name to nobody who does not ask for it.
    pub hidden: bool,
    /// What every station hears.
    pub signal: Signal,
}

/// A simulated access point. Cheap to clone: all clones are the same access point.
#[derive(Clone, Debug)]
pub struct AccessPoint(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: AccessPointConfig,
    absent: bool,
    segment: Segment,
    own_networks: Mutex<OwnNetworks>,
}

impl AccessPointConfig {
    /// What it is like with these faults.
    pub(super) fn with(mut self, faults: &[TestbedFault]) -> Self {
        if faults.contains(&TestbedFault::AccessPointPassword) {
            self.passphrase = Secret::new(format!("not-{}", self.passphrase.expose()));
        }
        self
    }
}

impl AccessPoint {
    /// Goes on the air by itself, with those of the faults that concern an access point.
    pub fn start(config: AccessPointConfig, faults: &[TestbedFault], clock: Clock) -> Self {
        let (callers, addresses) = (Callers::default(), Addresses::default());
        let segment = Segment::of_run(Borrower::new(), callers, addresses, clock);
        Self::around(segment, config, faults)
    }

    /// The same around the segment of a run.
    pub fn around(segment: Segment, config: AccessPointConfig, faults: &[TestbedFault]) -> Self {
        let config = config.with(faults);
        Self(Arc::new(Inner {
            config,
            absent: faults.contains(&TestbedFault::AccessPointAbsent),
            segment,
            own_networks: Mutex::default(),
        }))
    }

    fn admits(&self, station: &Station<'_>) -> Result<(), Refusal> {
        let config = &self.0.config;
        let found =
            station.ssid == config.ssid.as_bytes() && (station.asks_by_name || !config.hidden);
        if self.0.absent || !found {
            return Err(Refusal { reason: reason::NO_AP_FOUND });
        }
        let reason = match (config.passphrase.expose(), station.passphrase) {
            (own, known) if own == known => return Ok(()),
            ("", _) => reason::NO_AP_FOUND_IN_AUTHMODE_THRESHOLD,
            (_, "") => reason::NO_AP_FOUND_W_COMPATIBLE_SECURITY,
            _ => reason::FOUR_WAY_HANDSHAKE_TIMEOUT,
        };
        Err(Refusal { reason })
    }

    fn own_networks(&self) -> MutexGuard<'_, OwnNetworks> {
        self.0.own_networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network for AccessPoint {
    fn proves(&self) -> Proofs {
        NetworkKind::Air.proves()
    }

    fn callers(&self) -> &Callers {
        self.0.segment.callers()
    }

    fn redirect(&self, host: &Host, port: u16, listener: SocketAddr) -> Result<IpAddr, NoRedirect> {
        self.0.segment.redirect(host, port, listener)
    }

    fn redirect_datagrams(
        &self,
        host: &Host,
        port: u16,
        socket: SocketAddr,
    ) -> Result<IpAddr, NoRedirect> {
        self.0.segment.redirect_datagrams(host, port, socket)
    }

    fn join(&self, station: &Station<'_>) -> Result<Link, Refusal> {
        let address = self.0.segment.admit(station, self.admits(station))?;
        let signal = Some(self.0.config.signal);
        Ok(Link { address, netmask: NETMASK, gateway: GATEWAY, signal })
    }

    fn leave(&self, mac: [u8; 6]) {
        self.0.segment.leave(mac);
        let mac = Mac(mac);
        if self.own_networks().close(mac) {
            self.0.segment.record(NetworkEvent::NetworkClosed { mac });
        }
    }

    fn resolve(&self, from: Ipv4Addr, name: &str) -> Option<IpAddr> {
        self.0.segment.resolve(from, name)
    }

    fn connect(&self, from: Ipv4Addr, to: SocketAddr, party: Party) -> io::Result<TcpStream> {
        self.0.segment.connect(from, to, party)
    }

    fn exchange(
        &self,
        from: Ipv4Addr,
        to: SocketAddr,
        party: Party,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        self.0.segment.exchange(from, to, party, datagram, limit)
    }

    fn open_for_bench(&self, service: SocketAddr) -> io::Result<TcpStream> {
        self.0.segment.open_for_bench(service)
    }

    fn open_network(
        &self,
        mac: [u8; 6],
        ssid: &[u8],
        passphrase: Secret,
        service: SocketAddrV4,
    ) -> io::Result<Visitors> {
        let mac = Mac(mac);
        let visitors = self.own_networks().open(mac, ssid, passphrase, service);
        self.0.segment.record(NetworkEvent::NetworkOpened { mac, ssid: shown(ssid) });
        Ok(visitors)
    }

    fn join_network(&self, mac: Mac, ssid: &str, passphrase: &str) -> Result<UnitNetwork, Refusal> {
        self.own_networks().join(mac, ssid, passphrase)
    }

    fn events(&self) -> Vec<Stamped<NetworkEvent>> {
        self.0.segment.events()
    }

    fn follow(&self) -> Follower<NetworkEvent> {
        self.0.segment.follow()
    }
}
