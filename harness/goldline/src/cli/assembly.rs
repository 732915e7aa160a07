//! From arguments to jobs: profile, values, images, faults and devices, all found good before
//! anything is touched.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use goldline_simulator::{Fault, World};

use super::{
    arguments::RunArguments,
    devices::{self, simulated_mac},
    operator,
    problem::{of_catalog, usage, usage_with_help},
    registry::source::url_if_any,
    services::{self, external, refuse_faults_of_nothing, roots},
    sources::{LeasedNumber, Rehearsal, Station, settle},
};
use crate::{
    bench::{Bench, BenchConfig, External},
    check::RegistryObservation,
    clock::Clock,
    device::{ChipFacts, DeviceUrl, SimulatedUnit, SimulatorOptions, open_serial, open_simulator},
    engine::{EnrolUnit, Job, OpenDevice, ValuesOfUnit, registry_row},
    identity::Mac,
    image::FlashImages,
    plan::{BindingError, Bindings, BoundPlan, Given, Identity, Plan, Scope, Text, Units},
    profile::{
        AppSource, CheckId, EndpointPolicy, NvsKeyScheme, Profile, StationFile, ValueSource, find,
        learnt_samples,
    },
    registry::RegistryUrl,
    secret::Secret,
    store::{Enrolled, Holder, LeaseOutcome, StateDirectory},
    testbed::{broker::ExternalBroker, fault::TestbedFault},
};

/// What `run` runs when nothing is named, on the simulator only.
const DEFAULT_PROFILE: &str = "espvault";
/// Stands for a MAC while values are tried for fit before the unit is known.
const REHEARSAL_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0]);

/// A job, and the numbers that were leased for its unit.
pub(super) struct Planned {
    pub(super) job: Job,
    pub(super) numbers: Vec<LeasedNumber>,
}

/// What is asked for, parsed and found consistent.
pub(super) struct Order {
    pub(super) profile: Arc<Profile>,
    pub(super) plan: Plan,
    devices: Vec<(String, DeviceUrl)>,
    given: Vec<Given>,
    identity: Identity,
    unit_faults: Vec<Fault>,
    testbed_faults: Vec<TestbedFault>,
    lot: Option<String>,
    operator: Option<String>,
    state: Option<PathBuf>,
    broker: Option<ExternalBroker>,
    ca: Option<External>,
    ca_root: Option<String>,
    config_server: Option<External>,
    registry: Option<RegistryUrl>,
    confirm_alert: bool,
}

impl Order {
    /// Reads the arguments, and the files that they name. Touches no device and no state.
    pub(super) fn new(arguments: &RunArguments, scope: Scope) -> miette::Result<Self> {
        let devices = devices::parse(&arguments.devices)?;
        let real = devices.iter().any(|(_, url)| url.is_real());
        let name = match &arguments.profile {
            Some(name) => name,
            None if !real => DEFAULT_PROFILE,
            None => {
                return Err(usage_with_help(
                    "a real port needs its profile named",
                    "name it: goldline run PROFILE --device URL; goldline profile list shows all",
                ));
            }
        };
        let profile = Arc::new(find(name, arguments.profiles.as_deref()).map_err(of_catalog)?);
        let (unit_faults, testbed_faults) = faults(&arguments.faults)?;
        refuse_faults_of_nothing(arguments, &profile, &testbed_faults)?;
        refuse_unbuilt(&profile)?;
        if real {
            refuse_bench_on_real_port(&profile, scope, arguments.faults.first())?;
        }
        let identity = match () {
            () if real => Identity::Issued,
            () if arguments.lot.is_some() || devices.len() > 1 => Identity::DeclaredSite,
            () => Identity::Declared,
        };
        let mut plan = Plan::new(Arc::clone(&profile), scope);
        plan.golden = arguments.golden.as_deref().map(|path| golden(path, identity)).transpose()?;
        let given = given(arguments, &profile, devices.len())?;
        refuse_scope(&profile, scope, &given)?;
        refuse_unusable_flash_files(&devices, &profile, &unit_faults)?;
        let broker = services::broker(arguments, &profile)?;
        if arguments.confirm_alert && !plan.has_check(CheckId::TestAlert) {
            return Err(usage_with_help(
                format!("--confirm-alert: no test alert is sent for the profile {}", profile.name),
                "leave it out, or choose a profile with the check test_alert, and goldline run or check",
            ));
        }
        if scope.provisions() {
            rehearse_values(&profile, &given, identity)?;
        }
        for given in &given {
            let known = |name: &str| Some(given.text(name)?.expose());
            profile.refuse_unsayable(known).map_err(usage)?;
        }
        Ok(Self {
            plan,
            given,
            profile,
            devices,
            identity,
            unit_faults,
            testbed_faults,
            lot: arguments.lot.clone(),
            operator: arguments.operator.clone(),
            state: arguments.state.clone(),
            broker,
            ca: external(arguments.ca.as_deref(), arguments.ca_trust.as_deref())?,
            ca_root: arguments.ca_root.as_deref().map(roots).transpose()?,
            config_server: external(
                arguments.config_server.as_deref(),
                arguments.config_server_trust.as_deref(),
            )?,
            confirm_alert: arguments.confirm_alert,
            registry: url_if_any(arguments.registry.as_deref(), arguments.station.as_deref())?,
        })
    }

