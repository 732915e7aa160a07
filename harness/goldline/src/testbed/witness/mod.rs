//! The bench's own station: it does what the unit should do, with the plan's credentials.
//!
//! When a unit fails on a service, a probe of this witness tells whose fault it is: a probe that
//! succeeds shows that the service was sound. It goes the unit's way (association, the access
//! point's DNS, TLS with the name checked, MQTT), as a station of its own. Must not judge.

mod talk;

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use talk::Talk;
use tokio::{net::TcpStream, sync::Mutex, time::timeout_at};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    access_point::{AccessPoint, Association, Link, Refusal},
    authority::Issued,
};
use crate::{clock::Deadline, secret::Secret};

/// The witness's own address in the access point's log; locally administered, so it is no unit's.
pub const MAC: [u8; 6] = [0x02, 0x67, 0x6f, 0x6c, 0x64, 0x01];

/// Of a probe's time, kept for what follows after it heard what it waits for.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(2);

/// The network of the plan.
#[derive(Clone, Copy, Debug)]
pub struct Network<'a> {
    /// Network name.
    pub ssid: &'a str,
    /// WPA2 passphrase.
    pub passphrase: &'a Secret,
}

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
    /// The unit's own client id, where the broker binds an account or a certificate to one. It takes
    /// a session over that the unit may hold; so none is better: the witness then uses its own.
    pub client_id: Option<&'a str>,
    /// Where the broker requires one.
    pub client_certificate: Option<&'a ClientIdentity>,
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

/// What the witness does at a broker in the unit's place.
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

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The access point does not take the planned credentials.
    #[error("the access point refused the bench with reason {}", .0.reason)]
    NotJoined(Refusal),
    /// The access point's DNS does not know the broker.
    #[error("the access point's DNS does not know {name}")]
    UnknownName {
        /// The endpoint's name.
        name: String,
    },
    /// Nothing answers at the broker's address.
    #[error("the broker at {address} is not reachable: {source}")]
    Unreachable {
        /// The address that DNS gave.
        address: SocketAddrV4,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The broker's certificate is not good for this name and CA.
    #[error("the broker's certificate is not trusted: {0}")]
    ServerUntrusted(String),
    /// The TLS handshake failed for another reason, a missing client certificate for one.
    #[error("the TLS handshake with the broker failed: {0}")]
    TlsFailed(String),
    /// CONNACK 4.
    #[error("the broker does not accept user name and password")]
    BadCredentials,
    /// CONNACK 5.
    #[error("the broker does not authorize the client")]
    NotAuthorized,
    /// Another CONNACK.
    #[error("the broker refused with return code {code}")]
    Refused {
        /// MQTT 3.1.1, table 3.1.
        code: u8,
    },
    /// The broker broke off or answered something else than a CONNACK.
    #[error("the broker broke off: {0}")]
    Broken(String),
    /// The broker does not let the planned user hear a topic.
    #[error("the broker does not let the planned user subscribe to {topic}")]
    NotGranted {
        /// The topic.
        topic: String,
    },
    /// What the bench's own client published did not reach the planned user.
    #[error("a message of the bench's own client on {topic} does not reach the planned user")]
    NothingArrived {
        /// The topic.
        topic: String,
    },
    /// The planned CA, certificate or name cannot be used at all.
    #[error("the planned {part} cannot be used: {reason}")]
    Unusable {
        /// Which part of the plan.
        part: &'static str,
        /// Why.
        reason: String,
    },
    /// The whole probe took too long.
    #[error("the probe did not end within {0:?}")]
    TimedOut(std::time::Duration),
}

/// The bench's own station.
#[derive(Debug)]
pub struct Witness {
    access_point: AccessPoint,
    /// One probe at a time, since all are the same station.
    turn: Mutex<()>,
}

impl Witness {
    /// A station near this access point; it joins for a probe only.
    pub fn new(access_point: AccessPoint) -> Self {
        Self { access_point, turn: Mutex::default() }
    }

    /// Joins the network and leaves it again.
    ///
    /// # Errors
    /// [`ProbeError::NotJoined`], [`ProbeError::TimedOut`].
    pub async fn probe_access_point(
        &self,
        network: Network<'_>,
        deadline: Deadline,
    ) -> Result<Link, ProbeError> {
        within(deadline, async {
            let _turn = self.turn.lock().await;
            Ok(self.join(network)?.link)
        })
        .await
    }

