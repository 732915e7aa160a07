//! What listens at a port of the site's network, and carries who comes to the service behind it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet, spawn_blocking},
};

use crate::testbed::caller::{Callers, Visit};

/// Connections at once: more than any service behind it lets in, which puts those out that say nothing.
const MOST_AT_ONCE: usize = 1024;
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
    pub(super) fn take_connections(
        self,
        listener: std::net::TcpListener,
    ) -> io::Result<JoinHandle<()>> {
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
