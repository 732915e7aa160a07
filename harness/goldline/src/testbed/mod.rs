//! What a unit must reach: access point, DNS, MQTTS broker, certificate authority, configuration server,
//! time, updates. Only what is asked for is started.
//!
//! Each service is real on its wire (TLS, MQTT, HTTP), records what it saw, and can be waited on.
//! Must not import the engine, plans, checks or devices: it is told what to offer, and it judges
//! nobody. Everything ends when the [`Testbed`] is dropped.

pub mod access_point;
pub mod air;
pub mod authority;
pub mod broker;
pub mod ca;
pub mod caller;
mod closed_port;
pub mod config_server;
pub mod event_log;
pub mod fault;
pub mod room;
pub mod time_server;
pub mod tls_front;
pub mod update_server;
pub mod witness;

use std::{io, net::SocketAddr, sync::Arc};

use time::Duration;

use crate::{clock::Clock, profile::Endpoint, secret::Secret};
use access_point::{AccessPoint, AccessPointConfig, TooManyNames};
use air::{Air, AirPort};
use authority::{Authority, AuthorityError, Issued};
use broker::{Account, Broker, BrokerConfig, BrokerError, ClientAuth, ExternalBroker};
use ca::{CaError, CertificateAuthorityApi};
use config_server::{ConfigServer, ConfigServerConfig, CreateUser, MakeCredentials};
use fault::TestbedFault;
use time_server::TimeServer;
use tls_front::TlsFrontError;
use update_server::UpdateServer;
use witness::Witness;

/// The broker's certificate is made anew for each testbed, so it need not live long.
const SERVER_VALIDITY: Duration = Duration::days(90);

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
    /// An HTTPS service does not start.
    #[error(transparent)]
    Front(#[from] TlsFrontError),
    /// The time server does not start.
    #[error("the time server cannot listen: {0}; free a UDP port")]
    TimeServer(io::Error),
    /// Too many names are redirected.
    #[error(transparent)]
    AccessPoint(#[from] TooManyNames),
}

/// What the testbed offers.
pub struct TestbedConfig {
    /// Issues the broker's certificate and signs devices.
    pub authority: Arc<Authority>,
    /// The network.
    pub access_point: AccessPointConfig,
    /// The addresses that the broker answers for; its certificate carries their names.
    pub broker_endpoints: Vec<Endpoint>,
    /// Who may connect to the broker from the start; more come with [`Broker::grant`].
    pub accounts: Vec<Account>,
    /// Whether clients of the broker need a certificate.
    pub client_auth: Option<ClientAuth>,
    /// The broker that is already there, in place of one of the testbed's, and what to listen to on it.
    pub external_broker: Option<(ExternalBroker, Vec<String>)>,
    /// Where the CA is found, if there is to be one.
    pub ca: Option<Site>,
    /// The provisioning and configuration server, if there is to be one.
    pub config_server: Option<ConfigServerOffer>,
    /// Name and UDP port of the time server, if there is to be one.
    pub time_server: Option<(String, u16)>,
    /// Name and port of the update server, if there is to be one.
    pub update_server: Option<(String, u16)>,
    /// What is wrong with it on purpose.
    pub faults: Vec<TestbedFault>,
    /// The time of day for certificates and logs.
    pub clock: Clock,
}

/// Where units find a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS there.
    pub tls: bool,
}

/// A provisioning and configuration server to start.
pub struct ConfigServerOffer {
    /// Where it is found.
    pub site: Site,
    /// What authorises a provisioner.
    pub token: Secret,
    /// Makes the account of a device id, for the answer and for the broker.
    pub credentials: MakeCredentials,
    /// Whether a unit's first call lets its account in at the broker.
    pub creates_user: bool,
    /// The MQTT host in the credentials.
    pub provisioned_host: String,
    /// The MQTT host in a unit's configuration.
    pub configured_host: String,
}

/// A running testbed.
#[derive(Debug)]
pub struct Testbed {
    /// Where units join.
    pub access_point: AccessPoint,
    /// Where units connect.
    pub broker: Arc<Broker>,
    /// Where devices register.
    pub ca: Option<CertificateAuthorityApi>,
    /// Where units get credentials and configuration.
    pub config_server: Option<ConfigServer>,
    /// What tells units the time.
    pub time_server: Option<TimeServer>,
    /// Where units download updates.
    pub update_server: Option<UpdateServer>,
    /// The bench's own station.
    pub witness: Witness,
    authority: Arc<Authority>,
}

impl Testbed {
    /// Starts every service on free loopback ports, for one run alone. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`TestbedError`] of the first service that does not start; those already started end.
    pub async fn start(config: TestbedConfig) -> Result<Self, TestbedError> {
        let air = Air::default();
        let place = air.place();
        let broker = Self::open_broker(&config, &air).await?;
        Self::around(config, &air, &place, broker).await
    }

    /// The broker of a configuration, for whoever comes.
    ///
    /// # Errors
    /// [`TestbedError`] of a broker.
    pub async fn open_broker(config: &TestbedConfig, air: &Air) -> Result<Broker, TestbedError> {
        let (authority, clock, faults) = (&config.authority, &config.clock, &config.faults);
        let callers = air.callers().clone();
        if let Some((broker, topics)) = &config.external_broker {
            return Ok(Broker::use_external(broker, topics, callers, clock.clone()).await?);
        }
        let server = server_certificate(authority, &config.broker_endpoints, faults, clock)?;
        let broker = BrokerConfig {
            client_auth: config.client_auth.clone(),
            callers,
            ..BrokerConfig::new(server, config.accounts.clone())
        };
        Ok(match faults.contains(&TestbedFault::BrokerDown) {
            true => Broker::start_down(broker, clock.clone()).await?,
            false => Broker::start(broker, clock.clone()).await?,
        })
    }

