//! The services of a bench: each listens from the first run that needs it on, once for all, and every run
//! gets a room of its own in it.
//!
//! Which one serves a run is told by the name that the run's unit knows it by, since its certificate
//! carries that name.

use std::{future::Future, sync::Arc};

use time::Duration;

use super::{
    Calls, ConfigServerOffer, Site, Testbed, TestbedConfig, TestbedError,
    air::{Air, AirPort},
    authority::{Authority, Issued},
    broker::{Account, Broker, BrokerConfig},
    ca::{CaEntrance, CertificateAuthorityApi},
    caller::{Borrower, Callers},
    config_server::{
        self, ConfigEntrance, ConfigServer, ConfigServerConfig, CreateUser, MakeCredentials,
    },
    fault::{Faults, TestbedFault},
    network::Network,
    reception::Reception,
    time_server::{TimeEntrance, TimeServer},
    update_server::{UpdateEntrance, UpdateServer},
};
use crate::{
    clock::Clock,
    profile::{Endpoint, Host},
};

/// Certificates of services are made anew for each bench, so they need not live long.
const VALIDITY: Duration = Duration::days(90);

/// The services that are running.
pub struct Services {
    base: Base,
    brokers: Vec<(BrokerKey, Broker)>,
    cas: Vec<(Names, CaEntrance)>,
    config_servers: Vec<(Names, ConfigEntrance)>,
    time_servers: Vec<((), Arc<TimeEntrance>)>,
    update_servers: Vec<(Names, UpdateEntrance)>,
}

/// What the certificate of a service names.
type Names = Vec<String>;

/// Whom a broker serves: its names, and whose certificates it asks for.
type BrokerKey = (Names, Option<(String, bool)>);

/// What every service is started with.
struct Base {
    air: Air,
    authority: Arc<Authority>,
    faults: Vec<TestbedFault>,
    clock: Clock,
}

impl Services {
    /// No service yet.
    pub fn new(air: Air, authority: Arc<Authority>, faults: &Faults, clock: Clock) -> Self {
        let faults = faults.list().to_vec();
        Self {
            base: Base { air, authority, faults, clock },
            brokers: Vec::new(),
            cas: Vec::new(),
            config_servers: Vec::new(),
            time_servers: Vec::new(),
            update_servers: Vec::new(),
        }
    }

    /// Where units stand.
    pub fn air(&self) -> &Air {
        &self.base.air
    }

    /// Surrounds a unit with what it must reach, each service started if it is not running yet; `joined` is
    /// the broker that is already there, see [`join_external`].
    ///
    /// # Errors
    /// [`TestbedError`] of the first service that does not start.
    pub async fn lend(
        &mut self,
        place: &AirPort,
        config: TestbedConfig,
        joined: Option<Broker>,
    ) -> Result<Testbed, TestbedError> {
        let run = place.run();
        let broker = match joined {
            Some(broker) => broker,
            None => self.broker(run, &config).await?,
        };
        let broker = Arc::new(broker);
        let (faults, clock) = (&self.base.faults, self.base.clock.clone());
        let network = self.base.air.surround(place, config.access_point, faults, clock);
        for endpoint in &config.broker_endpoints {
            let (host, port, address) = (endpoint.at(), endpoint.port(), broker.address());
            match broker.is_external() {
                true => network.redirect_for_bench(host, port, address)?,
                false => network.redirect(host, port, address)?,
            };
        }
        let ca = match &config.ca {
            Some(called) => Some(self.ca(run, called, network.as_ref()).await?),
            None => None,
        };
        let config_server = match config.config_server {
            Some(offer) => Some(self.config_server(run, offer, &broker, network.as_ref()).await?),
            None => None,
        };
        let time_server = match &config.time_server {
            Some((host, port)) => Some(self.time_server(run, host, *port, network.as_ref()).await?),
            None => None,
        };
        let update_server = match &config.update_server {
            Some((host, port)) => {
                Some(self.update_server(run, host, *port, network.as_ref()).await?)
            }
            None => None,
        };
        Ok(Testbed {
            network,
            broker,
            ca,
            config_server,
            time_server,
            update_server,
            authority: Arc::clone(&self.base.authority),
        })
    }