    /// How many units there are.
    pub(super) fn units(&self) -> usize {
        self.devices.len()
    }

    /// The files that simulated units keep their flash in.
    pub(super) fn flash_files(&self) -> impl Iterator<Item = &Path> {
        self.devices.iter().filter_map(|(_, url)| match url {
            DeviceUrl::Simulator(options) => options.flash_file.as_deref(),
            DeviceUrl::Serial { .. } => None,
        })
    }

    /// Opens the state directory.
    pub(super) fn state(&self) -> miette::Result<StateDirectory> {
        let path = match &self.state {
            Some(path) => path.clone(),
            None => StateDirectory::default_path().map_err(usage)?,
        };
        StateDirectory::open(&path).map_err(usage)
    }

    /// One job for each device; what is to be written is tried for fit here, so that no unit is touched
    /// when it does not.
    pub(super) fn jobs(
        self,
        state: &StateDirectory,
        clock: &Clock,
        began: Instant,
    ) -> miette::Result<Vec<Planned>> {
        let mut numbers = Vec::with_capacity(self.devices.len());
        let jobs = self.jobs_with_numbers(state, clock, began, &mut numbers);
        if jobs.is_err() {
            for number in numbers.iter().flatten() {
                settle(state, number, LeaseOutcome::Aborted { mac: None }, None, clock)?;
            }
        }
        Ok(jobs?.into_iter().zip(numbers).map(|(job, numbers)| Planned { job, numbers }).collect())
    }

    /// What was leased is in `numbers`, a list for each device, even when no jobs come of it.
    fn jobs_with_numbers(
        self,
        state: &StateDirectory,
        clock: &Clock,
        began: Instant,
        numbers: &mut Vec<Vec<LeasedNumber>>,
    ) -> miette::Result<Vec<Job>> {
        let authority = Arc::new(state.authority(clock).map_err(usage)?);
        let bench = Arc::new(Bench::new(BenchConfig {
            authority: Arc::clone(&authority),
            faults: self.testbed_faults.clone().into(),
            broker: self.broker.clone(),
            ca: self.ca.clone(),
            ca_root: self.ca_root.clone(),
            config_server: self.config_server.clone(),
            clock: clock.clone(),
        }));
        let images = FlashImages::build(&self.profile, &bench.trusted()).map_err(usage)?;
        let mut jobs = Vec::with_capacity(self.devices.len());
        for (index, ((name, url), given)) in self.devices.iter().zip(&self.given).enumerate() {
            let holder = Holder { run_id: None, lot: self.lot.clone(), at: clock.now() };
            let mut sources = Station::new(state, &self.profile.name, holder.clone());
            let values = match self.plan.scope {
                scope if scope.remembers() => {
                    Ok(self.remembered(state, given.clone(), &images, holder))
                }
                _ => self.fresh(&mut sources, given, &images, clock),
            };
            numbers.push(sources.taken);
            let values = values?;
            let place = bench.place();
            jobs.push(Job {
                plan: self.plan.clone(),
                values,
                images: images.clone(),
                bench: Arc::clone(&bench),
                enrol: self.enroller(state, clock),
                confirm_alert: self.confirm_alert.then(operator::ask_on_terminal),
                open_device: self.opener(url, index, place.world()),
                place,
                device_url: name.clone(),
                lot: self.lot.clone(),
                operator: self.operator.clone(),
                began,
            });
        }
        Ok(jobs)
    }

