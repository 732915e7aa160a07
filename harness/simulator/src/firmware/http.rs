//! The firmware's HTTP client: one request on one connection, over plain TCP or TLS.
//!
//! Knows nothing of what is asked. Names are resolved and connections opened by the world alone.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::route::{self, NoRoute};
use super::trust::Trust;
use crate::world::World;

/// The firmware's way to web servers.
pub(super) struct Client<'a> {
    pub(super) world: Arc<dyn World>,
    pub(super) from: Ipv4Addr,
    pub(super) trust: Trust<'a>,
    /// For everything from the name to the last byte.
    pub(super) limit: Duration,
    /// The size of the buffer that an answer must fit.
    pub(super) most_bytes: usize,
}

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("the URL is not of the form http(s)://host[:port]/path")]
    Url,
    #[error("couldn't get hostname")]
    Unresolved,
    #[error("connect() error: {0}")]
    Connect(std::io::ErrorKind),
    #[error("TLS handshake failed")]
    Tls(#[source] std::io::Error),
    #[error("the server does not speak HTTP")]
    Protocol(#[source] hyper::Error),
    #[error("the answer does not fit a buffer of {0} bytes")]
    TooLarge(usize),
    #[error("the answer broke off")]
    Broken,
    #[error("ESP_ERR_HTTP_EAGAIN")]
    TimedOut,
}

impl HttpError {
    /// The cause of a failed handshake.
    pub(super) fn tls(&self) -> Option<&rustls::Error> {
        match self {
            Self::Tls(error) => error.get_ref()?.downcast_ref(),
            _ => None,
        }
    }
}

impl Client<'_> {
    /// Asks for what lies there.
    pub(super) async fn get(&self, url: &str) -> Result<Answer, HttpError> {
        let asked = self.ask(Method::GET, url, String::new());
        timeout(self.limit, asked).await.unwrap_or(Err(HttpError::TimedOut))
    }

    /// Posts a JSON text.
    pub(super) async fn post_json(&self, url: &str, body: String) -> Result<Answer, HttpError> {
        let asked = self.ask(Method::POST, url, body);
        timeout(self.limit, asked).await.unwrap_or(Err(HttpError::TimedOut))
    }

    async fn ask(&self, method: Method, url: &str, body: String) -> Result<Answer, HttpError> {
        let url: Uri = url.parse().map_err(|_| HttpError::Url)?;
        let tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(HttpError::Url),
        };
        let host = url.host().filter(|host| !host.is_empty()).ok_or(HttpError::Url)?;
        let host = route::without_brackets(host).to_owned();
        let port = url.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let authority = url.authority().ok_or(HttpError::Url)?.as_str();
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", authority)
            .header("Content-Type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| HttpError::Url)?;
        let name = ServerName::try_from(host.clone()).map_err(|_| HttpError::Url)?;
        let opened = route::open(self.world.clone(), self.from, host, port).await;
        let stream = opened.map_err(|error| match error {
            NoRoute::Unresolved => HttpError::Unresolved,
            NoRoute::Connect(kind) => HttpError::Connect(kind),
        })?;
        if !tls {
            return self.exchange(stream, request).await;
        }
        let config = self.trust.client_config();
        let config = config.map_err(|error| HttpError::Tls(std::io::Error::other(error)))?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        self.exchange(stream.map_err(HttpError::Tls)?, request).await
    }

    async fn exchange<S>(
        &self,
        stream: S,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, HttpError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(HttpError::Protocol)?;
        let answered = async {
            let response = sender.send_request(request).await.map_err(HttpError::Protocol)?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), self.most_bytes).collect().await;
            let body = body.map_err(|error| match error.is::<LengthLimitError>() {
                true => HttpError::TooLarge(self.most_bytes),
                false => HttpError::Broken,
            })?;
            Ok(Answer { status, body: body.to_bytes().to_vec() })
        };
        tokio::pin!(answered);
        tokio::select! {
            biased;
            answer = &mut answered => answer,
            // The connection may end with the last byte of an answer that is still to be read.
            _ = connection => answered.await,
        }
    }
}
