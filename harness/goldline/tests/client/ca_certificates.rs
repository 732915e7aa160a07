//! A certificate that does not fit the unit is refused, whatever the CA says of it.

use std::process::Command;

use goldline::{
    client::ca::{CaError, Issued, Terms},
    clock::Clock,
    record::Code,
    testbed::authority::Authority,
};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use serde_json::json;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    ca::{DAY, UUID, client, registered, terms},
    peers::{has_peer, output},
    server::{A_YEAR, Server, answer, authority},
};

/// What a CA could answer with.
struct Sent {
    certificate: String,
    ca_cert: String,
    expiry: OffsetDateTime,
}

impl Sent {
    fn good(authority: &Authority) -> Self {
        Self::issued(authority, UUID, A_YEAR)
    }

    fn issued(authority: &Authority, name: &str, validity: Duration) -> Self {
        let signed = authority.issue_device(name, validity).expect("a certificate").signed;
        let ca_cert = format!("{}{}", authority.intermediate_pem(), authority.root_pem());
        Self { certificate: signed.certificate, ca_cert, expiry: signed.expires }
    }
}

async fn taken(sent: &Sent, terms: &Terms<'_>) -> Result<Issued, CaError> {
    let expiry = sent.expiry.format(&Rfc3339).expect("a time");
    let body = json!({
        "success": true, "certificate": sent.certificate, "ca_cert": sent.ca_cert, "expiry": expiry,
    })
    .to_string();
    let server = Server::http(move |_| answer(200, &body)).await;
    registered(&client(), &server.url(), terms).await
}

