//! Which servers the bench's own clients and the simulated unit trust: the two must agree, in both versions of
//! TLS, and with what was written by hand.

mod made;
mod oracle;

use std::sync::Arc;

use goldline::{
    secret::Secret,
    tls::{AnchorError, Anchors, ClientTls, ClientTlsError, Distrust, HandshakeFailure},
};
use goldline_simulator::firmware::tls_of_firmware;
use made::{HOST, Made, Opinion, ROWS, Row};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer, KeyPair,
};
use rstest::rstest;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use time::macros::datetime;

fn server(made: &Made, row: &Row, version: &'static SupportedProtocolVersion) -> ServerConfig {
    let key = std::fs::read_to_string(made.key(row.shown[0])).expect("it was made");
    server_of(&made.texts(row.shown), &key, version)
}

/// A server that shows what it is told to, whatever rustls thinks of it.
fn server_of(shown: &str, key: &str, version: &'static SupportedProtocolVersion) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(shown.as_bytes()).map(|der| der.expect("PEM"));
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let key = ring::sign::any_supported_type(&key).expect("a key for ring");
    let shown = SingleCertAndKey::from(CertifiedKey::new(chain.collect(), key));
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .expect("ring has it")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown))
}

/// Both sides until neither has anything to say; what the client says of the server.
fn shake_hands(
    client: Arc<ClientConfig>,
    server: ServerConfig,
    host: &str,
) -> Result<(), rustls::Error> {
    let host = ServerName::try_from(host.to_owned()).expect("a host");
    let mut client = ClientConnection::new(client, host).expect("a client");
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).expect("into memory");
        server.read_tls(&mut bytes.as_slice()).expect("from memory");
        server.process_new_packets().expect("the client does all right");
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).expect("into memory");
        client.read_tls(&mut bytes.as_slice()).expect("from memory");
        client.process_new_packets()?;
    }
    Ok(())
}

fn opinion_of_bench(ended: Result<(), rustls::Error>) -> Opinion {
    let Err(error) = ended else { return Opinion::Trusted };
    let failure = HandshakeFailure::of(&error).expect("TLS failed");
    let HandshakeFailure::Distrusted(distrust) = failure else { panic!("{failure}") };
    assert!(!distrust.to_string().contains('{'), "{distrust}");
    match distrust {
        Distrust::Expired { .. } => Opinion::Expired,
        Distrust::NotYetValid { .. } => Opinion::NotYetValid,
        Distrust::OtherName { .. } => Opinion::OtherName,
        Distrust::UnknownIssuer { .. }
        | Distrust::SelfSigned { .. }
        | Distrust::BadSignature { .. } => Opinion::Untrusted,
        Distrust::OtherPurpose { .. } => Opinion::OtherPurpose,
        Distrust::WeakKey { .. } | Distrust::WeakSignature { .. } => Opinion::Weak,
        Distrust::Unreadable { .. } => Opinion::Unreadable,
        Distrust::Unverifiable { .. } | Distrust::TooLong => panic!("{distrust}"),
    }
}

fn opinion_of_unit(ended: Result<(), rustls::Error>) -> Opinion {
    let Err(error) = ended else { return Opinion::Trusted };
    let rustls::Error::InvalidCertificate(why) = &error else { panic!("{error}") };
    match why {
        CertificateError::Expired => Opinion::Expired,
        CertificateError::NotValidYet => Opinion::NotYetValid,
        CertificateError::NotValidForName => Opinion::OtherName,
        CertificateError::UnknownIssuer => Opinion::Untrusted,
        CertificateError::BadEncoding => Opinion::Unreadable,
        CertificateError::Other(other) if other.0.to_string().starts_with("Usage") => {
            Opinion::OtherPurpose
        }
        CertificateError::Other(other) if other.0.to_string().contains("unacceptable") => {
            Opinion::Weak
        }
        other => panic!("{other:?}"),
    }
}

/// The bench's, and the unit's.
fn opinions(trusted: &str, server: &ServerConfig, host: &str) -> (Opinion, Opinion) {
    let bench = ClientTls::new(Anchors::from_pem(trusted).expect("certificates"));
    let bench = shake_hands(bench.config(), server.clone(), host);
    let unit = tls_of_firmware(trusted).expect("a firmware's TLS");
    let unit = shake_hands(unit, server.clone(), host);
    (opinion_of_bench(bench), opinion_of_unit(unit))
}

#[rstest]
#[case::tls_1_2(&TLS12)]
#[case::tls_1_3(&TLS13)]
fn bench_and_unit_trust_the_same_servers(#[case] version: &'static SupportedProtocolVersion) {
    let Some(made) = Made::for_all_rows() else { return };
    let mut wrong = Vec::new();
    for row in &ROWS {
        let found = opinions(&made.texts(row.trusted), &server(&made, row, version), row.host);
        if found != (row.expected, row.expected) {
            wrong.push(format!("{}: {:?} expected, {found:?} found", row.name, row.expected));
        }
    }
    assert!(wrong.is_empty(), "bench and unit:\n{}", wrong.join("\n"));
}

