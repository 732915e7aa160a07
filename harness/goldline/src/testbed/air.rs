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
        _from: Ipv4Addr,
        _to: SocketAddrV4,
        _datagram: &[u8],
        _limit: Duration,
    ) -> io::Result<Vec<u8>> {
        // No service of the bench answers datagrams yet.
        Err(io::ErrorKind::TimedOut.into())
    }

    fn open_network(&self, _network: &OwnNetwork<'_>) -> io::Result<TcpListener> {
        // Nobody could join it yet.
        Err(io::ErrorKind::Unsupported.into())
    }

    fn leave(&self, mac: [u8; 6]) {
        self.leave(mac);
    }
}
