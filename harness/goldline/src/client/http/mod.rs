//! One HTTP/1.1 call: over http or https, to a name that is looked up or pinned, or over a connection
//! that is already there.
//!
//! Must not know what is called. One deadline covers everything from the look-up to the last byte;
//! no redirect is followed, and an answer's body is at most [`LARGEST_BODY`] bytes unless more is asked for.

mod error;
mod failure;
mod stream;
mod url;

use std::{io, net::SocketAddr, pin::Pin, sync::Arc};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{Method, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout_at,
};
use tokio_rustls::TlsConnector;

pub use error::HttpError;
pub use url::{HttpUrl, Scheme};

use crate::{
    clock::Deadline,
    secret::Secret,
    tls::{Anchors, ClientTls, Expiry},
};
use stream::FirstBytes;

/// Largest body of an answer in bytes, unless [`Request::up_to`] says otherwise.
pub const LARGEST_BODY: usize = 64 * 1024;

/// How a URL's host becomes an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// The machine's resolver says.
    Resolved,
    /// Here, whatever the name: the bench answers for names that nobody may look up.
    Pinned(SocketAddr),
}

/// Opens connections for a client that goes another way than the machine's own: within a network of units,
/// for one.
pub trait Dial: Send + Sync {
    /// Opens one to a name and port.
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + 'a>>;
}

#[derive(Clone)]
enum Way {
    Route(Route),
    Dialled(Arc<dyn Dial>),
}

/// One call. A secret in it is shown by length only.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    url: HttpUrl,
    bearer: Option<Secret>,
    body: Option<(&'static str, Secret)>,
    largest_body: usize,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// As it came; it may hold secrets, so that only its length is shown.
    pub body: Body,
}

/// Bytes that may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(Bytes);

/// Makes calls to one place.
#[derive(Clone)]
pub struct HttpClient {
    way: Way,
    tls: ClientTls,
}

impl Request {
    /// Fetches.
    pub fn get(url: HttpUrl) -> Self {
        Self { method: Method::GET, url, bearer: None, body: None, largest_body: LARGEST_BODY }
    }

    /// Sends without a body.
    pub fn post(url: HttpUrl) -> Self {
        Self { method: Method::POST, url, bearer: None, body: None, largest_body: LARGEST_BODY }
    }

    /// With a body of this media type.
    pub fn body(mut self, media_type: &'static str, body: Secret) -> Self {
        self.body = Some((media_type, body));
        self
    }

    /// Takes an answer whose body has at most that many bytes.
    pub fn up_to(mut self, bytes: usize) -> Self {
        self.largest_body = bytes;
        self
    }

    /// With a bearer token.
    pub fn bearer(mut self, token: Secret) -> Self {
        self.bearer = Some(token);
        self
    }

