//! From arguments to jobs: profile, values, images, faults and devices, all found good before
//! anything is touched.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use goldline_simulator::Fault;
use uuid::Uuid;

use super::{
    arguments::RunArguments,
    devices::{self, simulated_mac},
    problem::{of_catalog, usage, usage_with_help},
};
use crate::{
    clock::Clock,
    device::{ChipFacts, DeviceUrl, SimulatedUnit, SimulatorOptions, open_serial, open_simulator},
    engine::{Bench, Job, OpenDevice, ValuesOfUnit},
    identity::Mac,
    image::FlashImages,
    plan::{Bindings, BoundPlan, Given, Identity, Plan, Scope, Sources, Text, Units},
    profile::{AppSource, EndpointPolicy, Profile, StationFile, find},
    store::{Holder, LeaseOutcome, Settlement, StateDirectory},
    testbed::fault::TestbedFault,
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

/// A number that a job must account for.
pub(super) struct LeasedNumber {
    profile: String,
    value: String,
    number: u32,
}

/// Notes what became of a leased number.
pub(super) fn settle(
    state: &StateDirectory,
    leased: &LeasedNumber,
    outcome: LeaseOutcome,
    run_id: Option<Uuid>,
    clock: &Clock,
) -> miette::Result<()> {
    let settlement = Settlement { outcome, run_id, at: clock.now() };
    let LeasedNumber { profile, value, number } = leased;
    state.settle(profile, value, *number, &settlement).map_err(usage)
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
        if scope != Scope::Check {
            rehearse_values(&profile, &given, identity)?;
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
        let images = FlashImages::build(&self.profile, authority.root_pem()).map_err(usage)?;
        let mut jobs = Vec::with_capacity(self.devices.len());
        for (index, ((name, url), given)) in self.devices.iter().zip(&self.given).enumerate() {
            let holder = Holder { run_id: None, lot: self.lot.clone(), at: clock.now() };
            let mut sources = Station::new(state, &self.profile.name, holder.clone());
            let values = match self.plan.scope {
                Scope::Check => Ok(self.remembered(state, given.clone(), &images, holder)),
                Scope::Run | Scope::Provision => self.fresh(&mut sources, given, &images),
            };
            numbers.push(sources.taken);
            let values = values?;
            jobs.push(Job {
                plan: self.plan.clone(),
                values,
                images: images.clone(),
                bench: Bench {
                    authority: Arc::clone(&authority),
                    faults: self.testbed_faults.clone(),
                    clock: clock.clone(),
                },
                open_device: self.opener(url, index),
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
    ) -> miette::Result<ValuesOfUnit> {
        let bindings =
            Bindings::resolve(&self.profile, given, self.identity, sources).map_err(usage)?;
        let mut rehearsal = bindings.clone();
        rehearsal.bind("unit.mac", Text::public(REHEARSAL_MAC.to_string())).map_err(usage)?;
        BoundPlan::bind(self.plan.clone(), rehearsal, images).map_err(usage)?;
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
            given.take_remembered(unit.values);
            let mut sources = Station::new(&state, &profile.name, holder);
            Bindings::resolve(&profile, &given, identity, &mut sources)
                .map_err(|error| error.to_string())
        })
    }

    fn opener(&self, url: &DeviceUrl, index: usize) -> OpenDevice {
        match url.clone() {
            DeviceUrl::Serial { path, baud } => Box::new(move || open_serial(&path, baud)),
            DeviceUrl::Simulator(options) => {
                let options = SimulatorOptions {
                    mac: options.mac.or_else(|| Some(simulated_mac(index))),
                    ..options
                };
                let unit = SimulatedUnit {
                    chip: self.profile.chip,
                    flash_size: self.profile.flash.size(),
                    options,
                    faults: self.unit_faults.clone(),
                };
                Box::new(move || open_simulator(unit))
            }
        }
    }
}

/// Stands for the state directory while values are tried for fit: takes no number and makes no secret.
struct Rehearsal;

impl Sources for Rehearsal {
    fn lease(&mut self, _value: &str) -> io::Result<u32> {
        Ok(1)
    }

    fn fill_random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0);
        Ok(())
    }
}

/// Refuses values of any unit that do not fit, before a state directory is made or a number leased.
fn rehearse_values(profile: &Profile, given: &[Given], identity: Identity) -> miette::Result<()> {
    for given in given {
        Bindings::resolve(profile, given, identity, &mut Rehearsal).map_err(usage)?;
    }
    Ok(())
}

/// Leases numbers from the state directory and makes secrets from the system's generator.
struct Station<'a> {
    state: &'a StateDirectory,
    profile: &'a str,
    holder: Holder,
    taken: Vec<LeasedNumber>,
}

impl<'a> Station<'a> {
    fn new(state: &'a StateDirectory, profile: &'a str, holder: Holder) -> Self {
        Self { state, profile, holder, taken: Vec::new() }
    }
}

impl Sources for Station<'_> {
    fn lease(&mut self, value: &str) -> io::Result<u32> {
        let number =
            self.state.lease(self.profile, value, &self.holder).map_err(io::Error::other)?;
        let (profile, value) = (self.profile.to_owned(), value.to_owned());
        self.taken.push(LeasedNumber { profile, value, number });
        Ok(number)
    }

    fn fill_random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        getrandom::fill(buffer).map_err(io::Error::from)
    }
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
