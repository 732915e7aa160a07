//! A registration: what is sent, what may come back, and the test of a CA.

use std::{sync::Arc, time::Duration};

use goldline::{
    client::{
        Blame,
        ca::{CaError, Issued, Registrant, Terms, register, test_ca},
        http::{HttpClient, HttpError, Route},
    },
    clock::{Clock, Deadline},
    record::Code,
    secret::Secret,
    testbed::{
        authority::Authority,
        ca::{CertificateAuthorityApi, ExpectedRegistration, Registration},
    },
};
use rstest::rstest;
use serde_json::{Value, json};

use super::{
    peers::{has_peer, output},
    server::{A_YEAR, Server, answer, authority, patience},
};

pub const UUID: &str = "04e4822c-719e-45b0-b360-7e2819faca53";
pub const PSK: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
pub const DAY: Duration = Duration::from_secs(86_400);

pub fn terms() -> Terms<'static> {
    Terms {
        production: false,
        signing_request: false,
        minimum_validity: 30 * DAY,
        trusted_roots: None,
        clock: Clock::system(),
    }
}

pub async fn registered(
    client: &HttpClient,
    url: &str,
    terms: &Terms<'_>,
) -> Result<Issued, CaError> {
    let psk = Secret::new(PSK);
    let mac = "a0:b1:c2:d3:e4:f5".parse().expect("a MAC");
    let registrant = Registrant { uuid: UUID, psk: &psk, mac, device_type: "esp32s3" };
    register(client, url, &registrant, terms, patience()).await
}

pub fn client() -> HttpClient {
    HttpClient::new(Route::Resolved, None).expect("no roots")
}

/// The bench's CA, which expects the unit of these tests.
async fn bench_ca(authority: &Arc<Authority>) -> (CertificateAuthorityApi, ExpectedRegistration) {
    let api = CertificateAuthorityApi::start(Arc::clone(authority), Clock::system()).await;
    let api = api.expect("it starts");
    let expected = api.expect(UUID, Secret::new(PSK));
    (api, expected)
}

fn good(authority: &Authority) -> Value {
    let signed = authority.issue_device(UUID, A_YEAR).expect("a certificate").signed;
    json!({
        "success": true,
        "certificate": signed.certificate,
        "ca_cert": format!("{}{}", authority.intermediate_pem(), authority.root_pem()),
        "expiry": signed.expires.format(&time::format_description::well_known::Rfc3339).expect("a time"),
    })
}

