//! What is enough to trust whatever a CA issues: its name and its key. A certificate has both, and so has an
//! entry of ESP-IDF's certificate bundle, which is nothing else.
//!
//! Must not know where it was found.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::{
    prelude::{FromDer, X509Certificate, X509Name},
    x509::SubjectPublicKeyInfo,
};

use super::certificate::{Certificate, is_same_name, label};
use crate::hex::hex;

/// Somebody whose signature may be trusted, or who is trusted himself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issuer {
    /// DER.
    name: Vec<u8>,
    /// DER of the public key with its algorithm.
    key: Vec<u8>,
    /// DER, unless only name and key are there.
    certificate: Option<Vec<u8>>,
    subject: String,
    not_after: Option<OffsetDateTime>,
    is_anchor: bool,
}

impl Issuer {
    /// Of a certificate as DER, with nothing behind it; `None` for what mbedTLS could not read.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let read = Certificate::read(der).ok()?;
        let x509 = read.x509();
        Some(Self {
            name: x509.subject().as_raw().to_vec(),
            key: x509.public_key().raw.to_vec(),
            certificate: Some(der.to_vec()),
            subject: read.label(),
            not_after: Some(read.not_after()),
            // Who signed himself can be pinned, whatever the certificate says of a CA.
            is_anchor: x509.is_ca() || read.is_self_issued(),
        })
    }

    /// Of a name and a public key as DER, each with nothing behind it.
    pub fn of_name_and_key(name: &[u8], key: &[u8]) -> Option<Self> {
        let (rest, parsed) = X509Name::from_der(name).ok()?;
        let (after, _) = SubjectPublicKeyInfo::from_der(key).ok()?;
        (rest.is_empty() && after.is_empty()).then(|| Self {
            name: name.to_vec(),
            key: key.to_vec(),
            certificate: None,
            subject: label(&parsed),
            not_after: None,
            is_anchor: true,
        })
    }

    /// Its common name, or all of its name, in quotes.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// SHA-256 of the public key with its algorithm, as lowercase hex.
    pub fn key_digest(&self) -> String {
        hex(&Sha256::digest(&self.key))
    }

    /// When its certificate ends; an entry of a bundle does not say so.
    pub fn not_after(&self) -> Option<OffsetDateTime> {
        self.not_after
    }

    /// Whether it may be there to be trusted: it is a CA's, or signed itself. A unit's own certificate is not.
    pub fn is_anchor(&self) -> bool {
        self.is_anchor
    }

    /// Whether one who trusts it may trust what comes of one of these certificates, a PEM text: it is one of
    /// them, it signed one, or one of them signed it.
    pub fn may_vouch_for(&self, pem: &str) -> bool {
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten();
        certificates.into_iter().any(|der| {
            X509Certificate::from_der(&der).is_ok_and(|(_, other)| self.is_kin_of(&other))
        })
    }

    fn is_kin_of(&self, other: &X509Certificate<'_>) -> bool {
        let Ok((_, name)) = X509Name::from_der(&self.name) else { return false };
        let Ok((_, key)) = SubjectPublicKeyInfo::from_der(&self.key) else { return false };
        let is_it = self.key == other.public_key().raw && is_same_name(&name, other.subject());
        let signed_it =
            is_same_name(&name, other.issuer()) && other.verify_signature(Some(&key)).is_ok();
        let own = self.certificate.as_deref().map(X509Certificate::from_der);
        let is_signed_by_it = matches!(own, Some(Ok((_, own)))
            if is_same_name(own.issuer(), other.subject())
                && own.verify_signature(Some(other.public_key())).is_ok());
        is_it || signed_it || is_signed_by_it
    }
}
