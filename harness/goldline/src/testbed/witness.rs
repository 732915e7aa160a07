//! The bench's own station: it does what the unit should do, with the plan's credentials.
//!
//! When a unit fails on a service, a probe of this witness tells whose fault it is: a probe that
//! succeeds shows that the service was sound. It goes the unit's way (association, the access
//! point's DNS, TLS with the name checked, MQTT), as a station of its own. Must not judge.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::Arc,
};

use rumqttc::mqttbytes::{
    Error as CodecError,
    v4::{Connect, ConnectReturnCode, Packet},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Mutex,
    time::timeout_at,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::bytes::BytesMut;

use super::{
    access_point::{AccessPoint, Association, Link, Refusal},
    authority::Issued,
};
use crate::{clock::Deadline, secret::Secret};

/// The witness's own address in the access point's log; locally administered, so it is no unit's.
pub const MAC: [u8; 6] = [0x02, 0x67, 0x6f, 0x6c, 0x64, 0x01];
const CLIENT_ID: &str = "goldline-witness";
const MAX_PACKET_BYTES: usize = 4096;

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
    pub client_certificate: Option<&'a Issued>,
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
            let stream = joined.dial(probe.host, probe.port).await?;
            let stream = secure(stream, probe).await?;
            connect(stream, probe).await
        })
        .await
    }

    fn join(&self, network: Network<'_>) -> Result<Joined<'_>, ProbeError> {
        let Network { ssid, passphrase } = network;
        let station = Association { mac: MAC, ssid, passphrase: passphrase.expose() };
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
        tokio::task::spawn_blocking(move || access_point.connect(from, address))
            .await
            .expect("connecting neither panics nor is cancelled")
            .and_then(|stream| {
                stream.set_nonblocking(true)?;
                TcpStream::from_std(stream)
            })
            .map_err(|source| ProbeError::Unreachable { address, source })
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
    let config = tls_config(probe)?;
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

fn tls_config(probe: &BrokerProbe<'_>) -> Result<ClientConfig, ProbeError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(probe.ca_pem.as_bytes()) {
        let certificate = certificate.map_err(unusable("CA certificate"))?;
        roots.add(certificate).map_err(unusable("CA certificate"))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable("TLS versions"))?
        .with_root_certificates(roots);
    let Some(own) = probe.client_certificate else { return Ok(config.with_no_client_auth()) };
    let chain = CertificateDer::pem_slice_iter(own.signed.chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(unusable("client certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(own.key.expose().as_bytes())
        .map_err(unusable("client key"))?;
    config.with_client_auth_cert(chain, key).map_err(unusable("client certificate"))
}

fn unusable<E: ToString>(part: &'static str) -> impl Fn(E) -> ProbeError {
    move |error| ProbeError::Unusable { part, reason: error.to_string() }
}

async fn connect(
    mut stream: TlsStream<TcpStream>,
    probe: &BrokerProbe<'_>,
) -> Result<(), ProbeError> {
    let mut packet = Connect::new(probe.client_id.unwrap_or(CLIENT_ID));
    if let Some((username, password)) = probe.credentials {
        packet.set_login(username, password.expose());
    }
    write(&mut stream, Packet::Connect(packet)).await?;
    let answer = read(&mut stream).await?;
    let Packet::ConnAck(answer) = answer else {
        return Err(ProbeError::Broken("the first packet is not a CONNACK".to_owned()));
    };
    match answer.code {
        ConnectReturnCode::Success => {}
        ConnectReturnCode::BadUserNamePassword => return Err(ProbeError::BadCredentials),
        ConnectReturnCode::NotAuthorized => return Err(ProbeError::NotAuthorized),
        other => return Err(ProbeError::Refused { code: other as u8 }),
    }
    write(&mut stream, Packet::Disconnect).await
}

async fn write(stream: &mut TlsStream<TcpStream>, packet: Packet) -> Result<(), ProbeError> {
    let mut bytes = BytesMut::new();
    packet.write(&mut bytes, MAX_PACKET_BYTES).map_err(broken)?;
    stream.write_all(&bytes).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

async fn read(stream: &mut TlsStream<TcpStream>) -> Result<Packet, ProbeError> {
    let mut bytes = BytesMut::new();
    loop {
        match Packet::read(&mut bytes, MAX_PACKET_BYTES) {
            Ok(packet) => return Ok(packet),
            Err(CodecError::InsufficientBytes(_)) => {}
            Err(error) => return Err(broken(error)),
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) => return Err(ProbeError::Broken("it closed the connection".to_owned())),
            Ok(_) => {}
            // With TLS 1.3 a refused client certificate shows only when the client reads.
            Err(error) => return Err(refused_after_handshake(&error)),
        }
    }
}

fn refused_after_handshake(error: &io::Error) -> ProbeError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => ProbeError::TlsFailed(format!("{alert:?}")),
        _ => broken(error),
    }
}

fn broken(error: impl ToString) -> ProbeError {
    ProbeError::Broken(error.to_string())
}
