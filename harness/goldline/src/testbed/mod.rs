//! What a unit must reach: access point, DNS, MQTTS broker, certificate authority.
//!
//! Each service is real on its wire (TLS, MQTT, HTTP), records what it saw, and can be waited on.
//! Must not import the engine, plans, checks or devices: it is told what to offer, and it judges
//! nobody. Everything ends when the [`Testbed`] is dropped.

pub mod access_point;
mod air;
pub mod authority;
pub mod broker;
pub mod ca;
pub mod event_log;
pub mod fault;
pub mod witness;

use std::{net::SocketAddr, sync::Arc};

use time::Duration;

use crate::{clock::Clock, profile::Endpoint};
use access_point::{AccessPoint, AccessPointConfig, TooManyNames};
use authority::{Authority, AuthorityError, Issued};
use broker::{Account, Broker, BrokerConfig, BrokerError, ClientAuth};
use ca::{CaError, CertificateAuthorityApi};
use fault::TestbedFault;
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
    /// What is wrong with it on purpose.
    pub faults: Vec<TestbedFault>,
    /// The time of day for certificates and logs.
    pub clock: Clock,
}

/// A running testbed.
#[derive(Debug)]
pub struct Testbed {
    /// Where units join.
    pub access_point: AccessPoint,
    /// Where units connect.
    pub broker: Broker,
    /// Where devices register.
    pub ca: CertificateAuthorityApi,
    /// The bench's own station.
    pub witness: Witness,
    authority: Arc<Authority>,
}

impl Testbed {
    /// Starts every service on free loopback ports. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`TestbedError`] of the first service that does not start; those already started end.
    pub async fn start(config: TestbedConfig) -> Result<Self, TestbedError> {
        let TestbedConfig { authority, clock, faults, .. } = config;
        let server = server_certificate(&authority, &config.broker_endpoints, &faults, &clock)?;
        let broker_config = BrokerConfig {
            client_auth: config.client_auth,
            ..BrokerConfig::new(server, config.accounts)
        };
        let broker = if faults.contains(&TestbedFault::BrokerDown) {
            Broker::start_down(broker_config, clock.clone()).await?
        } else {
            Broker::start(broker_config, clock.clone()).await?
        };
        let ca = CertificateAuthorityApi::start(Arc::clone(&authority), clock.clone()).await?;
        let access_point = AccessPoint::start(config.access_point, &faults, clock);
        for endpoint in &config.broker_endpoints {
            access_point.redirect(endpoint.host(), endpoint.port(), broker.address())?;
        }
        let witness = Witness::new(access_point.clone());
        Ok(Self { access_point, broker, ca, witness, authority })
    }

    /// Where the CA listens, with TLS or without.
    pub fn ca_address(&self, tls: bool) -> Option<SocketAddr> {
        (!tls).then(|| self.ca.address())
    }

    /// Where the provisioning and configuration server listens, with TLS or without.
    pub fn config_server_address(&self, _tls: bool) -> Option<SocketAddr> {
        None
    }

    /// Who issued the broker's certificate, unless a fault says otherwise.
    pub fn authority(&self) -> &Authority {
        &self.authority
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
