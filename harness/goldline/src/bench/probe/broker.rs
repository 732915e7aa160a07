//! Connects to the planned broker with the planned credentials, and sends a message there and back.
//!
//! TLS with the name checked, CONNECT, every planned subscription, and a word that the bench's own client
//! says: it must be heard where the unit hears, and be said again where the unit says its own. A broker may
//! take a message and give it to nobody, for want of a right or because it is broken.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout_at};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    BenchStation, Joined, PlannedNetwork, ProbeError,
    talk::{Session, Talk},
    within,
};
use crate::{
    clock::Deadline,
    secret::Secret,
    testbed::authority::Issued,
    tls::{Anchors, ClientTls, HandshakeFailure},
};

/// Of a probe's time, kept for what follows after it heard what it waits for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The broker of the plan.
#[derive(Clone, Debug)]
pub struct BrokerProbe<'a> {
    /// The name (or IPv4 address) in the plan's endpoint; the certificate must carry it.
    pub host: &'a str,
    /// The port in the plan's endpoint.
    pub port: u16,
    /// PEM of the CA that the unit is given.
    pub ca_pem: &'a str,
    /// User name and password.
    pub credentials: Option<(&'a str, &'a Secret)>,
    /// What the bench calls itself. The unit's own takes its session over, and is for a unit that is held in
    /// reset.
    pub client_id: &'a str,
    /// What becomes of what the broker keeps for that id.
    pub session: Session,
    /// Where the broker requires one.
    pub client_certificate: Option<&'a ClientIdentity>,
    /// Topic filters that the unit must be granted.
    pub subscriptions: &'a [String],
}

/// A client's certificate and its key.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    /// PEM of the certificate, and of those between it and its CA.
    pub chain: String,
    /// PKCS#8 PEM.
    pub key: Secret,
}

impl From<Issued> for ClientIdentity {
    fn from(issued: Issued) -> Self {
        Self { chain: issued.signed.chain, key: issued.key }
    }
}

/// What the bench does at a broker in the unit's place.
pub struct Errand<'a> {
    /// The topic that it subscribes to.
    pub hears: &'a str,
    /// The topic that it publishes on.
    pub says: &'a str,
    /// What it waits for, and then says.
    pub text: &'a str,
    /// Called when the subscription is granted.
    pub ready: &'a (dyn Fn() + Sync),
}

/// Connects to the broker as the unit should, subscribes, and disconnects.
///
/// # Errors
/// The [`ProbeError`] of the first step that fails.
pub async fn connect_to_broker(
    station: &BenchStation,
    network: PlannedNetwork<'_>,
    probe: &BrokerProbe<'_>,
    deadline: Deadline,
) -> Result<(), ProbeError> {
    within(deadline, async {
        let joined = station.join(network)?;
        connect(&joined, probe).await?.leave().await
    })
    .await
}

/// As [`connect_to_broker`], and stands in for the unit at its topics: hears what the bench's own client
/// publishes, and says it again. Whether that arrives, the bench's own client knows.
///
/// # Errors
/// The [`ProbeError`] of the first step that fails.
pub async fn run_errand(
    station: &BenchStation,
    network: PlannedNetwork<'_>,
    probe: &BrokerProbe<'_>,
    errand: &Errand<'_>,
    deadline: Deadline,
) -> Result<(), ProbeError> {
    within(deadline, async {
        let joined = station.join(network)?;
        let mut talk = connect(&joined, probe).await?;
        talk.subscribe(errand.hears).await?;
        (errand.ready)();
        let heard = talk.hear(errand.hears, errand.text);
        timeout_at(deadline.instant() - LAST_WORDS, heard)
            .await
            .map_err(|_| ProbeError::NothingArrived { topic: errand.hears.to_owned() })??;
        talk.say(errand.says, errand.text).await?;
        talk.leave().await
    })
    .await
}

/// Connects as the unit itself, which must not run, and stays for so long. The time after which another
/// client of the same id took the session; `None` when nobody did.
///
/// # Errors
/// The [`ProbeError`] of the first step that fails.
pub async fn hold_session(
    station: &BenchStation,
    network: PlannedNetwork<'_>,
    probe: &BrokerProbe<'_>,
    hold: Duration,
    deadline: Deadline,
) -> Result<Option<Duration>, ProbeError> {
    within(deadline, async {
        let joined = station.join(network)?;
        let mut talk = connect(&joined, probe).await?;
        let ended = talk.outlast(hold).await;
        if ended.is_none() {
            talk.leave().await?;
        }
        Ok(ended)
    })
    .await
}

async fn connect(joined: &Joined, probe: &BrokerProbe<'_>) -> Result<Talk, ProbeError> {
    let stream = joined.dial(probe.host, probe.port).await?;
    let stream = secure(stream, probe).await?;
    let mut talk = Talk::connect(stream, probe.client_id, probe.credentials, probe.session).await?;
    for topic in probe.subscriptions {
        talk.subscribe(topic).await?;
    }
    Ok(talk)
}

async fn secure(
    stream: TcpStream,
    probe: &BrokerProbe<'_>,
) -> Result<TlsStream<TcpStream>, ProbeError> {
    let tls = client_tls(probe.ca_pem, probe.client_certificate)?;
    let name =
        ServerName::try_from(probe.host.to_owned()).map_err(ProbeError::unusable("broker name"))?;
    TlsConnector::from(tls.config()).connect(name, stream).await.map_err(|error| {
        match HandshakeFailure::of(&error) {
            Some(HandshakeFailure::Distrusted(reason)) => ProbeError::ServerUntrusted(reason),
            Some(failure) => ProbeError::TlsFailed(failure.to_string()),
            None => ProbeError::TlsFailed(error.to_string()),
        }
    })
}

/// TLS of a client that trusts that CA only.
fn client_tls(ca_pem: &str, identity: Option<&ClientIdentity>) -> Result<ClientTls, ProbeError> {
    let anchors = Anchors::from_pem(ca_pem).map_err(ProbeError::unusable("CA certificate"))?;
    let Some(own) = identity else { return Ok(ClientTls::new(anchors)) };
    ClientTls::with_identity(anchors, &own.chain, &own.key)
        .map_err(ProbeError::unusable("client certificate"))
}
