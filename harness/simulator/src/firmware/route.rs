//! From the firmware to the world, without the machine's resolver and without a port of the machine's.
//!
//! A host is a name or an address, an IPv6 one without the brackets of its URL.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::UnixStream;
use tokio::task::spawn_blocking;

use crate::world::World;

/// Why a connection did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// The name is not known.
    Unresolved,
    /// The peer refused, or cannot be reached.
    Connect(io::ErrorKind),
}

/// The host of a URL, without the brackets that an IPv6 address has there.
pub(super) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Opens a connection for the unit at `from`, off the unit's own thread.
pub(super) async fn open(
    world: Arc<dyn World>,
    from: Ipv4Addr,
    host: String,
    port: u16,
) -> Result<UnixStream, NoRoute> {
    let opened = spawn_blocking(move || {
        let address = match host.parse() {
            Ok(address) => address,
            Err(_) => world.resolve(from, &host).ok_or(NoRoute::Unresolved)?,
        };
        let stream = world.connect(from, SocketAddr::new(address, port)).and_then(|stream| {
            stream.set_nonblocking(true)?;
            Ok(stream)
        });
        stream.map_err(|error| NoRoute::Connect(error.kind()))
    });
    let stream = opened.await.unwrap_or(Err(NoRoute::Connect(io::ErrorKind::Other)))?;
    UnixStream::from_std(stream).map_err(|error| NoRoute::Connect(error.kind()))
}
