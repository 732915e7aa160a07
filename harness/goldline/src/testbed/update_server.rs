//! Firmware images for over-the-air updates, by HTTPS on loopback.
//!
//! Each image has a path that nobody guesses. Must not know who is told of it.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use uuid::Uuid;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path},
};

use super::{
    authority::Issued,
    closed_port::ClosedPort,
    event_log::{EventLog, Follower, Stamped},
    fault::TestbedFault,
    tls_front::{TlsFront, TlsFrontError},
};
use crate::clock::Clock;

/// An image was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Download {
    /// Its path.
    pub path: String,
}

/// A running server; ends when dropped.
pub struct UpdateServer {
    server: MockServer,
    front: TlsFront,
    /// In place of its own address, for a server that is down.
    closed: Option<ClosedPort>,
    damages: bool,
    log: Arc<EventLog<Download>>,
}

impl std::fmt::Debug for UpdateServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdateServer").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl UpdateServer {
    /// Listens on a free port of 127.0.0.1. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`TlsFrontError`].
    pub async fn start(
        certificate: &Issued,
        faults: &[TestbedFault],
        clock: Clock,
    ) -> Result<Self, TlsFrontError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let server =
            MockServer::builder().listener(listener).disable_request_recording().start().await;
        let front = TlsFront::start(certificate, *server.address()).await?;
        let down = faults.contains(&TestbedFault::UpdateServerDown);
        let closed = down.then(ClosedPort::reserve).transpose()?;
        let damages = faults.contains(&TestbedFault::UpdateServerDamaged);
        Ok(Self { server, front, closed, damages, log: Arc::new(EventLog::new(clock)) })
    }

    /// Where it listens, with TLS; with the fault `update_server.down`, where nothing does.
    pub fn address(&self) -> SocketAddr {
        self.closed.as_ref().map_or(self.front.address(), ClosedPort::address)
    }

    /// Offers an image from now on; its path.
    pub async fn publish(&self, mut image: Vec<u8>) -> String {
        if self.damages
            && let Some(last) = image.last_mut()
        {
            *last ^= 1;
        }
        let place = format!("/{}.bin", Uuid::new_v4().simple());
        let log = Arc::clone(&self.log);
        let download = Download { path: place.clone() };
        let respond = move |_: &Request| {
            log.record(download.clone());
            ResponseTemplate::new(200).set_body_raw(image.clone(), "application/octet-stream")
        };
        let mock = Mock::given(method("GET")).and(path(place.clone()));
        mock.respond_with(respond).mount(&self.server).await;
        place
    }

    /// Every download so far.
    pub fn downloads(&self) -> Vec<Stamped<Download>> {
        self.log.all()
    }

    /// A reader of the downloads from the first on.
    pub fn follow(&self) -> Follower<Download> {
        Follower::new(Arc::clone(&self.log))
    }
}
