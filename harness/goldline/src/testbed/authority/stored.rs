//! The authority's stored form, and whether what was stored still holds together.
//!
//! Must not issue anything and must not know where the files lie.

use rcgen::KeyPair;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use time::OffsetDateTime;
use x509_parser::{certificate::X509Certificate, pem::parse_x509_pem};

use super::AuthorityError;
use crate::secret::Secret;

/// The authority as it is stored.
#[derive(Clone, Debug)]
pub struct AuthorityPem {
    /// The root certificate.
    pub root_certificate: String,
    /// Its PKCS#8 key.
    pub root_key: Secret,
    /// The intermediate certificate, which issues everything else.
    pub intermediate_certificate: String,
    /// Its PKCS#8 key.
    pub intermediate_key: Secret,
}

/// Checks that every part is readable, valid now and belongs to the others; gives the
/// intermediate's key, which issues.
pub(super) fn verify(pem: &AuthorityPem, now: OffsetDateTime) -> Result<KeyPair, AuthorityError> {
    let root_key = read_key("root key", &pem.root_key)?;
    let key = read_key("intermediate key", &pem.intermediate_key)?;
    let root_der = read_pem("root certificate", &pem.root_certificate)?;
    let der = read_pem("intermediate certificate", &pem.intermediate_certificate)?;
    let root = read_certificate("root certificate", &root_der)?;
    let certificate = read_certificate("intermediate certificate", &der)?;

    require_signed_by("root certificate", &root, "own key", &root)?;
    require_signed_by("intermediate certificate", &certificate, "root certificate", &root)?;
    require_key("root certificate", &root, &root_key)?;
    require_key("intermediate certificate", &certificate, &key)?;
    require_valid_now("root certificate", &root, now)?;
    require_valid_now("intermediate certificate", &certificate, now)?;
    Ok(key)
}

fn read_key(part: &'static str, pem: &Secret) -> Result<KeyPair, AuthorityError> {
    KeyPair::from_pem(pem.expose())
        .map_err(|source| AuthorityError::Unreadable { part, reason: source.to_string() })
}

fn read_pem(part: &'static str, pem: &str) -> Result<Vec<u8>, AuthorityError> {
    parse_x509_pem(pem.as_bytes())
        .map(|(_, pem)| pem.contents)
        .map_err(|error| AuthorityError::Unreadable { part, reason: error.to_string() })
}

fn read_certificate<'a>(
    part: &'static str,
    der: &'a [u8],
) -> Result<X509Certificate<'a>, AuthorityError> {
    x509_parser::parse_x509_certificate(der)
        .map(|(_, certificate)| certificate)
        .map_err(|error| AuthorityError::Unreadable { part, reason: error.to_string() })
}

fn require_signed_by(
    part: &'static str,
    certificate: &X509Certificate<'_>,
    expected: &'static str,
    issuer: &X509Certificate<'_>,
) -> Result<(), AuthorityError> {
    let key = &issuer.tbs_certificate.subject_pki.subject_public_key.data;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
        .verify(certificate.tbs_certificate.as_ref(), &certificate.signature_value.data)
        .map_err(|_| AuthorityError::Mismatch { part, expected })
}

fn require_key(
    part: &'static str,
    certificate: &X509Certificate<'_>,
    key: &KeyPair,
) -> Result<(), AuthorityError> {
    let certified = &certificate.tbs_certificate.subject_pki.subject_public_key.data;
    if **certified == *key.public_key_raw() {
        Ok(())
    } else {
        Err(AuthorityError::Mismatch { part, expected: "private key" })
    }
}

fn require_valid_now(
    part: &'static str,
    certificate: &X509Certificate<'_>,
    now: OffsetDateTime,
) -> Result<(), AuthorityError> {
    let validity = certificate.validity();
    let (from, until) = (validity.not_before.to_datetime(), validity.not_after.to_datetime());
    if from <= now && now <= until {
        Ok(())
    } else {
        Err(AuthorityError::NotValidNow { part, from, until, now })
    }
}
