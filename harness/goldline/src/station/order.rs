//! What is asked for, parsed and found consistent before anything is touched.
//!
//! Reads the files that a request names. Touches no device and no state.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    chosen_network::{ChosenNetwork, NetworkError},
    devices::{self, DevicesError, NamedDevice, Parsed},
    endpoints::{self, EndpointsError},
    faults::{Faults, FaultsError},
    goldens::{GoldenError, OfRun},
    nests::{self, NestsError},
    refusals::{self, Refusal},
    registry_url::{RegistryUrlError, registry_url_if_any},
    request::{ReplacedRequest, Request},
    twins::{self, IdentitiesError},
    values::{self, ValuesError},
};
use crate::{
    bench::External,
    device::{AskHand, DeviceUrl, Emulator, SoughtPort, WokwiUnit},
    engine::AskOperator,
    identity::{Mac, MacError},
    plan::{
        Given, Identity, NotByConsole, NotLocked, Plan, Scope, Unprovable, before_lock_down,
        by_console, of_locked, on_network,
    },
    profile::{
        CatalogError, CheckId, Nest, Profile, Redirect, Resource, StationFile, StationFileError,
        find,
    },
    record::Replacement,
    registry::RegistryUrl,
    testbed::{broker::ExternalBroker, network::NetworkKind, site::SitePlace},
};

/// What is run when no profile is named, on the simulator only.
pub(super) const DEFAULT_PROFILE: &str = "espvault";

/// A request that can be carried out.
#[derive(Clone)]
pub struct Order {
    pub(super) profile: Arc<Profile>,
    /// Its name, when its file has one.
    pub(super) station: Option<String>,
    pub(super) plan: Plan,
    pub(super) network: ChosenNetwork,
    /// Where the bench is, where units are on the network of its site.
    pub(super) site: Option<SitePlace>,
    pub(super) devices: Vec<NamedDevice>,
    /// The nest that each lies in.
    pub(super) nests: Vec<Option<Nest>>,
    /// Whether only nests will do whose path loss was measured, and not too long ago.
    pub(super) requires_calibration: bool,
    /// Who certifies the bench's servers for real units.
    pub(super) redirect: Option<Redirect>,
    /// PEM of what the production's broker shows.
    pub(super) broker_shows: Option<PathBuf>,
    /// How much there is of what they share.
    pub(super) resources: BTreeMap<Resource, u32>,
    pub(super) share_within: Option<Duration>,
    /// What runs those that are emulated.
    pub(super) emulators: Vec<Option<Emulator>>,
    /// Those that a service simulates.
    pub(super) units_elsewhere: Vec<Option<WokwiUnit>>,
    /// What their ports are found by that come with the power of their nests.
    pub(super) with_power: Vec<Option<SoughtPort>>,
    /// For each device.
    pub(super) given: Vec<Given>,
    pub(super) identity: Identity,
    pub(super) replaces: Option<Replacement>,
    pub(super) faults: Faults,
    pub(super) lot: Option<String>,
    pub(super) operator: Option<String>,
    pub(super) state: Option<PathBuf>,
    pub(super) broker: Option<ExternalBroker>,
    pub(super) ca: Option<External>,
    pub(super) ca_root: Option<String>,
    pub(super) config_server: Option<External>,
    pub(super) registry: Option<RegistryUrl>,
    pub(super) confirm_alert: Option<AskOperator>,
    pub(super) hand: Option<AskHand>,
    pub(super) retry_errors: u32,
}

