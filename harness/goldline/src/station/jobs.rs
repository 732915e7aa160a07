//! From an order to the engine's jobs: the bench, and one job for each device.
//!
//! The only file of the station that knows what the engine asks for. Numbers are leased here; those of
//! an order that no jobs come of are accounted for at once.

use std::{sync::Arc, time::Instant};

use uuid::Uuid;

use super::{
    changes::{asker, noter},
    devices::opener,
    enrolment::enroller,
    identities::{claimer, with_replaced},
    leases::{LeasedNumber, Leasing, settle},
    order::Order,
    provenance::provenance,
    remembered::{Recall, RememberedError},
    values::{self, ValuesError},
};
use crate::{
    bench::{Bench, BenchConfig},
    clock::Clock,
    device::{ChipFacts, DeviceUrl},
    engine::{Job, Stand, ValuesOfUnit},
    image::{FlashImages, ImageError},
    plan::Given,
    store::{Holder, LeaseError, LeaseOutcome, RecordStore, StateDirectory, StoreError},
    testbed::authority::Authority,
};

/// A job, and the numbers that were leased for its unit.
pub(super) struct Planned {
    pub(super) job: Job,
    pub(super) numbers: Vec<LeasedNumber>,
}

/// An order cannot be begun.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum JobsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Images(#[from] ImageError),
    #[error(transparent)]
    Values(#[from] ValuesError),
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error(transparent)]
    Replaced(#[from] RememberedError),
}

impl JobsError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        match self {
            Self::Values(error) => error.action(),
            Self::Store(_) | Self::Images(_) | Self::Lease(_) | Self::Replaced(_) => None,
        }
    }
}

/// One job for each device; what is to be written is tried for fit here, so that no unit is touched
/// when it does not. Needs a tokio runtime, where the bench will run.
pub(super) fn jobs(
    order: &Order,
    (state, records): (&StateDirectory, &RecordStore),
    clock: &Clock,
    began: Instant,
) -> Result<Vec<Planned>, JobsError> {
    let mut numbers = Vec::with_capacity(order.devices.len());
    let jobs = jobs_with_numbers(order, (state, records), clock, began, &mut numbers);
    if jobs.is_err() {
        for number in numbers.iter().flatten() {
            settle(state, number, LeaseOutcome::Aborted { mac: None }, None, clock)?;
        }
    }
    let planned = jobs?.into_iter().zip(numbers);
    Ok(planned.map(|(job, numbers)| Planned { job, numbers }).collect())
}

/// What was leased is in `numbers`, a list for each device, even when no jobs come of it.
fn jobs_with_numbers(
    order: &Order,
    (state, records): (&StateDirectory, &RecordStore),
    clock: &Clock,
    began: Instant,
    numbers: &mut Vec<Vec<LeasedNumber>>,
) -> Result<Vec<Job>, JobsError> {
    let authority = Arc::new(state.authority(clock)?);
    let bench_ca = authority.root_pem().to_owned();
    let bench = Arc::new(bench(order, authority, clock));
    let images = FlashImages::build(&order.profile, &bench.trusted())?;
    if order.devices.iter().any(|(_, url)| matches!(url, DeviceUrl::Simulator(_))) {
        images.refuse_machine_code(&order.profile)?;
    }
    let mut jobs = Vec::with_capacity(order.devices.len());
    for (index, ((name, url), given)) in order.devices.iter().zip(&order.given).enumerate() {
        let holder = Holder { run_id: None, lot: order.lot.clone(), at: clock.now() };
        let mut sources = Leasing::new(state, &order.profile.name, holder.clone());
        let given = &with_replaced(order, state, given)?;
        let run_id = Uuid::new_v4();
        let values = match order.plan.scope {
            scope if scope.remembers() => {
                Ok(remembered(order, state, given.clone(), &images, holder))
            }
            _ => fresh(order, &mut sources, given, &images, clock),
        };
        numbers.push(sources.taken);
        let values = values?;
        let place = bench.place();
        let simulation = order.faults.simulation(index);
        let job = Job {
            run_id,
            plan: order.plan.clone(),
            values,
            images: images.clone(),
            bench: Arc::clone(&bench),
            claim: claimer(state, order, run_id, clock),
            standing: asker(records),
            note_change: noter(state, order, run_id, clock),
            enrol: enroller(state, order, clock),
            confirm_alert: order.confirm_alert.clone(),
            open_device: opener(url, index, &order.profile, &order.faults, place.world()),
            provenance: provenance(order, &images, &bench_ca, simulation.as_ref()),
            simulation,
            place,
            device_url: name.clone(),
            stand: if url.is_real() { Stand::Nest } else { Stand::Simulated },
            lot: order.lot.clone(),
            operator: order.operator.clone(),
            replaces: order.replaces.clone(),
            began,
        };
        jobs.push(job);
    }
    Ok(jobs)
}

fn bench(order: &Order, authority: Arc<Authority>, clock: &Clock) -> Bench {
    Bench::new(BenchConfig {
        network: order.network,
        authority,
        faults: order.faults.testbed.clone().into(),
        broker: order.broker.clone(),
        ca: order.ca.clone(),
        ca_root: order.ca_root.clone(),
        config_server: order.config_server.clone(),
        clock: clock.clone(),
    })
}

/// The values of a unit that is provisioned now.
fn fresh(
    order: &Order,
    sources: &mut Leasing<'_>,
    given: &Given,
    images: &FlashImages,
    clock: &Clock,
) -> Result<ValuesOfUnit, ValuesError> {
    let bindings = values::fresh(&order.plan, given, order.identity, sources, images, clock.now())?;
    Ok(Box::new(move |_: &ChipFacts| Ok(bindings)))
}

/// The values of a unit that this station provisioned before.
fn remembered(
    order: &Order,
    state: &StateDirectory,
    given: Given,
    images: &FlashImages,
    holder: Holder,
) -> ValuesOfUnit {
    let recall = Recall {
        state: state.clone(),
        profile: Arc::clone(&order.profile),
        product: order.plan.product_digest(images),
        identity: order.identity,
        given,
        holder,
    };
    Box::new(move |chip: &ChipFacts| recall.values_of(chip.mac).map_err(|error| error.diagnosis()))
}
