//! The part of a network that is the same with a radio and without: addresses, DNS, and the way to the
//! bench's services. By itself it is the network without one: it proves that a unit gets an address and
//! reaches its services, and nothing of WiFi.
//!
//! No name reaches the machine's resolver: what is not redirected does not exist. Each station has an
//! address of its own in 127.77.0.0/16; the services know it by the connection that was opened for it, and
//! announced. Must not know who may join where there is a radio.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustix::io::Errno;

use super::{
    Addresses, Link, Network, NetworkEvent, NetworkKind, NoRedirect, Party, Proofs, Refusal,
    Station, UnitNetwork, Visitors,
    addresses::{AddressLease, Brought, Subnet},
    directory::{Directory, Kind},
    medium::{BELIEVED, Medium},
    reason,
};
use crate::{
    clock::Clock,
    identity::Mac,
    profile::Host,
    secret::Secret,
    testbed::{
        caller::{Borrower, Caller, Callers},
        event_log::{EventLog, Follower, Stamped},
    },
};

/// The way out of a segment within this process, and its DNS server.
pub(in crate::testbed) const GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);
/// The segment's mask.
pub(in crate::testbed) const NETMASK: Ipv4Addr = Ipv4Addr::new(255, 255, 0, 0);
/// How long a lease on a wire lasts: shorter than a soak, so that renewals are met; longer than any run.
const LEASE: Duration = Duration::from_secs(12 * 3600);
/// A unit has one interface or two; whoever counts MACs up shall not take the addresses of others.
const MOST_PLUGGED_IN: usize = 8;

/// Stations of one run, and where what they open leads.
#[derive(Debug)]
pub struct Segment {
    /// Whose unit its stations are; none for stations of nobody.
    run: Option<Borrower>,
    callers: Callers,
    addresses: Addresses,
    subnet: Subnet,
    began: Instant,
    /// What it shares with others, where it is not alone.
    medium: Option<Medium>,
    directory: Arc<Mutex<Directory>>,
    state: Mutex<State>,
    log: Arc<EventLog<NetworkEvent>>,
}

#[derive(Debug, Default)]
struct State {
    /// Who has which address; kept after a station leaves, so that an address is never shared.
    leases: HashMap<Mac, AddressLease>,
    /// What stations use that they were not given.
    brought: HashMap<Ipv4Addr, Brought>,
    /// Who is joined now, by the address that the station has.
    joined: HashMap<Ipv4Addr, Mac>,
    /// Who came over the link of the run's unit.
    plugged_in: HashSet<Mac>,
}

impl Segment {
    /// The segment of a run, among others: its stations have addresses of their own, and what they open is
    /// announced as the run's.
    pub fn of_run(run: Borrower, callers: Callers, addresses: Addresses, clock: Clock) -> Self {
        Self::of_subnet(Subnet::Loopback, run, callers, addresses, clock)
    }

    /// As [`Self::of_run`], for a unit with a TCP/IP stack, which has its addresses in 10.77.0.0/16.
    pub fn on_wire(run: Borrower, callers: Callers, addresses: Addresses, clock: Clock) -> Self {
        Self::of_subnet(Subnet::Wire, run, callers, addresses, clock)
    }

    /// As [`Self::of_run`], for a guest behind an emulator's NAT: every name leads to the guest's gateway.
    pub fn behind_nat(run: Borrower, callers: Callers, addresses: Addresses, clock: Clock) -> Self {
        Self::of_subnet(Subnet::Nat, run, callers, addresses, clock)
    }

    /// As [`Self::on_wire`], on an interface that others are on as well.
    pub fn on_medium(run: Borrower, callers: Callers, medium: &Medium, clock: Clock) -> Self {
        let addresses = medium.addresses().clone();
        let segment = Self::of_subnet(Subnet::Shared, run, callers, addresses, clock);
        Self { medium: Some(medium.clone()), ..segment }
    }

    /// For a station on such an interface that is no run's unit: it reaches what any of them reaches, as nobody.
    pub(in crate::testbed) fn of_guest(callers: Callers, medium: &Medium, clock: Clock) -> Self {
        let segment = Self::on_medium(Borrower::new(), callers, medium, clock);
        Self { run: None, directory: Arc::clone(medium.everyones()), ..segment }
    }

    fn of_subnet(
        subnet: Subnet,
        run: Borrower,
        callers: Callers,
        addresses: Addresses,
        clock: Clock,
    ) -> Self {
        Self {
            run: Some(run),
            callers,
            addresses,
            subnet,
            began: Instant::now(),
            medium: None,
            directory: Arc::default(),
            state: Mutex::default(),
            log: Arc::new(EventLog::new(clock)),
        }
    }

    /// Whether other stations are on the same medium, and answer for themselves.
    pub(in crate::testbed) fn is_shared(&self) -> bool {
        self.subnet == Subnet::Shared
    }

    /// Whether its stations are of no run.
    pub(in crate::testbed) fn is_nobodys(&self) -> bool {
        self.run.is_none()
    }

    /// For how long a station is given its address.
    pub(in crate::testbed) fn lease(&self) -> Duration {
        if self.is_shared() { BELIEVED } else { LEASE }
    }