async fn refused(sent: &Sent, terms: &Terms<'_>) -> CaError {
    taken(sent, terms).await.expect_err("refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_certificate_is_taken_with_a_note_where_its_root_came_along() {
    let authority = authority();
    let sent = Sent::good(&authority);
    let issued = taken(&sent, &terms()).await.expect("it fits");
    assert_eq!((issued.not_after - sent.expiry).whole_seconds(), 0);
    assert!(issued.notes.iter().any(|note| note.contains("root came with")), "{:?}", issued.notes);
    let pinned = Terms { trusted_roots: Some(authority.root_pem()), ..terms() };
    let notes = taken(&sent, &pinned).await.expect("it fits").notes;
    assert!(!notes.iter().any(|note| note.contains("root came with")), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_devices_certificate_is_refused() {
    let sent = Sent::issued(&authority(), "f4412344-6648-48d1-ce02-2b80f35e5891", A_YEAR);
    let error = refused(&sent, &terms()).await;
    assert!(
        matches!(&error, CaError::WrongName { found, .. } if found[0].starts_with("f4412344")),
        "{error}"
    );
    assert_eq!(error.code(), Code::CaCertificateWrong);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_key_than_the_requests_is_refused() {
    let with_request = Terms { signing_request: true, ..terms() };
    let error = refused(&Sent::good(&authority()), &with_request).await;
    assert!(matches!(error, CaError::WrongKey), "{error}");
    assert_eq!(error.code(), Code::CaCertificateWrong);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_leads_nowhere_is_refused() {
    let (authority, foreign) = (authority(), authority_of_others());
    let good = Sent::good(&authority);
    let with_chain =
        |ca_cert: String| Sent { ca_cert, certificate: good.certificate.clone(), ..good };
    for ca_cert in [
        foreign.root_pem().to_owned(),
        authority.root_pem().to_owned(),
        authority.intermediate_pem().to_owned(),
        format!("{}{}", foreign.intermediate_pem(), foreign.root_pem()),
        good.certificate.clone(),
    ] {
        let error = refused(&with_chain(ca_cert), &terms()).await;
        assert!(matches!(error, CaError::Chain { .. }), "{error}");
        assert_eq!(error.code(), Code::CaCertificateWrong);
    }
    let pinned = Terms { trusted_roots: Some(foreign.root_pem()), ..terms() };
    let error = refused(&good, &pinned).await;
    assert!(matches!(error, CaError::Chain { .. }), "a given root counts alone: {error}");
    let only_intermediate = with_chain(authority.intermediate_pem().to_owned());
    let pinned = Terms { trusted_roots: Some(authority.root_pem()), ..terms() };
    taken(&only_intermediate, &pinned).await.expect("the root is here already");
}

fn authority_of_others() -> Authority {
    authority()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_certificate_is_refused() {
    let good = Sent::good(&authority());
    let key = KeyPair::generate().expect("a key").serialize_pem();
    let cut: String = good.certificate.lines().take(4).map(|line| format!("{line}\n")).collect();
    let damaged = good.certificate.replacen("MII", "AAA", 1);
    for certificate in ["hello".to_owned(), cut, damaged, format!("{}{key}", good.certificate)] {
        let sent = Sent { certificate, ca_cert: good.ca_cert.clone(), expiry: good.expiry };
        let error = refused(&sent, &terms()).await;
        assert!(matches!(error, CaError::Unreadable { .. }), "{error}");
        assert!(!format!("{error:?}").contains(&key[40..60]), "{error:?}");
        assert_eq!(error.code(), Code::CaCertificateWrong);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_looked_at() {
    let authority = authority();
    let sent = Sent::good(&authority);
    let now = OffsetDateTime::now_utc();
    let at = |time: OffsetDateTime| Terms { clock: Clock::fixed(time), ..terms() };

    let error = refused(&sent, &at(now + A_YEAR + Duration::days(1))).await;
    assert!(matches!(error, CaError::Expired { .. }), "{error}");
    // The bench's certificates start a day before they are made.
    let error = refused(&sent, &at(now - Duration::days(1) - Duration::minutes(10))).await;
    assert!(matches!(error, CaError::NotYetValid { .. }), "{error}");
    assert_eq!(error.code(), Code::CaCertificateExpired);
    let error = refused(&sent, &at(now + Duration::days(340))).await;
    assert!(matches!(error, CaError::TooShort { left: 24 | 25, minimum: 30, .. }), "{error}");
    let enough = Terms { minimum_validity: 20 * DAY, ..at(now + Duration::days(340)) };
    taken(&sent, &enough).await.expect("24 days are enough");
}

/// A certificate of a root of its own, both with the validity that is wanted.
fn own_root(root_until: OffsetDateTime, leaf: impl FnOnce(&mut CertificateParams)) -> Sent {
    let now = OffsetDateTime::now_utc();
    let root_key = KeyPair::generate().expect("a key");
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, "A root");
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    (root.not_before, root.not_after) = (now - Duration::days(400), root_until);
    let root_pem = root.self_signed(&root_key).expect("a root").pem();
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    (params.not_before, params.not_after) = (now - Duration::days(1), now + A_YEAR);
    leaf(&mut params);
    let issuer = rcgen::Issuer::from_params(&root, &root_key);
    let certificate = params.signed_by(&key, &issuer).expect("a certificate").pem();
    Sent { certificate, ca_cert: root_pem, expiry: now + A_YEAR }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_over_is_told_from_a_broken_chain() {
    let name =
        |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, UUID);
    let now = OffsetDateTime::now_utc();
    taken(&own_root(now + A_YEAR, name), &terms()).await.expect("no usage is asked for");
    let error = refused(&own_root(now - Duration::days(2), name), &terms()).await;
    assert!(matches!(error, CaError::ChainNotValidNow { .. }), "{error}");
    assert_eq!(error.code(), Code::CaCertificateExpired);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_may_stand_among_the_alternatives_in_either_case() {
    let until = OffsetDateTime::now_utc() + A_YEAR;
    for alternative in [
        SanType::DnsName(UUID.to_uppercase().try_into().expect("ASCII")),
        SanType::URI(format!("urn:uuid:{UUID}").try_into().expect("ASCII")),
    ] {
        let sent = own_root(until, |params| params.subject_alt_names.push(alternative));
        taken(&sent, &terms()).await.expect("the name is there");
    }
    let nobody = refused(&own_root(until, |_| {}), &terms()).await;
    assert!(
        matches!(&nobody, CaError::WrongName { found, .. } if found == &["nobody"]),
        "{nobody}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_that_disagrees_is_noted() {
    let good = Sent::good(&authority());
    let disagrees = |notes: Vec<String>| notes.iter().any(|note| note.contains("expires at"));
    assert!(!disagrees(taken(&good, &terms()).await.expect("it fits").notes));
    let other = Sent { expiry: good.expiry + Duration::days(30), ..good };
    assert!(disagrees(taken(&other, &terms()).await.expect("it fits").notes));
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_agrees_with_our_verdict() {
    if !has_peer("openssl") {
        return;
    }
    let (authority, foreign) = (authority(), authority_of_others());
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let good = Sent::good(&authority);
    let forged = Sent {
        ca_cert: format!("{}{}", foreign.intermediate_pem(), foreign.root_pem()),
        certificate: good.certificate.clone(),
        ..good
    };
    for (sent, issuer, fits) in [(&good, &authority, true), (&forged, &foreign, false)] {
        let mut openssl = Command::new("openssl");
        openssl.args(["verify", "-CAfile"]).arg(write("root.pem", issuer.root_pem()));
        openssl.arg("-untrusted").arg(write("between.pem", issuer.intermediate_pem()));
        openssl.arg(write("leaf.pem", &sent.certificate));
        let said = output(openssl).await;
        assert_eq!(said.status.success(), fits, "{said:?}");
        assert_eq!(taken(sent, &terms()).await.is_ok(), fits);
    }
}
