//! Where units of several runs stand, each within the network of its own run: an access point, or a cable
//! where there is to be no radio, for a simulated unit; a wire for a unit of another process.
//!
//! The one place where the simulator's words and the testbed's meet. A unit is given its end of a pair of
//! sockets; the other end is carried to the service over a connection that the air opened, and
//! announced, itself. So nobody else can be taken for the unit, nor reach it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use goldline_simulator::{
    World,
    world::{Association, Link, OwnNetwork, Refusal, Visitors},
};
use tokio::{io::copy_bidirectional, runtime::Handle};

use super::{
    access_point::{AccessPoint, AccessPointConfig},
    caller::{Borrower, Callers},
    fault::TestbedFault,
    hostapd::Hostapd,
    nat::Nat,
    network::{Addresses, Network, NetworkKind, Party, Segment, Signal, Station},
    nic::{Nic, NicPort, NoNic, SecondUnit},
    reception::Reception,
    site::{OnSite, Site, SitePlace},
    wire::Wire,
};
use crate::{clock::Clock, identity::Mac, secret::Secret};

/// What a unit without a radio is told of one: a signal in the middle of what a link can have.
const NO_SIGNAL: Signal = Signal { bssid: [0; 6], channel: 1, rssi_dbm: -50 };

/// What the networks of all runs of a bench share. Cheap to clone: all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Air {
    kind: NetworkKind,
    callers: Callers,
    addresses: Addresses,
    reception: Reception,
    /// The interface that units are on, where they are on one.
    nic: Option<Arc<Nic>>,
    /// Where the bench is on the site's network, where units are on that.
    site: Option<Arc<Site>>,
}

impl Air {
    /// With an access point for each run, or a cable.
    pub fn new(kind: NetworkKind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// On an interface that the bench has for itself, with the hostapd at that socket as witness, if one is named. Needs
    /// a tokio runtime.
    ///
    /// # Errors
    /// [`NoNic`] says why it cannot be had.
    pub fn on_interface(name: &str, hostapd: Option<&Path>, clock: Clock) -> Result<Self, NoNic> {
        let air = Self::new(NetworkKind::Nic);
        let nic = Nic::open(name, hostapd, air.callers.clone(), clock)?;
        Ok(Self { nic: Some(Arc::new(nic)), ..air })
    }

    /// The access point that units come over, where it tells what it sees.
    pub fn access_point(&self) -> Option<&Hostapd> {
        self.nic.as_ref()?.medium().access_point()
    }

    /// On the network of a site. Needs a tokio runtime.
    pub fn on_site(place: SitePlace) -> Self {
        let air = Self::new(NetworkKind::Site);
        let site = Site::new(place, air.callers.clone(), air.reception.clone());
        Self { site: Some(Arc::new(site)), ..air }
    }

    /// Where the bench is on the site's network, where units are on that.
    pub fn site(&self) -> Option<&Site> {
        self.site.as_deref()
    }

    /// Who hears of visitors.
    pub fn reception(&self) -> &Reception {
        &self.reception
    }

    /// Whose connections are whose.
    pub fn callers(&self) -> &Callers {
        &self.callers
    }

    /// A place for one unit, which hears nothing until a network is set up around it. Needs a tokio runtime.
    pub fn place(&self) -> Arc<AirPort> {
        let run = Borrower::new();
        let wire = matches!(self.kind, NetworkKind::Wire | NetworkKind::Nic).then(Wire::new);
        let nic = self.nic.as_ref().map(|nic| nic.port(run));
        let (network, nat, on_site) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Arc::new(AirPort { run, network, wire, nic, nat, on_site, runtime: Handle::current() })
    }

    /// Sets up the network of a run around its unit; a unit stays with the first.
    pub fn surround(
        &self,
        place: &AirPort,
        config: AccessPointConfig,
        faults: &[TestbedFault],
        clock: Clock,
    ) -> Arc<dyn Network> {
        let set_up = || -> Arc<dyn Network> {
            let (callers, addresses) = (self.callers.clone(), self.addresses.clone());
            if let Some(wire) = &place.wire {
                let segment = match &self.nic {
                    Some(nic) => Segment::on_medium(place.run, callers, nic.medium(), clock),
                    None => Segment::on_wire(place.run, callers, addresses, clock),
                };
                let segment = Arc::new(segment);
                wire.surround(Arc::clone(&segment));
                return segment;
            }
            if self.kind == NetworkKind::Nat {
                let segment = Segment::behind_nat(place.run, callers, addresses, clock);
                let nat = Arc::new(Nat::around(Arc::new(segment), config, faults));
                let _first = place.nat.set(Arc::clone(&nat));
                return nat;
            }
            let segment = Segment::of_run(place.run, callers, addresses, clock);
            if let Some(site) = &self.site {
                let network = OnSite::of_run(site, place.run, segment);
                let _first = place.on_site.set(Arc::clone(&network));
                return network;
            }
            match self.kind {
                NetworkKind::Air => Arc::new(AccessPoint::around(segment, config, faults)),
                NetworkKind::Cable
                | NetworkKind::Wire
                | NetworkKind::Nic
                | NetworkKind::Nat
                | NetworkKind::Site
                | NetworkKind::None => Arc::new(segment),
            }
        };
        Arc::clone(place.network.get_or_init(set_up))
    }
}

/// A unit's way to the world.
#[derive(Debug)]
pub struct AirPort {
    run: Borrower,
    network: OnceLock<Arc<dyn Network>>,
    /// Where the frames of a unit of another process come in.
    wire: Option<Wire>,
    /// What tells them apart from those of others, where there are others.
    nic: Option<NicPort>,
    /// What an emulator's guest reaches, once the run is lent its network.
    nat: OnceLock<Arc<Nat>>,
    /// What is told which unit it is, once the run is lent its network.
    on_site: OnceLock<Arc<OnSite>>,
    runtime: Handle,
}

impl AirPort {
    /// The run whose unit stands here.
    pub fn run(&self) -> Borrower {
        self.run
    }

