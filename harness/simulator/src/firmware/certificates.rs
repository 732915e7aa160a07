//! How mbedTLS judges a server's certificate (`mbedtls_x509_crt_verify`, `mbedtls_ssl_check_cert_usage`).
//!
//! Every flaw is a flag there, and one flag is enough to refuse. The date of the CA counts as any other's, and a
//! server that signed itself is trusted when the firmware holds that very certificate. Knows neither sockets
//! nor TLS messages; the caller says what time it is.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name, X509Version};
use x509_parser::public_key::PublicKey;

/// `MBEDTLS_X509_MAX_INTERMEDIATE_CA`.
const MOST_INTERMEDIATES: usize = 8;
/// Extensions that mbedTLS parses, as dotted numbers: another one that is critical spoils the certificate.
const PARSED: [&str; 8] = [
    "2.5.29.14",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.32",
    "2.5.29.35",
    "2.5.29.37",
    "2.16.840.1.113730.1.1",
];
/// SHA-256, SHA-384 and SHA-512 with RSA, with RSA-PSS, and with ECDSA.
const HASHED_WELL: [&str; 7] = [
    "1.2.840.113549.1.1.10",
    "1.2.840.113549.1.1.11",
    "1.2.840.113549.1.1.12",
    "1.2.840.113549.1.1.13",
    "1.2.840.10045.4.3.2",
    "1.2.840.10045.4.3.3",
    "1.2.840.10045.4.3.4",
];
/// P-256, P-384 and P-521.
const CURVES: [&str; 3] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];
const SMALLEST_RSA_BITS: usize = 2048;

/// What is wrong with a certificate, the one first that decides on the TLS alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(super) enum Flaw {
    /// It could not even be parsed.
    Unreadable,
    Name,
    KeyUsage,
    ExtendedKeyUsage,
    Key,
    Expired,
    Untrusted,
    NotYetValid,
    Hash,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "The certificate could not be parsed",
            Self::Name => "The certificate Common Name (CN) does not match with the expected CN",
            Self::KeyUsage => "Usage does not match the keyUsage extension",
            Self::ExtendedKeyUsage => "Usage does not match the extendedKeyUsage extension",
            Self::Key => {
                "The certificate is signed with an unacceptable key (eg bad curve, RSA too short)."
            }
            Self::Expired => "The certificate validity has expired",
            Self::Untrusted => "The certificate is not correctly signed by the trusted CA",
            Self::NotYetValid => "The certificate validity starts in the future",
            Self::Hash => "The certificate is signed with an unacceptable hash.",
        })
    }
}