async fn refused(status: u16, body: &str) -> CaError {
    let bytes = answer(status, body);
    let server = Server::http(move |_| bytes.clone()).await;
    let error = registered(&client(), &server.url(), &terms()).await.expect_err("refused");
    let shown = format!("{error} {error:?}").to_lowercase();
    assert!(!shown.contains(PSK), "{shown}");
    assert_eq!(error.blame(), Blame::Service);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bench_ca_registers_a_unit_with_the_documents_request() {
    let authority = Arc::new(authority());
    let (api, _expected) = bench_ca(&authority).await;
    let roots = Terms { trusted_roots: Some(authority.root_pem()), ..terms() };
    let issued = registered(&client(), &api.url(), &roots).await.expect("registered");
    assert!(issued.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(issued.private_key, None);
    assert_eq!(issued.notes.len(), 1, "{:?}", issued.notes);
    assert!(issued.notes[0].contains("private key"), "{:?}", issued.notes);
    let registrations = api.registrations();
    let Registration::Accepted(registered) = &registrations[0].event.what else {
        panic!("{registrations:?}");
    };
    assert_eq!(
        (registered.uuid.to_string(), registered.mac.upper()),
        (UUID.to_owned(), "A0B1C2D3E4F5".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_is_the_documents_word_by_word() {
    let body = good(&authority()).to_string();
    let server = Server::http(move |_| answer(200, &body)).await;
    registered(&client(), &server.url(), &terms()).await.expect("registered");
    let request = &server.received()[0];
    assert!(
        request.head.starts_with("POST /api/devices/register HTTP/1.1\r\n"),
        "{}",
        request.head
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    let sent: Value = serde_json::from_str(&request.body).expect("JSON");
    assert_eq!(sent, json!({ "uuid": UUID, "psk": PSK, "mac": "A0B1C2D3E4F5", "type": "esp32s3" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_signing_request_the_key_stays_here() {
    let authority = Arc::new(authority());
    let (api, _expected) = bench_ca(&authority).await;
    let with_request = Terms { signing_request: true, ..terms() };
    let issued = registered(&client(), &api.url(), &with_request).await.expect("registered");
    let key = issued.private_key.as_ref().expect("it was made here");
    assert!(key.expose().contains("PRIVATE KEY"));
    assert!(!format!("{issued:?}").contains("PRIVATE"), "{issued:?}");
    assert!(
        matches!(&api.registrations()[0].event.what, Registration::Accepted(unit) if unit.key.is_none())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_behind_https_is_called_by_its_name() {
    let authority = authority();
    let certificate = authority.issue_server(&["ca.example.test".to_owned()], A_YEAR);
    let body = good(&authority).to_string();
    let server =
        Server::https(&certificate.expect("a certificate"), move |_| answer(200, &body)).await;
    let client = HttpClient::new(Route::Pinned(server.address), Some(authority.root_pem()));
    let production = Terms { production: true, ..terms() };
    let client = client.expect("a root");
    registered(&client, "https://ca.example.test", &production).await.expect("registered");
    let error = registered(&client, "http://ca.example.test", &production).await;
    let error = error.expect_err("plain http");
    assert_eq!((error.code(), server.received().len()), (Code::CaInsecure, 1), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_at_the_end_is_left_out_and_noted() {
    let authority = Arc::new(authority());
    let (api, _expected) = bench_ca(&authority).await;
    let issued = registered(&client(), &format!("{}/", api.url()), &terms()).await;
    let notes = issued.expect("registered").notes;
    assert!(notes.iter().any(|note| note.contains("slash")), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cas_sentence_is_shown_without_the_key() {
    for status in [400, 401, 409, 500, 503, 302] {
        let error = refused(
            status,
            &json!({ "success": false, "error": format!("no {PSK} here") }).to_string(),
        )
        .await;
        assert!(
            matches!(&error, CaError::Refused { status: found, sentence } if *found == status && sentence == "no [secret] here"),
            "{error}"
        );
        assert_eq!(error.code(), Code::CaRefused);
    }
    let error = refused(500, &format!("<html>\n<h1>{}</h1>", PSK.to_uppercase())).await;
    assert!(error.to_string().contains("<html>"), "{error}");
    let error =
        refused(200, &json!({ "success": false, "message": "already registered" }).to_string())
            .await;
    assert!(
        matches!(&error, CaError::NotSuccessful { sentence } if sentence == "already registered"),
        "{error}"
    );
    assert_eq!(error.code(), Code::CaRefused);
}

#[rstest]
#[case::empty("", 1, 0)]
#[case::html("<html>", 1, 1)]
#[case::cut("{\"success\": true,\n\"certificate\": \"0f1e2d3c", 2, 24)]
#[case::type_of_field("{\"success\": true,\n\"certificate\": 17}", 2, 17)]
#[case::array("[1]", 1, 2)]
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_answer_is_told_with_its_place(
    #[case] body: &str,
    #[case] line: usize,
    #[case] column: usize,
) {
    let error = refused(200, body).await;
    assert!(
        matches!(&error, CaError::Malformed { line: l, column: c, .. } if (*l, *c) == (line, column)),
        "{error}"
    );
    assert_eq!(error.code(), Code::CaMalformed);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_lacks_is_named(
    #[values("success", "certificate", "ca_cert", "expiry")] field: &str,
) {
    let mut body = good(&authority());
    body.as_object_mut().expect("an object").remove(field);
    let error = refused(200, &body.to_string()).await;
    assert!(matches!(&error, CaError::MissingField { field: found } if *found == field), "{error}");
    assert_eq!(error.code(), Code::CaMalformed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_cannot_be_called_is_unreachable_and_nothing_else() {
    let authority = Arc::new(authority());
    let (api, _expected) = bench_ca(&authority).await;
    let https = api.url().replace("http://", "https://");
    let error = registered(&client(), &https, &terms()).await.expect_err("no TLS there");
    assert!(matches!(error, CaError::Http(HttpError::NoTls { .. })), "{error}");
    assert_eq!(error.code(), Code::CaUnreachable);
    assert!(error.to_string().starts_with("CA server unreachable: "), "{error}");
    let address = api.address();
    drop(api);
    let closed = test_ca(&client(), &format!("http://{address}"), patience()).await.expect("a URL");
    assert!(
        !closed.reachable && closed.sentence.starts_with("CA server unreachable: "),
        "{closed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn testing_the_bench_ca_finds_it_reachable_and_registers_nobody() {
    let authority = Arc::new(authority());
    let (api, _expected) = bench_ca(&authority).await;
    let test = test_ca(&client(), &api.url(), patience()).await.expect("a URL");
    assert!(test.reachable && !test.tls, "{test:?}");
    assert_eq!(
        (test.health, test.register, test.sentence.as_str()),
        (Some(200), Some(400), "CA server reachable")
    );
    assert!(test.notes.is_empty() && test.hint.is_none(), "{test:?}");
    assert!(matches!(api.registrations()[0].event.what, Registration::Refused(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn testing_tells_what_is_no_ca() {
    for (status, body, reachable) in [
        (404, "", false),
        (200, r#"{"success":true}"#, false),
        (500, "boom", false),
        (301, "", false),
        (422, r#"{"success":false}"#, true),
        (401, "who are you", true),
        (200, r#"{"success":false}"#, true),
    ] {
        let server = Server::http(move |_| answer(status, body)).await;
        let test = test_ca(&client(), &server.url(), patience()).await.expect("a URL");
        assert_eq!(test.reachable, reachable, "{test:?}");
        assert_eq!(test.hint.is_none(), reachable, "{test:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_takes_too_long_advises_on_the_firewall() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let short = Deadline::after(Duration::from_millis(100));
    let test = test_ca(&client(), &url, short).await.expect("a URL");
    assert!(test.hint.as_deref().is_some_and(|hint| hint.contains("firewall")), "{test:?}");
}

/// The document's own client for the CA; what it gets must be what ours takes.
#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_from_the_bench_ca_what_our_client_takes() {
    if !has_peer("curl") {
        return;
    }
    let authority = Arc::new(authority());
    let (api, _expected) = bench_ca(&authority).await;
    let mut curl = std::process::Command::new("curl");
    curl.args(["--silent", "--noproxy", "*", "-X", "POST"]);
    curl.arg(format!("{}/api/devices/register", api.url()));
    curl.args(["-H", "Content-Type: application/json", "-d"]);
    curl.arg(
        json!({ "uuid": UUID, "psk": PSK, "mac": "A0B1C2D3E4F5", "type": "esp32s3" }).to_string(),
    );
    let said = output(curl).await;
    assert!(said.status.success(), "{said:?}");
    let body = String::from_utf8(said.stdout).expect("text");
    let server = Server::http(move |_| answer(200, &body)).await;
    registered(&client(), &server.url(), &terms()).await.expect("registered");
}
