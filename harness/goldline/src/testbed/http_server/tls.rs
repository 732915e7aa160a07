//! The TLS side of an HTTPS service, without touching rustls' process-wide default.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::HttpServerError;
use crate::testbed::authority::Issued;

pub(super) fn config(server: &Issued) -> Result<ServerConfig, HttpServerError> {
    let refuse = |error: String| HttpServerError::Certificate(error);
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
