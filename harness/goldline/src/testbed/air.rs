//! The access point as the world of simulated units: the one place where the simulator's words and
//! the testbed's meet.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    time::Duration,
};

use goldline_simulator::{
    World,
    world::{Association, Link, OwnNetwork, Refusal},
};

use super::access_point::{self, AccessPoint};
use crate::secret::Secret;

impl World for AccessPoint {
    fn associate(&self, station: &Association<'_>) -> Result<Link, Refusal> {
        let asked = access_point::Association {
            mac: station.mac,
            ssid: station.ssid,
            passphrase: station.passphrase.expose(),
        };
        let link = self.associate(&asked).map_err(|refusal| Refusal { reason: refusal.reason })?;
        Ok(Link {
            address: link.address,
            netmask: link.netmask,
            gateway: link.gateway,
            bssid: link.bssid,
            channel: link.channel,
            rssi_dbm: link.rssi_dbm,
        })
    }

    fn resolve(&self, from: Ipv4Addr, name: &str) -> Option<Ipv4Addr> {
        self.resolve(from, name)
    }

    fn connect(&self, from: Ipv4Addr, to: SocketAddrV4) -> io::Result<TcpStream> {
        self.connect(from, to)
    }

    fn exchange(
        &self,
        from: Ipv4Addr,
        to: SocketAddrV4,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        self.exchange(from, to, datagram, limit)
    }

    fn open_network(&self, network: &OwnNetwork<'_>) -> io::Result<TcpListener> {
        let passphrase = Secret::new(network.passphrase.expose());
        self.open_network(network.mac, network.ssid, passphrase, network.service)
    }

    fn leave(&self, mac: [u8; 6]) {
        self.leave(mac);
    }
}
