//! From the MQTT client to the world, without the machine's resolver.
//!
//! The client library resolves names itself unless it is told to use a proxy. So it gets one, on
//! loopback and for one connection after the other, which asks the [`World`] instead.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::{AbortHandle, spawn_blocking};

use crate::world::World;

/// A request line and headers are shorter than this.
const LONGEST_REQUEST: usize = 1024;

/// Why the last connection did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The name is not known.
    Unresolved,
    /// The peer refused, or cannot be reached.
    Connect(io::ErrorKind),
}

/// A running relay; ends with its connections when it is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    port: u16,
    last_failure: Arc<Mutex<Option<Failure>>>,
    task: AbortHandle,
}

impl Relay {
    /// Starts a relay for the unit at `from`.
    pub(super) async fn start(world: Arc<dyn World>, from: Ipv4Addr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let last_failure = Arc::new(Mutex::new(None));
        let route = Route { world, from, last_failure: last_failure.clone() };
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // The client sees a broken connection as the end of its stream.
                let _ = route.serve(client).await;
            }
        });
        Ok(Self { port, last_failure, task: task.abort_handle() })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The reason of the last failure, once.
    pub(super) fn take_failure(&self) -> Option<Failure> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Route {
    world: Arc<dyn World>,
    from: Ipv4Addr,
    last_failure: Arc<Mutex<Option<Failure>>>,
}

impl Route {
    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let (host, port) = target(&mut client).await?;
        match open(self.world.clone(), self.from, host, port).await {
            Ok(mut server) => {
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
                copy_bidirectional(&mut client, &mut server).await?;
                Ok(())
            }
            Err(failure) => {
                *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await
            }
        }
    }
}

/// Opens a connection for the unit at `from`, off the unit's own thread.
pub(super) async fn open(
    world: Arc<dyn World>,
    from: Ipv4Addr,
    host: String,
    port: u16,
) -> Result<UnixStream, Failure> {
    let opened = spawn_blocking(move || {
        let address = match host.parse() {
            Ok(address) => address,
            Err(_) => world.resolve(from, &host).ok_or(Failure::Unresolved)?,
        };
        let stream = world.connect(from, SocketAddrV4::new(address, port)).and_then(|stream| {
            stream.set_nonblocking(true)?;
            Ok(stream)
        });
        stream.map_err(|error| Failure::Connect(error.kind()))
    });
    let stream = opened.await.unwrap_or(Err(Failure::Connect(io::ErrorKind::Other)))?;
    UnixStream::from_std(stream).map_err(|error| Failure::Connect(error.kind()))
}

/// Reads `CONNECT host:port` and the headers behind it.
async fn target(client: &mut TcpStream) -> io::Result<(String, u16)> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if request.len() == LONGEST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        request.push(client.read_u8().await?);
    }
    let request = String::from_utf8_lossy(&request);
    let mut words = request.split_ascii_whitespace();
    let target = match (words.next(), words.next()) {
        (Some("CONNECT"), Some(target)) => target.rsplit_once(':'),
        _ => None,
    };
    match target.map(|(host, port)| (host.to_owned(), port.parse())) {
        Some((host, Ok(port))) => Ok((host, port)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
