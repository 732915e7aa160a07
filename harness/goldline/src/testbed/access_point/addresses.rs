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
pub struct Addresses(Arc<Mutex<BTreeSet<u16>>>);

/// An address, free again when this is dropped.
#[derive(Debug)]
pub(super) struct AddressLease {
    number: u16,
    of: Addresses,
}

impl Addresses {
    /// The lowest that is free; none when all are taken.
    pub(super) fn take(&self) -> Option<AddressLease> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = STATIONS.into_iter().find(|number| !taken.contains(number))?;
        taken.insert(number);
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
        self.of.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}