    /// The values of a unit that is provisioned now.
    fn fresh(
        &self,
        sources: &mut Station<'_>,
        given: &Given,
        images: &FlashImages,
        clock: &Clock,
    ) -> miette::Result<ValuesOfUnit> {
        let bindings =
            Bindings::resolve(&self.profile, given, self.identity, sources).map_err(usage)?;
        let mut rehearsal = bindings.clone();
        rehearsal.bind_mac(REHEARSAL_MAC).map_err(usage)?;
        rehearse_learning(&self.profile, &mut rehearsal).map_err(usage)?;
        let bound = BoundPlan::bind(self.plan.clone(), rehearsal, images).map_err(usage)?;
        let known = |name: &str| Some(bound.bindings().get(name)?.expose());
        self.profile.refuse_unsayable(known).map_err(usage)?;
        if let Some(spec) = &self.profile.registry {
            registry_row(&bound, spec, clock.now()).map_err(usage)?;
        }
        Ok(Box::new(move |_: &ChipFacts| Ok(bindings)))
    }

    /// The values of a unit that this station provisioned before.
    fn remembered(
        &self,
        state: &StateDirectory,
        mut given: Given,
        images: &FlashImages,
        holder: Holder,
    ) -> ValuesOfUnit {
        let (state, profile, identity) = (state.clone(), Arc::clone(&self.profile), self.identity);
        let product = self.plan.product_digest(images);
        Box::new(move |chip: &ChipFacts| {
            let unit = state.recall(chip.mac).map_err(|error| error.to_string())?;
            let unit = unit.ok_or_else(|| {
                format!("this station never provisioned {}; run goldline provision first", chip.mac)
            })?;
            if unit.profile != profile.name {
                return Err(format!(
                    "{} was provisioned as {}, not as {}; check it with that profile",
                    chip.mac, unit.profile, profile.name
                ));
            }
            if unit.product != product {
                return Err(format!(
                    "the profile {} or its images changed since {} was provisioned; check it with the old ones, or provision it again",
                    profile.name, chip.mac
                ));
            }
            let changing: Vec<String> = given.set_names().collect();
            let made_of_it = |name: &String| {
                let spec = profile.values.iter().find(|spec| spec.name == *name);
                spec.is_some_and(|spec| spec.source.names(&changing))
            };
            given.take_remembered(unit.values.into_iter().filter(|(name, _)| !made_of_it(name)));
            let mut sources = Station::new(&state, &profile.name, holder);
            Bindings::resolve(&profile, &given, identity, &mut sources)
                .map_err(|error| error.to_string())
        })
    }

    /// Puts a row on the disk first and then into the registry, if this station knows one.
    fn enroller(&self, state: &StateDirectory, clock: &Clock) -> EnrolUnit {
        let (state, clock) = (state.clone(), clock.clone());
        let (registry, profile) = (self.registry.clone(), self.profile.name.clone());
        Arc::new(move |row, deadline| {
            let (state, registry) = (state.clone(), registry.clone());
            let (profile, now) = (profile.clone(), clock.now());
            Box::pin(async move {
                let began = Instant::now();
                let enrolled = async {
                    let outbox = state.outbox().await?;
                    outbox.enrol(registry.as_ref(), &profile, &row, now, deadline).await
                };
                match enrolled.await {
                    Ok(Enrolled::Recorded { id }) => RegistryObservation::Recorded {
                        row: id,
                        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                    },
                    Ok(Enrolled::Queued { reason }) => RegistryObservation::Queued { reason },
                    Ok(Enrolled::Rejected { reason }) => RegistryObservation::Rejected { reason },
                    Err(error) => RegistryObservation::Lost { reason: error.to_string() },
                }
            })
        })
    }

