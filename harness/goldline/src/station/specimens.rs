//! Units of one product that are wrong on purpose, each run by the product's own plan; nothing is kept of them.
//!
//! Each has a bench of its own, so that none is a witness for or against another. Must not know why a unit is wrong,
//! nor what is made of the verdict.

use std::{io, path::PathBuf, sync::Arc, time::Instant};

use goldline_simulator::{Fault, Tampering, chip::efuse::Burnt};
use tempfile::TempDir;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::{
    attempt::Attempt,
    devices::specimen_unit,
    faults::Faults,
    jobs::{JobsError, Planned, jobs},
    order::{Order, OrderError},
    request::Request,
    state_directory::open_state,
};
use crate::{
    clock::Clock,
    device::{DeviceUrl, TamperedDevice, open_simulator},
    engine::{self, Events, Finished, OpenDevice},
    identity::Mac,
    plan::{Identity, Plan, Scope},
    profile::{AppSource, Profile},
    store::{RecordStore, StateDirectory, StoreError, bench_ca_if_any},
    testbed::authority::Authority,
};

/// A unit, and what is wrong with it. By default it is a good one.
#[derive(Clone, Debug, Default)]
pub struct Specimen {
    /// The product with another firmware, where that is what is wrong.
    pub profile: Option<Arc<Profile>>,
    /// Another base MAC address than a good unit's.
    pub mac: Option<Mac>,
    /// Whether it has numbers and secrets of its own, and not those that the profile declares.
    pub is_another: bool,
    /// Other security fuses than a good unit's.
    pub burnt: Option<Vec<Burnt>>,
    /// Faults that every product can have.
    pub faults: Vec<Fault>,
    /// Decides where and when they show.
    pub seed: u64,
    /// What becomes of its flash once it was written.
    pub tampering: Option<Tampering>,
}

/// What specimens of one product have in common: the order that each is run by, and a state that nobody keeps.
pub struct Specimens {
    order: Order,
    state: StateDirectory,
    records: RecordStore,
    clock: Clock,
    _folder: TempDir,
}

/// No specimens can be had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum SpecimensError {
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error("a folder for the station of the units: {0}")]
    Folder(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Jobs(#[from] JobsError),
    #[error("one device is needed, {found} are named")]
    Several { found: usize },
    #[error("units are made wrong on the simulator and on emulators, and {device} is neither")]
    NotSimulated { device: String },
    #[error("{} is one unit's flash, and many units are made", .file.display())]
    FlashFile { file: PathBuf },
    #[error(transparent)]
    Panicked(#[from] JoinError),
}

impl SpecimensError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        match self {
            Self::Order(error) => error.action(),
            Self::Jobs(error) => error.action(),
            Self::Several { .. } => Some("name one --device, or none".to_owned()),
            Self::NotSimulated { .. } => Some("leave out --device".to_owned()),
            Self::FlashFile { .. } => Some("leave out flash-file".to_owned()),
            Self::Folder(_) | Self::Store(_) | Self::Panicked(_) => None,
        }
    }
}

impl Specimens {
    /// Takes a request for one unit apart, as a run's. Of the state that it names only the bench's CA is taken, and only
    /// where a firmware of the product's own may carry it.
    ///
    /// # Errors
    /// [`SpecimensError`] says why such units cannot be had.
    pub async fn of(request: &Request, clock: Clock) -> Result<Self, SpecimensError> {
        let folder = TempDir::with_prefix("goldline-specimens-")?;
        // It makes its own, which nobody else may read.
        let state = folder.path().join("state");
        let own = request.state.as_deref();
        let request = Request { state: Some(state), ..request.clone() };
        let order = Order::new(&request, Scope::Run)?;
        match order.devices.as_slice() {
            [(_, url)] if is_made_for_it(url) => {}
            [(name, _)] => return Err(SpecimensError::NotSimulated { device: name.clone() }),
            devices => return Err(SpecimensError::Several { found: devices.len() }),
        }
        if let Some(file) = order.flash_files().next() {
            return Err(SpecimensError::FlashFile { file: file.to_owned() });
        }
        let state = open_state(order.state.as_deref())?;
        if matches!(order.profile.images.app, AppSource::File(_)) {
            // Where there is none yet, no firmware carries it.
            let own = own.map_or_else(StateDirectory::default_path, |own| Ok(own.to_owned()))?;
            if bench_ca_if_any(&own).is_some() {
                state.adopt_authority(&open_state(Some(&own))?.authority(&clock)?)?;
            }
        }
        let records = state.records().await?;
        Ok(Self { order, state, records, clock, _folder: folder })
    }

