//! Whether a certificate fits the unit: name, key, time, chain.
//!
//! Must not know where it came from. Times are UTC.

use std::time::Duration as StdDuration;

use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, parse_x509_certificate, pem::Pem,
};

use super::{CaError, Terms, answer::Answer};
use crate::hex::hex;

/// How far two clocks may be apart.
const CLOCK_SKEW: Duration = Duration::minutes(5);
const CERTIFICATE: &str = "certificate";
const CA_CERT: &str = "ca_cert";
const TRUSTED: &str = "the trusted roots";

/// What the certificate must fit.
pub(super) struct Expected<'a> {
    pub(super) uuid: &'a str,
    /// The signing request's.
    pub(super) key: Option<&'a KeyPair>,
    pub(super) terms: &'a Terms<'a>,
}

/// A certificate that fits.
pub(super) struct Leaf {
    /// Lowercase hex.
    pub(super) serial: String,
    /// Last moment of validity.
    pub(super) not_after: OffsetDateTime,
}

/// Gives what the unit's own certificate says.
pub(super) fn verify(
    answer: &Answer,
    expected: &Expected<'_>,
    notes: &mut Vec<String>,
) -> Result<Leaf, CaError> {
    let own = certificates(CERTIFICATE, &answer.certificate)?;
    let issuers = certificates(CA_CERT, &answer.ca_cert)?;
    let (leaf_der, between) = own.split_first().expect("certificates are at least one");
    let leaf = read(CERTIFICATE, leaf_der)?;
    let now = expected.terms.clock.now();

    require_name(&leaf, expected.uuid)?;
    match expected.key {
        Some(key) if *leaf.public_key().raw != *key.subject_public_key_info() => {
            return Err(CaError::WrongKey);
        }
        Some(_) => {}
        None => notes.push(
            "no signing request was sent: the certificate's private key is the CA's affair"
                .to_owned(),
        ),
    }
    let until = require_time(&leaf, expected.terms.minimum_validity, now)?;
    let at = now.max(leaf.validity().not_before.to_datetime());
    let chain = [between, &issuers].concat();
    require_chain(leaf_der, &chain, expected.terms.trusted_roots, at)?;
    if expected.terms.trusted_roots.is_none() {
        notes.push(
            "the root came with the answer itself: give the CA's root to be sure of it".to_owned(),
        );
    }
    notes.extend(expiry_note(&answer.expiry, until));
    Ok(Leaf { serial: hex(leaf.raw_serial()), not_after: until })
}

/// Every certificate of a PEM text; at least one, and nothing else.
fn certificates(part: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, CaError> {
    let refuse = |reason: String| CaError::Unreadable { part, reason };
    let mut found = Vec::new();
    for section in Pem::iter_from_buffer(pem.as_bytes()) {
        let section = section.map_err(|error| refuse(error.to_string()))?;
        if section.label != "CERTIFICATE" {
            return Err(refuse(format!("it holds a {}", section.label)));
        }
        let der = CertificateDer::from(section.contents);
        read(part, &der)?;
        found.push(der);
    }
    if found.is_empty() { Err(refuse("no PEM is in it".to_owned())) } else { Ok(found) }
}

fn read<'a>(
    part: &'static str,
    der: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, CaError> {
    let refuse = |reason: String| CaError::Unreadable { part, reason };
    match parse_x509_certificate(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(refuse("bytes follow the certificate".to_owned())),
        Err(error) => Err(refuse(error.to_string())),
    }
}

fn require_name(leaf: &X509Certificate<'_>, uuid: &str) -> Result<(), CaError> {
    let common = leaf.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let mut found: Vec<String> = common.map(str::to_owned).collect();
    if let Ok(Some(alternatives)) = leaf.subject_alternative_name() {
        found.extend(alternatives.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::URI(uri) => Some(uri.trim_start_matches("urn:uuid:").to_owned()),
            _ => None,
        }));
    }
    if found.iter().any(|name| name.eq_ignore_ascii_case(uuid)) {
        return Ok(());
    }
    if found.is_empty() {
        found.push("nobody".to_owned());
    }
    Err(CaError::WrongName { found, expected: uuid.to_owned() })
}