    /// Tells whose frames are the unit's, on an interface that others are on as well: those of these addresses, of
    /// which the first is its own and the others follow from it.
    ///
    /// # Errors
    /// [`SecondUnit`].
    pub fn bind(&self, macs: &[Mac]) -> Result<(), SecondUnit> {
        if let (Some(network), Some(mac)) = (self.on_site.get(), macs.first()) {
            network.bind(*mac);
        }
        match (&self.nic, &self.wire) {
            (Some(nic), Some(wire)) => nic.bind(macs, wire),
            _ => Ok(()),
        }
    }

    /// Where the unit's frames come in.
    ///
    /// # Errors
    /// `Unsupported` where the network is no wire.
    pub fn wire(&self) -> io::Result<&Wire> {
        self.wire.as_ref().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// What an emulator's guest reaches.
    ///
    /// # Errors
    /// `NetworkUnreachable` before the run is lent its network, and where that is no NAT.
    pub fn nat(&self) -> io::Result<&Nat> {
        let nat = self.nat.get().ok_or(io::ErrorKind::NetworkUnreachable)?;
        Ok(nat.as_ref())
    }

    fn heard(&self) -> io::Result<&dyn Network> {
        let network = self.network.get().ok_or(io::ErrorKind::NetworkUnreachable)?;
        Ok(network.as_ref())
    }

    /// The unit's end of a connection.
    fn carry(&self, service: TcpStream) -> io::Result<UnixStream> {
        let (unit, bench) = UnixStream::pair()?;
        // Only a matter of speed.
        let _nodelay = service.set_nodelay(true);
        for nonblocking in [bench.set_nonblocking(true), service.set_nonblocking(true)] {
            nonblocking?;
        }
        let _entered = self.runtime.enter();
        let mut bench = tokio::net::UnixStream::from_std(bench)?;
        let mut service = tokio::net::TcpStream::from_std(service)?;
        self.runtime.spawn(async move {
            // How either leaves, the other sees.
            let _ended = copy_bidirectional(&mut bench, &mut service).await;
        });
        Ok(unit)
    }
}

impl World for AirPort {
    fn associate(&self, association: &Association<'_>) -> Result<Link, Refusal> {
        let station = Station {
            mac: association.mac,
            ssid: association.ssid,
            passphrase: association.passphrase.expose(),
            asks_by_name: association.asks_by_name,
        };
        let network = self.network.get().ok_or(Refusal::NO_AP_FOUND)?;
        let link = network.join(&station);
        let link = link.map_err(|refusal| Refusal { reason: refusal.reason })?;
        let Signal { bssid, channel, rssi_dbm } = link.signal.unwrap_or(NO_SIGNAL);
        Ok(Link {
            address: link.address,
            netmask: link.netmask,
            gateway: link.gateway,
            bssid,
            channel,
            rssi_dbm,
        })
    }

    fn resolve(&self, from: Ipv4Addr, name: &str) -> Option<IpAddr> {
        self.network.get()?.resolve(from, name)
    }

    fn connect(&self, from: Ipv4Addr, to: SocketAddr) -> io::Result<UnixStream> {
        self.carry(self.heard()?.connect(from, to, Party::Unit)?)
    }

    fn exchange(
        &self,
        from: Ipv4Addr,
        to: SocketAddr,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        self.heard()?.exchange(from, to, Party::Unit, datagram, limit)
    }

    fn open_network(&self, network: &OwnNetwork<'_>) -> io::Result<Visitors> {
        let passphrase = Secret::new(network.passphrase.expose());
        self.heard()?.open_network(network.mac, network.ssid, passphrase, network.service)
    }

    fn leave(&self, mac: [u8; 6]) {
        if let Some(network) = self.network.get() {
            network.leave(mac);
        }
    }
}