    /// The product.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.order.profile
    }

    /// Whether its firmware is machine code, which no description says anything of.
    pub fn run_machine_code(&self) -> bool {
        self.order.devices[0].1.runs_machine_code()
    }

    /// The security fuses that good units come with.
    pub fn burnt(&self) -> &[Burnt] {
        match &self.order.devices[0].1 {
            DeviceUrl::Simulator(options) => &options.burnt,
            _ => &[],
        }
    }

    /// Who certifies whatever the bench certifies.
    ///
    /// # Errors
    /// [`StoreError`] when its key cannot be read or made.
    pub fn authority(&self) -> Result<Authority, StoreError> {
        self.state.authority(&self.clock)
    }

    /// Runs a unit to its record.
    ///
    /// # Errors
    /// [`SpecimensError`] when such a unit cannot be: nothing was run.
    pub async fn run(
        &self,
        specimen: Specimen,
        events: Events,
        cancel: CancellationToken,
    ) -> Result<Finished, SpecimensError> {
        let (order, state) = (self.order.of_specimen(&specimen), self.state.clone());
        let (records, clock) = (self.records.clone(), self.clock.clone());
        let job = tokio::task::spawn_blocking(move || {
            let attempt = Attempt::first(1, Instant::now());
            let mut planned = jobs(&order, &attempt, (&state, &records), &clock)?;
            let Planned { mut job, .. } = planned.pop().expect("one unit has one job");
            // Who is made and thrown away was never another's, and nobody asks for it later.
            job.claim = Arc::new(|_, _| Ok(()));
            job.standing = Arc::new(|_| Box::pin(async { Ok(()) }));
            job.note_change = Arc::new(|_, _, _| Ok(()));
            match specimen_unit(&order.devices[0].1, &order.profile, &order.faults) {
                Some(mut unit) => {
                    unit.tampering = specimen.tampering;
                    unit.options.mac = specimen.mac.or(unit.options.mac);
                    unit.options.burnt = specimen.burnt.unwrap_or(unit.options.burnt);
                    let world = job.place.world();
                    job.open_device = Box::new(move |_| open_simulator(unit, world));
                }
                None => job.open_device = tampered(job.open_device, specimen.tampering),
            }
            Ok::<_, JobsError>(job)
        });
        Ok(engine::run(job.await??, events, cancel).await)
    }
}

/// Whether units behind it may be made wrong: each is another, and nobody's.
fn is_made_for_it(url: &DeviceUrl) -> bool {
    matches!(url, DeviceUrl::Simulator(_) | DeviceUrl::Qemu(_) | DeviceUrl::EspEmu(_))
}

/// Of a unit that no simulator runs, the loader changes the flash.
fn tampered(open: OpenDevice, tampering: Option<Tampering>) -> OpenDevice {
    match tampering {
        None => open,
        Some(tampering) => {
            Box::new(move |given_up| Ok(Box::new(TamperedDevice::new(open(given_up)?, tampering))))
        }
    }
}

impl Order {
    fn of_specimen(&self, specimen: &Specimen) -> Self {
        let mut order = self.clone();
        if let Some(profile) = &specimen.profile {
            let golden = order.plan.golden.take();
            order.profile = Arc::clone(profile);
            order.plan = Plan { golden, ..Plan::new(Arc::clone(profile), order.plan.scope) };
        }
        if specimen.is_another {
            order.identity = Identity::DeclaredSite;
            order.plan.golden = None;
        }
        order.faults = Faults::of_unit(specimen.faults.clone(), specimen.seed);
        order
    }
}
