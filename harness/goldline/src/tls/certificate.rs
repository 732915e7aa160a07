//! One certificate, as far as trust depends on it.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::{
    certificate::X509Certificate,
    der_parser::asn1_rs::Tag,
    error::X509Error,
    oid_registry as oid,
    oid_registry::Oid,
    parse_x509_certificate,
    prelude::{X509Name, X509Version},
    public_key::PublicKey,
};

/// What mbedTLS knows: with another one that is critical, it takes no certificate.
const KNOWN_EXTENSIONS: [Oid<'static>; 8] = [
    oid::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
    oid::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
    oid::OID_X509_EXT_KEY_USAGE,
    oid::OID_X509_EXT_EXTENDED_KEY_USAGE,
    oid::OID_X509_EXT_BASIC_CONSTRAINTS,
    oid::OID_X509_EXT_SUBJECT_ALT_NAME,
    oid::OID_X509_EXT_CERTIFICATE_POLICIES,
    oid::OID_X509_EXT_CERT_TYPE,
];
/// `mbedtls_x509_crt_profile_default`: no MD5, no SHA-1, nothing but RSA and ECDSA.
const GOOD_SIGNATURES: [Oid<'static>; 7] = [
    oid::OID_PKCS1_SHA256WITHRSA,
    oid::OID_PKCS1_SHA384WITHRSA,
    oid::OID_PKCS1_SHA512WITHRSA,
    oid::OID_PKCS1_RSASSAPSS,
    oid::OID_SIG_ECDSA_WITH_SHA256,
    oid::OID_SIG_ECDSA_WITH_SHA384,
    oid::OID_SIG_ECDSA_WITH_SHA512,
];
const GOOD_CURVES: [Oid<'static>; 3] =
    [oid::OID_EC_P256, oid::OID_NIST_EC_P384, oid::OID_NIST_EC_P521];
/// The same profile's, in bits.
const SMALLEST_RSA: usize = 2048;
/// Shown of a name; a stranger may write what he likes.
const MOST_SHOWN: usize = 80;

/// A certificate that was read.
#[derive(Debug)]
pub(super) struct Certificate<'a>(X509Certificate<'a>);

