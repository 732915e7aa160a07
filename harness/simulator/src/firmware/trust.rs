//! Whom the firmware trusts: a TLS configuration with exactly one CA.

use std::sync::Arc;

use super::certificates::{self, Flaw};
use super::clock::Clock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

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
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clock: Arc<dyn TimeProvider> = Arc::new(self.clock);
        let trusted = (!self.blind).then(|| certificates(self.ca_pem));
        let verifier = Arc::new(Verifier { trusted, provider: provider.clone() });
        let config = ClientConfig::builder_with_details(provider, clock)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let identity = self.identity.as_ref();
        match identity.and_then(|identity| Some((identity.chain(), identity.private_key()?))) {
            Some((chain, key)) => Ok(Arc::new(config.with_client_auth_cert(chain, key)?)),
            None => Ok(Arc::new(config.with_no_client_auth())),
        }
    }
}

/// TLS as a firmware that was built with this CA (PEM) speaks it, by the host's clock: for tests that compare
/// it with how others judge the same server.
///
/// # Errors
/// As rustls'.
pub fn tls_of_firmware(ca_pem: &str) -> Result<Arc<ClientConfig>, rustls::Error> {
    Trust { ca_pem, identity: None, clock: Clock::Host, blind: false }.client_config()
}

/// Judges servers as mbedTLS does, or, as careless firmware does, not at all.
#[derive(Debug)]
struct Verifier {
    /// What the firmware holds; without, it accepts every certificate.
    trusted: Option<Vec<CertificateDer<'static>>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(trusted) = &self.trusted {
            let shown: Vec<_> = [own].into_iter().chain(others).cloned().collect();
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            certificates::verify(&shown, trusted, &host.to_str(), now)
                .map_err(|flaw| rustls::Error::from(CertificateError::from(flaw)))?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| unreadable())?;
        let key = &certificate.public_key().subject_public_key.data;
        let mapping = self.provider.signature_verification_algorithms.mapping;
        // The curve, or the kind of key, is one that the signature's name allows.
        let good = mapping
            .iter()
            .filter(|(scheme, _)| *scheme == signature.scheme)
            .flat_map(|(_, algorithms)| *algorithms)
            .any(|one| one.verify_signature(key, message, signature.signature()).is_ok());
        match good {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // rustls itself reads the key of a certificate of version 3 only.
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| unreadable())?;
        let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn unreadable() -> rustls::Error {
    CertificateError::from(Flaw::Unreadable).into()
}

/// So that the alert is mbedTLS's where rustls has a name for the flaw.
impl From<Flaw> for CertificateError {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Unreadable => Self::BadEncoding,
            Flaw::Name => Self::NotValidForName,
            Flaw::Expired => Self::Expired,
            Flaw::NotYetValid => Self::NotValidYet,
            Flaw::Untrusted => Self::UnknownIssuer,
            Flaw::KeyUsage | Flaw::ExtendedKeyUsage | Flaw::Key | Flaw::Hash => {
                Self::Other(OtherError(Arc::new(flaw)))
            }
        }
    }
}

/// A CA that signed nothing which a unit meets; its key was thrown away.
pub(super) const STRANGER: &str = include_str!("stranger.pem");
