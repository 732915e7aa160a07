//! The services of a bench on a site's own network, which is the machine's: WiFi of the factory, its switches, its DNS.
//!
//! ```text
//! unit ── the site's access point, DHCP, DNS, perhaps a NAT ──▶ LISTEN:PORT ── front ── Callers::usher ──▶ service
//! ```
//!
//! Each planned port is listened at for all runs. Nothing of the site's network tells who comes: behind one address there
//! may be all units of a line. So a front passes on whoever comes as a visitor, and the service finds out whose it is, by
//! what only that unit was given. What the bench does itself, it does from within, as on other networks.
//!
//! Must not know what is said on a connection.

mod front;
mod holder;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::watch};
use tokio_util::task::AbortOnDropHandle;

use super::{
    caller::{Borrower, Callers, Visit},
    event_log::{Follower, Stamped},
    network::{
        Link, Medium, Network, NetworkEvent, NetworkKind, NoPort, NoRedirect, Party, Proofs,
        Refusal, Segment, Station, UnitNetwork, Visitors,
    },
    reception::{Attends, Reception},
};
use crate::{identity::Mac, profile::Host, secret::Secret};

/// What a verdict calls the way from a unit to the bench.
const NAME: &str = "the site's network";

/// Where the bench is on a site's network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SitePlace {
    /// Where its services listen: an address of this machine, or all of them (`0.0.0.0`).
    pub listen: IpAddr,
    /// What units know it by, besides that address.
    pub advertise: Vec<Host>,
}

impl SitePlace {
    /// Whether units that are given this host come here.
    pub fn is_known_as(&self, host: &Host) -> bool {
        self.advertise.contains(host) || host.address() == Some(self.listen)
    }
}

/// What comes to a port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Arrives {
    /// By TCP.
    Connections,
    /// By UDP.
    Datagrams,
}

/// A port that is listened at, and the service behind it as soon as there is one.
#[derive(Debug)]
struct Front {
    service: watch::Sender<Option<SocketAddr>>,
    _task: AbortOnDropHandle<()>,
}

/// The ports of a bench on a site's network, for all of its runs. They close when this is dropped.
#[derive(Debug)]
pub struct Site {
    place: SitePlace,
    callers: Callers,
    reception: Reception,
    medium: Medium,
    fronts: Mutex<HashMap<(Arrives, u16), Front>>,
    runtime: Handle,
}

impl Site {
    /// At this place; listens nowhere yet. Needs a tokio runtime.
    pub fn new(place: SitePlace, callers: Callers, reception: Reception) -> Self {
        Self {
            place,
            callers,
            reception,
            medium: Medium::new(NAME, None, || None),
            fronts: Mutex::default(),
            runtime: Handle::current(),
        }
    }

    /// Listens at a port. Until a service is behind it, who comes is turned away.
    ///
    /// # Errors
    /// [`NoPort`] says why it cannot be had.
    pub fn hold(&self, arrives: Arrives, port: u16) -> Result<(), NoPort> {
        let mut fronts = self.fronts();
        if fronts.contains_key(&(arrives, port)) {
            return Ok(());
        }
        let at = SocketAddr::new(self.place.listen, port);
        let service = watch::Sender::new(None);
        let front = front::Front {
            service: service.subscribe(),
            callers: self.callers.clone(),
            known_as: self.place.advertise.iter().find_map(Host::address),
        };
        let _entered = self.runtime.enter();
        let task = match arrives {
            Arrives::Connections => front.take_connections(at),
            Arrives::Datagrams => front.take_datagrams(at),
        };
        let task = task.map_err(|source| no_port((arrives, at), source))?;
        fronts.insert((arrives, port), Front { service, _task: AbortOnDropHandle::new(task) });
        Ok(())
    }

    /// Makes sure that units which are given this host and port come here, before any is touched.
    ///
    /// # Errors
    /// [`NoRedirect`] says what stands in the way.
    pub fn prepare(&self, arrives: Arrives, host: &Host, port: u16) -> Result<(), NoRedirect> {
        self.refuse_elsewhere(host)?;
        Ok(self.hold(arrives, port)?)
    }