impl<'a> Certificate<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, String> {
        let certificate = match parse_x509_certificate(der) {
            Ok(([], certificate)) => certificate,
            Ok(_) => return Err("bytes follow it".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        let mut extensions = certificate.extensions().iter();
        let unknown = extensions
            .find(|extension| extension.critical && !KNOWN_EXTENSIONS.contains(&extension.oid));
        match unknown {
            Some(unknown) => {
                Err(format!("units do not know its critical extension {}", unknown.oid))
            }
            None => Ok(Self(certificate)),
        }
    }

    pub(super) fn x509(&self) -> &X509Certificate<'a> {
        &self.0
    }

    /// Its subject in quotes, in one line.
    pub(super) fn label(&self) -> String {
        label(self.0.subject())
    }

    /// The same of its issuer.
    pub(super) fn issuer_label(&self) -> String {
        label(self.0.issuer())
    }

    pub(super) fn not_before(&self) -> OffsetDateTime {
        self.0.validity().not_before.to_datetime()
    }

    pub(super) fn not_after(&self) -> OffsetDateTime {
        self.0.validity().not_after.to_datetime()
    }

    pub(super) fn is_valid(&self, now: OffsetDateTime) -> bool {
        self.not_before() <= now && now <= self.not_after()
    }

    pub(super) fn is_self_issued(&self) -> bool {
        is_same_name(self.0.subject(), self.0.issuer())
    }

    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.0.as_raw() == other.0.as_raw()
    }

    /// Whether it may have issued that one. What is trusted may be older than the CA flag.
    pub(super) fn may_issue(&self, child: &Self, is_anchor: bool) -> bool {
        if !is_same_name(child.0.issuer(), self.0.subject()) {
            return false;
        }
        let usage = self.0.key_usage();
        let may_sign = usage.is_ok_and(|usage| usage.is_none_or(|of| of.value.key_cert_sign()));
        is_anchor && self.0.version() != X509Version::V3 || self.0.is_ca() && may_sign
    }

    /// Whether so many certificates may stand between it and the leaf.
    pub(super) fn allows_between(&self, count: usize) -> bool {
        let constraints = self.0.basic_constraints().ok().flatten();
        let most = constraints.and_then(|of| of.value.path_len_constraint);
        most.is_none_or(|most| count <= most as usize)
    }

    /// Whether the other's key signed it; an error when that cannot be found out here.
    pub(super) fn is_signed_by(&self, issuer: &Self) -> Result<bool, X509Error> {
        match self.0.verify_signature(Some(issuer.0.public_key())) {
            Ok(()) => Ok(true),
            Err(X509Error::SignatureUnsupportedAlgorithm) if issuer.is_strong().is_ok() => {
                Err(X509Error::SignatureUnsupportedAlgorithm)
            }
            Err(_) => Ok(false),
        }
    }

    /// How it is signed, when that is no good.
    pub(super) fn weak_signature(&self) -> Option<String> {
        let algorithm = &self.0.signature_algorithm.algorithm;
        if GOOD_SIGNATURES.contains(algorithm) {
            return None;
        }
        let known = oid::OidRegistry::default().with_crypto();
        let name = known.get(algorithm).map(|entry| entry.sn().to_owned());
        Some(name.unwrap_or_else(|| algorithm.to_string()))
    }

    /// What its key is like, as an error when that is no good.
    pub(super) fn is_strong(&self) -> Result<(), String> {
        let key = self.0.public_key();
        match key.parsed() {
            Ok(PublicKey::RSA(rsa)) if rsa.key_size() >= SMALLEST_RSA => Ok(()),
            Ok(PublicKey::RSA(rsa)) => Err(format!("RSA of {} bits", rsa.key_size())),
            Ok(PublicKey::EC(_)) => {
                let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
                match curve {
                    Some(curve) if GOOD_CURVES.contains(&curve) => Ok(()),
                    Some(curve) => Err(format!("on the elliptic curve {curve}")),
                    None => Err("on an elliptic curve without a name".to_owned()),
                }
            }
            _ => Err(format!("of the kind {}", key.algorithm.algorithm)),
        }
    }
}

/// As mbedTLS compares names: texts of the two usual kinds without case, and everything else byte by byte.
pub(super) fn is_same_name(one: &X509Name<'_>, other: &X509Name<'_>) -> bool {
    if one.as_raw() == other.as_raw() {
        return true;
    }
    let is_usual = |tag: Tag| matches!(tag, Tag::Utf8String | Tag::PrintableString);
    let parts = |name: &X509Name<'_>| name.iter_attributes().count();
    parts(one) == parts(other)
        && one.iter_attributes().zip(other.iter_attributes()).all(|(one, other)| {
            let (left, right) = (one.attr_value(), other.attr_value());
            let usual = is_usual(left.tag()) && is_usual(right.tag());
            one.attr_type() == other.attr_type()
                && (left.tag() == right.tag() && left.data == right.data
                    || usual && left.data.eq_ignore_ascii_case(right.data))
        })
}

/// The common name, or the whole one, in quotes.
pub(super) fn label(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|name| name.as_str().ok());
    shown(&common.map_or_else(|| name.to_string(), str::to_owned))
}

/// In quotes, in one line, and not too long.
pub(super) fn shown(text: &str) -> String {
    let mut text: String = text.escape_debug().collect();
    if let Some((end, _)) = text.char_indices().nth(MOST_SHOWN) {
        text.replace_range(end.., "…");
    }
    format!("\"{text}\"")
}

/// Such as `2021-01-01T00:00:00Z`.
pub(super) fn moment(time: OffsetDateTime) -> String {
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}
