//! A WebSocket to the service, over TLS or, on loopback, without.
//!
//! Blocking until it is open; from then on neither reading nor writing blocks, and whoever holds it waits for the
//! descriptor. Must not know what is said.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, pki_types::ServerName};
use tungstenite::{
    HandshakeError, Message, WebSocket,
    client::{ClientRequestBuilder, client_with_config},
    http::{StatusCode, Uri},
    protocol::WebSocketConfig,
};

use super::{error::WokwiError, server::Server};

/// To connect, and for each step of the handshakes.
const OPEN_LIMIT: Duration = Duration::from_secs(20);
/// Longest message that is believed. A service has nothing longer to say to a run than some console output.
const LONGEST: usize = 16 << 20;

/// A connection that is open.
pub(super) struct Socket(WebSocket<Stream>);

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    /// Connects and shows the token.
    ///
    /// # Errors
    /// [`WokwiError`] says how far it came.
    pub(super) fn open(server: &Server) -> Result<Self, WokwiError> {
        let tcp = connect(server)?;
        let stream = match server.is_tls {
            true => Stream::Tls(Box::new(encrypted(server, tcp)?)),
            false => Stream::Plain(tcp),
        };
        let uri: Uri = server.url.parse().map_err(|error| not_a_service(server, error))?;
        let version = env!("CARGO_PKG_VERSION");
        let request = ClientRequestBuilder::new(uri)
            .with_header("Authorization", format!("Bearer {}", server.token.expose()))
            .with_header("User-Agent", format!("goldline/{version}"));
        let config = WebSocketConfig::default()
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        let opened = client_with_config(request, stream, Some(config));
        let (socket, _) = opened.map_err(|error| match error {
            HandshakeError::Interrupted(_) => no_answer(server),
            HandshakeError::Failure(error) => refused(server, error),
        })?;
        let opened = Self(socket);
        opened.tcp().set_nonblocking(true).map_err(WokwiError::system)?;
        Ok(opened)
    }

    /// The next text that has come whole, if there is one.
    ///
    /// # Errors
    /// tungstenite's, when the connection is over.
    pub(super) fn read(&mut self) -> Result<Option<String>, tungstenite::Error> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Ok(Some(text.as_str().to_owned())),
                Ok(_) => {}
                Err(error) if would_block(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a text to be sent.
    ///
    /// # Errors
    /// tungstenite's, when the connection is over.
    pub(super) fn send(&mut self, text: String) -> Result<(), tungstenite::Error> {
        match self.0.write(Message::text(text)) {
            Err(error) if would_block(&error) => Ok(()),
            done => done,
        }
    }

    /// Sends what is left of what was taken; whether all of it is on its way.
    ///
    /// # Errors
    /// tungstenite's, when the connection is over.
    pub(super) fn flush(&mut self) -> Result<bool, tungstenite::Error> {
        match self.0.flush() {
            Ok(()) => Ok(true),
            Err(error) if would_block(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Says good-bye, without waiting for an answer.
    pub(super) fn close(&mut self) {
        // Whoever is gone already needs none.
        let _closed = self.0.close(None);
        let _flushed = self.0.flush();
    }

    fn tcp(&self) -> &TcpStream {
        match self.0.get_ref() {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(stream) => &stream.sock,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp().as_fd()
    }
}

fn would_block(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn connect(server: &Server) -> Result<TcpStream, WokwiError> {
    let unreachable = |error: io::Error| WokwiError::Unreachable {
        url: server.url.clone(),
        reason: error.to_string(),
    };
    let addresses = (server.host.as_str(), server.port).to_socket_addrs().map_err(unreachable)?;
    let mut last = io::ErrorKind::NotFound.into();
    for address in addresses {
        match TcpStream::connect_timeout(&address, OPEN_LIMIT) {
            Ok(tcp) => {
                let limits = tcp
                    .set_read_timeout(Some(OPEN_LIMIT))
                    .and_then(|()| tcp.set_write_timeout(Some(OPEN_LIMIT)))
                    .and_then(|()| tcp.set_nodelay(true));
                return limits.map(|()| tcp).map_err(unreachable);
            }
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

/// TLS as a browser checks it, against the CAs of this machine.
fn encrypted(
    server: &Server,
    tcp: TcpStream,
) -> Result<StreamOwned<ClientConnection, TcpStream>, WokwiError> {
    let failed = |reason: String| WokwiError::Tls { url: server.url.clone(), reason };
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(failed("this machine has no CA certificates".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name =
        ServerName::try_from(server.host.clone()).map_err(|error| failed(error.to_string()))?;
    let connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| failed(error.to_string()))?;
    let mut stream = StreamOwned::new(connection, tcp);
    // Here, so that what is wrong with TLS is not taken for something else.
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|error| failed(error.to_string()))?;
    }
    Ok(stream)
}

fn refused(server: &Server, error: tungstenite::Error) -> WokwiError {
    let url = server.url.clone();
    match error {
        tungstenite::Error::Http(response) => match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                WokwiError::Token { url, status: response.status().as_u16() }
            }
            StatusCode::PAYMENT_REQUIRED | StatusCode::TOO_MANY_REQUESTS => {
                WokwiError::Quota { url, status: response.status().as_u16() }
            }
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                WokwiError::Busy { url, status: status.as_u16() }
            }
            status => WokwiError::NotAService { url, found: status.to_string() },
        },
        tungstenite::Error::Io(error) if is_timeout(&error) => no_answer(server),
        tungstenite::Error::Io(error) => WokwiError::Lost { url, reason: error.to_string() },
        error => not_a_service(server, error),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn no_answer(server: &Server) -> WokwiError {
    let reason = format!("it did not answer the handshake within {} s", OPEN_LIMIT.as_secs());
    WokwiError::Unreachable { url: server.url.clone(), reason }
}

fn not_a_service(server: &Server, error: impl std::fmt::Display) -> WokwiError {
    WokwiError::NotAService { url: server.url.clone(), found: error.to_string() }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
