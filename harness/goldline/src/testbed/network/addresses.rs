//! The addresses of stations, one for each, also among the access points of several runs.

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

/// Stations are numbered within the /16; 0 is the network, 1 the gateway, the last is broadcast.
const STATIONS: std::ops::Range<u16> = 2..u16::MAX;

/// What is taken of 127.77.0.0/16. Cheap to clone: all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Addresses(Arc<Mutex<Pool>>);

#[derive(Debug)]
struct Pool {
    /// From here on nothing was ever taken.
    fresh: u16,
    /// Taken once, and free again.
    returned: BTreeSet<u16>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { fresh: STATIONS.start, returned: BTreeSet::new() }
    }
}

impl Pool {
    fn take(&mut self) -> Option<u16> {
        if let Some(returned) = self.returned.pop_first() {
            return Some(returned);
        }
        let number = STATIONS.contains(&self.fresh).then_some(self.fresh)?;
        self.fresh += 1;
        Some(number)
    }
}

/// An address, free again when this is dropped.
#[derive(Debug)]
pub(super) struct AddressLease {
    number: u16,
    of: Addresses,
}

impl Addresses {
    /// The lowest that is free; none when all are taken.
    pub(super) fn take(&self) -> Option<AddressLease> {
        let number = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(AddressLease { number, of: self.clone() })
    }
}

impl AddressLease {
    pub(super) fn address(&self) -> Ipv4Addr {
        let [high, low] = self.number.to_be_bytes();
        Ipv4Addr::new(127, 77, high, low)
    }
}

impl Drop for AddressLease {
    fn drop(&mut self) {
        self.of.0.lock().unwrap_or_else(PoisonError::into_inner).returned.insert(self.number);
    }
}