    async fn broker(
        &mut self,
        run: Borrower,
        config: &TestbedConfig,
    ) -> Result<Broker, TestbedError> {
        let base = &self.base;
        let clients = config.client_auth.as_ref();
        let clients = clients.map(|auth| (auth.ca_pem.clone(), auth.common_name_is_client_id));
        let key = (broker_names(&config.broker_endpoints), clients);
        let broker = running(&mut self.brokers, key, || base.broker(config)).await?;
        Ok(broker.lend(run, config.accounts.clone(), config.identity.clone())?)
    }

    async fn ca(
        &mut self,
        run: Borrower,
        (site, calls): &(Site, Calls),
        network: &dyn Network,
    ) -> Result<CertificateAuthorityApi, TestbedError> {
        let (base, names) = (&self.base, site.host.certificate_names());
        let ca = running(&mut self.cas, names, || base.ca(&site.host)).await?.lend(run);
        let address = if site.tls { ca.secure_address() } else { ca.address() };
        match calls {
            Calls::Unit => network.redirect(&site.host, site.port, address)?,
            Calls::Bench => network.redirect_for_bench(&site.host, site.port, address)?,
        };
        Ok(ca)
    }

    async fn config_server(
        &mut self,
        run: Borrower,
        offer: ConfigServerOffer,
        broker: &Arc<Broker>,
        network: &dyn Network,
    ) -> Result<ConfigServer, TestbedError> {
        let base = &self.base;
        let names = both_names(&offer.site.host, &offer.bench_calls);
        let servers = &mut self.config_servers;
        let server = running(servers, names.clone(), || base.config_server(&names)).await?;
        let site = offer.site.clone();
        let (config, elsewhere) = config_for(offer, broker);
        let server = server.lend(run, config).heeding(elsewhere);
        let address = if site.tls { server.secure_address() } else { server.address() };
        network.redirect(&site.host, site.port, address)?;
        Ok(server)
    }

    async fn time_server(
        &mut self,
        run: Borrower,
        host: &Host,
        port: u16,
        network: &dyn Network,
    ) -> Result<TimeServer, TestbedError> {
        let base = &self.base;
        let server = running(&mut self.time_servers, (), || base.time_server()).await?.lend(run);
        network.redirect_datagrams(host, port, server.address())?;
        Ok(server)
    }

    async fn update_server(
        &mut self,
        run: Borrower,
        host: &Host,
        port: u16,
        network: &dyn Network,
    ) -> Result<UpdateServer, TestbedError> {
        let base = &self.base;
        let servers = &mut self.update_servers;
        let server =
            running(servers, host.certificate_names(), || base.update_server(host)).await?;
        let server = server.lend(run);
        network.redirect(host, port, server.address())?;
        Ok(server)
    }
}

/// Joins the broker that is already there, if there is one. What it tells, it tells to one client of the
/// bench for each run; it may take its time, so no other run waits for it.
///
/// # Errors
/// [`TestbedError::Broker`].
pub async fn join_external(
    config: &TestbedConfig,
    (air, run): (&Air, Borrower),
) -> Result<Option<Broker>, TestbedError> {
    let Some((broker, topics)) = &config.external_broker else { return Ok(None) };
    let (callers, clock) = (air.callers().clone(), config.clock.clone());
    let over_site = air.site().map(|_| run);
    Ok(Some(Broker::use_external(broker, topics, callers, (clock, over_site)).await?))
}

/// The service of that key, started if there is none yet.
async fn running<K: PartialEq, S, F>(
    services: &mut Vec<(K, S)>,
    key: K,
    start: impl FnOnce() -> F,
) -> Result<&S, TestbedError>
where
    F: Future<Output = Result<S, TestbedError>>,
{
    let index = match services.iter().position(|(known, _)| *known == key) {
        Some(index) => index,
        None => {
            services.push((key, start().await?));
            services.len() - 1
        }
    };
    Ok(&services[index].1)
}

impl Base {
    /// Nobody has an account at it but in the room of a run.
    async fn broker(&self, config: &TestbedConfig) -> Result<Broker, TestbedError> {
        let endpoints = &config.broker_endpoints;
        let server = server_certificate(&self.authority, endpoints, &self.faults, &self.clock)?;
        let broker = BrokerConfig {
            client_auth: config.client_auth.clone(),
            callers: self.air.callers().clone(),
            reception: self.air.reception().clone(),
            runs_only: true,
            ..BrokerConfig::new(server, Vec::new())
        };
        Ok(match self.faults.contains(&TestbedFault::BrokerDown) {
            true => Broker::start_down(broker, self.clock.clone()).await?,
            false => Broker::start(broker, self.clock.clone()).await?,
        })
    }

