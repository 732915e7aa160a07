//! Whether a server's certificate is trusted, as mbedTLS decides it (`mbedtls_x509_crt_verify`, and what
//! `mbedtls_ssl` asks of a server's).
//!
//! Other than a browser or webpki it looks at the time of what is trusted too, takes a server that signed itself
//! when exactly that certificate is trusted, whatever its CA flag or version says, and takes a common name where
//! there are no alternative ones. Pure: neither clock nor network; no revocation lists.

use rustls::pki_types::{CertificateDer, ServerName};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;

use super::{
    Anchors, Distrust, Expiry,
    certificate::{Certificate, moment},
    names,
};

/// `MBEDTLS_X509_MAX_INTERMEDIATE_CA`.
const MOST_BETWEEN: usize = 8;

/// What a chain that is trusted is like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The first end on the way from the server to what is trusted.
    pub expiry: Expiry,
    /// Whether the server's own certificate is what is trusted.
    pub pinned: bool,
}

/// Judges what a server of that name shows, its own certificate first.
///
/// # Errors
/// [`Distrust`] says why a unit that trusts the same would refuse it.
pub fn judge(
    chain: &[CertificateDer<'_>],
    anchors: &Anchors,
    host: &ServerName<'_>,
    now: OffsetDateTime,
) -> Result<Facts, Distrust> {
    let read = |der| Certificate::read(der).map_err(|reason| Distrust::Unreadable { reason });
    let shown: Vec<Certificate<'_>> =
        chain.iter().map(|der| read(der)).collect::<Result<_, _>>()?;
    let trusted = anchors.read();
    let Some(own) = shown.first() else {
        return Err(Distrust::Unreadable { reason: "the server shows none".to_owned() });
    };
    let (way, pinned) = way_to_trust(&shown, &trusted, now)?;
    require_name(own, host)?;
    require_purpose(own)?;
    let first = way.iter().min_by_key(|certificate| certificate.not_after());
    let first = first.expect("the server's own is on the way");
    Ok(Facts { expiry: Expiry::of(first), pinned })
}

/// The certificates from the server's own to the one that is trusted, and whether they are the same one.
fn way_to_trust<'w>(
    shown: &'w [Certificate<'w>],
    trusted: &'w [Certificate<'w>],
    now: OffsetDateTime,
) -> Result<(Vec<&'w Certificate<'w>>, bool), Distrust> {
    let mut way = Vec::new();
    let mut next = (&shown[0], Some(0));
    loop {
        let (child, place) = next;
        way.push(child);
        require_time(child, now)?;
        require_key(child)?;
        let Some(place) = place else { return Ok((way, false)) };
        require_algorithm(child)?;
        let is_own = way.len() == 1 && child.is_self_issued();
        if is_own && trusted.iter().any(|anchor| anchor.is_same_as(child)) {
            return Ok((way, true));
        }
        next = find_issuer(child, &way, trusted, &shown[place + 1..], now)?
            .map(|(issuer, after)| (issuer, after.map(|after| place + 1 + after)))
            .ok_or_else(|| nobody_issued(child))?;
        if next.1.is_some() && way.len() > MOST_BETWEEN {
            return Err(Distrust::TooLong);
        }
    }
}

type Issuer<'w> = (&'w Certificate<'w>, Option<usize>);

