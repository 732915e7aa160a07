//! Connects to the planned broker with the planned credentials, and sends a message there and back.
//!
//! TLS with the name checked, CONNECT, every planned subscription, and a word that the bench's own client
//! says: it must be heard where the unit hears, and be said again where the unit says its own. A broker may
//! take a message and give it to nobody, for want of a right or because it is broken.

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{net::TcpStream, time::timeout_at};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{BenchStation, Joined, PlannedNetwork, ProbeError, talk::Talk, within};
use crate::{clock::Deadline, secret::Secret, testbed::authority::Issued};

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
    let mut talk = Talk::connect(stream, probe.client_id, probe.credentials).await?;
    for topic in probe.subscriptions {
        talk.subscribe(topic).await?;
    }
    Ok(talk)
}

async fn secure(
    stream: TcpStream,
    probe: &BrokerProbe<'_>,
) -> Result<TlsStream<TcpStream>, ProbeError> {
    let config = client_tls(probe.ca_pem, probe.client_certificate)?;
    let name =
        ServerName::try_from(probe.host.to_owned()).map_err(ProbeError::unusable("broker name"))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(reason)) => {
                ProbeError::ServerUntrusted(format!("{reason:?}"))
            }
            _ => ProbeError::TlsFailed(error.to_string()),
        }
    })
}

/// TLS of a client that trusts that CA only, without touching rustls' process-wide default.
fn client_tls(ca_pem: &str, identity: Option<&ClientIdentity>) -> Result<ClientConfig, ProbeError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(ProbeError::unusable("CA certificate"))?;
        roots.add(certificate).map_err(ProbeError::unusable("CA certificate"))?;
    }
    if roots.is_empty() {
        return Err(ProbeError::unusable("CA certificate")("there is none in it"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(ProbeError::unusable("TLS versions"))?
        .with_root_certificates(roots);
    let Some(own) = identity else { return Ok(config.with_no_client_auth()) };
    let chain = CertificateDer::pem_slice_iter(own.chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(ProbeError::unusable("client certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(own.key.expose().as_bytes())
        .map_err(ProbeError::unusable("client key"))?;
    config.with_client_auth_cert(chain, key).map_err(ProbeError::unusable("client certificate"))
}
