//! The TLS side of the bench's servers, without touching rustls' process-wide default.
//!
//! Must not know what is served over it.

use std::sync::Arc;

use rustls::{
    ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{WantsServerCert, WebPkiClientVerifier},
};

use super::authority::Issued;
use crate::tls::sentence;

/// A server's TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// The server's chain or the client CA is not PEM.
    #[error("a certificate of the server cannot be read: {0}; expected PEM")]
    Certificate(String),
    /// The server's key is not PEM.
    #[error("the server's private key cannot be read: {0}; expected PKCS#8 PEM")]
    Key(String),
    /// The CA for clients cannot be used.
    #[error("the CA for client certificates cannot be used: {0}; give at least one CA certificate")]
    ClientCa(String),
    /// Certificates and key do not fit each other or the protocol.
    #[error("the server's TLS cannot be set up: {}; check that chain and key belong together", sentence(.0))]
    Setup(rustls::Error),
}

/// For any client.
///
/// # Errors
/// [`ServerTlsError`].
pub(super) fn for_anyone(server: &Issued) -> Result<ServerConfig, ServerTlsError> {
    with_certificate(builder()?.with_no_client_auth(), server)
}

/// For clients with a certificate that one of these CAs (PEM) issued.
///
/// # Errors
/// [`ServerTlsError`].
pub(super) fn for_clients_of(
    ca_pem: &str,
    server: &Issued,
) -> Result<ServerConfig, ServerTlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca_pem)? {
        roots.add(certificate).map_err(ServerTlsError::Setup)?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| ServerTlsError::ClientCa(error.to_string()))?;
    with_certificate(builder()?.with_client_cert_verifier(verifier), server)
}

fn builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, ServerTlsError> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(ServerTlsError::Setup)
}

fn with_certificate(
    builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    server: &Issued,
) -> Result<ServerConfig, ServerTlsError> {
    let chain = certificates(&server.signed.chain)?;
    let key = PrivateKeyDer::from_pem_slice(server.key.expose().as_bytes())
        .map_err(|error| ServerTlsError::Key(error.to_string()))?;
    builder.with_single_cert(chain, key).map_err(ServerTlsError::Setup)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, ServerTlsError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| ServerTlsError::Certificate(error.to_string()))
}