    /// Surrounds a unit with what it must reach, that broker among it.
    ///
    /// # Errors
    /// As [`Testbed::start`].
    pub async fn around(
        config: TestbedConfig,
        air: &Air,
        place: &AirPort,
        broker: Broker,
    ) -> Result<Self, TestbedError> {
        let TestbedConfig { authority, clock, faults, .. } = config;
        let broker = Arc::new(broker);
        let access_point = air.surround(place, config.access_point, &faults, clock.clone());
        for endpoint in &config.broker_endpoints {
            access_point.redirect(endpoint.host(), endpoint.port(), broker.address())?;
        }
        let base =
            Base { authority: &authority, access_point: &access_point, faults: &faults, clock };
        let ca = match config.ca {
            Some(site) => Some(base.ca(site).await?),
            None => None,
        };
        let config_server = match config.config_server {
            Some(offer) => Some(base.config_server(offer, &broker).await?),
            None => None,
        };
        let time_server = match config.time_server {
            Some((name, port)) => Some(base.time_server(&name, port).await?),
            None => None,
        };
        let update_server = match config.update_server {
            Some((name, port)) => Some(base.update_server(&name, port).await?),
            None => None,
        };
        let witness = Witness::new(access_point.clone());
        Ok(Self {
            access_point,
            broker,
            ca,
            config_server,
            time_server,
            update_server,
            witness,
            authority,
        })
    }

    /// Where the CA listens, with TLS or without.
    pub fn ca_address(&self, tls: bool) -> Option<SocketAddr> {
        let ca = self.ca.as_ref()?;
        Some(if tls { ca.secure_address() } else { ca.address() })
    }

    /// Where the provisioning and configuration server listens, with TLS or without.
    pub fn config_server_address(&self, tls: bool) -> Option<SocketAddr> {
        let server = self.config_server.as_ref()?;
        Some(if tls { server.secure_address() } else { server.address() })
    }

    /// Who issued the broker's certificate, unless a fault says otherwise.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

/// What every service is started with.
struct Base<'a> {
    authority: &'a Arc<Authority>,
    access_point: &'a AccessPoint,
    faults: &'a [TestbedFault],
    clock: Clock,
}

impl Base<'_> {
    async fn ca(&self, site: Site) -> Result<CertificateAuthorityApi, TestbedError> {
        let (authority, clock) = (Arc::clone(self.authority), self.clock.clone());
        let names = [site.host.clone()];
        let ca = CertificateAuthorityApi::start_as(&names, authority, self.faults, clock).await?;
        let address = if site.tls { ca.secure_address() } else { ca.address() };
        self.access_point.redirect(&site.host, site.port, address)?;
        Ok(ca)
    }

    async fn config_server(
        &self,
        offer: ConfigServerOffer,
        broker: &Arc<Broker>,
    ) -> Result<ConfigServer, TestbedError> {
        let ConfigServerOffer { site, token, credentials, creates_user, .. } = offer;
        let create_user: CreateUser = {
            let (broker, credentials) = (Arc::clone(broker), Arc::clone(&credentials));
            Arc::new(move |device_id: &str| {
                if creates_user {
                    let config_server::Credentials { username, password } = credentials(device_id);
                    broker.grant(Account { username, password, client_id: None });
                }
            })
        };
        let config = ConfigServerConfig {
            certificate: self
                .authority
                .issue_server(std::slice::from_ref(&site.host), SERVER_VALIDITY)?,
            token,
            credentials,
            create_user,
            provisioned_host: offer.provisioned_host,
            configured_host: offer.configured_host,
        };
        let server = ConfigServer::start(config, self.faults, self.clock.clone()).await?;
        let address = if site.tls { server.secure_address() } else { server.address() };
        self.access_point.redirect(&site.host, site.port, address)?;
        Ok(server)
    }

    async fn time_server(&self, name: &str, port: u16) -> Result<TimeServer, TestbedError> {
        let server = TimeServer::start(self.clock.clone(), self.faults).await;
        let server = server.map_err(TestbedError::TimeServer)?;
        self.access_point.redirect_datagrams(name, port, server.address())?;
        Ok(server)
    }

    async fn update_server(&self, name: &str, port: u16) -> Result<UpdateServer, TestbedError> {
        let certificate = self.authority.issue_server(&[name.to_owned()], SERVER_VALIDITY)?;
        let server = UpdateServer::start(&certificate, self.faults, self.clock.clone()).await?;
        self.access_point.redirect(name, port, server.address())?;
        Ok(server)
    }
}

/// A certificate for all endpoint names, from an unknown CA if that fault is asked for.
fn server_certificate(
    authority: &Authority,
    endpoints: &[Endpoint],
    faults: &[TestbedFault],
    clock: &Clock,
) -> Result<Issued, TestbedError> {
    let mut names: Vec<String> = Vec::new();
    let hosts = endpoints.iter().map(|endpoint| endpoint.host());
    for host in hosts.chain(["localhost", "127.0.0.1"]) {
        if !names.iter().any(|name| name == host) {
            names.push(host.to_owned());
        }
    }
    let issued = if faults.contains(&TestbedFault::BrokerUnknownCa) {
        Authority::create(clock.clone())?.issue_server(&names, SERVER_VALIDITY)?
    } else {
        authority.issue_server(&names, SERVER_VALIDITY)?
    };
    Ok(issued)
}
