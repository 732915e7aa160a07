//! A world behind a wire: the unit has a network stack of its own, and reaches the bench as Ethernet frames.
//!
//! The bench listens; the unit connects, in whatever process it lives, and keeps trying. On the link there are
//! ARP, DHCP, DNS, TCP and UDP and nothing else, so that nothing is taken for granted of the bench: whatever
//! serves an address, answers names and takes connections is one. There is no radio: any network name and
//! passphrase will do, and the unit cannot open a network of its own.
//!
//! ```text
//! firmware ── World ──▶ node ── station (smoltcp) ── device ── link ══ TCP ══▶ bench
//! ```

mod device;
mod link;
mod node;
mod relay;
mod station;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::world::{Association, Link, OwnNetwork, Refusal, Visitors, World};
use node::{Command, Node};

/// How long the firmware waits for an address before it leaves again.
const PATIENCE: Duration = Duration::from_secs(10);

/// The network stack of one unit, on a thread of its own; dropping it takes the unit off the network.
#[derive(Debug)]
pub struct Stack {
    // Before the thread, which ends when nobody can ask any more.
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Stack {
    /// Reaches for a bench that listens at an address, or will.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn reach(bench: SocketAddr) -> io::Result<Self> {
        Self::with_patience(bench, PATIENCE)
    }

    /// The same, with another time that the firmware waits for an address.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn with_patience(bench: SocketAddr, patience: Duration) -> io::Result<Self> {
        let (commands, inbox) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let life = move || {
            runtime.block_on(async move { Node::new(bench, inbox, patience).run().await });
        };
        let thread = thread::Builder::new().name("unit-network".to_owned()).spawn(life)?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    /// `None` when the stack is gone, or the unit is not on the network.
    fn ask<T>(&self, command: impl FnOnce(SyncSender<T>) -> Command) -> Option<T> {
        let (reply, answer) = sync_channel(1);
        self.commands.as_ref()?.send(command(reply)).ok()?;
        answer.recv().ok()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("network stack panicked");
        }
    }
}

fn unreachable() -> io::Error {
    io::ErrorKind::NetworkUnreachable.into()
}

impl World for Stack {
    fn associate(&self, station: &Association<'_>) -> Result<Link, Refusal> {
        let mac = station.mac;
        self.ask(|reply| Command::Associate { mac, reply }).unwrap_or(Err(Refusal::NO_AP_FOUND))
    }

    fn resolve(&self, _: Ipv4Addr, name: &str) -> Option<IpAddr> {
        self.ask(|reply| Command::Resolve { name: name.to_owned(), reply }).flatten()
    }

    fn connect(&self, _: Ipv4Addr, to: SocketAddr) -> io::Result<UnixStream> {
        self.ask(|reply| Command::Connect { to, reply }).ok_or_else(unreachable)?
    }

    fn exchange(
        &self,
        _: Ipv4Addr,
        to: SocketAddr,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        let datagram = datagram.to_vec();
        self.ask(|reply| Command::Exchange { to, datagram, limit, reply })
            .ok_or_else(unreachable)?
    }

    fn open_network(&self, _: &OwnNetwork<'_>) -> io::Result<Visitors> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn leave(&self, _: [u8; 6]) {
        // A stack that is gone has left.
        let _ = self.commands.as_ref().map(|commands| commands.send(Command::Leave));
    }
}