    fn refuse_elsewhere(&self, host: &Host) -> Result<(), NoRedirect> {
        match self.place.is_known_as(host) {
            true => Ok(()),
            false => {
                let names: Vec<String> =
                    self.place.advertise.iter().map(ToString::to_string).collect();
                let advertised = match names.is_empty() {
                    false => format!("known as {}", names.join(", ")),
                    true => format!("at {}, and has no name", self.place.listen),
                };
                let host = host.to_string();
                Err(NoRedirect::NotAdvertised { host, advertised })
            }
        }
    }

    /// Leads what comes to a port to a service.
    fn lead(
        &self,
        (arrives, host, port): (Arrives, &Host, u16),
        listener: SocketAddr,
    ) -> Result<(), NoRedirect> {
        self.prepare(arrives, host, port)?;
        let fronts = self.fronts();
        let Some(front) = fronts.get(&(arrives, port)) else { return Ok(()) };
        // Who has the port keeps it: its units are on their way.
        let mut is_anothers = false;
        front.service.send_if_modified(|service| match service {
            Some(before) => {
                is_anothers = *before != listener;
                false
            }
            None => {
                *service = Some(listener);
                true
            }
        });
        if is_anothers { Err(NoRedirect::PortInUse { port }) } else { Ok(()) }
    }

    /// Leads who connects to a port to another service from now on. For a bench that has one unit: it is every unit's way.
    fn lead_instead(&self, port: u16, listener: SocketAddr) {
        if let Some(front) = self.fronts().get(&(Arrives::Connections, port)) {
            front.service.send_replace(Some(listener));
        }
    }

    fn fronts(&self) -> MutexGuard<'_, HashMap<(Arrives, u16), Front>> {
        self.fronts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_port((arrives, at): (Arrives, SocketAddr), source: io::Error) -> NoPort {
    match source.kind() {
        io::ErrorKind::PermissionDenied => NoPort::Privileged { at },
        io::ErrorKind::AddrInUse => NoPort::InUse { at, holder: holder::of(arrives, at) },
        io::ErrorKind::AddrNotAvailable => NoPort::NotHere { at },
        _ => NoPort::Listen { at, source },
    }
}

/// The site's network as one run knows it.
#[derive(Debug)]
pub struct OnSite {
    /// Where the bench does as a unit does.
    segment: Segment,
    site: Arc<Site>,
    /// The run's unit, and what else its chip may call itself.
    unit: Mutex<Option<Mac>>,
}

impl OnSite {
    /// For a run, which hears from now on who of its own comes.
    pub fn of_run(site: &Arc<Site>, run: Borrower, segment: Segment) -> Arc<Self> {
        let network = Arc::new(Self { segment, site: Arc::clone(site), unit: Mutex::default() });
        let attendant = Arc::downgrade(&network);
        site.reception.attend(run, attendant);
        network
    }

    /// From here on it is known which unit the run's is.
    pub fn bind(&self, mac: Mac) {
        *self.unit() = Some(mac);
    }

    fn unit(&self) -> MutexGuard<'_, Option<Mac>> {
        self.unit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attends for OnSite {
    fn came(&self, visit: Visit) {
        // Before it is known which unit it is, nobody waits for one.
        let Some(mac) = *self.unit() else { return };
        self.site.medium.hears(mac, Instant::now());
        self.segment.record(NetworkEvent::Came { mac, from: visit.from, to: visit.to });
    }

    fn turned_away(&self, visit: Visit, because: &str) {
        let because = because.to_owned();
        self.segment.record(NetworkEvent::TurnedAway { from: visit.from, to: visit.to, because });
    }
}

impl Network for OnSite {
    fn proves(&self) -> Proofs {
        NetworkKind::Site.proves()
    }

    fn callers(&self) -> &Callers {
        self.segment.callers()
    }

    fn is_site(&self) -> bool {
        true
    }

