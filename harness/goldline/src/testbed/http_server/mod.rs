//! The HTTP/1.1 server under every HTTP service of the bench: hyper, with a limit on all that a caller can
//! make it hold.
//!
//! Any process of the machine can connect. What a caller may cost is in [`Limits`]; past them it is
//! answered in HTTP's own words and put out, and a caller whose request is whole is never put out for one
//! whose request is not. Must not know what is served: a [`Handler`] answers one whole request at a time.

mod exchange;
mod watched;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue},
    http::request::Parts,
};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    authority::Issued,
    caller::{Caller, Callers, Visit, Who},
    doors::{Doors, Place},
    server_tls::{self, ServerTlsError},
};
use exchange::Service;

/// When the machine is out of sockets, asking again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum HttpServerError {
    /// No port can be had.
    #[error("an HTTP service of the bench cannot listen: {0}; free a port")]
    Listen(#[from] io::Error),
    /// Its certificate or key is not usable.
    #[error("an HTTPS service of the bench does not start: {0}")]
    Tls(#[from] ServerTlsError),
}

/// What one caller, and all of them together, may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at the same time. One more puts out one of those that still wait for a whole request.
    pub connections: usize,
    /// Bytes of request line and headers.
    pub head_bytes: usize,
    /// Number of headers.
    pub headers: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For request line and headers, and for the idle time before them.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
    /// For a caller that takes no byte of its answer.
    pub stall: Duration,
}

impl Default for Limits {
    /// Far more than a unit needs, which sends a few kilobytes at once: 128 connections, heads of 16 KB,
    /// bodies of 64 KB, ten seconds for each part.
    fn default() -> Self {
        let part = Duration::from_secs(10);
        Self {
            connections: 128,
            head_bytes: 16 * 1024,
            headers: 64,
            body_bytes: 64 * 1024,
            handshake: part,
            head: part,
            body: part,
            stall: part,
        }
    }
}

/// Who is let in: the others' connections end where they begin.
#[derive(Clone)]
pub struct Gate {
    callers: Callers,
    admits: Arc<dyn Fn(Caller) -> bool + Send + Sync>,
}

impl Gate {
    /// For those of whom this says so.
    pub fn new(callers: Callers, admits: impl Fn(Caller) -> bool + Send + Sync + 'static) -> Self {
        Self { callers, admits: Arc::new(admits) }
    }

    /// For whoever comes.
    pub fn for_anyone() -> Self {
        Self::new(Callers::default(), |_| true)
    }
}

/// One whole request.
#[derive(Debug)]
pub struct Call {
    /// Who sent it.
    pub who: Who,
    /// Of one that came over a site's network.
    pub visit: Option<Visit>,
    /// Request line and headers.
    pub head: Parts,
    /// The body, which may be empty.
    pub body: Bytes,
}

impl Call {
    /// The request's path without its query, as it was sent.
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }
}

/// What a request is answered with.
#[derive(Debug)]
pub enum Answer {
    /// This.
    Says(Response<Full<Bytes>>),
    /// Nothing, for as long as the caller waits.
    Silence,
}

impl Answer {
    /// A status without a body.
    pub fn status(status: StatusCode) -> Self {
        Self::Says(response(status, Bytes::new()))
    }

    /// A JSON document.
    pub fn json(status: StatusCode, document: &Value) -> Self {
        Self::content(status, "application/json", Bytes::from(document.to_string()))
    }

    /// Any other content.
    pub fn content(status: StatusCode, media_type: &'static str, content: Bytes) -> Self {
        let mut response = response(status, content);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        Self::Says(response)
    }
}

fn response(status: StatusCode, content: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(content));
    *response.status_mut() = status;
    response
}

/// Answers a request. It is called on the server's own threads, so it must not block.
pub type Handler = Arc<dyn Fn(&Call) -> Answer + Send + Sync>;

/// A running server; it and its connections end when dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    task: AbortHandle,
}

impl HttpServer {
    /// Serves HTTP on a free port of 127.0.0.1. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`HttpServerError::Listen`].
    pub async fn plain(
        limits: Limits,
        gate: Gate,
        handler: Handler,
    ) -> Result<Self, HttpServerError> {
        Self::start(None, limits, gate, handler).await
    }

    /// Serves HTTPS on a free port of 127.0.0.1. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`HttpServerError`].
    pub async fn secure(
        certificate: &Issued,
        limits: Limits,
        gate: Gate,
        handler: Handler,
    ) -> Result<Self, HttpServerError> {
        let acceptor = TlsAcceptor::from(Arc::new(server_tls::for_anyone(certificate)?));
        Self::start(Some(acceptor), limits, gate, handler).await
    }

    async fn start(
        tls: Option<TlsAcceptor>,
        limits: Limits,
        gate: Gate,
        handler: Handler,
    ) -> Result<Self, HttpServerError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let service = Service::new(limits, handler);
        let task = tokio::spawn(accept(listener, tls, gate, service));
        Ok(Self { address, task: task.abort_handle() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, gate: Gate, service: Service) {
    let most = service.limits.connections;
    let doors = Doors::new(most, most);
    // Connections end with the server, so they must not outlive its task.
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, peer)) => {
                    let Ok(own) = client.local_addr() else { continue };
                    let (caller, visit) = gate.callers.claim_visit(peer, own);
                    let who = Who { peer: visit.map_or(peer, |visit| visit.from), caller };
                    if !(gate.admits)(who.caller) {
                        continue;
                    }
                    if !doors.make_room(who.peer.ip()) {
                        tracing::warn!(%peer, "an HTTP service has all its connections in use");
                        continue;
                    }
                    doors.admit(&who, |place| {
                        let arrival = (who, visit);
                        open.spawn(serve(client, arrival, place, tls.clone(), service.clone()))
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "an HTTP service cannot accept a connection");
                    doors.put_out(None);
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_ended) = open.join_next() => {}
        }
    }
}

async fn serve(
    client: TcpStream,
    arrival: (Who, Option<Visit>),
    place: Place,
    tls: Option<TlsAcceptor>,
    service: Service,
) {
    // Only a matter of speed.
    let _nodelay = client.set_nodelay(true);
    match tls {
        None => service.serve(client, arrival, place).await,
        Some(tls) => {
            // A client that distrusts the certificate, or speaks no TLS, has been told so by TLS.
            let secured = timeout(service.limits.handshake, tls.accept(client)).await;
            let Ok(Ok(secured)) = secured else { return };
            service.serve(secured, arrival, place).await;
        }
    }
}
