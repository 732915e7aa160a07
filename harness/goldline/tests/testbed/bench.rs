//! What the tests of the testbed start from: a CA, a broker, and rumqttc as a real client.

use std::{sync::Arc, time::Duration};

use goldline::{
    clock::{Clock, Deadline},
    profile::Host,
    secret::Secret,
    testbed::{
        authority::{Authority, Issued},
        broker::{Account, Broker, BrokerConfig, Connection},
    },
};
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, Packet,
    Publish, QoS, StateError, TlsError, Transport, mqttbytes,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// Far longer than anything here takes, so that only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(30);
pub const A_YEAR: time::Duration = time::Duration::days(365);
pub const USERNAME: &str = "unit";
pub const PASSWORD: &str = "right-password";

pub fn host(text: &str) -> Host {
    text.parse().expect("a host")
}

pub fn patience() -> Deadline {
    Deadline::after(PATIENCE)
}

pub fn authority() -> Authority {
    Authority::create(Clock::system()).expect("the authority is made")
}

pub fn account() -> Account {
    Account { username: USERNAME.to_owned(), password: Secret::new(PASSWORD), client_id: None }
}

pub fn broker_config(authority: &Authority) -> BrokerConfig {
    let names = ["localhost", "broker.example.test", "127.0.0.1"].map(|name: &str| name.to_owned());
    let server = authority.issue_server(&names, A_YEAR).expect("a server certificate");
    BrokerConfig::new(server, vec![account()])
}

pub async fn start(config: BrokerConfig) -> Broker {
    Broker::start(config, Clock::system()).await.expect("the broker starts")
}

pub async fn start_broker(authority: &Authority) -> Broker {
    start(broker_config(authority)).await
}

/// The TLS side of a client that trusts this root and shows this certificate.
pub fn tls(root_pem: &str, own: Option<&Issued>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(root_pem.as_bytes()).expect("the root is PEM"))
        .expect("the root is a CA");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots);
    match own {
        None => config.with_no_client_auth(),
        Some(own) => {
            let chain = CertificateDer::pem_slice_iter(own.signed.chain.as_bytes())
                .collect::<Result<_, _>>()
                .expect("the chain is PEM");
            let key =
                PrivateKeyDer::from_pem_slice(own.key.expose().as_bytes()).expect("the key is PEM");
            config.with_client_auth_cert(chain, key).expect("key and chain belong together")
        }
    }
}

/// A real MQTT client.
pub struct Client {
    pub requests: AsyncClient,
    events: EventLoop,
}

impl Client {
    pub fn new(broker: &Broker, tls: ClientConfig, id: &str, login: Option<(&str, &str)>) -> Self {
        let mut options = MqttOptions::new(id, "localhost", broker.address().port());
        if let Some((username, password)) = login {
            options.set_credentials(username, password);
        }
        options.set_transport(Transport::tls_with_config(tls.into()));
        let (requests, events) = AsyncClient::new(options, 16);
        Self { requests, events }
    }

    /// The right CA, user name and password.
    pub fn good(broker: &Broker, authority: &Authority, id: &str) -> Self {
        Self::new(broker, tls(authority.root_pem(), None), id, Some((USERNAME, PASSWORD)))
    }

    /// The next packet of the broker.
    pub async fn packet(&mut self) -> Result<Packet, ConnectionError> {
        let poll = async {
            loop {
                if let Event::Incoming(packet) = self.events.poll().await? {
                    return Ok(packet);
                }
            }
        };
        tokio::time::timeout(PATIENCE, poll).await.expect("the broker answers")
    }

    /// The broker's answer to the CONNECT.
    pub async fn connect(&mut self) -> Result<ConnectReturnCode, ConnectionError> {
        match self.packet().await {
            Ok(Packet::ConnAck(answer)) => Ok(answer.code),
            Ok(other) => panic!("expected a CONNACK, got {other:?}"),
            Err(ConnectionError::ConnectionRefused(code)) => Ok(code),
            Err(error) => Err(error),
        }
    }

    pub async fn connected(mut self) -> Self {
        assert_eq!(self.connect().await.expect("TLS works"), ConnectReturnCode::Success);
        self
    }

    pub async fn subscribe(&mut self, filter: &str) {
        self.requests.subscribe(filter, QoS::AtLeastOnce).await.expect("the client runs");
        loop {
            if let Packet::SubAck(_) = self.packet().await.expect("the connection lasts") {
                return;
            }
        }
    }

    pub async fn unsubscribe(&mut self, filter: &str) {
        self.requests.unsubscribe(filter).await.expect("the client runs");
        let answer = self.packet().await.expect("the connection lasts");
        assert!(matches!(answer, Packet::UnsubAck(_)), "{answer:?}");
    }

    /// Publishes with QoS 1 and waits for the broker's acknowledgement.
    pub async fn publish(&mut self, topic: &str, payload: &str, retain: bool) {
        let publish = self.requests.publish(topic, QoS::AtLeastOnce, retain, payload);
        publish.await.expect("the client runs");
        loop {
            if let Packet::PubAck(_) = self.packet().await.expect("the connection lasts") {
                return;
            }
        }
    }

    pub async fn next_message(&mut self) -> Publish {
        loop {
            if let Packet::Publish(message) = self.packet().await.expect("the connection lasts") {
                return message;
            }
        }
    }

    /// Waits until the connection is gone.
    pub async fn gone(&mut self) -> ConnectionError {
        loop {
            if let Err(error) = self.packet().await {
                return error;
            }
        }
    }
}

/// What rustls says inside a failed connect of rumqttc.
pub fn tls_error(error: ConnectionError) -> rustls::Error {
    let io = match error {
        ConnectionError::Tls(TlsError::Io(io)) | ConnectionError::Io(io) => io,
        ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(io))) => io,
        ConnectionError::Tls(TlsError::TLS(error)) => return error,
        other => panic!("expected a TLS failure, got {other:?}"),
    };
    let inner = io.into_inner().expect("rustls wraps its error");
    *inner.downcast::<rustls::Error>().expect("the error is rustls' own")
}

/// The first connection that is over.
pub async fn ended(broker: &Broker) -> Connection {
    broker
        .wait_for(patience(), |connection| connection.ending.is_some().then(|| connection.clone()))
        .await
        .expect("a connection ends")
}
