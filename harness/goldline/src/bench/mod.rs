//! The bench: testbed, network and authority, started once for a command and lent to every run in it.
//!
//! A run borrows and never owns. What it is lent (network, names, accounts, topics, logs) is a room of
//! its own in each service, which no other run's unit can enter, and which ends with the run; nothing is
//! left behind, and the end of one run locks out no other. Must not judge, knows no steps, and
//! its probes see of a service what a unit sees: what is wrong with it on purpose is passed on unread.

mod offer;
pub mod probe;
mod successes;

use std::{io, net::SocketAddr, os::fd::OwnedFd, path::Path, sync::Arc};

use goldline_simulator::World;
pub use successes::Successes;
use tokio::sync::Mutex;

use crate::{
    client::http::HttpError,
    clock::Clock,
    identity::Mac,
    plan::{BoundPlan, NotLearnt},
    profile::{HostError, Interface, UnboundSymbol},
    testbed::{
        Services, Testbed, TestbedError,
        air::{Air, AirPort},
        authority::Authority,
        broker::ExternalBroker,
        fault::Faults,
        hostapd::HostapdError,
        join_external,
        nat::EmulatedAccessPoint,
        network::NetworkKind,
        nic::{NoNic, SecondUnit},
        site::{Site, SitePlace},
        visits::Visitor,
        wire::Loss,
    },
};

