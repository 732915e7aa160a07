//! Networks that units open themselves, for whoever configures them; and the bench's way into one.
//!
//! Several units have the same name for theirs, so they are told apart by the unit's MAC. Must not know
//! what a unit serves there.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream},
};

use rustix::io::Errno;

use super::{Refusal, reason};
use crate::{identity::Mac, secret::Secret};

/// What stands for a unit's own network: each unit has an address of its own in 127.78.0.0/16.
const NETWORK: [u8; 2] = [127, 78];

/// The networks that are open now.
#[derive(Debug, Default)]
pub(super) struct OwnNetworks {
    open: HashMap<Mac, Open>,
    opened: u16,
}

#[derive(Debug)]
struct Open {
    ssid: String,
    passphrase: Secret,
    service: SocketAddrV4,
    listener: SocketAddr,
}

/// The bench within a unit's own network.
#[derive(Clone, Debug)]
pub struct UnitNetwork {
    service: SocketAddrV4,
    listener: SocketAddr,
}

impl OwnNetworks {
    pub(super) fn open(
        &mut self,
        mac: Mac,
        ssid: &str,
        passphrase: Secret,
        service: SocketAddrV4,
    ) -> io::Result<TcpListener> {
        self.opened = self.opened.checked_add(1).ok_or(Errno::ADDRNOTAVAIL)?;
        let [high, low] = self.opened.to_be_bytes();
        let address = Ipv4Addr::new(NETWORK[0], NETWORK[1], high, low);
        let listener = TcpListener::bind(SocketAddrV4::new(address, 0))?;
        let open =
            Open { ssid: ssid.to_owned(), passphrase, service, listener: listener.local_addr()? };
        self.open.insert(mac, open);
        Ok(listener)
    }

    /// Whether there was one.
    pub(super) fn close(&mut self, mac: Mac) -> bool {
        self.open.remove(&mac).is_some()
    }

    pub(super) fn join(
        &self,
        mac: Mac,
        ssid: &str,
        passphrase: &str,
    ) -> Result<UnitNetwork, Refusal> {
        let open = self.open.get(&mac).filter(|open| open.ssid == ssid);
        let open = open.ok_or(Refusal { reason: reason::NO_AP_FOUND })?;
        if open.passphrase.expose() != passphrase {
            return Err(Refusal { reason: reason::FOUR_WAY_HANDSHAKE_TIMEOUT });
        }
        Ok(UnitNetwork { service: open.service, listener: open.listener })
    }
}

impl UnitNetwork {
    /// Connects to where the unit serves; nothing else is in its network. Blocks until the unit's
    /// listener accepts or refuses, which on loopback is at once.
    ///
    /// # Errors
    /// `HostUnreachable` for any other address, and the operating system's own.
    pub fn connect(&self, to: SocketAddrV4) -> io::Result<TcpStream> {
        if to != self.service {
            return Err(Errno::HOSTUNREACH.into());
        }
        TcpStream::connect(self.listener)
    }
}