/// What a unit would refuse later is refused at once, by its name and date.
#[rstest]
#[case::expired("old-ca", "the certificate \"Old CA\" in it expired at 2021-01-01T00:00:00Z")]
#[case::not_yet_valid("future-ca", "\"Future CA\" in it is valid from 2080-01-01T00:00:00Z")]
fn an_anchor_out_of_its_time_is_refused(#[case] name: &str, #[case] said: &str) {
    let Some(made) = Made::by_openssl(&["ca", "self-v1", "old-ca", name]) else { return };
    let now = datetime!(2026-12-01 12:00 UTC);
    let refused = |names: &[&str]| {
        let anchors = Anchors::from_pem(&made.texts(names)).expect("certificates");
        anchors.require_valid(now).map_err(|error| error.to_string())
    };
    assert_eq!(refused(&["ca", "self-v1"]), Ok(()));
    let error = refused(&["ca", name]).expect_err("refused");
    assert!(error.contains(said), "{error}");
    let anchors = Anchors::from_pem(&made.texts(&["old-ca"])).expect("certificates");
    let (begin, end) = (datetime!(2020-01-01 0:00 UTC), datetime!(2021-01-01 0:00 UTC));
    let second = time::Duration::SECOND;
    let good =
        [begin - second, begin, end, end + second].map(|at| anchors.require_valid(at).is_ok());
    assert_eq!(good, [false, true, true, false]);
}

#[test]
fn what_is_no_certificate_is_no_anchor() {
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let unread = Anchors::from_pem(damaged).expect_err("refused");
    assert!(matches!(unread, AnchorError::Unreadable { number: 1, .. }), "{unread}");
    let open = Anchors::from_pem("-----BEGIN CERTIFICATE-----\nAAAA\n").expect_err("refused");
    assert!(matches!(open, AnchorError::Pem { .. }), "{open}");
    let empty = Anchors::from_pem("no PEM").expect_err("refused");
    assert!(matches!(empty, AnchorError::Empty), "{empty}");
}

/// Each cause says its own next action.
#[test]
fn a_bench_certificate_that_cannot_be_used_says_why_and_what_to_do() {
    let Some(made) = Made::by_openssl(&["common", "good"]) else { return };
    let read = |path| std::fs::read_to_string(path).expect("it was made");
    let (chain, key) = (made.texts(&["common"]), Secret::new(read(made.key("common"))));
    let with = |chain: &str, key: &Secret| {
        ClientTls::with_identity(Anchors::default(), chain, key).map(drop)
    };
    assert!(with(&chain, &key).is_ok());
    let other = with(&chain, &Secret::new(read(made.key("good")))).expect_err("refused");
    assert!(matches!(other, ClientTlsError::OtherKey), "{other}");
    let no_key = with(&chain, &Secret::new(chain.clone())).expect_err("refused");
    assert!(matches!(no_key, ClientTlsError::Key(_)), "{no_key}");
    let no_chain = with(key.expose(), &key).expect_err("refused");
    assert!(matches!(no_chain, ClientTlsError::Certificate(_)), "{no_chain}");
    let actions = [other, no_key, no_chain].map(|error| error.action());
    assert!(actions[0] != actions[1] && actions[1] != actions[2], "{actions:?}");
}

/// The way's first end is what counts, the CA's too, and whose it is.
#[test]
fn a_trusted_chain_says_when_it_ends() {
    let Some(made) = Made::by_openssl(&["expired", "past-ca", "good", "self"]) else { return };
    let facts = |shown: &str, trusted: &[&str], now| {
        let shown = made.texts(&[shown]);
        let chain = CertificateDer::pem_slice_iter(shown.as_bytes());
        let chain: Vec<_> = chain.map(|der| der.expect("PEM")).collect();
        let anchors = Anchors::from_pem(&made.texts(trusted)).expect("certificates");
        let host = ServerName::try_from(HOST).expect("a host");
        goldline::tls::judge(&chain, &anchors, &host, now).expect("it is trusted")
    };
    let own = facts("expired", &["ca", "past-ca"], datetime!(2020-06-01 0:00 UTC));
    assert_eq!(own.expiry.at, datetime!(2021-01-01 0:00 UTC));
    let good = facts("good", &["ca"], datetime!(2026-12-01 0:00 UTC));
    assert_eq!((good.expiry.at, good.pinned), (datetime!(2090-01-01 0:00 UTC), false));
    let pinned = facts("self", &["self"], datetime!(2026-12-01 0:00 UTC));
    assert!(pinned.pinned && pinned.expiry.subject == format!("\"{HOST}\""), "{pinned:?}");
}

/// Some CAs write their name in another case or kind of text into what they issue; mbedTLS does not mind.
#[rstest]
#[case::another_case("LINE ca", Opinion::Trusted)]
#[case::another_name("Line CB", Opinion::Untrusted)]
fn a_cas_name_is_compared_as_mbedtls_compares_it(#[case] written: &str, #[case] expected: Opinion) {
    let named = |name: DnValue| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let key = KeyPair::generate().expect("a key");
    let ca = named(DnValue::Utf8String("Line CA".to_owned())).self_signed(&key).expect("a CA");
    let printable = written.try_into().expect("PrintableString has these characters");
    let issuer = Issuer::new(named(DnValue::PrintableString(printable)), key);
    let key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new([HOST.to_owned()]).expect("a name");
    let own = own.signed_by(&key, &issuer).expect("a certificate");
    let server = server_of(&own.pem(), &key.serialize_pem(), &TLS13);
    assert_eq!(opinions(&ca.pem(), &server, HOST), (expected, expected));
}
