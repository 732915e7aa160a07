//! A broker that requires client certificates, and clients that lack the right one.

use goldline::testbed::{
    authority::Authority,
    broker::{Admission, BrokerConfig, ClientAuth, RefusedBecause, TlsFailureCause},
};
use rumqttc::ConnectReturnCode;
use rustls::AlertDescription;

use super::bench::{
    A_YEAR, Client, PASSWORD, USERNAME, authority, broker_config, ended, start, tls, tls_error,
};

fn requiring(authority: &Authority) -> BrokerConfig {
    let auth =
        ClientAuth { ca_pem: authority.root_pem().to_owned(), common_name_is_client_id: true };
    BrokerConfig { client_auth: Some(auth), ..broker_config(authority) }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_names_the_client_id_is_accepted_and_recorded() {
    let authority = authority();
    let broker = start(requiring(&authority)).await;
    let own = authority.issue_device("unit-1", A_YEAR).expect("a device certificate");
    let tls = tls(authority.root_pem(), Some(&own));
    let _client = Client::new(&broker, tls, "unit-1", Some((USERNAME, PASSWORD))).connected().await;
    let shown = broker.connections()[0]
        .tls
        .clone()
        .and_then(|tls| tls.client_certificate)
        .expect("the certificate is in the log");
    assert_eq!(shown.common_name.as_deref(), Some("unit-1"));
    assert_eq!(shown.subject, "CN=unit-1");
    assert_eq!(shown.serial, own.signed.serial);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_in_a_certificate_are_recorded_as_they_are_written() {
    let authority = authority();
    let mut config = requiring(&authority);
    config.client_auth.as_mut().expect("required").common_name_is_client_id = false;
    let broker = start(config).await;
    // Made elsewhere, since the bench's own device certificates carry no such names.
    let pem = authority.to_pem();
    let key = rcgen::KeyPair::from_pem(pem.intermediate_key.expose()).expect("PKCS#8");
    let issuer = rcgen::Issuer::from_ca_cert_pem(&pem.intermediate_certificate, key);
    let names = ["unit.example.test".to_owned(), "192.0.2.9".to_owned()];
    let params = rcgen::CertificateParams::new(names).expect("names");
    let key = rcgen::KeyPair::generate().expect("a key");
    let leaf = params.signed_by(&key, &issuer.expect("the intermediate")).expect("a certificate");
    let mut own = authority.issue_device("unit-1", A_YEAR).expect("a device certificate");
    own.signed.chain = format!("{}{}", leaf.pem(), pem.intermediate_certificate);
    own.key = goldline::secret::Secret::new(key.serialize_pem());

    let tls = tls(authority.root_pem(), Some(&own));
    let _client = Client::new(&broker, tls, "unit-1", Some((USERNAME, PASSWORD))).connected().await;
    let tls = broker.connections()[0].tls.clone().expect("TLS is up");
    let shown = tls.client_certificate.expect("the certificate is in the log");
    assert_eq!(shown.alternative_names, ["unit.example.test", "192.0.2.9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_one_is_refused_in_tls() {
    let authority = authority();
    let broker = start(requiring(&authority)).await;
    let error = Client::good(&broker, &authority, "unit-1").connect().await;
    let error = tls_error(error.expect_err("a certificate is required"));
    let required = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
    assert_eq!(error, required);
    let failure = ended(&broker).await.tls_failure.expect("the handshake failed");
    assert!(matches!(failure.cause, TlsFailureCause::Refused(_)), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_another_ca_is_refused_in_tls() {
    let (authority, foreign) = (authority(), authority());
    let broker = start(requiring(&authority)).await;
    let own = foreign.issue_device("unit-1", A_YEAR).expect("a device certificate");
    let tls = tls(authority.root_pem(), Some(&own));
    let mut client = Client::new(&broker, tls, "unit-1", Some((USERNAME, PASSWORD)));
    let error = tls_error(client.connect().await.expect_err("the certificate is foreign"));
    assert!(matches!(error, rustls::Error::AlertReceived(_)), "{error:?}");
    let failure = ended(&broker).await.tls_failure.expect("the handshake failed");
    assert!(matches!(failure.cause, TlsFailureCause::Refused(_)), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_another_unit_is_not_authorized() {
    let authority = authority();
    let broker = start(requiring(&authority)).await;
    let own = authority.issue_device("unit-2", A_YEAR).expect("a device certificate");
    let tls = tls(authority.root_pem(), Some(&own));
    let mut client = Client::new(&broker, tls, "unit-1", Some((USERNAME, PASSWORD)));
    let answer = client.connect().await.expect("TLS works");
    assert_eq!(answer, ConnectReturnCode::NotAuthorized);
    let because = RefusedBecause::NotCertificateName { common_name: Some("unit-2".to_owned()) };
    let admission = ended(&broker).await.connect.expect("a CONNECT").admission;
    assert_eq!(admission, Admission::Refused(because));
}
