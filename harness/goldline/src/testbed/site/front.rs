//! What listens at a port of the site's network, and carries what comes to the service behind it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet, spawn_blocking},
};

use crate::testbed::caller::{Caller, Callers, Visit};

/// Connections at once: more than any service behind it lets in, which puts those out that say nothing.
const MOST_AT_ONCE: usize = 1024;
/// Datagrams that are being answered at once; what comes beyond is lost, as on any network.
const MOST_ASKED: usize = 64;
/// What a service of the bench needs at most, on the same machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// What fits one packet of Ethernet.
const LONGEST_DATAGRAM: usize = 1500;
/// When the machine is out of sockets, asking again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A port, and where it leads.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) service: watch::Receiver<Option<SocketAddr>>,
    pub(super) callers: Callers,
    /// The address that units know, where they know no name.
    pub(super) known_as: Option<IpAddr>,
}

impl Front {
    /// Accepts until aborted. Needs a tokio runtime.
    ///
    /// # Errors
    /// Why nothing can listen there.
    pub(super) fn take_connections(self, at: SocketAddr) -> io::Result<JoinHandle<()>> {
        let listener = std::net::TcpListener::bind(at)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let room = Arc::new(Semaphore::new(MOST_AT_ONCE));
        Ok(tokio::spawn(async move {
            // What is carried ends with the front.
            let mut carried = JoinSet::new();
            loop {
                while carried.try_join_next().is_some() {}
                let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
                let Ok((visitor, from)) = listener.accept().await else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let front = self.clone();
                carried.spawn(async move {
                    front.carry(visitor, from).await;
                    drop(place);
                });
            }
        }))
    }

    /// Has datagrams answered until aborted. Needs a tokio runtime.
    ///
    /// # Errors
    /// As [`Self::take_connections`].
    pub(super) fn take_datagrams(self, at: SocketAddr) -> io::Result<JoinHandle<()>> {
        let socket = std::net::UdpSocket::bind(at)?;
        socket.set_nonblocking(true)?;
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        let room = Arc::new(Semaphore::new(MOST_ASKED));
        Ok(tokio::spawn(async move {
            let mut buffer = [0; LONGEST_DATAGRAM];
            let mut asked = JoinSet::new();
            loop {
                while asked.try_join_next().is_some() {}
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
                let (front, socket) = (self.clone(), Arc::clone(&socket));
                let datagram = buffer[..length].to_vec();
                asked.spawn(async move {
                    if let Some(answer) = front.ask(datagram).await {
                        // Who asked asks again.
                        let _sent = socket.send_to(&answer, from).await;
                    }
                    drop(place);
                });
            }
        }))
    }

    async fn ask(&self, datagram: Vec<u8>) -> Option<Vec<u8>> {
        let (callers, service) = (self.callers.clone(), (*self.service.borrow())?);
        let asked = spawn_blocking(move || {
            let from = Ipv4Addr::LOCALHOST;
            callers.ask(from, service, Caller::Visitor, &datagram, ANSWER_WITHIN)
        });
        asked.await.ok()?.ok()
    }

    async fn carry(&self, mut visitor: TcpStream, from: SocketAddr) {
        let Some(mut service) = self.open(&visitor, from).await else {
            // It hears of a reset, as from a port where nothing listens.
            let _deaf = visitor.set_zero_linger();
            return;
        };
        for stream in [&visitor, &service] {
            // Only a matter of speed.
            let _nodelay = stream.set_nodelay(true);
        }
        if copy_bidirectional(&mut visitor, &mut service).await.is_err() {
            for stream in [visitor, service] {
                let _reset = stream.set_zero_linger();
            }
        }
    }

    async fn open(&self, visitor: &TcpStream, from: SocketAddr) -> Option<TcpStream> {
        let arrived_at = visitor.local_addr().ok()?;
        let to = SocketAddr::new(self.known_as.unwrap_or(arrived_at.ip()), arrived_at.port());
        let (callers, service) = (self.callers.clone(), (*self.service.borrow())?);
        let opened = spawn_blocking(move || callers.usher(service, Visit { from, to })).await;
        let service = opened.ok()?.ok()?;
        service.set_nonblocking(true).ok()?;
        TcpStream::from_std(service).ok()
    }
}