    fn opener(&self, url: &DeviceUrl, index: usize, world: Arc<dyn World>) -> OpenDevice {
        match url.clone() {
            DeviceUrl::Serial { path, baud } => Box::new(move || open_serial(&path, baud)),
            DeviceUrl::Simulator(options) => {
                let unit = simulated_unit(options, index, &self.profile, &self.unit_faults);
                Box::new(move || open_simulator(unit, world))
            }
        }
    }
}

/// Puts samples in the place of what the run will learn, so that what is made of it is tried for fit.
fn rehearse_learning(profile: &Profile, bindings: &mut Bindings) -> Result<(), BindingError> {
    for (name, sample, secret) in learnt_samples() {
        let asked = profile.values.iter().any(|spec| matches!(&spec.source, ValueSource::Template(template) if template.symbols().any(|symbol| symbol == name)));
        if bindings.get(name).is_none() && !asked {
            let text =
                if secret { Text::secret(Secret::new(sample)) } else { Text::public(sample) };
            bindings.bind(name, text)?;
        }
    }
    Ok(())
}

/// Refuses values of any unit that do not fit, before a state directory is made or a number leased.
fn rehearse_values(profile: &Profile, given: &[Given], identity: Identity) -> miette::Result<()> {
    for given in given {
        Bindings::resolve(profile, given, identity, &mut Rehearsal).map_err(usage)?;
    }
    Ok(())
}

/// The simulated unit in this place of the arguments.
fn simulated_unit(
    options: SimulatorOptions,
    index: usize,
    profile: &Profile,
    faults: &[Fault],
) -> SimulatedUnit {
    SimulatedUnit {
        chip: profile.chip,
        flash_size: profile.flash.size(),
        options: SimulatorOptions {
            mac: options.mac.or_else(|| Some(simulated_mac(index))),
            ..options
        },
        hmac_key: declared_hmac_key(profile),
        faults: faults.to_vec(),
    }
}

/// A flash file that cannot be one is known before any unit of the batch is touched.
fn refuse_unusable_flash_files(
    devices: &[(String, DeviceUrl)],
    profile: &Profile,
    faults: &[Fault],
) -> miette::Result<()> {
    for (index, (_, url)) in devices.iter().enumerate() {
        if let DeviceUrl::Simulator(options) = url {
            let unit = simulated_unit(options.clone(), index, profile, faults);
            unit.refuse_unusable_flash_file().map_err(usage)?;
        }
    }
    Ok(())
}

/// A simulated unit comes with the declared key in its eFuses, as a real one comes with its own.
fn declared_hmac_key(profile: &Profile) -> Option<[u8; 32]> {
    let encryption = profile.nvs.encryption.as_ref()?;
    if encryption.scheme != NvsKeyScheme::Hmac {
        return None;
    }
    let name = encryption.key.lone_symbol()?;
    let sample = profile.values.iter().find(|spec| spec.name == name)?.sample.as_ref()?;
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = sample.as_bytes().chunks(2).map(byte).collect();
    bytes?.try_into().ok()
}

fn faults(names: &[String]) -> miette::Result<(Vec<Fault>, Vec<TestbedFault>)> {
    let (mut unit, mut testbed) = (Vec::new(), Vec::new());
    for name in names {
        if let Some(fault) = Fault::ALL.iter().find(|fault| fault.name() == name) {
            unit.push(*fault);
        } else if let Ok(fault) = name.parse() {
            testbed.push(fault);
        } else {
            return Err(usage_with_help(
                format!("unknown fault \"{name}\""),
                "goldline simulator faults lists them all",
            ));
        }
    }
    Ok((unit, testbed))
}

/// Goldens are of declared identities only: a real unit's image holds secrets of its own.
fn golden(path: &Path, identity: Identity) -> miette::Result<Arc<[u8]>> {
    if identity != Identity::Declared {
        return Err(usage_with_help(
            "a golden is compared with a declared identity only",
            "leave out --golden, or --lot and further --device arguments",
        ));
    }
    let image = std::fs::read(path)
        .map_err(|error| usage(format!("cannot read the golden {}: {error}", path.display())))?;
    Ok(image.into())
}

