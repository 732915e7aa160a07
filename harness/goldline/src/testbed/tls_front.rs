//! TLS before an HTTP service of the bench: it ends TLS and passes the bytes on.
//!
//! Must not know HTTP. A handshake that takes too long, or is none, ends its own connection only.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::authority::Issued;

/// When the machine is out of sockets, asking again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The front cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TlsFrontError {
    /// No port can be had.
    #[error("an HTTPS service of the bench cannot listen: {0}; free a port")]
    Listen(#[from] io::Error),
    /// Its certificate or key is not usable.
    #[error("the certificate of an HTTPS service of the bench cannot be used: {0}")]
    Certificate(String),
}

/// A running front; it and its connections end when dropped.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    task: AbortHandle,
}

impl TlsFront {
    /// Listens on a free port of 127.0.0.1 and passes on to `inner`. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`TlsFrontError`].
    pub async fn start(server: &Issued, inner: SocketAddr) -> Result<Self, TlsFrontError> {
        let acceptor = TlsAcceptor::from(Arc::new(config(server)?));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            // Connections end with the front, so they must not outlive its task.
            let mut open = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((client, _)) => {
                            open.spawn(serve(client, acceptor.clone(), inner));
                        }
                        Err(error) => {
                            tracing::warn!(%error, "an HTTPS service cannot accept a connection");
                            sleep(ACCEPT_PAUSE).await;
                        }
                    },
                    Some(_ended) = open.join_next() => {}
                }
            }
        });
        Ok(Self { address, task: task.abort_handle() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: TcpStream, acceptor: TlsAcceptor, inner: SocketAddr) {
    let Ok(Ok(mut secured)) = timeout(HANDSHAKE, acceptor.accept(client)).await else { return };
    let Ok(mut service) = TcpStream::connect(inner).await else { return };
    // How a client leaves is its own affair.
    let _ended = copy_bidirectional(&mut secured, &mut service).await;
}

fn config(server: &Issued) -> Result<ServerConfig, TlsFrontError> {
    let refuse = |error: String| TlsFrontError::Certificate(error);
    let chain = CertificateDer::pem_slice_iter(server.signed.chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| refuse(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(server.key.expose().as_bytes())
        .map_err(|error| refuse(error.to_string()))?;
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| refuse(error.to_string()))
}