/// Who issued it: of what is trusted, else of what the server shows after it, with its place there.
fn find_issuer<'w>(
    child: &Certificate<'_>,
    way: &[&Certificate<'_>],
    trusted: &'w [Certificate<'w>],
    after: &'w [Certificate<'w>],
    now: OffsetDateTime,
) -> Result<Option<Issuer<'w>>, Distrust> {
    // What a CA issued to itself anew does not count, but for the last.
    let counts =
        |between: &&&Certificate<'_>| std::ptr::eq(**between, child) || !between.is_self_issued();
    let between = way[1..].iter().filter(counts).count();
    let mut anchors = Vec::new();
    for anchor in trusted {
        if anchor.may_issue(child, true) && anchor.allows_between(between) {
            require_key(anchor)?;
            if is_signed(child, anchor)? {
                anchors.push(anchor);
            }
        }
    }
    if let Some(anchor) = valid_first(&anchors, now) {
        return Ok(Some((anchor, None)));
    }
    let candidates: Vec<&Certificate<'_>> = after
        .iter()
        .filter(|issuer| issuer.may_issue(child, false) && issuer.allows_between(between))
        .collect();
    let Some(issuer) = valid_first(&candidates, now) else { return Ok(None) };
    require_key(issuer)?;
    if !is_signed(child, issuer)? {
        let (subject, issuer) = (child.label(), issuer.label());
        return Err(Distrust::BadSignature { subject, issuer });
    }
    Ok(Some((issuer, after.iter().position(|shown| std::ptr::eq(shown, issuer)))))
}

/// One whose time is over is taken only for want of another.
fn valid_first<'w>(
    found: &[&'w Certificate<'w>],
    now: OffsetDateTime,
) -> Option<&'w Certificate<'w>> {
    found.iter().find(|found| found.is_valid(now)).or(found.first()).copied()
}

fn is_signed(child: &Certificate<'_>, issuer: &Certificate<'_>) -> Result<bool, Distrust> {
    let unknown = |_| Distrust::Unverifiable { subject: child.label(), issuer: issuer.label() };
    child.is_signed_by(issuer).map_err(unknown)
}

fn nobody_issued(child: &Certificate<'_>) -> Distrust {
    let subject = child.label();
    match child.is_self_issued() {
        true => Distrust::SelfSigned { subject },
        false => Distrust::UnknownIssuer { subject, issuer: child.issuer_label() },
    }
}

fn require_time(certificate: &Certificate<'_>, now: OffsetDateTime) -> Result<(), Distrust> {
    let (subject, now_is) = (certificate.label(), moment(now));
    if certificate.not_after() < now {
        let until = moment(certificate.not_after());
        return Err(Distrust::Expired { subject, until, now: now_is });
    }
    if certificate.not_before() > now {
        let from = moment(certificate.not_before());
        return Err(Distrust::NotYetValid { subject, from, now: now_is });
    }
    Ok(())
}

fn require_key(certificate: &Certificate<'_>) -> Result<(), Distrust> {
    let weak = |found| Distrust::WeakKey { subject: certificate.label(), found };
    certificate.is_strong().map_err(weak)
}

fn require_algorithm(certificate: &Certificate<'_>) -> Result<(), Distrust> {
    let weak = |algorithm| Distrust::WeakSignature { subject: certificate.label(), algorithm };
    certificate.weak_signature().map_or(Ok(()), |algorithm| Err(weak(algorithm)))
}

fn require_name(own: &Certificate<'_>, host: &ServerName<'_>) -> Result<(), Distrust> {
    if names::stands_for(own.x509(), host) {
        return Ok(());
    }
    let found = names::found(own.x509());
    Err(Distrust::OtherName { found, host: host.to_str().into_owned() })
}

/// What is not limited may be used for anything.
fn require_purpose(own: &Certificate<'_>) -> Result<(), Distrust> {
    let limits: [Limit; 2] = [
        ("keyUsage", "digitalSignature", |own| {
            own.key_usage().is_ok_and(|usage| usage.is_none_or(|of| of.value.digital_signature()))
        }),
        ("extendedKeyUsage", "serverAuth", |own| {
            let usage = own.extended_key_usage();
            usage.is_ok_and(|usage| usage.is_none_or(|of| of.value.any || of.value.server_auth))
        }),
    ];
    for (extension, lacks, allows) in limits {
        if !allows(own.x509()) {
            return Err(Distrust::OtherPurpose { subject: own.label(), extension, lacks });
        }
    }
    Ok(())
}

/// An extension, what it must hold where it is there, and whether it does.
type Limit = (&'static str, &'static str, fn(&X509Certificate<'_>) -> bool);