/// Why the bench cannot be lent to a run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A service does not start.
    #[error(transparent)]
    Testbed(#[from] TestbedError),
    /// Two units cannot be told apart.
    #[error(transparent)]
    SecondUnit(#[from] SecondUnit),
    /// The access point that is asked serves another network.
    #[error(transparent)]
    OtherNetwork(#[from] HostapdError),
    /// The network's password is somebody's.
    #[error(
        "the network's password is not the profile's sample, and would stand in the arguments of the emulator, where every user of the machine can read it"
    )]
    PasswordInArguments,
    /// A service is for what the run has not learnt.
    #[error(transparent)]
    NotLearnt(#[from] NotLearnt),
    /// A template of a service names a value that nobody gave.
    #[error(transparent)]
    Unbound(#[from] UnboundSymbol),
    /// Where a service should be is no host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Where a service should be is no URL.
    #[error("{url}: {reason}")]
    Url {
        /// What the plan says.
        url: String,
        /// What is wrong with it.
        reason: HttpError,
    },
}

/// A service that is already there.
#[derive(Clone, Debug)]
pub struct External {
    /// Where it is, instead of where the plan says.
    pub url: String,
    /// PEM of the CA that its certificate must come of.
    pub trust: Option<String>,
}

/// What the bench is like, whatever the unit.
pub struct BenchConfig {
    /// What lies between its units and its services.
    pub network: NetworkKind,
    /// The CA of the bench.
    pub authority: Arc<Authority>,
    /// What is made wrong with the testbed on purpose.
    pub faults: Faults,
    /// The broker that is already there; without it the testbed's serves.
    pub broker: Option<ExternalBroker>,
    /// The CA that is already there; without it the testbed's answers.
    pub ca: Option<External>,
    /// Why real units may be led to the bench's servers, for the record.
    pub redirected_because: Option<String>,
    /// PEM of the root that a certificate of that CA must come of; without it, the answer's own counts.
    pub ca_root: Option<String>,
    /// The provisioning server that is already there; without it the testbed's answers.
    pub config_server: Option<External>,
    /// How the bench gets into the networks that its units open, where they are real.
    pub visitor: Option<Visitor>,
    /// The time of day.
    pub clock: Clock,
}

/// A bench, and the services in it that some run has asked for.
pub struct Bench {
    config: BenchConfig,
    air: Air,
    services: Mutex<Services>,
    successes: Successes,
}

/// Where one unit stands: its way to the network, and to nothing else. Its link ends with it.
#[derive(Clone, Debug)]
pub struct Place(Arc<AirPort>);

impl Place {
    /// What surrounds a simulated unit here.
    pub fn world(&self) -> Arc<dyn World> {
        Arc::clone(&self.0) as Arc<dyn World>
    }

    /// A new link for a unit of another process: its end of a pair of sockets, which an emulator inherits
    /// (QEMU: `-nic socket,fd=N`). An earlier link ends; frames that come before the run is lent its network
    /// are lost.
    ///
    /// # Errors
    /// `Unsupported` where the network is no wire, and the operating system's own.
    pub fn plug(&self) -> io::Result<OwnedFd> {
        self.0.wire()?.plug()
    }

    /// What an emulator's guest is to find, once the run is lent its network.
    ///
    /// # Errors
    /// `NetworkUnreachable` before, and where the network is no NAT.
    pub fn emulated_access_point(&self) -> io::Result<EmulatedAccessPoint> {
        Ok(self.0.nat()?.access_point().clone())
    }

    /// The guest's connections are from here on those of the process group that this one leads.
    ///
    /// # Errors
    /// As [`Self::emulated_access_point`].
    pub fn attach_guest(&self, leader: u32, mac: Mac) -> io::Result<()> {
        self.0.nat()?.attach(leader, mac);
        Ok(())
    }

    /// Waits for the unit's link as a TCP connection; says where.
    ///
    /// # Errors
    /// As [`Self::plug`].
    pub fn listen(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        self.0.wire()?.listen(address)
    }

    /// What the services are to see when the unit's link ends.
    ///
    /// # Errors
    /// `Unsupported` where the network is no wire.
    pub fn on_loss(&self, loss: Loss) -> io::Result<()> {
        self.0.wire()?.on_loss(loss);
        Ok(())
    }
}

impl Bench {
    /// A bench whose services start when the first run needs them.
    pub fn new(config: BenchConfig) -> Self {
        let air = Air::new(config.network);
        Self::on(air, config)
    }

    /// A bench on an interface that it has for itself, whatever network the configuration names; with the hostapd at that
    /// socket as witness of who comes over it, if one is named. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`NoNic`] says why the interface cannot be had.
    pub fn on_interface(
        name: &str,
        hostapd: Option<&Path>,
        config: BenchConfig,
    ) -> Result<Self, NoNic> {
        let air = Air::on_interface(name, hostapd, config.clock.clone())?;
        Ok(Self::on(air, BenchConfig { network: NetworkKind::Nic, ..config }))
    }

    /// A bench on the network of a site, whatever network the configuration names. Needs a tokio runtime.
    pub fn on_site(place: SitePlace, config: BenchConfig) -> Self {
        Self::on(Air::on_site(place), BenchConfig { network: NetworkKind::Site, ..config })
    }

    /// Where it is on the network of a site, where units are on that.
    pub fn site(&self) -> Option<&Site> {
        self.air.site()
    }

    fn on(air: Air, config: BenchConfig) -> Self {
        let BenchConfig { authority, faults, clock, .. } = &config;
        let services = Services::new(air.clone(), Arc::clone(authority), faults, clock.clone());
        Self { air, services: Mutex::new(services), successes: Successes::default(), config }
    }

    /// A place for the unit of one run. Needs a tokio runtime.
    pub fn place(&self) -> Place {
        Place(self.air.place())
    }

    /// Lends a run what its unit must reach; what is lent comes back when the [`Testbed`] is dropped.
    ///
    /// # Errors
    /// [`BenchError`] of the first service that cannot be lent.
    pub async fn lend(&self, place: &Place, plan: &BoundPlan) -> Result<Testbed, BenchError> {
        let may_be_seen = plan.bindings().has_throw_away_network(plan.profile());
        if self.config.network == NetworkKind::Nat && !may_be_seen {
            return Err(BenchError::PasswordInArguments);
        }
        self.refuse_other_network(plan)?;
        let offer = self.offer_to(plan)?;
        let joined = join_external(&offer, (&self.air, place.0.run())).await?;
        let testbed = self.services.lock().await.lend(&place.0, offer, joined).await?;
        place.0.bind(&stations_of(plan))?;
        Ok(testbed)
    }

    /// Refuses a unit that is to join another network than that of the access point that the bench asks.
    ///
    /// # Errors
    /// [`HostapdError`] with both names.
    pub fn refuse_other_network(&self, plan: &BoundPlan) -> Result<(), HostapdError> {
        match (self.air.access_point(), plan.wifi()) {
            (Some(access_point), Ok(wifi)) => access_point.refuse_other_network(&wifi.ssid),
            (None, _) | (_, Err(_)) => Ok(()),
        }
    }

    /// What its units succeeded at.
    pub fn successes(&self) -> &Successes {
        &self.successes
    }

    /// PEM of whom a unit's firmware model must trust, and the bench with it: the bench's own CA, and
    /// that of a broker that is already there.
    pub fn trusted(&self) -> String {
        self.config.trusted()
    }

    /// Who goes into the networks that its units open, where they are real.
    pub fn visitor(&self) -> Option<&Visitor> {
        self.config.visitor.as_ref()
    }

    /// What lies between its units and its services.
    pub fn network(&self) -> NetworkKind {
        self.config.network
    }

    /// The bench's own CA.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.config.authority
    }

    /// The broker that is already there.
    pub fn external_broker(&self) -> Option<&ExternalBroker> {
        self.config.broker.as_ref()
    }

    /// Why real units may be led to the bench's servers.
    pub fn redirected_because(&self) -> Option<&str> {
        self.config.redirected_because.as_deref()
    }

    /// The CA that is already there.
    pub fn external_ca(&self) -> Option<&External> {
        self.config.ca.as_ref()
    }

    /// PEM of the root that certificates of that CA must come of.
    pub fn external_ca_root(&self) -> Option<&str> {
        self.config.ca_root.as_deref()
    }

    /// The provisioning server that is already there.
    pub fn external_config_server(&self) -> Option<&External> {
        self.config.config_server.as_ref()
    }

    /// The time of day.
    pub fn clock(&self) -> &Clock {
        &self.config.clock
    }
}

/// What a unit may call itself on a network, its own address first.
pub(crate) fn stations_of(plan: &BoundPlan) -> Vec<Mac> {
    let Some(base) = plan.bindings().mac() else { return Vec::new() };
    let chip = plan.profile().chip;
    let others = [Interface::Station, Interface::Ethernet];
    let others = others.into_iter().filter_map(|interface| chip.mac_of(interface, base));
    [base].into_iter().chain(others.filter(|mac| *mac != base)).collect()
}

impl BenchConfig {
    /// As [`Bench::trusted`].
    pub fn trusted(&self) -> String {
        let own = self.authority.server_trust();
        match &self.broker {
            Some(broker) => [own.as_str(), &broker.trust].join("\n"),
            None => own,
        }
    }
}