    /// Joins the network, connects to the broker as the unit should, disconnects and leaves.
    ///
    /// # Errors
    /// The [`ProbeError`] of the first step that fails.
    pub async fn probe_broker(
        &self,
        network: Network<'_>,
        probe: &BrokerProbe<'_>,
        deadline: Deadline,
    ) -> Result<(), ProbeError> {
        within(deadline, async {
            let _turn = self.turn.lock().await;
            let joined = self.join(network)?;
            joined.connect(probe).await?.leave().await
        })
        .await
    }

    /// As [`probe_broker`](Witness::probe_broker), and stands in for the unit at its topics: hears what the
    /// bench's own client publishes, and says it again.
    ///
    /// # Errors
    /// The [`ProbeError`] of the first step that fails.
    pub async fn probe_way(
        &self,
        network: Network<'_>,
        probe: &BrokerProbe<'_>,
        errand: &Errand<'_>,
        deadline: Deadline,
    ) -> Result<(), ProbeError> {
        within(deadline, async {
            let _turn = self.turn.lock().await;
            let joined = self.join(network)?;
            let mut talk = joined.connect(probe).await?;
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

    fn join(&self, network: Network<'_>) -> Result<Joined<'_>, ProbeError> {
        let Network { ssid, passphrase } = network;
        let station =
            Association { mac: MAC, ssid: ssid.as_bytes(), passphrase: passphrase.expose() };
        let link = self.access_point.associate(&station).map_err(ProbeError::NotJoined)?;
        Ok(Joined { access_point: &self.access_point, link })
    }
}

/// While it lives the witness is joined.
struct Joined<'a> {
    access_point: &'a AccessPoint,
    link: Link,
}

impl Joined<'_> {
    async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, ProbeError> {
        let from = self.link.address;
        let address = match host.parse::<Ipv4Addr>() {
            Ok(literal) => literal,
            Err(_) => self
                .access_point
                .resolve(from, host)
                .ok_or_else(|| ProbeError::UnknownName { name: host.to_owned() })?,
        };
        let address = SocketAddrV4::new(address, port);
        let access_point = self.access_point.clone();
        tokio::task::spawn_blocking(move || access_point.connect_as_bench(from, address))
            .await
            .expect("connecting neither panics nor is cancelled")
            .and_then(|stream| {
                stream.set_nonblocking(true)?;
                TcpStream::from_std(stream)
            })
            .map_err(|source| ProbeError::Unreachable { address, source })
    }
}

impl Joined<'_> {
    async fn connect(&self, probe: &BrokerProbe<'_>) -> Result<Talk, ProbeError> {
        let stream = self.dial(probe.host, probe.port).await?;
        Talk::connect(secure(stream, probe).await?, probe).await
    }
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        self.access_point.leave(MAC);
    }
}

async fn within<T>(
    deadline: Deadline,
    probe: impl Future<Output = Result<T, ProbeError>>,
) -> Result<T, ProbeError> {
    timeout_at(deadline.instant(), probe)
        .await
        .unwrap_or(Err(ProbeError::TimedOut(deadline.allowed())))
}

async fn secure(
    stream: TcpStream,
    probe: &BrokerProbe<'_>,
) -> Result<TlsStream<TcpStream>, ProbeError> {
    let config = client_tls(probe.ca_pem, probe.client_certificate)?;
    let name = ServerName::try_from(probe.host.to_owned()).map_err(unusable("broker name"))?;
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
pub(super) fn client_tls(
    ca_pem: &str,
    identity: Option<&ClientIdentity>,
) -> Result<ClientConfig, ProbeError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(unusable("CA certificate"))?;
        roots.add(certificate).map_err(unusable("CA certificate"))?;
    }
    if roots.is_empty() {
        return Err(unusable("CA certificate")("there is none in it"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable("TLS versions"))?
        .with_root_certificates(roots);
    let Some(own) = identity else { return Ok(config.with_no_client_auth()) };
    let chain = CertificateDer::pem_slice_iter(own.chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(unusable("client certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(own.key.expose().as_bytes())
        .map_err(unusable("client key"))?;
    config.with_client_auth_cert(chain, key).map_err(unusable("client certificate"))
}

fn unusable<E: ToString>(part: &'static str) -> impl Fn(E) -> ProbeError {
    move |error| ProbeError::Unusable { part, reason: error.to_string() }
}
