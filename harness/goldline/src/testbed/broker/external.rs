//! A broker that is already there: the bench is one of its clients, and sees what any client sees.
//!
//! It subscribes to what the unit publishes before the unit starts; which unit a message is of, its topic
//! says. What the unit calls itself, and what it subscribes to, only the broker knows.

use std::{
    error::Error,
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions,
    Packet, QoS, SubscribeReasonCode, TlsConfiguration, Transport,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{facts::Message, log::BrokerLog};
use crate::{profile::Endpoint, secret::Secret};

/// To connect and to subscribe.
const JOIN_LIMIT: Duration = Duration::from_secs(15);
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const MOST_IN_FLIGHT: usize = 64;

/// Where a broker is, and how the bench gets in.
#[derive(Clone)]
pub struct ExternalBroker {
    /// Its address.
    pub endpoint: Endpoint,
    /// PEM of the CA that its certificate must come of.
    pub trust: String,
    /// The bench's own user name and password.
    pub login: Option<(String, Secret)>,
    /// PEM of the bench's own certificate and private key, where the broker asks for one.
    pub identity: Option<Secret>,
}

impl fmt::Debug for ExternalBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalBroker").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Why the bench cannot use a broker.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// The trusted CA, or the bench's certificate or key, cannot be used.
    #[error("the {part} for the broker cannot be used: {reason}; expected PEM")]
    Unusable {
        /// Which one.
        part: &'static str,
        /// Why.
        reason: String,
    },
    /// Nothing answers there.
    #[error(
        "the broker {endpoint} is not reachable: {reason}; check that it runs and listens there"
    )]
    Unreachable {
        /// Where.
        endpoint: Endpoint,
        /// The operating system's reason, or TLS's.
        reason: String,
    },
    /// Its certificate is not of the trusted CA, or of another name.
    #[error(
        "the certificate of the broker {endpoint} is not trusted: {reason}; give the CA that issued it with --broker-trust"
    )]
    Distrusted {
        /// Where.
        endpoint: Endpoint,
        /// What is wrong with it.
        reason: String,
    },
    /// It does not let the bench in.
    #[error(
        "the broker {endpoint} does not let the bench in: {reason}; check --broker-login and --broker-identity"
    )]
    Refused {
        /// Where.
        endpoint: Endpoint,
        /// Its answer.
        reason: String,
    },
    /// It does not let the bench listen.
    #[error(
        "the broker {endpoint} does not let the bench subscribe to {topic}; allow it in the broker's access list"
    )]
    NotSubscribed {
        /// Where.
        endpoint: Endpoint,
        /// The topic.
        topic: String,
    },
}

/// The bench as a client.
pub(super) struct Observer {
    client: AsyncClient,
    lost: Arc<Mutex<Option<String>>>,
}

impl Observer {
    /// Connects and subscribes; messages go into the log from then on, until `ended`.
    pub(super) async fn join(
        broker: &ExternalBroker,
        topics: &[String],
        log: Arc<BrokerLog>,
        ended: CancellationToken,
    ) -> Result<Self, ExternalError> {
        let (client, mut events) = client(broker)?;
        let joined = timeout(JOIN_LIMIT, subscribe(broker, topics, &client, &mut events)).await;
        joined.unwrap_or_else(|_| {
            Err(ExternalError::Unreachable {
                endpoint: broker.endpoint.clone(),
                reason: format!("no answer in {} s", JOIN_LIMIT.as_secs()),
            })
        })?;
        let lost = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&lost);
        tokio::spawn(ended.run_until_cancelled_owned(async move {
            let reason = listen(events, &log).await;
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        }));
        Ok(Self { client, lost })
    }

    /// Hands a message to the broker, QoS 1, not retained.
    pub(super) fn publish(&self, topic: &str, payload: &[u8]) -> Result<(), String> {
        if let Some(reason) = self.lost() {
            return Err(reason);
        }
        let sent = self.client.try_publish(topic, QoS::AtLeastOnce, false, payload);
        // The error carries the message.
        sent.map_err(|_| "too many messages wait for the broker".to_owned())
    }

    /// Why the bench sees nothing any more.
    pub(super) fn lost(&self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn client(broker: &ExternalBroker) -> Result<(AsyncClient, EventLoop), ExternalError> {
    let id = format!("goldline-{}", &Uuid::new_v4().simple().to_string()[..12]);
    let endpoint = &broker.endpoint;
    let mut options = MqttOptions::new(id, endpoint.at().canonical(), endpoint.port());
    options.set_keep_alive(KEEP_ALIVE);
    if let Some((username, password)) = &broker.login {
        options.set_credentials(username, password.expose());
    }
    let tls = TlsConfiguration::Rustls(Arc::new(tls_config(broker)?));
    options.set_transport(Transport::tls_with_config(tls));
    let (client, mut events) = AsyncClient::new(options, MOST_IN_FLIGHT);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    Ok((client, events))
}

fn tls_config(broker: &ExternalBroker) -> Result<ClientConfig, ExternalError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("trusted CA", &broker.trust)? {
        roots.add(certificate).map_err(unusable("trusted CA"))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable("TLS version"))?
        .with_root_certificates(roots);
    let Some(identity) = &broker.identity else { return Ok(config.with_no_client_auth()) };
    let chain = certificates("bench's certificate", identity.expose())?;
    let key = PrivateKeyDer::from_pem_slice(identity.expose().as_bytes())
        .map_err(unusable("bench's private key"))?;
    config.with_client_auth_cert(chain, key).map_err(unusable("bench's certificate"))
}

