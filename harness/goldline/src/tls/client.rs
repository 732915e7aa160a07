//! A client's side of TLS: whom it trusts, what it shows, and what it saw.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
        pem::PemObject,
    },
};
use time::OffsetDateTime;
use webpki::RawPublicKeyEntity;
use x509_parser::parse_x509_certificate;

use super::{Anchors, Distrust, Facts, judge, sentence};
use crate::secret::Secret;

/// The bench's own certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    /// No certificate that can be read.
    #[error("the bench's certificate cannot be used: {0}")]
    Certificate(String),
    /// No key that can be read.
    #[error("the bench's private key cannot be used: {0}")]
    Key(String),
    /// The key is not that of the certificate.
    #[error("the bench's private key is of another certificate than its own")]
    OtherKey,
}

impl ClientTlsError {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Certificate(_) => {
                "give a PEM file that holds the bench's certificate, its own first"
            }
            Self::Key(_) => {
                "give a PEM file that holds the bench's private key (PKCS#8, PKCS#1 or SEC 1), \
                 without a passphrase"
            }
            Self::OtherKey => "give the key that the certificate was made for, in the same file",
        }
    }
}

/// How a client speaks TLS, and what it has seen of the server.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    verifier: Arc<Verifier>,
}

impl ClientTls {
    /// Trusts these and shows nothing of its own.
    pub fn new(anchors: Anchors) -> Self {
        let verifier = Arc::new(Verifier::new(anchors));
        let config = builder(&verifier).with_no_client_auth();
        Self { config: Arc::new(config), verifier }
    }

    /// The same, and shows a certificate (PEM, and of those between it and its CA) where it is asked for one.
    ///
    /// # Errors
    /// [`ClientTlsError`] says which part cannot be used.
    pub fn with_identity(
        anchors: Anchors,
        chain: &str,
        key: &Secret,
    ) -> Result<Self, ClientTlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| ClientTlsError::Certificate(error.to_string()))?;
        if chain.is_empty() {
            let nothing = "no certificate is in it".to_owned();
            return Err(ClientTlsError::Certificate(nothing));
        }
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
            .map_err(|error| ClientTlsError::Key(error.to_string()))?;
        let verifier = Arc::new(Verifier::new(anchors));
        let config = builder(&verifier).with_client_auth_cert(chain, key);
        let config = config.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => ClientTlsError::OtherKey,
            rustls::Error::General(reason) => ClientTlsError::Key(reason),
            other => ClientTlsError::Certificate(sentence(&other)),
        })?;
        Ok(Self { config: Arc::new(config), verifier })
    }

    /// For a connection.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// What the server showed on the last connection that was trusted.
    pub fn seen(&self) -> Option<Facts> {
        self.verifier.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn builder(
    verifier: &Arc<Verifier>,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has suites for the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(verifier) as Arc<dyn ServerCertVerifier>)
}

/// Asks [`judge()`], and keeps its answer.
#[derive(Debug)]
struct Verifier {
    anchors: Anchors,
    algorithms: WebPkiSupportedAlgorithms,
    seen: Mutex<Option<Facts>>,
}

impl Verifier {
    fn new(anchors: Anchors) -> Self {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Self { anchors, algorithms, seen: Mutex::new(None) }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain: Vec<CertificateDer<'_>> =
            std::iter::once(own).chain(between).map(|der| der.as_ref().into()).collect();
        let now = i64::try_from(now.as_secs()).ok();
        let now = now.and_then(|now| OffsetDateTime::from_unix_timestamp(now).ok());
        let now = now.ok_or(rustls::Error::FailedToGetCurrentTime)?;
        let facts = judge(&chain, &self.anchors, host, now).map_err(refusal)?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(facts);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = public_key(certificate)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| unreadable("its public key"))?;
        let mapped = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let algorithms = mapped.map(|(_, algorithms)| *algorithms).unwrap_or_default();
        let fits = |algorithm: &&dyn rustls::pki_types::SignatureVerificationAlgorithm| {
            key.verify_signature(*algorithm, message, signed.signature()).is_ok()
        };
        match algorithms.iter().any(fits) {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = public_key(certificate)?;
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Of a certificate of any version: what rustls takes it from itself must be of version 3.
fn public_key(der: &[u8]) -> Result<SubjectPublicKeyInfoDer<'_>, rustls::Error> {
    let (_, certificate) = parse_x509_certificate(der).map_err(|_| unreadable("it"))?;
    Ok(SubjectPublicKeyInfoDer::from(certificate.tbs_certificate.subject_pki.raw))
}

fn unreadable(what: &str) -> rustls::Error {
    refusal(Distrust::Unreadable { reason: format!("{what} is damaged") })
}

fn refusal(distrust: Distrust) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(distrust))).into()
}
