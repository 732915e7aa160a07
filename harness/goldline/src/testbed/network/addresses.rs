//! The addresses of stations, one for each, also among the access points of several runs.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::by_station::{ByStation, STATIONS};
use crate::identity::Mac;

/// What is taken of 127.77.0.0/16, and of 10.77.0.0/16 with it. Cheap to clone: all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Addresses(Arc<Mutex<Pool>>);

#[derive(Debug)]
enum Pool {
    /// Each station gets the lowest that is free, whoever else has its hardware address: on links of their own two
    /// may have the same.
    InTurn(InTurn),
    /// A station is known by its hardware address, and has its own again.
    ByStation(ByStation),
}

#[derive(Debug)]
struct InTurn {
    /// From here on nothing was ever taken.
    fresh: u16,
    /// Taken once, and free again.
    returned: BTreeSet<u16>,
}

impl Default for Pool {
    fn default() -> Self {
        Self::InTurn(InTurn { fresh: STATIONS.start, returned: BTreeSet::new() })
    }
}

impl InTurn {
    fn take(&mut self) -> Option<u16> {
        if let Some(returned) = self.returned.pop_first() {
            return Some(returned);
        }
        let number = STATIONS.contains(&self.fresh).then_some(self.fresh)?;
        self.fresh += 1;
        Some(number)
    }
}

/// An address, free again when this is dropped: at once, or when its station believes in it no longer.
#[derive(Debug)]
pub(super) struct AddressLease {
    number: u16,
    mac: Mac,
    of: Addresses,
}

impl Addresses {
    /// For stations of one interface, which are told apart by their hardware addresses and believe in an address for
    /// so long after it was last given.
    pub fn by_station(believed: Duration) -> Self {
        Self(Arc::new(Mutex::new(Pool::ByStation(ByStation::new(believed)))))
    }

    /// One for a station; none when all are taken.
    pub(super) fn take(&self, mac: Mac) -> Option<AddressLease> {
        let number = match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Pool::InTurn(pool) => pool.take()?,
            Pool::ByStation(pool) => pool.take(mac, Instant::now())?,
        };
        Some(AddressLease { number, mac, of: self.clone() })
    }

    /// Lets a station use an address of the subnet's that it was not given; none when that is another's.
    pub(super) fn bring(&self, mac: Mac, address: Ipv4Addr) -> Option<Brought> {
        let [_, _, high, low] = address.octets();
        let number = u16::from_be_bytes([high, low]);
        let is_its_own = match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            // On a link of its own nobody else has any.
            Pool::InTurn(_) => true,
            Pool::ByStation(pool) => pool.bring(mac, number, Instant::now()),
        };
        is_its_own.then(|| Brought { number, of: self.clone() })
    }

    /// Whose an address is, as services see it; none where addresses do not tell.
    pub(super) fn station_seen_as(&self, address: IpAddr) -> Option<Mac> {
        let IpAddr::V4(address) = address else { return None };
        let [127, 77, high, low] = address.octets() else { return None };
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Pool::InTurn(_) => None,
            Pool::ByStation(pool) => pool.station_of(u16::from_be_bytes([high, low])),
        }
    }
}

/// An address that a station brought with it; another may have it a while after this is dropped.
#[derive(Debug)]
pub(super) struct Brought {
    number: u16,
    of: Addresses,
}

impl Drop for Brought {
    fn drop(&mut self) {
        let mut pool = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Pool::ByStation(pool) = &mut *pool {
            pool.leave(self.number, Instant::now());
        }
    }
}

/// What a segment's stations take themselves to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Subnet {
    /// 127.77.0.0/16, for stations whose connections the bench opens in their stead.
    Loopback,
    /// 10.77.0.0/16, for stations with a TCP/IP stack: none takes an address of loopback from a wire.
    Wire,
    /// The same on an interface that other stations are on as well.
    Shared,
    /// 192.168.4.0/24 behind an emulator's NAT, which its guest has alone; other stations are the bench's own,
    /// and have addresses of 127.77.0.0/16.
    Nat,
}

impl Subnet {
    /// Whether an address is of those that stations are given.
    pub(super) fn has(self, address: Ipv4Addr) -> bool {
        address.octets()[..2] == self.gateway().octets()[..2]
    }

    /// The way out, and the DNS server.
    pub(super) fn gateway(self) -> Ipv4Addr {
        match self {
            Self::Nat => Ipv4Addr::new(192, 168, 4, 1),
            Self::Loopback | Self::Wire | Self::Shared => self.address(1),
        }
    }

    fn address(self, number: u16) -> Ipv4Addr {
        let [high, low] = number.to_be_bytes();
        match self {
            Self::Loopback | Self::Nat => Ipv4Addr::new(127, 77, high, low),
            Self::Wire | Self::Shared => Ipv4Addr::new(10, 77, high, low),
        }
    }
}

impl AddressLease {
    /// What its station takes itself to be.
    pub(super) fn address(&self, subnet: Subnet) -> Ipv4Addr {
        subnet.address(self.number)
    }

    /// What the services see it as.
    pub(super) fn on_loopback(&self) -> Ipv4Addr {
        Subnet::Loopback.address(self.number)
    }
}

impl Drop for AddressLease {
    fn drop(&mut self) {
        match &mut *self.of.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Pool::InTurn(pool) => {
                pool.returned.insert(self.number);
            }
            Pool::ByStation(pool) => pool.give_back(self.mac, Instant::now()),
        }
    }
}