/// Judges what a server called `host` shows, its own certificate first; `now` in seconds since the epoch.
/// Of several flaws the first in the order of [`Flaw`].
pub(super) fn verify(
    shown: &[CertificateDer<'_>],
    trusted: &[CertificateDer<'_>],
    host: &str,
    now: i64,
) -> Result<(), Flaw> {
    let shown: Option<Vec<_>> = shown.iter().map(|der| parse(der)).collect();
    let shown = shown.filter(|shown| !shown.is_empty()).ok_or(Flaw::Unreadable)?;
    // What the firmware cannot parse, it does not trust.
    let trusted: Vec<_> = trusted.iter().filter_map(|der| parse(der)).collect();
    let mut flags = BTreeSet::new();
    if !fits(&shown[0], host) {
        flags.insert(Flaw::Name);
    }
    flags.extend(misuse(&shown[0]));
    flags.extend(weak_key(&shown[0]));
    walk(&shown, &trusted, now, &mut flags);
    flags.first().map_or(Ok(()), |flaw| Err(*flaw))
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    let parsed = |id: String| PARSED.contains(&id.as_str());
    let mut extensions = certificate.extensions().iter();
    let known = extensions.all(|each| !each.critical || parsed(each.oid.to_id_string()));
    (rest.is_empty() && known).then_some(certificate)
}

/// From the server's certificate up to one that the firmware holds.
fn walk(
    shown: &[X509Certificate<'_>],
    trusted: &[X509Certificate<'_>],
    now: i64,
    flags: &mut BTreeSet<Flaw>,
) {
    let (mut at, mut intermediates, mut rolled_over) = (0, 0, 0);
    loop {
        let child = &shown[at];
        flags.extend(untimely(child, now));
        let algorithm = child.signature_algorithm.algorithm.to_id_string();
        if !HASHED_WELL.contains(&algorithm.as_str()) {
            flags.insert(Flaw::Hash);
        }
        let issued_itself = same_name(child.subject(), child.issuer());
        let held = || trusted.iter().any(|anchor| anchor.as_raw() == child.as_raw());
        if at == 0 && issued_itself && held() {
            return;
        }
        let below = intermediates - rolled_over;
        let can_be_parent = |parent: &&X509Certificate<'_>, top: bool| {
            is_parent(child, parent, top) && has_room(parent, below)
        };
        let anchors =
            trusted.iter().filter(|anchor| can_be_parent(anchor, true) && signed(child, anchor));
        if let Some(anchor) = best(anchors, now) {
            flags.extend(untimely(anchor, now));
            flags.extend(weak_key(anchor));
            return;
        }
        let further = shown[at + 1..].iter().filter(|parent| can_be_parent(parent, false));
        let Some(parent) = best(further, now).filter(|_| intermediates < MOST_INTERMEDIATES) else {
            flags.insert(Flaw::Untrusted);
            return;
        };
        if !signed(child, parent) {
            flags.insert(Flaw::Untrusted);
        }
        flags.extend(weak_key(parent));
        // One that a CA issued to itself anew does not count from here on.
        if at != 0 && issued_itself {
            rolled_over += 1;
        }
        at += 1 + shown[at + 1..].iter().take_while(|each| !std::ptr::eq(*each, parent)).count();
        intermediates += 1;
    }
}

/// The first whose time it is; else the first.
fn best<'c, 'd: 'c>(
    found: impl Iterator<Item = &'c X509Certificate<'d>>,
    now: i64,
) -> Option<&'c X509Certificate<'d>> {
    let found: Vec<_> = found.collect();
    let timely = found.iter().find(|each| untimely(each, now).is_none());
    timely.or(found.first()).copied()
}

/// `x509_crt_check_parent`; a certificate before version 3 has no CA flag, and must be one that is held.
fn is_parent(child: &X509Certificate<'_>, parent: &X509Certificate<'_>, top: bool) -> bool {
    if !same_name(child.issuer(), parent.subject()) {
        return false;
    }
    if top && parent.version() != X509Version::V3 {
        return true;
    }
    let may_sign = match parent.key_usage() {
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    parent.is_ca() && may_sign
}

fn has_room(parent: &X509Certificate<'_>, below: usize) -> bool {
    let constraints = parent.basic_constraints().ok().flatten();
    let most = constraints.and_then(|constraints| constraints.value.path_len_constraint);
    most.is_none_or(|most| below <= most as usize)
}

/// By a key too short for ring to verify with nothing is signed; that flag alone is enough.
fn signed(child: &X509Certificate<'_>, parent: &X509Certificate<'_>) -> bool {
    weak_key(parent).is_some() || child.verify_signature(Some(parent.public_key())).is_ok()
}

fn untimely(certificate: &X509Certificate<'_>, now: i64) -> Option<Flaw> {
    let validity = certificate.validity();
    match () {
        () if validity.not_after.timestamp() < now => Some(Flaw::Expired),
        () if validity.not_before.timestamp() > now => Some(Flaw::NotYetValid),
        () => None,
    }
}

fn weak_key(certificate: &X509Certificate<'_>) -> Option<Flaw> {
    let key = certificate.public_key();
    let good = match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => rsa.key_size() >= SMALLEST_RSA_BITS,
        Ok(PublicKey::EC(_)) => {
            let curve = key.algorithm.parameters.as_ref().and_then(|of| of.as_oid().ok());
            curve.is_some_and(|curve| CURVES.contains(&curve.to_id_string().as_str()))
        }
        _ => false,
    };
    (!good).then_some(Flaw::Key)
}

fn misuse(own: &X509Certificate<'_>) -> Option<Flaw> {
    let signs = match own.key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.digital_signature()),
        Err(_) => false,
    };
    let serves = match own.extended_key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.any || usage.value.server_auth),
        Err(_) => false,
    };
    match (signs, serves) {
        (false, _) => Some(Flaw::KeyUsage),
        (true, false) => Some(Flaw::ExtendedKeyUsage),
        (true, true) => None,
    }
}

/// `x509_name_cmp`: two texts in UTF-8 or as PrintableString may differ in case and in which of both they are.
fn same_name(one: &X509Name<'_>, other: &X509Name<'_>) -> bool {
    const LOOSE: [u32; 2] = [12, 19];
    let mut left = one.iter_attributes();
    let mut right = other.iter_attributes();
    loop {
        let (left, right) = match (left.next(), right.next()) {
            (Some(left), Some(right)) => (left, right),
            (None, None) => return true,
            _ => return false,
        };
        let (a, b) = (left.attr_value(), right.attr_value());
        let loose = LOOSE.contains(&a.tag().0) && LOOSE.contains(&b.tag().0);
        let same = match loose {
            true => a.data.eq_ignore_ascii_case(b.data),
            false => a.tag() == b.tag() && a.data == b.data,
        };
        if left.attr_type() != right.attr_type() || !same {
            return false;
        }
    }
}

/// `x509_crt_verify_name`: with alternative names the common name does not count.
fn fits(own: &X509Certificate<'_>, host: &str) -> bool {
    let Ok(alternative) = own.subject_alternative_name() else { return false };
    let Some(alternative) = alternative else {
        let mut common = own.subject().iter_common_name();
        return common.any(|name| covers(name.attr_value().data, host));
    };
    let address: Option<IpAddr> = host.parse().ok();
    alternative.value.general_names.iter().any(|name| match (name, address) {
        (GeneralName::DNSName(name), _) => covers(name.as_bytes(), host),
        (GeneralName::IPAddress(bytes), Some(IpAddr::V4(address))) => *bytes == address.octets(),
        (GeneralName::IPAddress(bytes), Some(IpAddr::V6(address))) => *bytes == address.octets(),
        _ => false,
    })
}

/// The same text, or `*.` and the host's domain.
fn covers(name: &[u8], host: &str) -> bool {
    let wild = match (name, host.split_once('.')) {
        ([b'*', b'.', domain @ ..], Some((label, rest))) => {
            !label.is_empty() && !domain.is_empty() && domain.eq_ignore_ascii_case(rest.as_bytes())
        }
        _ => false,
    };
    wild || name.eq_ignore_ascii_case(host.as_bytes())
}
