//! The air: where simulated units of several runs join, each the access point of its own run.
//!
//! The one place where the simulator's words and the testbed's meet. A unit is given its end of a pair of
//! sockets; the other end is carried to the service over a connection that the air opened, and
//! announced, itself. So nobody else can be taken for the unit, nor reach it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
    os::unix::net::UnixStream,
    sync::{Arc, OnceLock},
    time::Duration,
};

use goldline_simulator::{
    World,
    world::{Association, Link, OwnNetwork, Refusal, Visitors},
};
use tokio::{io::copy_bidirectional, runtime::Handle};

use super::{
    access_point::{self, AccessPoint, AccessPointConfig, Addresses},
    caller::{Borrower, Callers},
    fault::TestbedFault,
};
use crate::{clock::Clock, secret::Secret};

/// What all access points of a bench share. Cheap to clone: all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Air {
    callers: Callers,
    addresses: Addresses,
}

impl Air {
    /// Whose connections are whose.
    pub fn callers(&self) -> &Callers {
        &self.callers
    }

    /// A place for one unit, which hears nothing until an access point is set up around it. Needs a
    /// tokio runtime.
    pub fn place(&self) -> Arc<AirPort> {
        let run = Borrower::new();
        Arc::new(AirPort { run, access_point: OnceLock::new(), runtime: Handle::current() })
    }

    /// Sets up the access point of a run around its unit; a unit stays with the first.
    pub fn surround(
        &self,
        place: &AirPort,
        config: AccessPointConfig,
        faults: &[TestbedFault],
        clock: Clock,
    ) -> AccessPoint {
        let set_up = || {
            let (callers, addresses) = (self.callers.clone(), self.addresses.clone());
            AccessPoint::of_run(place.run, config, faults, callers, addresses, clock)
        };
        place.access_point.get_or_init(set_up).clone()
    }
}

/// A simulated unit's way to the world.
#[derive(Debug)]
pub struct AirPort {
    run: Borrower,
    access_point: OnceLock<AccessPoint>,
    runtime: Handle,
}

impl AirPort {
    /// The run whose unit stands here.
    pub fn run(&self) -> Borrower {
        self.run
    }

    fn heard(&self) -> io::Result<&AccessPoint> {
        self.access_point.get().ok_or_else(|| io::ErrorKind::NetworkUnreachable.into())
    }

    /// The unit's end of a connection.
    fn carry(&self, service: TcpStream) -> io::Result<UnixStream> {
        let (unit, bench) = UnixStream::pair()?;
        // Only a matter of speed.
        let _nodelay = service.set_nodelay(true);
        for nonblocking in [bench.set_nonblocking(true), service.set_nonblocking(true)] {
            nonblocking?;
        }
        let _entered = self.runtime.enter();
        let mut bench = tokio::net::UnixStream::from_std(bench)?;
        let mut service = tokio::net::TcpStream::from_std(service)?;
        self.runtime.spawn(async move {
            // How either leaves, the other sees.
            let _ended = copy_bidirectional(&mut bench, &mut service).await;
        });
        Ok(unit)
    }
}

impl World for AirPort {
    fn associate(&self, station: &Association<'_>) -> Result<Link, Refusal> {
        let asked = access_point::Association {
            mac: station.mac,
            ssid: station.ssid,
            passphrase: station.passphrase.expose(),
        };
        let access_point = self.access_point.get().ok_or(Refusal::NO_AP_FOUND)?;
        let link = access_point.associate(&asked);
        let link = link.map_err(|refusal| Refusal { reason: refusal.reason })?;
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
        self.access_point.get()?.resolve(from, name)
    }

    fn connect(&self, from: Ipv4Addr, to: SocketAddrV4) -> io::Result<UnixStream> {
        self.carry(self.heard()?.connect(from, to)?)
    }

    fn exchange(
        &self,
        from: Ipv4Addr,
        to: SocketAddrV4,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        self.heard()?.exchange(from, to, datagram, limit)
    }

    fn open_network(&self, network: &OwnNetwork<'_>) -> io::Result<Visitors> {
        let passphrase = Secret::new(network.passphrase.expose());
        let access_point = self.heard()?;
        Ok(access_point.open_network(network.mac, network.ssid, passphrase, network.service))
    }

    fn leave(&self, mac: [u8; 6]) {
        if let Some(access_point) = self.access_point.get() {
            access_point.leave(mac);
        }
    }
}