    async fn ca(&self, host: &Host) -> Result<CaEntrance, TestbedError> {
        let (authority, names) = (Arc::clone(&self.authority), host.certificate_names());
        let (faults, clock) = (&self.faults, self.clock.clone());
        Ok(CaEntrance::open(&names, authority, faults, self.announced(), clock).await?)
    }

    async fn config_server(&self, names: &[String]) -> Result<ConfigEntrance, TestbedError> {
        let certificate = self.authority.issue_server(names, VALIDITY)?;
        let (faults, clock) = (&self.faults, self.clock.clone());
        Ok(ConfigEntrance::open(&certificate, faults, self.announced(), clock).await?)
    }

    async fn time_server(&self) -> Result<Arc<TimeEntrance>, TestbedError> {
        let callers = self.air.callers();
        let opened = TimeEntrance::open(self.clock.clone(), &self.faults, callers).await;
        opened.map_err(TestbedError::TimeServer)
    }

    async fn update_server(&self, host: &Host) -> Result<UpdateEntrance, TestbedError> {
        let certificate = self.certificate(host)?;
        let (faults, clock) = (&self.faults, self.clock.clone());
        Ok(UpdateEntrance::open(&certificate, faults, self.announced(), clock).await?)
    }

    /// Whose connections are whose, and who hears of visitors.
    fn announced(&self) -> (&Callers, &Reception) {
        (self.air.callers(), self.air.reception())
    }

    fn certificate(&self, host: &Host) -> Result<Issued, TestbedError> {
        Ok(self.authority.issue_server(&host.certificate_names(), VALIDITY)?)
    }
}

/// Of one server that two may call by different names.
fn both_names(one: &Host, other: &Host) -> Vec<String> {
    let mut names = one.certificate_names();
    names.extend(other.certificate_names());
    names.sort();
    names.dedup();
    names
}

/// What the configuration server is for one run: its first call may let the unit's account in.
fn config_for(
    offer: ConfigServerOffer,
    broker: &Arc<Broker>,
) -> (ConfigServerConfig, config_server::Elsewhere) {
    let ConfigServerOffer { token, path, credentials: planned, creates_user, .. } = offer;
    let elsewhere = config_server::Elsewhere::default();
    let given = Arc::clone(&elsewhere);
    let credentials: MakeCredentials = Arc::new(move |device_id: &str| {
        let planned = planned(device_id);
        let password = given.get().unwrap_or(&planned.password).clone();
        config_server::Credentials { password, ..planned }
    });
    let create_user: CreateUser = {
        // The broker must not be kept by a server that it may outlive.
        let (broker, credentials) = (Arc::downgrade(broker), Arc::clone(&credentials));
        Arc::new(move |device_id: &str| {
            if creates_user && let Some(broker) = broker.upgrade() {
                let config_server::Credentials { username, password } = credentials(device_id);
                broker.grant(Account { username, password, client_id: None });
            }
        })
    };
    let config = ConfigServerConfig {
        token,
        path,
        credentials,
        create_user,
        provisioned_host: offer.provisioned_host,
        configured_host: offer.configured_host,
    };
    (config, elsewhere)
}

/// What a broker's certificate names: the hosts of its endpoints, and this machine.
fn broker_names(endpoints: &[Endpoint]) -> Names {
    let mut names = Names::new();
    let hosts = endpoints.iter().flat_map(|endpoint| endpoint.at().certificate_names());
    for name in hosts.chain(["localhost".to_owned(), "127.0.0.1".to_owned()]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A certificate for all endpoint names, from an unknown CA if that fault is asked for.
fn server_certificate(
    authority: &Authority,
    endpoints: &[Endpoint],
    faults: &[TestbedFault],
    clock: &Clock,
) -> Result<Issued, TestbedError> {
    let names = broker_names(endpoints);
    let issued = if faults.contains(&TestbedFault::BrokerUnknownCa) {
        Authority::create(clock.clone())?.issue_server(&names, VALIDITY)?
    } else {
        authority.issue_server(&names, VALIDITY)?
    };
    Ok(issued)
}
