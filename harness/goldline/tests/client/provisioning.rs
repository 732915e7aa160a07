//! A unit's credentials from the config server.

use goldline::{
    client::{
        Blame,
        http::{HttpClient, Route},
        provisioning::{Credentials, ProvisioningError, provision},
    },
    record::Code,
    secret::Secret,
};
use rstest::rstest;
use serde_json::{Value, json};

use super::server::{Server, answer, patience};

const ID: &str = "A1B2C3D4E5F6";
const TOKEN: &str = "admin-token-of-the-test";
const PASSWORD: &str = "10b2757146584c3f228737a2e7d6fd6476a04e913dec423eecb5bb66f32326d2";

async fn asked(server: &Server, id: &str) -> Result<Credentials, ProvisioningError> {
    let client = HttpClient::new(Route::Pinned(server.address), None).expect("no roots");
    let token = Secret::new(TOKEN);
    provision(&client, "http://config.example.test", id, &token, patience()).await
}

async fn refused(status: u16, body: String) -> ProvisioningError {
    let server = Server::http(move |_| answer(status, &body)).await;
    let error = asked(&server, ID).await.expect_err("refused");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains(PASSWORD), "{shown}");
    assert_eq!(error.blame(), Blame::Service);
    error
}

fn good() -> Value {
    json!({
        "device_id": ID, "mqtt_user": ID, "mqtt_password": PASSWORD,
        "mqtt_host": "mqtt.example.test", "mqtt_port": 8883, "provision_date": "2024-11-09 20:00:00",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_called_as_in_the_document_and_gives_credentials() {
    let server = Server::http(|_| answer(200, &good().to_string())).await;
    let credentials = asked(&server, ID).await.expect("credentials");
    assert_eq!(credentials.mqtt_password.expose(), PASSWORD);
    assert_eq!(
        (credentials.mqtt_host.as_str(), credentials.mqtt_port),
        ("mqtt.example.test", 8883)
    );
    assert!(!format!("{credentials:?}").contains(PASSWORD));
    let request = &server.received()[0];
    assert!(
        request.head.starts_with("POST /provision/A1B2C3D4E5F6 HTTP/1.1\r\n"),
        "{}",
        request.head
    );
    assert_eq!(request.header("authorization"), Some("Bearer admin-token-of-the-test"));
    assert_eq!((request.header("content-length"), request.body.as_str()), (Some("0"), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_is_told_from_the_others_without_the_token() {
    for status in [400, 401, 403, 404, 429, 500, 503, 302] {
        let error = refused(status, format!("no {TOKEN}")).await;
        let as_expected = match status {
            401 | 403 => matches!(error, ProvisioningError::TokenRefused { .. }),
            404 => matches!(error, ProvisioningError::NotFound { .. }),
            500 | 503 => matches!(error, ProvisioningError::ServerFailed { .. }),
            _ => matches!(error, ProvisioningError::Refused { .. }),
        };
        assert!(as_expected, "{status}: {error}");
        assert!(error.to_string().contains("no [secret]"), "{error}");
        assert_eq!(error.code(), Code::ConfigRefused);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_devices_credentials_are_refused() {
    for id in ["B2C3D4E5F6A1", "a1b2c3d4e5f6"] {
        let mut body = good();
        body["device_id"] = json!(id);
        let error = refused(200, body.to_string()).await;
        assert!(
            matches!(&error, ProvisioningError::OtherDevice { found, .. } if found == id),
            "{error}"
        );
        assert_eq!(error.code(), Code::ConfigMalformed);
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_lacks_or_is_empty_is_named(
    #[values(
        "device_id",
        "mqtt_user",
        "mqtt_password",
        "mqtt_host",
        "mqtt_port",
        "provision_date"
    )]
    field: &str,
) {
    let mut body = good();
    body.as_object_mut().expect("an object").remove(field);
    let mut empty = good();
    empty[field] = if field == "mqtt_port" { json!(0) } else { json!("") };
    for body in [body, empty] {
        let error = refused(200, body.to_string()).await;
        assert!(
            matches!(&error, ProvisioningError::MissingField { field: found } if *found == field),
            "{error}"
        );
        assert_eq!(error.code(), Code::ConfigMalformed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_answer_is_told_without_its_content() {
    let half = good().to_string();
    let half = half[..half.len() - 20].to_owned();
    let mut body = good();
    body["mqtt_port"] = json!(PASSWORD);
    for body in [String::new(), "<html>".to_owned(), half, body.to_string()] {
        let error = refused(200, body).await;
        assert!(matches!(error, ProvisioningError::Malformed { .. }), "{error}");
        assert_eq!(error.code(), Code::ConfigMalformed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_would_change_the_address_is_refused_before_the_call() {
    let server = Server::http(|_| answer(200, &good().to_string())).await;
    for id in ["", "..", "A1/../B2", "A1?x", "A1 B2", "A1%2f", "ä"] {
        let error = asked(&server, id).await.expect_err("refused");
        assert!(matches!(error, ProvisioningError::Id { .. }), "{error}");
    }
    assert!(server.received().is_empty());
}
