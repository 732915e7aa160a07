//! Networks that units open themselves, for whoever configures them; and the bench's way into one.
//!
//! Several units have the same name for theirs, so they are told apart by the unit's MAC. Must not know
//! what a unit serves there.

use std::{collections::HashMap, io, net::SocketAddrV4, os::unix::net::UnixStream};

use rustix::io::Errno;
use tokio::sync::mpsc;

use super::{Refusal, Visitors, reason};
use crate::{identity::Mac, secret::Secret};

/// The networks that are open now.
#[derive(Debug, Default)]
pub(in crate::testbed) struct OwnNetworks {
    open: HashMap<Mac, Open>,
}

#[derive(Debug)]
struct Open {
    ssid: Vec<u8>,
    passphrase: Secret,
    inside: UnitNetwork,
}

/// The bench within a unit's own network.
#[derive(Clone, Debug)]
pub struct UnitNetwork {
    service: SocketAddrV4,
    door: mpsc::UnboundedSender<UnixStream>,
}

impl OwnNetworks {
    pub(in crate::testbed) fn open(
        &mut self,
        mac: Mac,
        ssid: &[u8],
        passphrase: Secret,
        service: SocketAddrV4,
    ) -> Visitors {
        let (door, visitors) = mpsc::unbounded_channel();
        let inside = UnitNetwork { service, door };
        self.open.insert(mac, Open { ssid: ssid.to_owned(), passphrase, inside });
        visitors
    }

    /// Whether there was one.
    pub(in crate::testbed) fn close(&mut self, mac: Mac) -> bool {
        self.open.remove(&mac).is_some()
    }

    pub(in crate::testbed) fn join(
        &self,
        mac: Mac,
        ssid: &str,
        passphrase: &str,
    ) -> Result<UnitNetwork, Refusal> {
        let open = self.open.get(&mac).filter(|open| open.ssid == ssid.as_bytes());
        let open = open.ok_or(Refusal { reason: reason::NO_AP_FOUND })?;
        if open.passphrase.expose() != passphrase {
            return Err(Refusal { reason: reason::FOUR_WAY_HANDSHAKE_TIMEOUT });
        }
        Ok(open.inside.clone())
    }
}

impl UnitNetwork {
    /// Connects to where the unit serves; nothing else is in its network.
    ///
    /// # Errors
    /// `HostUnreachable` for any other address, `ConnectionRefused` when the unit serves no more, and the
    /// operating system's own.
    pub fn connect(&self, to: SocketAddrV4) -> io::Result<UnixStream> {
        if to != self.service {
            return Err(Errno::HOSTUNREACH.into());
        }
        let (bench, unit) = UnixStream::pair()?;
        self.door.send(unit).map_err(|_| Errno::CONNREFUSED)?;
        Ok(bench)
    }
}
