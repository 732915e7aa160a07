//! The broker as a real TLS and MQTT client finds it.

use std::{sync::Arc, time::Duration};

use goldline::{
    clock::{Clock, Deadline},
    secret::Secret,
    testbed::{
        authority::Authority,
        broker::{Account, Admission, Broker, BrokerConfig},
    },
};
use rumqttc::{AsyncClient, ConnectReturnCode, Event, EventLoop, MqttOptions, Packet, Transport};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

const PATIENCE: Duration = Duration::from_secs(30);
const A_YEAR: time::Duration = time::Duration::days(365);

fn authority() -> Authority {
    Authority::create(Clock::system()).expect("the authority is made")
}

fn account() -> Account {
    Account { username: "unit".to_owned(), password: Secret::new("right"), client_id: None }
}

fn config(authority: &Authority) -> BrokerConfig {
    let names = ["localhost".to_owned(), "broker.example.test".to_owned()];
    let server = authority.issue_server(&names, A_YEAR).expect("a server certificate");
    BrokerConfig::new(server, vec![account()])
}

async fn broker(authority: &Authority) -> Broker {
    Broker::start(config(authority), Clock::system()).await.expect("the broker starts")
}

fn trusting(root_pem: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(root_pem.as_bytes()).expect("the root is PEM"))
        .expect("the root is a CA");
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn client(
    broker: &Broker,
    tls: ClientConfig,
    id: &str,
    password: &str,
) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(id, "localhost", broker.address().port());
    options.set_credentials("unit", password);
    options.set_transport(Transport::tls_with_config(tls.into()));
    AsyncClient::new(options, 16)
}

/// Polls until the broker has answered the CONNECT, and returns its code.
async fn connect(events: &mut EventLoop) -> Result<ConnectReturnCode, rumqttc::ConnectionError> {
    tokio::time::timeout(PATIENCE, async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(answer))) => return Ok(answer.code),
                Ok(_) => {}
                Err(rumqttc::ConnectionError::ConnectionRefused(code)) => return Ok(code),
                Err(error) => return Err(error),
            }
        }
    })
    .await
    .expect("the broker answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_the_right_ca_and_password_is_accepted() {
    let authority = authority();
    let broker = broker(&authority).await;
    let (_client, mut events) = client(&broker, trusting(authority.root_pem()), "unit-1", "right");
    assert_eq!(connect(&mut events).await.expect("TLS works"), ConnectReturnCode::Success);

    let facts = broker
        .wait_for(Deadline::after(PATIENCE), |connection| {
            connection.is_accepted().then(|| connection.clone())
        })
        .await
        .expect("the log has the connection");
    let tls = facts.tls.expect("the handshake is in the log");
    assert_eq!(tls.version, "TLSv1.3");
    assert_eq!(tls.server_name.as_deref(), Some("localhost"));
    assert!(tls.cipher_suite.starts_with("TLS13_"), "{}", tls.cipher_suite);
    let connect = facts.connect.expect("the CONNECT is in the log");
    assert_eq!(connect.client_id, "unit-1");
    assert_eq!(connect.username.as_deref(), Some("unit"));
    assert_eq!(connect.admission, Admission::Accepted);
}
