//! Which names and ports of a network lead to which listener of the bench.
//!
//! Must not know who may use them.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use super::{NoRedirect, addresses::Subnet};
use crate::profile::Host;

/// TEST-NET-1 of RFC 5737: an address that never leads anywhere by accident.
const SERVICES: [u8; 3] = [192, 0, 2];

#[derive(Debug, Default)]
pub(super) struct Directory {
    names: HashMap<Host, Ipv4Addr>,
    services: HashMap<SocketAddr, SocketAddr>,
    /// Where datagrams are answered.
    datagrams: HashMap<SocketAddr, SocketAddr>,
}

/// What leads to a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Connections,
    Datagrams,
}

impl Directory {
    /// Leads what is for the host and port to a listener.
    pub(super) fn lead(
        &mut self,
        kind: Kind,
        (host, port): (&Host, u16),
        listener: SocketAddr,
        subnet: Subnet,
    ) -> Result<IpAddr, NoRedirect> {
        let address = self.address_for(host, subnet)?;
        let known = match kind {
            Kind::Connections => &mut self.services,
            Kind::Datagrams => &mut self.datagrams,
        };
        known.insert(SocketAddr::new(address, port), listener);
        Ok(address)
    }

    /// Where something leads.
    pub(super) fn listener(&self, kind: Kind, to: SocketAddr) -> Option<SocketAddr> {
        let known = match kind {
            Kind::Connections => &self.services,
            Kind::Datagrams => &self.datagrams,
        };
        known.get(&to).copied()
    }

    /// The address of a name.
    pub(super) fn address_of(&self, name: &str) -> Option<Ipv4Addr> {
        let host: Host = name.parse().ok()?;
        self.names.get(&host).copied()
    }

    /// The address that stands for a host: its own if it is one, else the next free one.
    fn address_for(&mut self, host: &Host, subnet: Subnet) -> Result<IpAddr, NoRedirect> {
        if let Some(literal) = host.address() {
            return Ok(literal);
        }
        if subnet == Subnet::Nat {
            self.names.insert(host.clone(), subnet.gateway());
            return Ok(subnet.gateway().into());
        }
        if let Some(&known) = self.names.get(host) {
            return Ok(known.into());
        }
        let [a, b, c] = SERVICES;
        let number = u8::try_from(self.names.len() + 1).ok().filter(|&number| number < u8::MAX);
        let Some(number) = number else {
            return Err(NoRedirect::TooManyNames { name: host.to_string() });
        };
        let address = Ipv4Addr::new(a, b, c, number);
        self.names.insert(host.clone(), address);
        Ok(address.into())
    }
}
