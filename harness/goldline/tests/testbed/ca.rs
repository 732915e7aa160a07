//! The CA's HTTP API as a device calls it.

use std::sync::Arc;

use goldline::{
    clock::Clock,
    secret::Secret,
    testbed::ca::{CertificateAuthorityApi, ExpectedRegistration, Registration},
};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::bench::authority;

const UUID: &str = "3a7f5b21-c4d9-4e8f-a1b2-3c4d5e6f7890";
const PSK: &str = "3f7a9c2e5b8d4f1a6c9e2b7d5f8a3c6e9b1d4f7a2c5e8b1d4f7a3c6e9b2d5f8a";

async fn started() -> CertificateAuthorityApi {
    let authority = Arc::new(authority());
    CertificateAuthorityApi::start(authority, Clock::system()).await.expect("the API starts")
}

/// An API that expects the unit of these tests.
async fn api() -> (CertificateAuthorityApi, ExpectedRegistration) {
    let api = started().await;
    let expected = api.expect(UUID, Secret::new(PSK));
    (api, expected)
}

/// Status and body of one HTTP/1.1 request.
async fn call(api: &CertificateAuthorityApi, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(api.address()).await.expect("the API listens");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: ca.example.test\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("the API reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the API answers");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    (status.expect("a status line"), body)
}

