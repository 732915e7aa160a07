//! A unit's serial port on the network, as raw TCP or as RFC 2217.
//!
//! A server stands in front of the pseudo-terminal as it would stand in front of a real serial
//! port. One client at a time: a new one takes the place of the one before, which may be dead.
//! What the unit says while nobody listens is lost, as on a wire.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::port::Session;
use crate::simulator::{Lines, Simulator};

const CHUNK: usize = 0x4000;

/// How clients talk to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Bytes and nothing else: `socket://host:port`.
    Raw,
    /// With control lines: `rfc2217://host:port`.
    Rfc2217,
}

/// A running server; ends with its connection when it is dropped.
#[derive(Debug)]
pub struct NetworkPort {
    address: SocketAddr,
    protocol: Protocol,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl NetworkPort {
    /// Serves a unit's port on a bound listener.
    pub fn serve(
        simulator: &Simulator,
        listener: TcpListener,
        protocol: Protocol,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let server =
            Server { device: simulator.port_path().to_owned(), lines: simulator.lines(), protocol };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("network-port".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    result = server.run(listener) => {
                        if let Err(error) = result {
                            tracing::info!(%error, "network port ended");
                        }
                    }
                }
            });
        })?;
        Ok(Self { address, protocol, stop: Some(stop), thread: Some(thread) })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL that pyserial and esptool take.
    pub fn url(&self) -> String {
        match self.protocol {
            Protocol::Raw => format!("socket://{}", self.address),
            Protocol::Rfc2217 => format!("rfc2217://{}", self.address),
        }
    }
}

impl Drop for NetworkPort {
    fn drop(&mut self) {
        // A server whose unit vanished has ended already.
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("network port panicked");
        }
    }
}

struct Server {
    device: PathBuf,
    lines: Lines,
    protocol: Protocol,
}

struct Client {
    stream: TcpStream,
    session: Session,
}

impl Server {
    async fn run(&self, listener: TcpListener) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let device = self.open()?;
        let mut client: Option<Client> = None;
        let mut from_client = vec![0; CHUNK];
        let mut from_unit = vec![0; CHUNK];
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    // A client that left before it was greeted is replaced by the next.
                    client = self.welcome(stream).await.ok();
                }
                count = read(&device, &mut from_unit) => {
                    let bytes = &from_unit[..count?];
                    if let Some(current) = &mut client
                        && self.to_client(current, bytes).await.is_err()
                    {
                        client = None;
                    }
                }
                count = read_client(&mut client, &mut from_client) => {
                    let bytes = match count {
                        Ok(count) if count > 0 => &from_client[..count],
                        _ => {
                            client = None;
                            continue;
                        }
                    };
                    if let Some(current) = &mut client
                        && self.to_unit(current, bytes, &device).await.is_err()
                    {
                        client = None;
                    }
                }
            }
        }
    }

    fn open(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let device = rustix::fs::open(&self.device, flags, Mode::empty())?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may swap their descriptor, which an OwnedFd cannot"
        )]
        AsyncFd::new(device)
    }

    async fn welcome(&self, mut stream: TcpStream) -> io::Result<Client> {
        stream.set_nodelay(true)?;
        let mut session = Session::default();
        if self.protocol == Protocol::Rfc2217 {
            stream.write_all(&session.greet()).await?;
        }
        Ok(Client { stream, session })
    }

    async fn to_client(&self, client: &mut Client, bytes: &[u8]) -> io::Result<()> {
        match self.protocol {
            Protocol::Raw => client.stream.write_all(bytes).await,
            Protocol::Rfc2217 => client.stream.write_all(&Session::encode(bytes)).await,
        }
    }

    async fn to_unit(
        &self,
        client: &mut Client,
        bytes: &[u8],
        device: &AsyncFd<OwnedFd>,
    ) -> io::Result<()> {
        if self.protocol == Protocol::Raw {
            return write_all(device, bytes).await;
        }
        let decoded = client.session.decode(bytes);
        for (dtr, rts) in decoded.lines {
            self.lines.set(dtr, rts);
        }
        write_all(device, &decoded.payload).await?;
        client.stream.write_all(&decoded.reply).await
    }
}

async fn read_client(client: &mut Option<Client>, buffer: &mut [u8]) -> io::Result<usize> {
    match client {
        Some(client) => client.stream.read(buffer).await,
        None => std::future::pending().await,
    }
}

async fn read(device: &AsyncFd<OwnedFd>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut guard = device.readable().await?;
        match rustix::io::read(device.get_ref(), &mut *buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => return Ok(count),
            Err(Errno::AGAIN) => guard.clear_ready(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn write_all(device: &AsyncFd<OwnedFd>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut guard = device.writable().await?;
        match rustix::io::write(device.get_ref(), bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::AGAIN) => guard.clear_ready(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