    fn build(&self) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
        let mut request = hyper::Request::builder()
            .method(self.method.clone())
            .uri(self.url.path())
            .header(header::HOST, self.url.authority())
            .header(header::USER_AGENT, concat!("goldline/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "*/*")
            .header(header::CONNECTION, "close");
        if let Some(token) = &self.bearer {
            let mut value = header::HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|_| HttpError::Token)?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let body = match &self.body {
            Some((media_type, body)) => {
                request = request.header(header::CONTENT_TYPE, *media_type);
                Bytes::copy_from_slice(body.expose().as_bytes())
            }
            None => {
                if self.method == Method::POST {
                    // Some servers refuse a POST that does not say that it is empty.
                    request = request.header(header::CONTENT_LENGTH, 0);
                }
                Bytes::new()
            }
        };
        let refuse = |error: hyper::http::Error| HttpError::BadUrl {
            text: self.url.to_string(),
            reason: error.to_string(),
        };
        request.body(Full::new(body)).map_err(refuse)
    }
}

impl Response {
    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Body {
    /// The bytes, for a parser only.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// As text, with a sign for each byte that is none; for a parser, or to be blacked out first.
    pub fn expose_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Trusts these roots for https, as PEM; without any, no https server is trusted.
    ///
    /// # Errors
    /// [`HttpError::Roots`] when the text holds no certificate, or one that cannot be read.
    pub fn new(route: Route, roots_pem: Option<&str>) -> Result<Self, HttpError> {
        Self::going(Way::Route(route), roots_pem)
    }

    /// The same, over connections that someone else opens.
    ///
    /// # Errors
    /// As [`HttpClient::new`].
    pub fn dialled(dial: Arc<dyn Dial>, roots_pem: Option<&str>) -> Result<Self, HttpError> {
        Self::going(Way::Dialled(dial), roots_pem)
    }

    fn going(way: Way, roots_pem: Option<&str>) -> Result<Self, HttpError> {
        let anchors = match roots_pem {
            Some(pem) => Anchors::from_pem(pem)
                .map_err(|reason| HttpError::Roots { reason: Box::new(reason) })?,
            None => Anchors::default(),
        };
        Ok(Self { way, tls: ClientTls::new(anchors) })
    }

    /// The first end among the certificates of the server that answered last over https.
    pub fn server_certificate(&self) -> Option<Expiry> {
        self.tls.seen().map(|facts| facts.expiry)
    }

    /// Connects, calls and reads the whole answer.
    ///
    /// # Errors
    /// [`HttpError`] says how far it came.
    pub async fn call(&self, request: &Request, deadline: Deadline) -> Result<Response, HttpError> {
        let call = async {
            let url = &request.url;
            let stream = self.connect(url).await?;
            match url.scheme() {
                Scheme::Http => exchange(stream, request).await,
                Scheme::Https => exchange(self.secure(stream, url).await?, request).await,
            }
        };
        within(deadline, &request.url, call).await
    }

    async fn connect(&self, url: &HttpUrl) -> Result<TcpStream, HttpError> {
        let connected = match &self.way {
            Way::Route(Route::Pinned(address)) => TcpStream::connect(address).await,
            Way::Route(Route::Resolved) => TcpStream::connect((url.host(), url.port())).await,
            Way::Dialled(dial) => dial.dial(url.host(), url.port()).await,
        };
        connected.map_err(|source| HttpError::Unreachable { url: url.to_string(), source })
    }

    async fn secure(
        &self,
        stream: TcpStream,
        url: &HttpUrl,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, HttpError> {
        let name = ServerName::try_from(url.host().to_owned()).map_err(|error| {
            HttpError::BadUrl { text: url.to_string(), reason: error.to_string() }
        })?;
        TlsConnector::from(self.tls.config())
            .connect(name, stream)
            .await
            .map_err(|error| HttpError::of_handshake(url, &error))
    }
}

/// Calls over a connection that is already there, such as one into a unit's own network; the scheme
/// of the URL is not looked at, for the connection is as secure as it is.
///
/// # Errors
/// As [`HttpClient::call`].
pub async fn call_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: &Request,
    deadline: Deadline,
) -> Result<Response, HttpError> {
    within(deadline, &request.url, exchange(stream, request)).await
}

async fn within(
    deadline: Deadline,
    url: &HttpUrl,
    call: impl Future<Output = Result<Response, HttpError>>,
) -> Result<Response, HttpError> {
    timeout_at(deadline.instant(), call).await.unwrap_or_else(|_| {
        Err(HttpError::TimedOut { url: url.to_string(), allowed: deadline.allowed() })
    })
}

async fn exchange<S>(stream: S, request: &Request) -> Result<Response, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, first) = FirstBytes::new(stream);
    let url = &request.url;
    let broken = |error: &hyper::Error| HttpError::of_exchange(url, error, first.get());
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let http_request = request.build()?;
    let answer = async {
        let answer = sender.send_request(http_request).await.map_err(|error| broken(&error))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), request.largest_body).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => broken(&error),
            Err(error) => {
                debug_assert!(error.is::<LengthLimitError>(), "{error}");
                HttpError::TooLarge { url: url.to_string(), allowed: request.largest_body }
            }
        })?;
        Ok(Response { status, body: Body(body.to_bytes()) })
    };
    tokio::pin!(answer);
    // The connection must be driven while the answer is awaited; it may well end first.
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = connection => answer.await,
    }?;
    if failure::says_that_it_wants_tls(answer.status, &answer.body.expose_text()) {
        return Err(HttpError::WantsTls { url: url.to_string() });
    }
    Ok(answer)
}