fn require_time(
    leaf: &X509Certificate<'_>,
    minimum: StdDuration,
    now: OffsetDateTime,
) -> Result<OffsetDateTime, CaError> {
    let validity = leaf.validity();
    let (from, until) = (validity.not_before.to_datetime(), validity.not_after.to_datetime());
    if until < now {
        return Err(CaError::Expired { until, now });
    }
    if from - now > CLOCK_SKEW {
        return Err(CaError::NotYetValid { from, now });
    }
    let left = until - now;
    if left < minimum {
        let minimum = i64::try_from(minimum.as_secs()).unwrap_or(i64::MAX) / 86_400;
        return Err(CaError::TooShort { until, left: left.whole_days(), minimum });
    }
    Ok(until)
}

fn require_chain(
    leaf: &CertificateDer<'_>,
    chain: &[CertificateDer<'_>],
    trusted: Option<&str>,
    at: OffsetDateTime,
) -> Result<(), CaError> {
    let refuse = |error: webpki::Error| match error {
        webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => {
            CaError::ChainNotValidNow { now: at }
        }
        error => CaError::Chain { reason: error.to_string() },
    };
    let roots = match trusted {
        Some(pem) => certificates(TRUSTED, pem)?,
        None => self_issued(chain)?,
    };
    let anchors = anchors(&roots, at)?;
    let seconds = u64::try_from(at.unix_timestamp()).unwrap_or(0);
    EndEntityCert::try_from(leaf)
        .map_err(refuse)?
        .verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            chain,
            UnixTime::since_unix_epoch(StdDuration::from_secs(seconds)),
            AnyUsage,
            None,
            None,
        )
        .map_err(refuse)?;
    Ok(())
}

fn self_issued<'a>(chain: &[CertificateDer<'a>]) -> Result<Vec<CertificateDer<'a>>, CaError> {
    let mut roots = Vec::new();
    for der in chain {
        let certificate = read(CA_CERT, der)?;
        if certificate.is_ca() && certificate.subject().as_raw() == certificate.issuer().as_raw() {
            roots.push(der.clone());
        }
    }
    if roots.is_empty() {
        return Err(CaError::Chain {
            reason: "no root is in ca_cert, and none was given".to_owned(),
        });
    }
    Ok(roots)
}

/// A root's own time is not looked at by the library, and a unit may look at it.
fn anchors<'a>(
    roots: &'a [CertificateDer<'_>],
    at: OffsetDateTime,
) -> Result<Vec<TrustAnchor<'a>>, CaError> {
    let mut anchors = Vec::new();
    for der in roots {
        let validity = read(TRUSTED, der)?.validity().clone();
        if (validity.not_before.to_datetime()..=validity.not_after.to_datetime()).contains(&at) {
            anchors.push(
                webpki::anchor_from_trusted_cert(der)
                    .map_err(|error| CaError::Chain { reason: error.to_string() })?,
            );
        }
    }
    if anchors.is_empty() { Err(CaError::ChainNotValidNow { now: at }) } else { Ok(anchors) }
}

/// What a unit uses its certificate for is the product's affair.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

fn expiry_note(expiry: &str, until: OffsetDateTime) -> Option<String> {
    match OffsetDateTime::parse(expiry, &Rfc3339) {
        Ok(said) if said.to_offset(until.offset()).date() == until.date() => None,
        Ok(said) => Some(format!(
            "the CA says that the certificate expires at {said}, and the certificate says {until}"
        )),
        Err(_) => {
            Some("the CA's expiry is no time of RFC 3339: the certificate's own counts".to_owned())
        }
    }
}