/// A request cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum OrderError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    StationFile(#[from] StationFileError),
    #[error(transparent)]
    Profile(#[from] CatalogError),
    #[error(transparent)]
    Nests(#[from] NestsError),
    #[error(transparent)]
    Devices(#[from] DevicesError),
    #[error(transparent)]
    Faults(#[from] FaultsError),
    #[error(transparent)]
    Values(#[from] ValuesError),
    #[error(transparent)]
    Identities(#[from] IdentitiesError),
    #[error(transparent)]
    Endpoints(#[from] EndpointsError),
    #[error("--replaces: {0}")]
    ReplacedMac(#[from] MacError),
    #[error("--locked: {0}")]
    LockedMac(MacError),
    #[error(transparent)]
    NotLocked(#[from] NotLocked),
    #[error(transparent)]
    Registry(#[from] RegistryUrlError),
    #[error("--network: {0}")]
    Network(#[from] NetworkError),
    #[error("[network] use in the station file: {0}")]
    NetworkOfStation(NetworkError),
    #[error(transparent)]
    Unprovable(#[from] Unprovable),
    #[error(transparent)]
    NotByConsole(#[from] NotByConsole),
    #[error(transparent)]
    Golden(#[from] GoldenError),
}

impl OrderError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) => Some(refusal.action()),
            Self::Faults(error) => Some(error.action()),
            Self::Nests(error) => error.action(),
            Self::Devices(error) => error.action(),
            Self::Values(error) => error.action(),
            Self::Identities(error) => error.action(),
            Self::Endpoints(error) => error.action(),
            Self::Registry(error) => error.action(),
            Self::Unprovable(error) => Some(error.action()),
            Self::NotByConsole(error) => Some(error.action()),
            Self::Network(error) | Self::NetworkOfStation(error) => {
                error.action().map(str::to_owned)
            }
            Self::Golden(error) => error.action(),
            Self::NotLocked(error) => Some(error.action()),
            Self::StationFile(_) | Self::ReplacedMac(_) | Self::LockedMac(_) | Self::Profile(_) => {
                None
            }
        }
    }
}

/// How many units a request is for: `nest:all` is as many as the station has nests.
///
/// # Errors
/// [`OrderError`] when the station file cannot be read, or has no such nest.
pub fn places(request: &Request) -> Result<usize, OrderError> {
    let station = request.station_file.as_deref().map(StationFile::load).transpose()?;
    Ok(nests::placed(&request.devices, station.as_ref())?.len().max(1))
}

impl Order {
    /// Takes a request apart, and reads the files that it names.
    ///
    /// # Errors
    /// [`OrderError`] says what of it cannot be carried out.
    pub fn new(request: &Request, scope: Scope) -> Result<Self, OrderError> {
        let station = request.station_file.as_deref().map(StationFile::load).transpose()?;
        let placed = nests::placed(&request.devices, station.as_ref())?;
        let Parsed { mut devices, unfound, with_power } = devices::parse(&placed)?;
        devices::refuse_no_ports(&devices)?;
        let real = devices.iter().any(|(_, url)| url.is_real());
        let name = match &request.profile {
            Some(name) => name,
            None if !real => DEFAULT_PROFILE,
            None => return Err(Refusal::NoProfile.into()),
        };
        let network = network_of(request, station.as_ref(), &devices)?;
        refusals::refuse_unproven_radio(station.as_ref(), &network)?;
        let profile = find(name, request.profiles.as_deref())?;
        let mut without = refusals::checks_named(&request.without)?;
        let locked = request.locked.as_deref().map(str::parse).transpose();
        let locked: Option<Mac> = locked.map_err(OrderError::LockedMac)?;
        let elsewhere = devices.iter().any(|(_, url)| url.is_elsewhere());
        if elsewhere {
            refusals::refuse_services_out_of_reach(request)?;
        }
        let (profile, excluded) = match elsewhere {
            true => by_console(profile, scope, &without)?,
            false => {
                let (profile, excluded) = match locked {
                    Some(_) => of_locked(profile, scope, devices.len())?,
                    None => before_lock_down(profile, scope, &mut without),
                };
                refusals::refuse_going_without(&without)?;
                (on_network(profile, scope, network.kind, network.proves())?, excluded)
            }
        };
        let site = site_of(station.as_ref(), network.kind);
        if site.is_some() && scope != Scope::Provision {
            refusals::refuse_unknowable_on_site(&profile, request, devices.len())?;
        }
        let profile = Arc::new(profile);
        let faults = Faults::parse(&request.faults, request.seed)?;
        faults.refuse_faults_of_nothing(request, &profile, network.kind)?;
        refusals::refuse_starting_again(&profile, scope)?;
        if real {
            refusals::refuse_simulation_on_real_port(request.faults.first(), request.seed)?;
        }
        if devices.iter().any(|(_, url)| url.runs_machine_code()) {
            refusals::refuse_models(&profile)?;
            faults.refuse_faults_of_simulated_units()?;
        }
        if real {
            refusals::refuse_bench_on_real_port(&profile, scope, network.kind)?;
            let redirect = station.as_ref().and_then(|station| station.redirect.as_ref());
            refusals::refuse_what_would_ship(&profile, scope, request, redirect)?;
        }
        if devices.iter().any(|(_, url)| url.is_simulated_elsewhere()) {
            refusals::refuse_faults_elsewhere(faults.of_units().next(), request.seed)?;
            refusals::refuse_network_out_of_reach(&profile, scope, network.kind)?;
        }
        let emulators = devices::find_emulators(&devices, &profile)?;
        let units_elsewhere = devices::units_elsewhere(&devices, &profile)?;
        let identity = match () {
            () if real => Identity::Issued,
            () if request.lot.is_some() || devices.len() > 1 => Identity::DeclaredSite,
            () => Identity::Declared,
        };
        let mut plan = match locked.filter(|_| !elsewhere) {
            Some(mac) => Plan::of_locked(Arc::clone(&profile), mac, excluded),
            None if elsewhere => Plan::by_console(Arc::clone(&profile), scope, excluded),
            None => {
                let mut plan = Plan::new(Arc::clone(&profile), scope);
                plan.excluded.extend(excluded);
                plan
            }
        };
        refusals::refuse_retries(scope, request.retry_errors)?;
        let replaces = replacement(request, scope, devices.len())?;
        let given = values::given(request, station.as_ref(), &profile, devices.len())?;
        refusals::refuse_scope(&profile, scope, &given)?;
        if devices.iter().any(|(_, url)| matches!(url, DeviceUrl::EspEmu(_))) {
            refusals::refuse_what_esp_emu_cannot(&profile, &given)?;
        }
        devices::refuse_unsimulated_chips(&devices, &profile)?;
        let of_run = OfRun {
            name,
            profiles: request.profiles.as_deref(),
            profile: &profile,
            given: &given[0],
            mac: devices::known_mac(&devices[0].1),
        };
        plan.golden = golden(request.golden.as_deref(), identity, scope, &of_run)?;
        devices::refuse_unusable_flash_files(&devices, &profile, &faults)?;
        let broker = endpoints::broker(request.broker.as_ref(), &profile)?;
        if request.confirm_alert.is_some() && !plan.has_check(CheckId::TestAlert) {
            return Err(Refusal::NoAlert { profile: profile.name.clone() }.into());
        }
        if scope.provisions() {
            twins::refuse_twins(&profile, &given, identity)?;
        }
        values::refuse_unsayable(&profile, &given)?;
        if !request.touches_nothing {
            devices::find(&unfound, &mut devices)?;
        }
        // Units that are tested with the bench's values trust the bench itself meanwhile.
        let redirect = station.as_ref().and_then(|station| station.redirect.clone());
        let redirect = redirect.filter(|_| !profile.is_tested_then_finished());
        let share_within = station.as_ref().and_then(|station| station.share_within);
        let resources = station.as_ref().map(|station| station.resources.clone());
        let resources = resources.unwrap_or_default();
        let mut nests = vec![None; devices.len()];
        for (index, (name, _, nest)) in placed.into_iter().enumerate() {
            // Of a port that was sought, what was found.
            let Some(nest) = nest else { continue };
            let device = std::mem::replace(&mut devices[index].0, name);
            nests[index] = Some(Nest { device, ..nest });
        }
        Ok(Self {
            station: station.as_ref().and_then(|station| station.name.clone()),
            plan,
            given,
            profile,
            network,
            site,
            devices,
            nests,
            requires_calibration: station.as_ref().is_some_and(|s| s.requires_calibration),
            redirect,
            broker_shows: station.as_ref().and_then(|station| station.broker_shows.clone()),
            resources,
            share_within,
            emulators,
            units_elsewhere,
            with_power,
            identity,
            replaces,
            faults,
            lot: request.lot.clone(),
            operator: request.operator.clone(),
            state: request.state.clone(),
            broker,
            ca: endpoints::external(request.ca.as_ref())?,
            ca_root: request.ca_root.as_deref().map(endpoints::roots).transpose()?,
            config_server: endpoints::external(request.config_server.as_ref())?,
            confirm_alert: request.confirm_alert.clone(),
            hand: request.hand.clone(),
            retry_errors: request.retry_errors,
            registry: registry_url_if_any(request.registry.as_deref(), station.as_ref())?,
        })
    }

    /// What will be done to each unit.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether somebody presses buttons of a unit of it.
    pub fn is_reset_by_hand(&self) -> bool {
        self.devices.iter().any(|(_, url)| url.is_reset_by_hand())
    }

    /// How many units there are.
    pub fn units(&self) -> usize {
        self.devices.len()
    }

    /// What a person should know of it that nobody named.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.devices.iter().filter_map(|(name, url)| {
            let file = url.reset_file()?;
            Some(format!("{name} is reset as {} says", file.display()))
        })
    }

    /// The files that simulated and emulated units keep their flash and what is burnt in.
    pub fn flash_files(&self) -> impl Iterator<Item = &Path> {
        self.devices.iter().flat_map(|(_, url)| {
            let files = match url {
                DeviceUrl::Simulator(options) => [&options.flash_file, &options.efuse_file],
                DeviceUrl::EspEmu(options) => [&options.flash_file, &None],
                DeviceUrl::Qemu(options) => [&options.flash_file, &None],
                DeviceUrl::Serial { .. } | DeviceUrl::Remote(_) | DeviceUrl::Wokwi(_) => {
                    [&None, &None]
                }
            };
            files.into_iter().filter_map(|file| file.as_deref())
        })
    }
}

/// What is named, else what the station has for real units.
fn network_of(
    request: &Request,
    station: Option<&StationFile>,
    devices: &[NamedDevice],
) -> Result<ChosenNetwork, OrderError> {
    let (named, of_station) =
        (request.network.as_deref(), station.and_then(|s| s.network.as_deref()));
    let text = ChosenNetwork::of_station(named, of_station, devices);
    let hostapd = station.and_then(|station| station.hostapd.as_deref());
    let visiting = station.and_then(|station| station.visiting.as_ref());
    let chosen = ChosenNetwork::of(text, devices)
        .map(|chosen| chosen.with_hostapd(hostapd).with_visits(visiting));
    match named {
        None if text.is_some() => chosen.map_err(OrderError::NetworkOfStation),
        _ => Ok(chosen?),
    }
}

/// Where the bench is on the network of its site.
fn site_of(station: Option<&StationFile>, network: NetworkKind) -> Option<SitePlace> {
    let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let place = || SitePlace {
        listen: station.and_then(|station| station.listen).unwrap_or(everywhere),
        advertise: station.map(|station| station.advertise.clone()).unwrap_or_default(),
    };
    (network == NetworkKind::Site).then(place)
}

/// The module that the only unit of an order takes the place of.
fn replacement(
    request: &Request,
    scope: Scope,
    devices: usize,
) -> Result<Option<Replacement>, OrderError> {
    let Some(ReplacedRequest { mac, because }) = &request.replaces else { return Ok(None) };
    if because.trim().is_empty() {
        return Err(Refusal::NoReason.into());
    }
    if devices != 1 || !scope.provisions() {
        return Err(Refusal::ReplacesSeveral.into());
    }
    Ok(Some(Replacement { mac: mac.parse()?, because: because.clone() }))
}

/// Goldens are of declared identities only: a real unit's image holds secrets of its own.
fn golden(
    path: Option<&Path>,
    identity: Identity,
    scope: Scope,
    of_run: &OfRun<'_>,
) -> Result<Option<Arc<[u8]>>, OrderError> {
    match (path, identity) {
        (Some(_), Identity::Issued | Identity::DeclaredSite) => {
            Err(Refusal::GoldenOfOwnIdentity.into())
        }
        (Some(path), Identity::Declared) => {
            let unreadable = |error| GoldenError::Unreadable { path: path.to_owned(), error };
            let image = fs::read(path).map_err(unreadable)?;
            if scope.provisions() {
                of_run.refuse_drift_from(path, &image)?;
            }
            Ok(Some(image.into()))
        }
        (None, Identity::Declared) => Ok(of_run.standing_beside()?.filter(|_| scope == Scope::Run)),
        (None, Identity::Issued | Identity::DeclaredSite) => Ok(None),
    }
}