    fn medium(&self) -> Option<&Medium> {
        Some(&self.site.medium)
    }

    fn redirect(&self, host: &Host, port: u16, listener: SocketAddr) -> Result<IpAddr, NoRedirect> {
        self.site.lead((Arrives::Connections, host, port), listener)?;
        self.segment.redirect(host, port, listener)
    }

    fn redirect_instead(
        &self,
        host: &Host,
        port: u16,
        listener: SocketAddr,
    ) -> Result<IpAddr, NoRedirect> {
        self.site.lead_instead(port, listener);
        self.segment.redirect(host, port, listener)
    }

    fn redirect_for_bench(
        &self,
        host: &Host,
        port: u16,
        listener: SocketAddr,
    ) -> Result<IpAddr, NoRedirect> {
        self.segment.redirect(host, port, listener)
    }

    fn redirect_datagrams(
        &self,
        host: &Host,
        port: u16,
        socket: SocketAddr,
    ) -> Result<IpAddr, NoRedirect> {
        self.site.lead((Arrives::Datagrams, host, port), socket)?;
        self.segment.redirect_datagrams(host, port, socket)
    }

    fn join(&self, station: &Station<'_>) -> Result<Link, Refusal> {
        self.segment.join(station)
    }

    fn leave(&self, mac: [u8; 6]) {
        self.segment.leave(mac);
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
        mac: [u8; 6],
        ssid: &[u8],
        passphrase: Secret,
        service: SocketAddrV4,
    ) -> io::Result<Visitors> {
        self.segment.open_network(mac, ssid, passphrase, service)
    }

    fn join_network(&self, mac: Mac, ssid: &str, passphrase: &str) -> Result<UnitNetwork, Refusal> {
        self.segment.join_network(mac, ssid, passphrase)
    }

    fn events(&self) -> Vec<Stamped<NetworkEvent>> {
        self.segment.events()
    }

    fn follow(&self) -> Follower<NetworkEvent> {
        self.segment.follow()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    fn no_port_of(kind: io::ErrorKind) -> NoPort {
        no_port((Arrives::Connections, ([127, 0, 0, 1], 443).into()), kind.into())
    }

    #[test]
    fn a_right_that_is_missing_is_named_with_the_command_that_gives_it() {
        let error = no_port_of(io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("127.0.0.1:443: ports below 1024 need a right"));
        assert!(error.action().contains("setcap cap_net_bind_service+ep"));
        let elsewhere = no_port_of(io::ErrorKind::AddrNotAvailable);
        assert!(elsewhere.to_string().contains("this machine has no such address"));
    }

    #[test]
    fn who_has_a_port_is_told_where_the_kernel_tells() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let at = listener.local_addr().expect("its address");
        let connections = |at| holder::of(Arrives::Connections, at);
        let holder = connections(at).expect("this process's own sockets are told");
        assert!(holder.contains(&format!("(process {})", std::process::id())), "{holder}");
        let everywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), at.port());
        assert_eq!(connections(everywhere), Some(holder.clone()));
        drop(listener);
        assert_eq!(connections(at), None);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let at = socket.local_addr().expect("its address");
        assert_eq!(holder::of(Arrives::Datagrams, at), Some(holder));
    }

    #[test]
    fn units_find_the_bench_by_its_name_or_its_address() {
        let place = |listen: [u8; 4], advertise: &str| SitePlace {
            listen: listen.into(),
            advertise: vec![advertise.parse().expect("a host")],
        };
        let host = |text: &str| text.parse::<Host>().expect("a host");
        let named = place([192, 0, 2, 7], "bench.example.test");
        assert!(named.is_known_as(&host("BENCH.example.test")));
        assert!(named.is_known_as(&host("192.0.2.7")));
        assert!(!named.is_known_as(&host("broker.example.test")));
        let behind = place([0, 0, 0, 0], "198.51.100.9");
        assert!(behind.is_known_as(&host("198.51.100.9")));
        assert!(!behind.is_known_as(&host("192.0.2.7")));
    }
}