fn given(
    arguments: &RunArguments,
    profile: &Profile,
    devices: usize,
) -> miette::Result<Vec<Given>> {
    let mut common = Given::default();
    for setting in &arguments.settings {
        common.parse_set(profile, setting).map_err(usage)?;
    }
    let station = arguments.station.as_deref().map(StationFile::load).transpose().map_err(usage)?;
    let with_station = |mut given: Given| -> miette::Result<Given> {
        if let Some(station) = &station {
            given.take_station(profile, station).map_err(usage)?;
        }
        Ok(given)
    };
    let Some(path) = &arguments.units else {
        return Ok(vec![with_station(common)?; devices]);
    };
    rows(path, profile, devices)?
        .rows()
        .iter()
        .map(|row| {
            let mut given = common.clone();
            given.take_row(row);
            with_station(given)
        })
        .collect()
}

fn rows(path: &Path, profile: &Profile, devices: usize) -> miette::Result<Units> {
    let units = Units::load(path, profile).map_err(usage)?;
    let count = units.rows().len();
    if count != devices {
        return Err(usage_with_help(
            format!("{} has {count} units for {devices} devices", path.display()),
            "give as many rows as --device arguments, in the same order",
        ));
    }
    Ok(units)
}

/// What a product has no way for, and values that another part of it owns.
fn refuse_scope(profile: &Profile, scope: Scope, given: &[Given]) -> miette::Result<()> {
    let console = profile.console.as_ref();
    match scope {
        Scope::FactoryReset if console.is_none_or(|console| console.factory_reset.is_empty()) => {
            Err(usage_with_help(
                format!("the profile {} has no factory reset", profile.name),
                "describe its console lines in [[console.factory_reset]], or erase the unit and provision it anew",
            ))
        }
        Scope::Reprovision(part) => {
            let Some(values) = profile.reprovision.get(&part) else {
                return Err(usage_with_help(
                    format!(
                        "the profile {} has no part \"{}\" to give anew",
                        profile.name,
                        part.name()
                    ),
                    "name the values that it may change in [reprovision]",
                ));
            };
            let foreign =
                given.iter().flat_map(Given::set_names).find(|name| !values.contains(name));
            match foreign {
                Some(name) => Err(usage_with_help(
                    format!("\"{name}\" does not belong to the part \"{}\"", part.name()),
                    format!("it may change {}; every other value stays", values.join(", ")),
                )),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// A policy that would silently be treated as another one.
fn refuse_unbuilt(profile: &Profile) -> miette::Result<()> {
    if profile.mqtt.policy == EndpointPolicy::TestThenFinal {
        return Err(usage_with_help(
            "the endpoint policy test_then_final is not built yet: the final image would never be written",
            "choose the policy redirected, with the unit's final address",
        ));
    }
    Ok(())
}

/// What a real unit must never get: made-up faults, a firmware model, an address of the bench.
fn refuse_bench_on_real_port(
    profile: &Profile,
    scope: Scope,
    fault: Option<&String>,
) -> miette::Result<()> {
    if let Some(fault) = fault {
        return Err(usage_with_help(
            format!(
                "the fault {fault} is for simulated units: what a real one is told would be false"
            ),
            "leave --fault out, or choose --device simulator:",
        ));
    }
    if let AppSource::Model { name } = &profile.images.app {
        return Err(usage_with_help(
            format!("the firmware model \"{name}\" runs in the simulator only"),
            "name the product's own firmware in the profile: app = { file = \"build/app.elf\" }",
        ));
    }
    if profile.mqtt.policy == EndpointPolicy::Bench {
        return Err(usage_with_help(
            "the endpoint policy bench is for simulated units: a real one would ship pointing at the bench",
            "choose the policy redirected or test_then_final",
        ));
    }
    if scope != Scope::Provision {
        return Err(usage_with_help(
            "the access point and broker of this bench are in this process: a real unit cannot reach them",
            "goldline provision flashes a real unit and reads it back; its QC needs a station",
        ));
    }
    Ok(())
}
