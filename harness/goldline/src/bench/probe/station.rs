//! The bench as a station of the units' network: it joins, asks DNS, opens connections and sends datagrams
//! from an address of its own.
//!
//! Each attempt is made by a station that the network never saw, so that an address is really given and not
//! only remembered. Must not know what is said over its connections.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpStream, task::spawn_blocking};

use super::ProbeError;
use crate::{
    client::http::{Dial, HttpClient},
    profile::Host,
    secret::Secret,
    testbed::network::{Link, Network, Party, Station},
};

/// Locally administered, so it is no unit's: "gold" and a number.
const MAC_PREFIX: [u8; 4] = [0x02, 0x67, 0x6f, 0x6c];
/// The access point's own address has 0 there.
const FIRST_NUMBER: u16 = 0x6400;

/// The network of the plan.
#[derive(Clone, Copy, Debug)]
pub struct PlannedNetwork<'a> {
    /// Network name.
    pub ssid: &'a str,
    /// WPA2 passphrase.
    pub passphrase: &'a Secret,
}

/// The bench near a network; it joins for a probe only.
#[derive(Debug)]
pub struct BenchStation {
    network: Arc<dyn Network>,
}

/// While it lives the bench is joined.
#[derive(Debug)]
pub struct Joined {
    network: Arc<dyn Network>,
    mac: [u8; 6],
    link: Link,
}

impl BenchStation {
    /// A station near this network.
    pub fn near(network: Arc<dyn Network>) -> Self {
        Self { network }
    }

    /// Joins the network as a new station.
    ///
    /// # Errors
    /// [`ProbeError::NetworkFailed`], [`ProbeError::NotJoined`], [`ProbeError::NoAddress`].
    pub fn join(&self, network: PlannedNetwork<'_>) -> Result<Joined, ProbeError> {
        if let Some(fault) = self.network.fault() {
            return Err(ProbeError::NetworkFailed(fault));
        }
        static STATIONS: AtomicU16 = AtomicU16::new(FIRST_NUMBER + 1);
        let [a, b, c, d] = MAC_PREFIX;
        let [high, low] = STATIONS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mac = [a, b, c, d, high, low];
        let PlannedNetwork { ssid, passphrase } = network;
        let passphrase = passphrase.expose();
        let station = Station { mac, ssid: ssid.as_bytes(), passphrase, asks_by_name: true };
        let link = self.network.join(&station).map_err(ProbeError::NotJoined)?;
        let joined = Joined { network: Arc::clone(&self.network), mac, link };
        match link.address.is_unspecified() {
            true => Err(ProbeError::NoAddress),
            false => Ok(joined),
        }
    }
}

impl Joined {
    /// Opens a connection to a service by its name, as a unit does.
    ///
    /// # Errors
    /// [`ProbeError::UnknownName`], [`ProbeError::Unreachable`].
    pub async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, ProbeError> {
        let (from, address) = (self.link.address, self.resolve(host, port)?);
        let network = Arc::clone(&self.network);
        spawn_blocking(move || network.connect(from, address, Party::Bench))
            .await
            .expect("connecting neither panics nor is cancelled")
            .and_then(|stream| {
                stream.set_nonblocking(true)?;
                TcpStream::from_std(stream)
            })
            .map_err(|source| ProbeError::Unreachable { address, source })
    }

    /// Sends a datagram to a service by its name, and waits for the answer.
    ///
    /// # Errors
    /// As [`Joined::dial`].
    pub async fn ask(
        &self,
        host: &str,
        port: u16,
        datagram: Vec<u8>,
        limit: Duration,
    ) -> Result<Vec<u8>, ProbeError> {
        let (from, address) = (self.link.address, self.resolve(host, port)?);
        let network = Arc::clone(&self.network);
        spawn_blocking(move || network.exchange(from, address, Party::Bench, &datagram, limit))
            .await
            .expect("a datagram neither panics nor is cancelled")
            .map_err(|source| ProbeError::Unreachable { address, source })
    }

    /// A client whose calls go this way, and that trusts these roots.
    ///
    /// # Errors
    /// [`ProbeError::Http`] when the roots are no certificates.
    pub fn http_client(self, roots_pem: &str) -> Result<HttpClient, ProbeError> {
        Ok(HttpClient::dialled(Arc::new(self), Some(roots_pem))?)
    }

    fn resolve(&self, host: &str, port: u16) -> Result<SocketAddr, ProbeError> {
        let literal = host.parse::<Host>().ok().and_then(|host| host.address());
        let address = literal.or_else(|| self.network.resolve(self.link.address, host));
        let unknown = || ProbeError::UnknownName { name: host.to_owned() };
        Ok(SocketAddr::new(address.ok_or_else(unknown)?, port))
    }
}

impl Dial for Joined {
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + 'a>> {
        Box::pin(async move { Joined::dial(self, host, port).await.map_err(io::Error::other) })
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.network.leave(self.mac);
    }
}