fn request() -> Value {
    json!({ "uuid": UUID, "psk": PSK, "mac": "A0B1C2D3E4F5", "type": "esp32s3" })
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_it_is_healthy() {
    let (status, body) = call(&started().await, "GET", "/health", "").await;
    assert_eq!((status, body), (200, json!({ "status": "ok" })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_registers_gets_a_certificate_in_its_name() {
    let (api, _expected) = api().await;
    let (status, body) = call(&api, "POST", "/api/devices/register", &request().to_string()).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["success"], true);
    let text = body["certificate"].as_str().expect("a certificate");
    let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).expect("PEM");
    let certificate = pem.parse_x509().expect("X.509");
    assert_eq!(certificate.subject().to_string(), format!("CN={UUID}"));
    assert!(body["ca_cert"].as_str().is_some_and(|chain| chain.matches("BEGIN").count() == 2));
    assert!(body["expiry"].as_str().is_some_and(|expiry| expiry.ends_with('Z')), "{body}");

    let registrations = api.registrations();
    let Registration::Accepted(registered) = &registrations[0].event.what else {
        panic!("{registrations:?}");
    };
    assert_eq!(registered.uuid.to_string(), UUID);
    assert_eq!(registered.mac.compact(), "a0b1c2d3e4f5");
    assert_eq!(registered.device_type, "esp32s3");
    let key = registered.key.as_ref().expect("the CA made a key");
    let key = rcgen::KeyPair::from_pem(key.expose()).expect("PKCS#8");
    let certified = &certificate.public_key().subject_public_key.data;
    assert_eq!(&**certified, rcgen::PublicKeyData::der_bytes(&key));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_signing_request_keeps_its_key() {
    let (api, _expected) = api().await;
    let key = rcgen::KeyPair::generate().expect("a key");
    let csr = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    let mut body = request();
    body["csr"] = json!(csr.pem().expect("PEM"));
    let (status, answer) = call(&api, "POST", "/api/devices/register", &body.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    let text = answer["certificate"].as_str().expect("a certificate");
    let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).expect("PEM");
    let certificate = pem.parse_x509().expect("X.509");
    let certified = &certificate.public_key().subject_public_key.data;
    assert_eq!(&**certified, rcgen::PublicKeyData::der_bytes(&key));
    let registrations = api.registrations();
    assert!(
        matches!(&registrations[0].event.what, Registration::Accepted(device) if device.key.is_none()),
        "{registrations:?}"
    );
}

#[rstest]
#[case::not_json("psk=3f7a9c2e", "JSON")]
#[case::no_mac(r#"{"uuid":"x","psk":"y","type":"esp32"}"#, "JSON")]
#[case::number_as_psk(
    r#"{"uuid":"x","psk":12345678901234567890,"mac":"A0B1C2D3E4F5","type":"esp32"}"#,
    "JSON"
)]
#[case::uuid(
    r#"{"uuid":"test","psk":"3f7a9c2e5b8d4f1a6c9e2b7d5f8a3c6e","mac":"A0B1C2D3E4F5","type":"esp32"}"#,
    "uuid"
)]
#[case::mac(
    r#"{"uuid":"3a7f5b21-c4d9-4e8f-a1b2-3c4d5e6f7890","psk":"3f7a9c2e5b8d4f1a6c9e2b7d5f8a3c6e","mac":"0","type":"esp32"}"#,
    "mac"
)]
#[case::psk(
    r#"{"uuid":"3a7f5b21-c4d9-4e8f-a1b2-3c4d5e6f7890","psk":"3f7a9c2e5b8d4f1a6c9e2b7d5f8a3c6","mac":"A0B1C2D3E4F5","type":"esp32"}"#,
    "psk"
)]
#[case::device_type(
    r#"{"uuid":"3a7f5b21-c4d9-4e8f-a1b2-3c4d5e6f7890","psk":"3f7a9c2e5b8d4f1a6c9e2b7d5f8a3c6e","mac":"A0B1C2D3E4F5","type":""}"#,
    "type"
)]
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_refused_without_repeating_the_psk(
    #[case] body: &str,
    #[case] names: &str,
) {
    let (api, _expected) = api().await;
    let (status, answer) = call(&api, "POST", "/api/devices/register", body).await;
    assert_eq!(status, 400);
    assert_eq!(answer["success"], false);
    let error = answer["error"].as_str().expect("a sentence");
    assert!(error.contains(names), "{error}");
    let registrations = api.registrations();
    assert!(matches!(registrations[0].event.what, Registration::Refused(_)), "{registrations:?}");
    let shown = format!("{answer} {registrations:?}");
    assert!(!shown.contains("3f7a9c2e") && !shown.contains("1234567890123"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_registration_shows_no_secret() {
    let (api, _expected) = api().await;
    call(&api, "POST", "/api/devices/register", &request().to_string()).await;
    let shown = format!("{api:?} {:?}", api.registrations());
    assert!(!shown.contains(PSK) && !shown.contains("PRIVATE"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_with_a_trailing_slash_does_not_exist() {
    let body = request().to_string();
    let (status, _) = call(&started().await, "POST", "/api/devices/register/", &body).await;
    assert_eq!(status, 404);
}

async fn register(api: &CertificateAuthorityApi, body: &Value) -> (u16, Value) {
    call(api, "POST", "/api/devices/register", &body.to_string()).await
}

fn refused_with(api: &CertificateAuthorityApi, part: &str) -> bool {
    let last = api.registrations().pop().expect("it is logged").event.what;
    matches!(last, Registration::Refused(sentence) if sentence.contains(part))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_provisioned_now_gets_no_certificate_of_the_root() {
    let api = started().await;
    let key = rcgen::KeyPair::generate().expect("a key");
    let csr = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    let mut with_request = request();
    with_request["csr"] = json!(csr.pem().expect("PEM"));
    let expected = api.expect(&UUID.to_uppercase(), Secret::new(PSK));
    let mut other = with_request.clone();
    other["uuid"] = json!("00000000-c4d9-4e8f-a1b2-3c4d5e6f7890");
    let (status, answer) = register(&api, &other).await;
    assert_eq!((status, &answer["success"]), (403, &json!(false)), "{answer}");
    assert!(answer.get("certificate").is_none(), "{answer}");
    assert!(refused_with(&api, "is of no unit that is provisioned here now"));

    let mut wrong_key = with_request.clone();
    wrong_key["psk"] = json!(PSK.replace('3', "4"));
    assert_eq!(register(&api, &wrong_key).await.0, 403);
    assert!(refused_with(&api, "psk is not the one that belongs to uuid"), "another cause");

    assert_eq!(register(&api, &with_request).await.0, 200);
    drop(expected);
    assert_eq!(register(&api, &with_request).await.0, 403);
    assert!(refused_with(&api, "is of no unit that is provisioned here now"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_one_run_does_not_lock_out_another_of_the_same_unit() {
    let api = started().await;
    let one = api.expect(UUID, Secret::new(PSK));
    let two = api.expect(UUID, Secret::new(PSK));
    drop(one);
    assert_eq!(register(&api, &request()).await.0, 200);
    drop(two);
    assert_eq!(register(&api, &request()).await.0, 403);
}
