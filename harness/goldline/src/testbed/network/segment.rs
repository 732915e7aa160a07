//! The part of a network that is the same with a radio and without: addresses, DNS, and the way to the
//! bench's services. By itself it is the network without one: it proves that a unit gets an address and
//! reaches its services, and nothing of WiFi.
//!
//! No name reaches the machine's resolver: what is not redirected does not exist. Each station has an
//! address of its own in 127.77.0.0/16; the services know it by the connection that was opened for it, and
//! announced. Must not know who may join where there is a radio.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::io::Errno;

use super::{
    Addresses, Link, Network, NetworkEvent, NetworkKind, Party, Proofs, Refusal, Station,
    TooManyNames, UnitNetwork, Visitors, addresses::AddressLease, reason,
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

/// The way out of the segment, and its DNS server.
pub(in crate::testbed) const GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);
/// The segment's mask.
pub(in crate::testbed) const NETMASK: Ipv4Addr = Ipv4Addr::new(255, 255, 0, 0);
/// TEST-NET-1 of RFC 5737: an address that never leads anywhere by accident.
const SERVICES: [u8; 3] = [192, 0, 2];

/// Stations of one run, and where what they open leads.
#[derive(Debug)]
pub struct Segment {
    run: Borrower,
    callers: Callers,
    addresses: Addresses,
    state: Mutex<State>,
    log: Arc<EventLog<NetworkEvent>>,
}

#[derive(Debug, Default)]
struct State {
    /// Who has which address; kept after a station leaves, so that an address is never shared.
    leases: HashMap<Mac, AddressLease>,
    /// Who is joined now.
    joined: HashMap<Ipv4Addr, Mac>,
    names: HashMap<Host, Ipv4Addr>,
    services: HashMap<SocketAddr, SocketAddr>,
    /// Where datagrams are answered.
    datagrams: HashMap<SocketAddr, SocketAddr>,
}

impl Segment {
    /// The segment of a run, among others: its stations have addresses of their own, and what they open is
    /// announced as the run's.
    pub fn of_run(run: Borrower, callers: Callers, addresses: Addresses, clock: Clock) -> Self {
        let log = Arc::new(EventLog::new(clock));
        Self { run, callers, addresses, state: Mutex::default(), log }
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
            let address = self.state().join(mac, &self.addresses);
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
        match party {
            Party::Unit => Caller::Unit(self.run),
            Party::Bench => Caller::Bench(self.run),
        }
    }

    /// Where something of a station leads, if the station is joined.
    fn leads<T>(
        &self,
        from: Ipv4Addr,
        find: impl FnOnce(&State) -> Option<T>,
    ) -> io::Result<Option<T>> {
        let state = self.state();
        match state.joined.contains_key(&from) {
            true => Ok(find(&state)),
            false => Err(Errno::NETUNREACH.into()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By itself it is a cable: whoever is plugged in is joined, whatever network its firmware names.
impl Network for Segment {
    fn proves(&self) -> Proofs {
        NetworkKind::Cable.proves()
    }

    fn callers(&self) -> &Callers {
        &self.callers
    }

    fn redirect(
        &self,
        host: &Host,
        port: u16,
        listener: SocketAddr,
    ) -> Result<IpAddr, TooManyNames> {
        let mut state = self.state();
        let address = state.address_of(host)?;
        state.services.insert(SocketAddr::new(address, port), listener);
        Ok(address)
    }

    fn redirect_datagrams(
        &self,
        host: &Host,
        port: u16,
        socket: SocketAddr,
    ) -> Result<IpAddr, TooManyNames> {
        let mut state = self.state();
        let address = state.address_of(host)?;
        state.datagrams.insert(SocketAddr::new(address, port), socket);
        Ok(address)
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
        let answer = {
            let state = self.state();
            state.joined.get(&from).and_then(|_| {
                let host = name.parse().ok()?;
                state.names.get::<Host>(&host).copied().map(IpAddr::from)
            })
        };
        self.record(NetworkEvent::Resolved { from, name: name.to_owned(), answer });
        answer
    }

    fn connect(&self, from: Ipv4Addr, to: SocketAddr, party: Party) -> io::Result<TcpStream> {
        let to = canonical(to);
        let listener = self.leads(from, |state| state.services.get(&to).copied());
        let listener = listener.and_then(|found| found.ok_or_else(|| Errno::CONNREFUSED.into()));
        let caller = self.caller(party);
        let outcome = listener.and_then(|listener| self.callers.connect(from, listener, caller));
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
        let answer = match self.leads(from, |state| state.datagrams.get(&to).copied())? {
            Some(socket) => self.callers.ask(from, socket, self.caller(party), datagram, limit),
            // Nobody hears a datagram to nowhere.
            None => Err(io::ErrorKind::TimedOut.into()),
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
        Ok(Link { address, netmask: NETMASK, gateway: GATEWAY, signal: None })
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
    /// The address that stands for a host: its own if it is one, else the next free one.
    fn address_of(&mut self, host: &Host) -> Result<IpAddr, TooManyNames> {
        if let Some(literal) = host.address() {
            return Ok(literal);
        }
        if let Some(&known) = self.names.get(host) {
            return Ok(known.into());
        }
        let [a, b, c] = SERVICES;
        let number = u8::try_from(self.names.len() + 1).ok().filter(|&number| number < u8::MAX);
        let Some(number) = number else {
            return Err(TooManyNames { name: host.to_string() });
        };
        let address = Ipv4Addr::new(a, b, c, number);
        self.names.insert(host.clone(), address);
        Ok(address.into())
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

/// An IPv6 address that maps an IPv4 one leads where that one leads.
fn canonical(to: SocketAddr) -> SocketAddr {
    SocketAddr::new(to.ip().to_canonical(), to.port())
}

/// A network name for the log; any byte may be in one.
pub(in crate::testbed) fn shown(ssid: &[u8]) -> String {
    String::from_utf8_lossy(ssid).into_owned()
}
