//! A way from outside into the network that a unit opens: a socket, behind which the unit's own service is.
//!
//! Must not know what is served, nor how whoever comes in found the network: by which radio, or by none.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::net::{Shutdown, shutdown};
use tokio::sync::mpsc;

use crate::world::{Association, Link, OwnNetwork, Refusal, Visitors, World};

/// A world as another one is, in which whoever connects to a socket is in the unit's own network, while it is open.
pub struct Entrance {
    world: Arc<dyn World>,
    socket: PathBuf,
    open: Mutex<Option<Arc<UnixListener>>>,
}

impl Entrance {
    /// The socket is there while the unit's network is open.
    pub fn into_networks_of(world: Arc<dyn World>, socket: PathBuf) -> Self {
        Self { world, socket, open: Mutex::default() }
    }

    fn close(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listener) = open {
            let _gone = fs::remove_file(&self.socket);
            // Wakes whoever waits for the next to come in.
            let _ended = shutdown(&*listener, Shutdown::Both);
        }
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.close();
    }
}

impl World for Entrance {
    fn associate(&self, station: &Association<'_>) -> Result<Link, Refusal> {
        self.world.associate(station)
    }

    fn resolve(&self, from: Ipv4Addr, name: &str) -> Option<IpAddr> {
        self.world.resolve(from, name)
    }

    fn connect(&self, from: Ipv4Addr, to: SocketAddr) -> io::Result<UnixStream> {
        self.world.connect(from, to)
    }

    fn exchange(
        &self,
        from: Ipv4Addr,
        to: SocketAddr,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        self.world.exchange(from, to, datagram, limit)
    }

    fn open_network(&self, _: &OwnNetwork<'_>) -> io::Result<Visitors> {
        self.close();
        let listener = Arc::new(UnixListener::bind(&self.socket)?);
        let (door, visitors) = mpsc::unbounded_channel();
        let listens = Arc::clone(&listener);
        thread::Builder::new().name("unit-entrance".to_owned()).spawn(move || {
            while let Ok((visitor, _)) = listens.accept() {
                if door.send(visitor).is_err() {
                    return;
                }
            }
        })?;
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
        Ok(visitors)
    }

    fn leave(&self, mac: [u8; 6]) {
        self.close();
        self.world.leave(mac);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::world::{Passphrase, Silence};

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn open(world: &Entrance) -> io::Result<Visitors> {
        let service = "192.168.4.1:80".parse().expect("an address");
        let passphrase = Passphrase::new("configure-me");
        world.open_network(&OwnNetwork { mac: MAC, ssid: b"Setup", passphrase, service })
    }

    #[test]
    fn whoever_connects_is_in_the_network_while_it_is_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("portal");
        let world = Entrance::into_networks_of(Arc::new(Silence), socket.clone());
        assert!(UnixStream::connect(&socket).is_err(), "nothing is open yet");
        for _ in 0..2 {
            let mut visitors = open(&world).expect("it opens");
            let mut outside = UnixStream::connect(&socket).expect("it is open");
            let mut inside = visitors.blocking_recv().expect("somebody came in");
            outside.write_all(b"hello").expect("it is heard");
            let mut heard = [0; 5];
            inside.read_exact(&mut heard).expect("it is said");
            assert_eq!(&heard, b"hello");
            world.leave(MAC);
            assert!(UnixStream::connect(&socket).is_err(), "it is closed");
            assert!(visitors.blocking_recv().is_none());
        }
    }
}
