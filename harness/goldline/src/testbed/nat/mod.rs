//! The bench's services for a guest behind an emulator's own NAT (esp-emu's `--net user`).
//!
//! ```text
//! guest's stack ── emulator: access point, DHCP, NAT ── sockets of this machine
//!                                      192.168.4.1 ──▶ 127.0.0.1:PORT ── front ── Network::connect ── service
//!                                      dns=ADDRESS ──▶ 127.78.x.y:53  ── names
//! ```
//!
//! Each planned port is listened at on 127.0.0.1 for as long as the run lasts, so a plan cannot have two services
//! at one port, and two runs with the same ports are one too many: the second is refused. Every name leads to
//! the guest's gateway. Who opens a connection is the guest where the emulator's process has the other end;
//! everybody else of the machine is turned away, unseen by the run.
//!
//! The emulator says nothing of who joined: the first thing that the guest wants is taken for its join. Must not
//! know the emulator, nor what is said on a connection.

mod front;
mod owner;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::{
    access_point::AccessPointConfig,
    caller::Callers,
    event_log::{Follower, Stamped},
    fault::TestbedFault,
    network::{
        Link, Network, NetworkEvent, NetworkKind, NoRedirect, Party, Proofs, Refusal, Segment,
        Station, UnitNetwork, Visitors,
    },
};
use crate::{identity::Mac, profile::Host, secret::Secret};
use front::Behind;

/// What the guest finds the bench at.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 1);

/// What an emulator needs to know of the network.
#[derive(Clone, Debug)]
pub struct EmulatedAccessPoint {
    /// Network name, 1 to 32 bytes.
    pub ssid: String,
    /// WPA2 passphrase; empty for an open network.
    pub passphrase: Secret,
    /// Where the guest's names are answered, at port 53.
    pub names: Ipv4Addr,
}