    /// The way out, and the DNS server, and the mask.
    pub(in crate::testbed) fn gateway(&self) -> (Ipv4Addr, Ipv4Addr) {
        (self.subnet.gateway(), NETMASK)
    }

    /// The address that a station on the unit's link will have when it joins. From here on it is the run's
    /// unit, whatever MAC it has.
    ///
    /// # Errors
    /// `ASSOC_TOOMANY` when the link has had too many stations, or no address is left.
    pub(in crate::testbed) fn reserve(&self, mac: [u8; 6]) -> Result<Ipv4Addr, Refusal> {
        self.state().reserve(Mac(mac), &self.addresses, self.subnet)
    }

    /// Lets a station on the unit's link join, with an address that it has already or the one that is
    /// reserved for it.
    ///
    /// # Errors
    /// As [`Self::reserve`], and `ASSOC_FAIL` when another station has its address.
    pub(in crate::testbed) fn plug_in(
        &self,
        mac: [u8; 6],
        own: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr, Refusal> {
        let mac = Mac(mac);
        let outcome = self.state().plug_in(mac, own, &self.addresses, self.subnet);
        self.record(NetworkEvent::Join { mac, ssid: String::new(), outcome });
        outcome
    }

    /// Whether a name leads somewhere; nobody asked for it.
    pub(in crate::testbed) fn knows(&self, name: &str) -> bool {
        self.directory().address_of(name).is_some()
    }

    /// Whether datagrams are answered there.
    pub(in crate::testbed) fn hears(&self, to: SocketAddr) -> bool {
        self.directory().listener(Kind::Datagrams, to).is_some()
    }

    /// Gives a station an address, if it may join.
    ///
    /// # Errors
    /// Why it may not, or that no address is left.
    pub(in crate::testbed) fn admit(
        &self,
        station: &Station<'_>,
        admitted: Result<(), Refusal>,
    ) -> Result<Ipv4Addr, Refusal> {
        let mac = Mac(station.mac);
        let outcome = admitted.and_then(|()| {
            let address = self.state().join(mac, &self.addresses, self.subnet);
            address.ok_or(Refusal { reason: reason::ASSOC_TOOMANY })
        });
        self.record(NetworkEvent::Join { mac, ssid: shown(station.ssid), outcome });
        outcome
    }

    /// Notes what was seen.
    pub(in crate::testbed) fn record(&self, event: NetworkEvent) {
        self.log.record(event);
    }

    fn caller(&self, party: Party) -> Caller {
        match (self.run, party) {
            (Some(run), Party::Unit) => Caller::Unit(run),
            (Some(run), Party::Bench) => Caller::Bench(run),
            (None, _) => Caller::Guest,
        }
    }

    /// Where something of a station leads, if the station is joined, and what the service sees it as.
    fn leads(
        &self,
        from: Ipv4Addr,
        kind: Kind,
        to: SocketAddr,
    ) -> io::Result<(Ipv4Addr, Option<SocketAddr>)> {
        let own = {
            let state = self.state();
            let lease = state.joined.get(&from).and_then(|mac| state.leases.get(mac));
            lease.ok_or(Errno::NETUNREACH)?.on_loopback()
        };
        Ok((own, self.directory().listener(kind, to)))
    }

    fn lead(
        &self,
        kind: Kind,
        host: &Host,
        port: u16,
        listener: SocketAddr,
    ) -> Result<IpAddr, NoRedirect> {
        if let Some(medium) = &self.medium {
            let mut everyones = medium.everyones().lock().unwrap_or_else(PoisonError::into_inner);
            everyones.lead(kind, (host, port), listener, self.subnet)?;
        }
        self.directory().lead(kind, (host, port), listener, self.subnet)
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By itself it is a cable: whoever is plugged in is joined, whatever network its firmware names.
impl Network for Segment {
    fn proves(&self) -> Proofs {
        let asked = self.medium.as_ref().is_some_and(|medium| medium.access_point().is_some());
        Proofs { radio: asked, ..NetworkKind::Cable.proves() }
    }

    fn callers(&self) -> &Callers {
        &self.callers
    }

    fn is_unit(&self, station: Mac, unit: Mac) -> bool {
        station == unit || self.state().plugged_in.contains(&station)
    }

    fn fault(&self) -> Option<String> {
        self.medium.as_ref()?.fault_since(self.began)
    }

    fn medium(&self) -> Option<&Medium> {
        self.medium.as_ref()
    }

    fn station_seen_as(&self, address: IpAddr) -> Option<Mac> {
        self.medium.as_ref()?.addresses().station_seen_as(address)
    }

    fn redirect(&self, host: &Host, port: u16, listener: SocketAddr) -> Result<IpAddr, NoRedirect> {
        self.lead(Kind::Connections, host, port, listener)
    }

    fn redirect_datagrams(
        &self,
        host: &Host,
        port: u16,
        socket: SocketAddr,
    ) -> Result<IpAddr, NoRedirect> {
        self.lead(Kind::Datagrams, host, port, socket)
    }

    fn leave(&self, mac: [u8; 6]) {
        let mac = Mac(mac);
        let (before, after) = {
            let joined = &mut self.state().joined;
            let before = joined.len();
            joined.retain(|_, station| *station != mac);
            (before, joined.len())
        };
        // One that only had a network of its own was never here.
        if after < before {
            self.record(NetworkEvent::Left { mac });
        }
    }

    fn resolve(&self, from: Ipv4Addr, name: &str) -> Option<IpAddr> {
        let is_joined = self.state().joined.contains_key(&from);
        let answer = is_joined.then(|| self.directory().address_of(name)).flatten();
        let answer = answer.map(IpAddr::from);
        self.record(NetworkEvent::Resolved { from, name: name.to_owned(), answer });
        answer
    }

    fn connect(&self, from: Ipv4Addr, to: SocketAddr, party: Party) -> io::Result<TcpStream> {
        let to = canonical(to);
        let listener = self.leads(from, Kind::Connections, to);
        let listener =
            listener.and_then(|(own, found)| Ok((own, found.ok_or(Errno::CONNREFUSED)?)));
        let caller = self.caller(party);
        let outcome =
            listener.and_then(|(own, listener)| self.callers.connect(own, listener, caller));
        self.record(NetworkEvent::Connection { from, to, connected: outcome.is_ok() });
        outcome
    }

    fn exchange(
        &self,
        from: Ipv4Addr,
        to: SocketAddr,
        party: Party,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        let to = canonical(to);
        let answer = match self.leads(from, Kind::Datagrams, to)? {
            (own, Some(socket)) => {
                self.callers.ask(own, socket, self.caller(party), datagram, limit)
            }
            // Nobody hears a datagram to nowhere.
            (_, None) => Err(io::ErrorKind::TimedOut.into()),
        };
        self.record(NetworkEvent::Datagram { from, to, answered: answer.is_ok() });
        answer
    }

    fn open_for_bench(&self, service: SocketAddr) -> io::Result<TcpStream> {
        self.callers.connect(Ipv4Addr::LOCALHOST, service, self.caller(Party::Bench))
    }

    fn events(&self) -> Vec<Stamped<NetworkEvent>> {
        self.log.all()
    }

    fn follow(&self) -> Follower<NetworkEvent> {
        Follower::new(Arc::clone(&self.log))
    }

    fn join(&self, station: &Station<'_>) -> Result<Link, Refusal> {
        let plugged_in = Station { ssid: b"", passphrase: "", ..*station };
        let address = self.admit(&plugged_in, Ok(()))?;
        Ok(Link { address, netmask: NETMASK, gateway: self.subnet.gateway(), signal: None })
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
}

impl State {
    fn join(&mut self, mac: Mac, addresses: &Addresses, subnet: Subnet) -> Option<Ipv4Addr> {
        let address = self.lease(mac, addresses, subnet)?;
        self.joined.insert(address, mac);
        Some(address)
    }

    fn lease(&mut self, mac: Mac, addresses: &Addresses, subnet: Subnet) -> Option<Ipv4Addr> {
        if let Some(leased) = self.leases.get(&mac) {
            return Some(leased.address(subnet));
        }
        let lease = addresses.take(mac)?;
        let address = lease.address(subnet);
        self.leases.insert(mac, lease);
        Some(address)
    }

    fn reserve(
        &mut self,
        mac: Mac,
        addresses: &Addresses,
        subnet: Subnet,
    ) -> Result<Ipv4Addr, Refusal> {
        let full = self.plugged_in.len() >= MOST_PLUGGED_IN && !self.plugged_in.contains(&mac);
        let leased = if full { None } else { self.lease(mac, addresses, subnet) };
        let address = leased.ok_or(Refusal { reason: reason::ASSOC_TOOMANY })?;
        self.plugged_in.insert(mac);
        Ok(address)
    }

    fn plug_in(
        &mut self,
        mac: Mac,
        own: Option<Ipv4Addr>,
        addresses: &Addresses,
        subnet: Subnet,
    ) -> Result<Ipv4Addr, Refusal> {
        let reserved = self.reserve(mac, addresses, subnet)?;
        let address = own.unwrap_or(reserved);
        let others = self
            .leases
            .iter()
            .any(|(other, lease)| *other != mac && lease.address(subnet) == address);
        if others || self.joined.get(&address).is_some_and(|other| *other != mac) {
            return Err(Refusal { reason: reason::ASSOC_FAIL });
        }
        let is_strange = address != reserved && subnet.has(address);
        if is_strange && !self.brought.contains_key(&address) {
            let brought = addresses.bring(mac, address);
            let brought = brought.ok_or(Refusal { reason: reason::ASSOC_FAIL })?;
            self.brought.insert(address, brought);
        }
        self.joined.insert(address, mac);
        Ok(address)
    }
}

/// An IPv6 address that maps an IPv4 one leads where that one leads.
fn canonical(to: SocketAddr) -> SocketAddr {
    SocketAddr::new(to.ip().to_canonical(), to.port())
}

/// A network name for the log; any byte may be in one.
pub(in crate::testbed) fn shown(ssid: &[u8]) -> String {
    String::from_utf8_lossy(ssid).into_owned()
}
