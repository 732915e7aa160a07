//! A broker that is already there: the bench is one of its clients, and sees what any client sees.
//!
//! It subscribes to what the unit publishes before the unit starts; which unit a message is of, its topic
//! says. What the unit calls itself, and what it subscribes to, only the broker knows.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions,
    Packet, QoS, SubscribeReasonCode, TlsConfiguration, Transport,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{facts::Message, log::BrokerLog};
use crate::{
    profile::Endpoint,
    secret::Secret,
    testbed::caller::Who,
    tls::{AnchorError, Anchors, ClientTls, ClientTlsError, Distrust, Expiry, HandshakeFailure},
};

/// To connect and to subscribe.
const JOIN_LIMIT: Duration = Duration::from_secs(15);
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const MOST_IN_FLIGHT: usize = 64;

/// Where a broker is, and how the bench gets in.
#[derive(Clone)]
pub struct ExternalBroker {
    /// Its address.
    pub endpoint: Endpoint,
    /// PEM of the CA that its certificate must come of, or of that certificate itself.
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
    /// The trusted CA cannot be used.
    #[error("the trusted CA for the broker cannot be used: {0}")]
    Trust(#[from] AnchorError),
    /// The bench's certificate or key cannot be used.
    #[error(transparent)]
    Identity(#[from] ClientTlsError),
    /// Nothing answers there.
    #[error("the broker {endpoint} is not reachable: {reason}")]
    Unreachable {
        /// Where.
        endpoint: Endpoint,
        /// The operating system's reason, or TLS's.
        reason: String,
    },
    /// Its certificate is not of the trusted CA, or of another name, or not of this time.
    #[error("the certificate of the broker {endpoint} is not trusted: {reason}")]
    Distrusted {
        /// Where.
        endpoint: Endpoint,
        /// What is wrong with it.
        reason: Box<Distrust>,
    },
    /// It does not let the bench in.
    #[error("the broker {endpoint} does not let the bench in: {reason}")]
    Refused {
        /// Where.
        endpoint: Endpoint,
        /// Its answer.
        reason: String,
    },
    /// It does not let the bench listen.
    #[error("the broker {endpoint} does not let the bench subscribe to {topic}")]
    NotSubscribed {
        /// Where.
        endpoint: Endpoint,
        /// The topic.
        topic: String,
    },
}

impl ExternalError {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Trust(error) => error.action(),
            Self::Identity(error) => error.action(),
            Self::Distrusted { reason, .. } => match &**reason {
                Distrust::UnknownIssuer { .. } | Distrust::BadSignature { .. } => {
                    "give the CA that issued it with --broker-trust, and let the broker send the \
                     certificates between"
                }
                Distrust::SelfSigned { .. } => {
                    "give that certificate itself with --broker-trust, or let a CA issue one"
                }
                other => other.action(),
            },
            Self::Unreachable { .. } => {
                "check that the broker runs and listens there, and the way to it; or correct --broker"
            }
            Self::Refused { .. } => {
                "check --broker-login and --broker-identity with the broker's log"
            }
            Self::NotSubscribed { .. } => "allow it to the bench in the broker's access list",
        }
    }
}

/// Which way those came who are heard.
#[derive(Clone, Copy)]
pub(super) enum Heard {
    /// Through a port of the bench.
    ThroughTheBench,
    /// Over a site's network, unseen: who says what only this one says is this one.
    OverTheSite(Who),
}

/// The bench as a client.
pub(super) struct Observer {
    tls: ClientTls,
    client: AsyncClient,
    lost: Arc<Mutex<Option<String>>>,
}

impl Observer {
    /// Connects and subscribes; messages go into the log from then on, until `ended`.
    pub(super) async fn join(
        broker: &ExternalBroker,
        topics: &[String],
        (log, heard): (Arc<BrokerLog>, Heard),
        ended: CancellationToken,
    ) -> Result<Self, ExternalError> {
        let tls = client_tls(broker)?;
        let (client, mut events) = client(broker, &tls);
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
            let reason = listen(events, &log, heard).await;
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        }));
        Ok(Self { tls, client, lost })
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

    /// When the first certificate ends on the way from the broker's to what is trusted.
    pub(super) fn certificate_expiry(&self) -> Option<Expiry> {
        self.tls.seen().map(|facts| facts.expiry)
    }

    /// Why the bench sees nothing any more.
    pub(super) fn lost(&self) -> Option<String> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn client(broker: &ExternalBroker, tls: &ClientTls) -> (AsyncClient, EventLoop) {
    let id = format!("goldline-{}", &Uuid::new_v4().simple().to_string()[..12]);
    let endpoint = &broker.endpoint;
    let mut options = MqttOptions::new(id, endpoint.at().canonical(), endpoint.port());
    options.set_keep_alive(KEEP_ALIVE);
    if let Some((username, password)) = &broker.login {
        options.set_credentials(username, password.expose());
    }
    let tls = TlsConfiguration::Rustls(tls.config());
    options.set_transport(Transport::tls_with_config(tls));
    let (client, mut events) = AsyncClient::new(options, MOST_IN_FLIGHT);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    (client, events)
}

fn client_tls(broker: &ExternalBroker) -> Result<ClientTls, ExternalError> {
    let anchors = Anchors::from_pem(&broker.trust)?;
    Ok(match &broker.identity {
        Some(identity) => ClientTls::with_identity(anchors, identity.expose(), identity)?,
        None => ClientTls::new(anchors),
    })
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
                other => format!("return code {}", other as u8),
            };
            ExternalError::Refused { endpoint, reason }
        }
        other => match HandshakeFailure::of(&other) {
            Some(HandshakeFailure::Distrusted(reason)) => {
                ExternalError::Distrusted { endpoint, reason: Box::new(reason) }
            }
            // How a broker refuses a client without the certificate that it asks for.
            Some(HandshakeFailure::Alert(alert)) => {
                ExternalError::Refused { endpoint, reason: format!("TLS alert {alert}") }
            }
            Some(failure) => ExternalError::Unreachable { endpoint, reason: failure.to_string() },
            None => ExternalError::Unreachable { endpoint, reason: other.to_string() },
        },
    }
}

/// Notes every message until the connection ends; why it did.
async fn listen(mut events: EventLoop, log: &BrokerLog, heard: Heard) -> String {
    loop {
        match events.poll().await {
            // What was kept from before says nothing of now.
            Ok(Event::Incoming(Packet::Publish(publish))) if !publish.retain => {
                let message = Message {
                    topic: publish.topic.clone(),
                    payload: publish.payload.to_vec(),
                    retain: false,
                };
                match heard {
                    Heard::ThroughTheBench => log.overheard(&message),
                    Heard::OverTheSite(who) => log.overheard_of(who, &message),
                }
            }
            Ok(_) => {}
            Err(error) => return format!("the bench lost the broker: {error}"),
        }
    }
}
