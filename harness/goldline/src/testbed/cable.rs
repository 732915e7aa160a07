//! A network without a radio: whoever is plugged in is joined, whatever network its firmware names.
//!
//! It proves that a unit gets an address and reaches its services, and nothing of WiFi.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    time::Duration,
};

use super::{
    caller::Callers,
    event_log::{Follower, Stamped},
    network::{
        Link, Network, NetworkEvent, NetworkKind, Party, Proofs, Refusal, Segment, Station,
        TooManyNames, UnitNetwork, Visitors, reason,
        segment::{GATEWAY, NETMASK},
    },
};
use crate::{identity::Mac, profile::Host, secret::Secret};

/// The cable of one run.
#[derive(Debug)]
pub struct Cable {
    segment: Segment,
}

impl Cable {
    /// A cable into the segment of a run.
    pub fn into(segment: Segment) -> Self {
        Self { segment }
    }
}

impl Network for Cable {
    fn proves(&self) -> Proofs {
        NetworkKind::Cable.proves()
    }

    fn callers(&self) -> &Callers {
        self.segment.callers()
    }

    fn redirect(
        &self,
        host: &Host,
        port: u16,
        listener: SocketAddr,
    ) -> Result<IpAddr, TooManyNames> {
        self.segment.redirect(host, port, listener)
    }

    fn redirect_datagrams(
        &self,
        host: &Host,
        port: u16,
        socket: SocketAddr,
    ) -> Result<IpAddr, TooManyNames> {
        self.segment.redirect_datagrams(host, port, socket)
    }

    fn join(&self, station: &Station<'_>) -> Result<Link, Refusal> {
        let plugged_in = Station { ssid: b"", passphrase: "", ..*station };
        let address = self.segment.join(&plugged_in, Ok(()))?;
        Ok(Link { address, netmask: NETMASK, gateway: GATEWAY, signal: None })
    }

    fn leave(&self, mac: [u8; 6]) {
        self.segment.leave(Mac(mac));
    }

    fn resolve(&self, from: Ipv4Addr, name: &str) -> Option<IpAddr> {
        self.segment.resolve(from, name)
    }

    fn connect(&self, from: Ipv4Addr, to: SocketAddr, party: Party) -> io::Result<TcpStream> {
        self.segment.connect(from, to, party)
    }

    fn exchange(
        &self,
        from: Ipv4Addr,
        to: SocketAddr,
        party: Party,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        self.segment.exchange(from, to, party, datagram, limit)
    }

    fn open_for_bench(&self, service: SocketAddr) -> io::Result<TcpStream> {
        self.segment.open_for_bench(service)
    }

    fn open_network(
        &self,
        _: [u8; 6],
        _: &[u8],
        _: Secret,
        _: SocketAddrV4,
    ) -> io::Result<Visitors> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn join_network(&self, _: Mac, _: &str, _: &str) -> Result<UnitNetwork, Refusal> {
        Err(Refusal { reason: reason::NO_AP_FOUND })
    }

    fn events(&self) -> Vec<Stamped<NetworkEvent>> {
        self.segment.events()
    }

    fn follow(&self) -> Follower<NetworkEvent> {
        self.segment.follow()
    }
}
