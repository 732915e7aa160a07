//! What a unit must reach: network, DNS, MQTTS broker, certificate authority, configuration server,
//! time, updates. Only what is asked for is started.
//!
//! Each service is real on its wire (TLS, MQTT, HTTP), records what it saw, and can be waited on.
//! Must not import the engine, plans, checks or devices: it is told what to offer, and it judges
//! nobody. Services listen once ([`Services`]); what a run is lent of them ends with its [`Testbed`].

pub mod access_point;
pub mod air;
pub mod authority;
pub mod broker;
pub mod ca;
pub mod caller;
mod closed_port;
pub mod config_server;
mod dns;
mod doors;
mod entrance;
pub mod event_log;
pub mod fault;
pub mod hostapd;
pub mod http_server;
pub mod nat;
pub mod network;
pub mod nic;
pub mod reception;
pub mod room;
pub mod server_tls;
mod services;
pub mod site;
pub mod time_server;
pub mod update_server;
pub mod visits;
pub mod wire;

use std::{future::Future, io, net::SocketAddr, pin::Pin, sync::Arc};

use tokio::{net::TcpStream, task::spawn_blocking};

use crate::{
    client::http::Dial,
    clock::Clock,
    profile::{Endpoint, Host},
    secret::Secret,
};
use access_point::AccessPointConfig;
use air::Air;
use authority::{Authority, AuthorityError};
use broker::{Account, Broker, BrokerError, ClientAuth, ExternalBroker, UnitIdentity};
use ca::{CaError, CertificateAuthorityApi};
use config_server::{ConfigServer, MakeCredentials};
use fault::Faults;
use http_server::HttpServerError;
use network::{Network, NetworkKind, NoRedirect};
pub use services::{Services, join_external};
use time_server::TimeServer;
use update_server::UpdateServer;

/// Why the testbed does not start.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// A certificate cannot be issued.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The broker does not start.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The CA's API does not start.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// An HTTP service does not start.
    #[error(transparent)]
    Http(#[from] HttpServerError),
    /// The time server does not start.
    #[error("the time server cannot listen: {0}; free a UDP port")]
    TimeServer(io::Error),
    /// A unit cannot be led to a service.
    #[error(transparent)]
    Redirect(#[from] NoRedirect),
}

impl TestbedError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<&'static str> {
        match self {
            Self::Broker(error) => error.action(),
            Self::Redirect(error) => error.action(),
            _ => None,
        }
    }
}

/// What the testbed offers.
pub struct TestbedConfig {
    /// Issues the broker's certificate and signs devices.
    pub authority: Arc<Authority>,
    /// The network that units are to join.
    pub access_point: AccessPointConfig,
    /// The addresses that the broker answers for; its certificate carries their names.
    pub broker_endpoints: Vec<Endpoint>,
    /// Who may connect to the broker from the start; more come with [`Broker::grant`].
    pub accounts: Vec<Account>,
    /// By what the unit is told apart where nobody announces it.
    pub identity: Option<UnitIdentity>,
    /// Whether clients of the broker need a certificate.
    pub client_auth: Option<ClientAuth>,
    /// The broker that is already there, in place of one of the testbed's, and what to listen to on it.
    pub external_broker: Option<(ExternalBroker, Vec<String>)>,
    /// Where the CA is found and by whom, if there is to be one.
    pub ca: Option<(Site, Calls)>,
    /// The provisioning and configuration server, if there is to be one.
    pub config_server: Option<ConfigServerOffer>,
    /// Name and UDP port of the time server, if there is to be one.
    pub time_server: Option<(Host, u16)>,
    /// Name and port of the update server, if there is to be one.
    pub update_server: Option<(Host, u16)>,
    /// What is wrong with it on purpose.
    pub faults: Faults,
    /// The time of day for certificates and logs.
    pub clock: Clock,
}

/// Who calls a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Calls {
    /// Units, wherever they are.
    Unit,
    /// The bench alone.
    Bench,
}

/// Where units find a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Its name or address.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS there.
    pub tls: bool,
}

/// A provisioning and configuration server to start.
pub struct ConfigServerOffer {
    /// Where units find it.
    pub site: Site,
    /// What the bench calls it: its certificate names that too.
    pub bench_calls: Host,
    /// What authorises a provisioner.
    pub token: Secret,
    /// The path of this unit's configuration.
    pub path: String,
    /// Makes the account of a device id, for the answer and for the broker.
    pub credentials: MakeCredentials,
    /// Whether a unit's first call lets its account in at the broker.
    pub creates_user: bool,
    /// The MQTT host in the credentials.
    pub provisioned_host: String,
    /// The MQTT host in a unit's configuration.
    pub configured_host: String,
}

/// What one run is lent.
#[derive(Debug)]
pub struct Testbed {
    /// What its unit joins.
    pub network: Arc<dyn Network>,
    /// Where its unit connects.
    pub broker: Arc<Broker>,
    /// Where devices register.
    pub ca: Option<CertificateAuthorityApi>,
    /// Where units get credentials and configuration.
    pub config_server: Option<ConfigServer>,
    /// What tells units the time.
    pub time_server: Option<TimeServer>,
    /// Where units download updates.
    pub update_server: Option<UpdateServer>,
    authority: Arc<Authority>,
}

impl Testbed {
    /// Starts every service on free loopback ports, for one run alone. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`TestbedError`] of the first service that does not start; those already started end.
    pub async fn start(config: TestbedConfig) -> Result<Self, TestbedError> {
        let TestbedConfig { authority, faults, clock, .. } = &config;
        let air = Air::new(NetworkKind::default());
        let mut services = Services::new(air, Arc::clone(authority), faults, clock.clone());
        let place = services.air().place();
        let joined = join_external(&config, (services.air(), place.run())).await?;
        services.lend(&place, config, joined).await
    }

    /// The bench's own way to the CA, with TLS or without.
    pub fn way_to_ca(&self, tls: bool) -> Option<BenchWay> {
        let ca = self.ca.as_ref()?;
        Some(self.way_to(if tls { ca.secure_address() } else { ca.address() }))
    }

    /// The bench's own way to the provisioning and configuration server, with TLS or without.
    pub fn way_to_config_server(&self, tls: bool) -> Option<BenchWay> {
        let server = self.config_server.as_ref()?;
        Some(self.way_to(if tls { server.secure_address() } else { server.address() }))
    }

    fn way_to(&self, service: SocketAddr) -> BenchWay {
        BenchWay { network: Arc::clone(&self.network), service }
    }

    /// Who issued the broker's certificate, unless a fault says otherwise.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

/// The way that the bench itself goes to a service for a run, whatever name it calls it by.
pub struct BenchWay {
    network: Arc<dyn Network>,
    service: SocketAddr,
}

impl Dial for BenchWay {
    fn dial<'a>(
        &'a self,
        _: &'a str,
        _: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + 'a>> {
        let (network, service) = (Arc::clone(&self.network), self.service);
        Box::pin(async move {
            let opened = spawn_blocking(move || network.open_for_bench(service));
            let stream = opened.await.map_err(io::Error::other)??;
            stream.set_nonblocking(true)?;
            TcpStream::from_std(stream)
        })
    }
}