fn certificates(
    part: &'static str,
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, ExternalError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(unusable(part))?;
    if found.is_empty() {
        return Err(unusable(part)("there is no certificate in it"));
    }
    Ok(found)
}

fn unusable<E: ToString>(part: &'static str) -> impl Fn(E) -> ExternalError {
    move |error| ExternalError::Unusable { part, reason: error.to_string() }
}

async fn subscribe(
    broker: &ExternalBroker,
    topics: &[String],
    client: &AsyncClient,
    events: &mut EventLoop,
) -> Result<(), ExternalError> {
    let mut waiting = topics.iter();
    loop {
        let event = events.poll().await.map_err(|error| refusal(broker, error))?;
        let granted = match &event {
            Event::Incoming(Packet::ConnAck(_)) => true,
            Event::Incoming(Packet::SubAck(ack)) => {
                !ack.return_codes.contains(&SubscribeReasonCode::Failure)
            }
            _ => continue,
        };
        let asked = topics.len() - waiting.len();
        if !granted {
            let topic = topics[asked.saturating_sub(1)].clone();
            return Err(ExternalError::NotSubscribed { endpoint: broker.endpoint.clone(), topic });
        }
        // One at a time, so that a refusal names its topic.
        let Some(topic) = waiting.next() else { return Ok(()) };
        let sent = client.try_subscribe(topic, QoS::AtLeastOnce);
        sent.map_err(|error| ExternalError::Refused {
            endpoint: broker.endpoint.clone(),
            reason: error.to_string(),
        })?;
    }
}

fn refusal(broker: &ExternalBroker, error: ConnectionError) -> ExternalError {
    let endpoint = broker.endpoint.clone();
    match error {
        ConnectionError::ConnectionRefused(code) => {
            let reason = match code {
                ConnectReturnCode::BadUserNamePassword => "wrong user name or password".to_owned(),
                ConnectReturnCode::NotAuthorized => "not authorized".to_owned(),
                other => format!("{other:?}"),
            };
            ExternalError::Refused { endpoint, reason }
        }
        other => match tls_cause(&other) {
            Some(rustls::Error::InvalidCertificate(reason)) => {
                ExternalError::Distrusted { endpoint, reason: format!("{reason:?}") }
            }
            // How a broker refuses a client without the certificate that it asks for.
            Some(rustls::Error::AlertReceived(alert)) => {
                ExternalError::Refused { endpoint, reason: format!("TLS alert {alert:?}") }
            }
            _ => ExternalError::Unreachable { endpoint, reason: other.to_string() },
        },
    }
}

/// What TLS said, however deep the client wrapped it.
fn tls_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let wrapped = |error: &'a (dyn Error + 'static)| {
        let io = error.downcast_ref::<io::Error>()?;
        io.get_ref().map(|inner| inner as &(dyn Error + 'static))
    };
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        next = wrapped(error).or_else(|| error.source());
    }
    None
}

/// Notes every message until the connection ends; why it did.
async fn listen(mut events: EventLoop, log: &BrokerLog) -> String {
    loop {
        match events.poll().await {
            // What was kept from before says nothing of now.
            Ok(Event::Incoming(Packet::Publish(publish))) if !publish.retain => {
                log.overheard(&Message {
                    topic: publish.topic.clone(),
                    payload: publish.payload.to_vec(),
                    retain: false,
                });
            }
            Ok(_) => {}
            Err(error) => return format!("the bench lost the broker: {error}"),
        }
    }
}
