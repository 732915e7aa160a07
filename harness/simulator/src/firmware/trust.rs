//! Whom the firmware trusts: a TLS configuration with exactly one CA.

use std::sync::Arc;

use super::clock::Clock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// The certificates in a PEM text; broken ones are left out, as mbedTLS leaves them.
pub(super) fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect()
}

/// Whether a text holds a certificate or a private key.
pub(super) fn is_pem(text: &str) -> bool {
    let bytes = text.as_bytes();
    CertificateDer::from_pem_slice(bytes).is_ok() || PrivateKeyDer::from_pem_slice(bytes).is_ok()
}

/// How a firmware decides whom to trust.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust<'a> {
    /// PEM of the CA that must have signed the server's certificate.
    pub(super) ca_pem: &'a str,
    /// The firmware's own certificate, when it has one.
    pub(super) identity: Option<Identity<'a>>,
    /// What the firmware's clock shows.
    pub(super) clock: Clock,
    /// Whether the firmware looks at no certificate at all.
    pub(super) blind: bool,
}

/// A certificate and its private key, each as PEM text, or as DER in hexadecimal text.
#[derive(Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) certificate: &'a str,
    pub(super) key: &'a str,
}

impl std::fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl Identity<'_> {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        match der(self.certificate) {
            Some(der) => vec![der.into()],
            None => certificates(self.certificate),
        }
    }

    fn private_key(&self) -> Option<PrivateKeyDer<'static>> {
        match der(self.key) {
            Some(der) => PrivateKeyDer::try_from(der).ok(),
            None => PrivateKeyDer::from_pem_slice(self.key.as_bytes()).ok(),
        }
    }
}

/// A blob as settings hold it; `None` for a text.
fn der(text: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.as_bytes().chunks(2).map(byte).collect()
}

impl Trust<'_> {
    /// A client that verifies the server's chain and name, unless it is blind.
    pub(super) fn client_config(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(self.ca_pem));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clock: Arc<dyn TimeProvider> = Arc::new(self.clock);
        let builder = ClientConfig::builder_with_details(provider.clone(), clock)
            .with_safe_default_protocol_versions()?;
        let config = if self.blind {
            let verifier = Arc::new(Blind(provider));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        } else {
            builder.with_root_certificates(roots)
        };
        let identity = self.identity.as_ref();
        match identity.and_then(|identity| Some((identity.chain(), identity.private_key()?))) {
            Some((chain, key)) => Ok(Arc::new(config.with_client_auth_cert(chain, key)?)),
            None => Ok(Arc::new(config.with_no_client_auth())),
        }
    }
}

/// A verifier that accepts every certificate, as careless firmware does.
#[derive(Debug)]
struct Blind(Arc<CryptoProvider>);

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A CA that signed nothing which a unit meets; its key was thrown away.
pub(super) const STRANGER: &str = include_str!("stranger.pem");