/// The network of one run. Everything that listens ends when this is dropped.
#[derive(Debug)]
pub struct Nat {
    behind: Behind,
    access_point: EmulatedAccessPoint,
    /// What answers names, or why nothing does.
    names: Result<AbortOnDropHandle<()>, Mutex<Option<io::Error>>>,
    fronts: Mutex<HashMap<(Protocol, u16), Front>>,
    runtime: Handle,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Protocol {
    Tcp,
    Udp,
}

/// A port that is listened at.
#[derive(Debug)]
struct Front {
    /// The service behind it.
    service: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Nat {
    /// Around the segment of a run, with those of the faults that concern an access point. Needs a tokio runtime.
    pub fn around(
        segment: Arc<Segment>,
        config: AccessPointConfig,
        faults: &[TestbedFault],
    ) -> Self {
        let absent = faults.contains(&TestbedFault::AccessPointAbsent);
        let AccessPointConfig { ssid, passphrase, .. } = config.with(faults);
        // A product that is judged without a network finds one that it does not know.
        let ssid = if absent || ssid.is_empty() { "goldline".to_owned() } else { ssid };
        let behind = Behind::new(segment);
        let runtime = Handle::current();
        let (names, answering) = front::answer_names(&behind);
        Self {
            behind,
            access_point: EmulatedAccessPoint { ssid, passphrase, names },
            names: answering.map_err(|error| Mutex::new(Some(error))),
            fronts: Mutex::default(),
            runtime,
        }
    }

    /// What the emulator is to be started with.
    pub fn access_point(&self) -> &EmulatedAccessPoint {
        &self.access_point
    }

    /// From here on the sockets of this process group are the guest's, whose MAC is that; whatever was before
    /// has left.
    pub fn attach(&self, leader: u32, mac: Mac) {
        self.behind.attach(leader, mac);
    }

    fn segment(&self) -> &Segment {
        self.behind.segment()
    }

    /// Lets the guest through at a port, where its names are answered.
    fn open(
        &self,
        protocol: Protocol,
        host: &Host,
        port: u16,
        service: SocketAddr,
    ) -> Result<(), NoRedirect> {
        match host.address() {
            Some(address) if address != IpAddr::V4(GATEWAY) => {
                return Err(NoRedirect::OutOfReach { address, gateway: GATEWAY.into() });
            }
            Some(_) => {}
            None => self.refuse_without_names()?,
        }
        let mut fronts = self.fronts();
        match fronts.get(&(protocol, port)) {
            Some(front) if front.service == service => return Ok(()),
            Some(_) => return Err(NoRedirect::PortInUse { port }),
            None => {}
        }
        let _entered = self.runtime.enter();
        let behind = self.behind.clone();
        let (name, listening) = match protocol {
            Protocol::Tcp => ("TCP", front::take_connections(port, behind)),
            Protocol::Udp => ("UDP", front::take_datagrams(port, behind)),
        };
        let listening =
            listening.map_err(|source| NoRedirect::Listen { protocol: name, port, source })?;
        fronts.insert((protocol, port), Front { service, _task: listening });
        Ok(())
    }

    fn refuse_without_names(&self) -> Result<(), NoRedirect> {
        let Err(error) = &self.names else { return Ok(()) };
        let error = error.lock().unwrap_or_else(PoisonError::into_inner).take();
        let source = error.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
        Err(NoRedirect::Names { address: self.access_point.names.into(), source })
    }

    fn fronts(&self) -> MutexGuard<'_, HashMap<(Protocol, u16), Front>> {
        self.fronts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network for Nat {
    fn proves(&self) -> Proofs {
        NetworkKind::Nat.proves()
    }

    fn callers(&self) -> &Callers {
        self.segment().callers()
    }

    fn is_unit(&self, station: Mac, unit: Mac) -> bool {
        self.segment().is_unit(station, unit)
    }

    fn sees_joins(&self) -> Option<Result<(), String>> {
        Some(self.behind.sees())
    }

    fn redirect(&self, host: &Host, port: u16, listener: SocketAddr) -> Result<IpAddr, NoRedirect> {
        self.open(Protocol::Tcp, host, port, listener)?;
        self.segment().redirect(host, port, listener)
    }

    fn redirect_datagrams(
        &self,
        host: &Host,
        port: u16,
        socket: SocketAddr,
    ) -> Result<IpAddr, NoRedirect> {
        self.open(Protocol::Udp, host, port, socket)?;
        self.segment().redirect_datagrams(host, port, socket)
    }

    fn join(&self, station: &Station<'_>) -> Result<Link, Refusal> {
        self.segment().join(station)
    }

    fn leave(&self, mac: [u8; 6]) {
        self.segment().leave(mac);
    }

    fn resolve(&self, from: Ipv4Addr, name: &str) -> Option<IpAddr> {
        self.segment().resolve(from, name)
    }

    fn connect(&self, from: Ipv4Addr, to: SocketAddr, party: Party) -> io::Result<TcpStream> {
        self.segment().connect(from, to, party)
    }

    fn exchange(
        &self,
        from: Ipv4Addr,
        to: SocketAddr,
        party: Party,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        self.segment().exchange(from, to, party, datagram, limit)
    }

    fn open_for_bench(&self, service: SocketAddr) -> io::Result<TcpStream> {
        self.segment().open_for_bench(service)
    }

    fn open_network(
        &self,
        mac: [u8; 6],
        ssid: &[u8],
        passphrase: Secret,
        service: SocketAddrV4,
    ) -> io::Result<Visitors> {
        self.segment().open_network(mac, ssid, passphrase, service)
    }

    fn join_network(&self, mac: Mac, ssid: &str, passphrase: &str) -> Result<UnitNetwork, Refusal> {
        self.segment().join_network(mac, ssid, passphrase)
    }

    fn events(&self) -> Vec<Stamped<NetworkEvent>> {
        self.segment().events()
    }

    fn follow(&self) -> Follower<NetworkEvent> {
        self.segment().follow()
    }
}
