//! Certificates as another implementation judges them, and a stored authority that is wrong.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use goldline::{
    clock::Clock,
    secret::Secret,
    testbed::authority::{Authority, AuthorityError, AuthorityPem},
};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use super::{
    bench::{A_YEAR, authority},
    peers::has_peer,
};

fn openssl(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The chain's parts as files, for openssl.
fn folder_with(authority: &Authority, leaf: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect(name);
    write("root.pem", authority.root_pem());
    write("intermediate.pem", authority.intermediate_pem());
    write("leaf.pem", leaf);
    folder
}

fn assert_verifies(folder: &Path, purpose: &str) {
    let arguments = [
        "verify",
        "-x509_strict",
        "-purpose",
        purpose,
        "-CAfile",
        "root.pem",
        "-untrusted",
        "intermediate.pem",
        "leaf.pem",
    ];
    let verdict = openssl(folder, &arguments);
    assert!(verdict.status.success(), "{verdict:?}");
}

#[test]
fn openssl_accepts_a_server_certificate_with_its_names() {
    if !has_peer("openssl") {
        return;
    }
    let authority = authority();
    let names = ["broker.example.test".to_owned(), "127.0.0.1".to_owned()];
    let issued = authority.issue_server(&names, A_YEAR).expect("a certificate");
    let folder = folder_with(&authority, &issued.signed.certificate);
    assert_verifies(folder.path(), "sslserver");

    let text = stdout(&openssl(folder.path(), &["x509", "-in", "leaf.pem", "-noout", "-text"]));
    for expected in [
        "DNS:broker.example.test, IP Address:127.0.0.1",
        "TLS Web Server Authentication",
        "Digital Signature",
        "X509v3 Authority Key Identifier",
        "X509v3 Subject Key Identifier",
        "CA:FALSE",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
}

#[test]
fn openssl_accepts_a_device_certificate_for_a_request_made_by_openssl() {
    if !has_peer("openssl") {
        return;
    }
    let authority = authority();
    let folder = tempfile::tempdir().expect("a folder");
    let made = openssl(
        folder.path(),
        &[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "request.pem",
            "-subj",
            "/CN=what-the-device-wants",
            "-addext",
            "basicConstraints=CA:TRUE",
        ],
    );
    assert!(made.status.success(), "{made:?}");
    let request = fs::read_to_string(folder.path().join("request.pem")).expect("a request");
    let signed = authority.sign_request(&request, "unit-1", A_YEAR).expect("a certificate");

    let chain = folder_with(&authority, &signed.certificate);
    assert_verifies(chain.path(), "sslclient");
    let key = openssl(folder.path(), &["pkey", "-in", "key.pem", "-pubout"]);
    let certified = openssl(chain.path(), &["x509", "-in", "leaf.pem", "-noout", "-pubkey"]);
    assert_eq!(stdout(&key), stdout(&certified));
    let text = stdout(&openssl(chain.path(), &["x509", "-in", "leaf.pem", "-noout", "-text"]));
    assert!(text.contains("Subject: CN = unit-1") || text.contains("Subject: CN=unit-1"), "{text}");
    assert!(text.contains("CA:FALSE"), "the request must not make a CA of the device\n{text}");
}

#[test]
fn a_request_that_is_not_signed_by_its_own_key_is_refused() {
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n";
    let refusal = authority().sign_request(request, "unit-1", A_YEAR);
    assert!(matches!(refusal, Err(AuthorityError::Request { .. })), "{refusal:?}");
}

#[test]
fn every_certificate_has_a_bounded_validity_and_a_serial_of_its_own() {
    let now = OffsetDateTime::now_utc();
    let authority = Authority::create(Clock::fixed(now)).expect("an authority");
    let one = authority.issue_device("unit-1", A_YEAR).expect("a certificate");
    let two = authority.issue_device("unit-1", A_YEAR).expect("a certificate");
    assert_ne!(one.signed.serial, two.signed.serial);
    assert_eq!(one.signed.serial.len(), 32);

    let leaf = one.signed.certificate.as_str();
    let whole_seconds = now.replace_nanosecond(0).expect("zero is a nanosecond");
    for (pem, days) in
        [(authority.root_pem(), 3650), (authority.intermediate_pem(), 1825), (leaf, 365)]
    {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM");
        let certificate = pem.parse_x509().expect("X.509");
        let validity = certificate.validity();
        assert_eq!(validity.not_before.to_datetime(), whole_seconds - Duration::days(1));
        assert_eq!(validity.not_after.to_datetime(), whole_seconds + Duration::days(days));
    }
}

#[test]
fn a_stored_authority_issues_again() {
    let first = authority();
    let second = Authority::load(first.to_pem().clone(), Clock::system()).expect("it loads");
    let issued = second.issue_device("unit-1", A_YEAR).expect("a certificate");
    assert_eq!(first.root_pem(), second.root_pem());
    if has_peer("openssl") {
        let folder = folder_with(&first, &issued.signed.certificate);
        assert_verifies(folder.path(), "sslclient");
    }
}

#[test]
fn a_stored_authority_that_has_expired_is_refused_with_its_dates() {
    let stored = authority().to_pem().clone();
    let later = OffsetDateTime::now_utc() + Duration::days(2000);
    let refusal = Authority::load(stored, Clock::fixed(later)).expect_err("it has expired");
    assert!(
        matches!(refusal, AuthorityError::NotValidNow { part: "intermediate certificate", .. }),
        "{refusal}"
    );
}

#[test]
fn parts_of_two_authorities_are_refused() {
    let (own, foreign) = (authority(), authority());
    let (own, foreign) = (own.to_pem(), foreign.to_pem());
    let mixed = [
        AuthorityPem { root_certificate: foreign.root_certificate.clone(), ..own.clone() },
        AuthorityPem { root_key: foreign.root_key.clone(), ..own.clone() },
        AuthorityPem { intermediate_key: foreign.intermediate_key.clone(), ..own.clone() },
        AuthorityPem {
            intermediate_certificate: foreign.intermediate_certificate.clone(),
            intermediate_key: foreign.intermediate_key.clone(),
            ..own.clone()
        },
    ];
    for pem in mixed {
        let refusal = Authority::load(pem, Clock::system()).expect_err("the parts do not fit");
        assert!(matches!(refusal, AuthorityError::Mismatch { .. }), "{refusal}");
    }
}

#[test]
fn a_damaged_authority_is_refused_without_showing_the_key() {
    let mut pem = authority().to_pem().clone();
    pem.root_key = Secret::new("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----");
    let refusal = Authority::load(pem, Clock::system()).expect_err("the key is damaged");
    assert!(matches!(refusal, AuthorityError::Unreadable { part: "root key", .. }), "{refusal}");
    assert!(!format!("{refusal} {refusal:?}").contains("c2VjcmV0"));
}

#[test]
fn debug_output_shows_no_key() {
    let authority = authority();
    let issued = authority.issue_device("unit-1", A_YEAR).expect("a certificate");
    let shown = format!("{authority:?} {:?} {issued:?}", authority.to_pem());
    assert!(!shown.contains("PRIVATE"), "{shown}");
}
