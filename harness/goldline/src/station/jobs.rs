//! From an order to the engine's jobs: the bench, and one job for each device.
//!
//! The only file of the station that knows what the engine asks for. No number is leased here: a unit gets its
//! own when it is known which unit it is.

use std::{io, net::SocketAddr, sync::Arc};

use uuid::Uuid;

use super::{
    attempt::Attempt,
    changes::{asker, noter},
    devices::{Surroundings, opener},
    enrolment::enroller,
    finals::{self, UnfitFinal},
    identities::{claimer, with_replaced},
    leases::{Leasing, Rehearsal, Taken},
    nests::{self, NestOfRun, NestsError},
    order::Order,
    provenance::provenance,
    redirects::{self, RedirectError},
    remembered::{Recall, RememberedError},
    trust::{Shown, Untrusting, refuse_untrusting},
    values::{self, ValuesError},
};
use crate::{
    bench::{Bench, BenchConfig, Place},
    client::http::{HttpError, HttpUrl},
    clock::Clock,
    device::{ChipFacts, Plug, Uplink, UplinkOfRun},
    engine::{Job, Outages, Shares, Stand, ValuesOfUnit},
    identity::Mac,
    image::{FlashImages, ImageError, Symbols},
    plan::{Bindings, BoundPlan, Given, MaterialError, Scope},
    process::Unusable,
    profile::{Ca, Caller, CheckId, Host, HostError, Template},
    record::{Code, Diagnosis},
    store::{Holder, RecordStore, StateDirectory, StoreError},
    testbed::{
        authority::Authority,
        hostapd::HostapdError,
        nat::EmulatedAccessPoint,
        network::{NetworkKind, NoRedirect},
        nic::NoNic,
        site::Arrives,
        visits::{NoVisits, Visitor},
    },
};

/// A job, and the numbers that it takes for its unit.
pub(super) struct Planned {
    /// The unit's place in the order.
    pub(super) index: usize,
    pub(super) job: Job,
    pub(super) numbers: Taken,
    /// What it lies in.
    pub(super) nest: Option<NestOfRun>,
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
    Replaced(#[from] RememberedError),
    #[error("the wire of a unit cannot listen at {address}: {error}")]
    Link { address: SocketAddr, error: io::Error },
    #[error(transparent)]
    Nests(#[from] NestsError),
    #[error(transparent)]
    NoNic(#[from] NoNic),
    #[error(transparent)]
    NoVisits(#[from] NoVisits),
    #[error(transparent)]
    OtherNetwork(#[from] HostapdError),
    #[error(transparent)]
    Site(#[from] NoRedirect),
    #[error(transparent)]
    Url(#[from] HttpError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("--broker: units go to {given} over the site's network, and {named} is named")]
    OtherBroker { given: String, named: String },
    #[error(transparent)]
    Untrusting(#[from] Untrusting),
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    #[error(transparent)]
    Unfit(#[from] UnfitFinal),
    #[error(
        "{what} trusts the bench's own CA, and would be shipped so: whoever has the bench's key could stand in for every service"
    )]
    ShipsTrust { what: String },
    #[error("the test {test} has no program: {error}")]
    Program { test: String, error: Unusable },
}

impl JobsError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        match self {
            Self::Values(error) => error.action(),
            Self::Link { .. } => {
                Some("free that address, or choose another in --network wire:HOST:PORT".to_owned())
            }
            Self::Nests(error) => error.action(),
            Self::NoNic(error) => error.action(),
            Self::NoVisits(error) => error.action(),
            Self::OtherNetwork(error) => error.action(),
            Self::Site(error) => error.action().map(str::to_owned),
            Self::OtherBroker { .. } => Some(
                "name the broker as units are given it, or give them the name that it has here (--set)"
                    .to_owned(),
            ),
            Self::Untrusting(error) => Some(error.action()),
            Self::Redirect(error) => Some(error.action().to_owned()),
            Self::Unfit(error) => Some(error.action().to_owned()),
            Self::ShipsTrust { .. } => Some(
                "flash the build that trusts the product's own CA, and give the bench a certificate of that in [redirect] of the station file, or name the broker that is there (--broker); a simulated unit may trust the bench"
                    .to_owned(),
            ),
            Self::Program { .. } => {
                Some("correct `command` or `witness` of that check in the profile".to_owned())
            }
            Self::Store(_) | Self::Images(_) | Self::Replaced(_) | Self::Url(_) | Self::Host(_) => {
                None
            }
        }
    }
}

/// One job for each unit of an attempt; what is to be written is tried for fit here, so that no unit is touched
/// when it does not. Needs a tokio runtime, where the bench will run.
pub(super) fn jobs(
    order: &Order,
    attempt: &Attempt,
    (state, records): (&StateDirectory, &RecordStore),
    clock: &Clock,
) -> Result<Vec<Planned>, JobsError> {
    let mut authority = state.authority(clock)?;
    if let Some(redirect) = &order.redirect {
        authority = authority.with_servers_of(redirects::maker(redirect, clock)?);
    }
    let authority = Arc::new(authority);
    let bench_ca = authority.root_pem().to_owned();
    let bench = Arc::new(bench(order, authority, clock)?);
    let images = FlashImages::build(&order.profile, &bench.trusted())?;
    if order.devices.iter().any(|(_, url)| !url.runs_machine_code()) {
        images.refuse_machine_code(&order.profile)?;
    }
    let symbols = Symbols::of(&order.profile, &images)?;
    refuse_unusable_programs(order)?;
    if order.profile.is_tested_then_finished() && order.plan.scope.provisions() {
        finals::refuse_unfit(order, &images, &bench_ca, clock)?;
    }
    refuse_shipping_trust(order, &images, &bench_ca)?;
    // A unit that reaches nothing of the bench need not trust it.
    if order.network.kind != NetworkKind::None {
        let told = |given: &Given| match order.plan.finishes() {
            true => given.on_bench(&order.profile, &bench_ca),
            false => given.clone(),
        };
        let told: Vec<Given> = order.given.iter().map(told).collect();
        refuse_untrusting(&order.plan, &told, &images, &shown(order, &bench))?;
    }
    nests::refuse_crosswise(&order.nests, &order.profile)?;
    let today = clock.now().date();
    nests::refuse_uncalibrated(&order.nests, order.requires_calibration, today)?;
    nests::take_back_what_was_left(state, &order.nests)?;
    let outages = Outages::among(attempt.units().len());
    let shares = nests::shares(state, &order.resources, order.share_within);
    let mut jobs = Vec::with_capacity(attempt.units().len());
    for (index, retries) in attempt.units() {
        let index = *index;
        let ((name, url), given) = (&order.devices[index], &order.given[index]);
        let given = with_replaced(order, state, given)?;
        let run_id = Uuid::new_v4();
        let numbers = Taken::default();
        let taker =
            Taker { run_id, lot: order.lot.clone(), clock: clock.clone(), taken: numbers.clone() };
        let values = if order.plan.scope.remembers() {
            let ships = url.is_real() && order.plan.scope != Scope::FactoryReset;
            remembered(order, state, given, &images, (taker, ships))
        } else {
            let mut rehearsal = Rehearsal::of(state, &order.profile.name, index)?;
            let (plan, now) = (&order.plan, clock.now());
            let now = (now, bench_ca.as_str());
            let tried =
                values::try_for_fit(plan, &given, order.identity, &mut rehearsal, &images, now)?;
            bench.refuse_other_network(&tried)?;
            prepare_site(order, &bench, &tried)?;
            fresh(order, state, given, taker)
        };
        let place = bench.place();
        if let Some(address) = order.network.link_of(index) {
            let taken = |error| JobsError::Link { address, error };
            place.listen(address).map_err(taken)?;
        }
        let nest = order.nests[index].as_ref();
        let nest = nest.map(|nest| NestOfRun::take(state, nest)).transpose()?;
        let ask_nest = nest.as_ref().map(|nest| nest.ask(records, clock, order.network.kind));
        let simulation = order.faults.simulation(index);
        let emulator = order.emulators[index].as_ref();
        let surroundings = Surroundings {
            world: place.world(),
            plug: emulator.map(|_| plug(&place)),
            uplink: emulator.map(|_| uplink(&place)),
            elsewhere: order.units_elsewhere[index].clone(),
            with_power: order.with_power[index].clone(),
        };
        let device = (url, emulator);
        let job = Job {
            run_id,
            plan: order.plan.clone(),
            values,
            images: images.clone(),
            symbols: symbols.clone(),
            bench: Arc::clone(&bench),
            claim: claimer(state, order, run_id, clock),
            standing: asker(records),
            note_change: noter(state, order, run_id, clock),
            enrol: enroller(state, order, clock),
            confirm_alert: order.confirm_alert.clone(),
            hand: order.hand.clone(),
            open_device: opener(device, index, &order.profile, &order.faults, surroundings),
            provenance: provenance(
                order,
                &images,
                &bench_ca,
                (order.nests[index].as_ref(), emulator),
                simulation.as_ref(),
            ),
            simulation,
            place,
            device_url: name.clone(),
            stand: if url.is_real() { Stand::Nest(ask_nest) } else { Stand::Simulated },
            path: order.nests[index].as_ref().and_then(|nest| nests::path_of(nest, today)),
            prepare: nest.as_ref().map(|nest| nest.preparer(&shares)),
            shares: Shares {
                held_already: nest.as_ref().map(|nest| nest.uses().to_vec()).unwrap_or_default(),
                ..shares.clone()
            },
            outages: outages.clone(),
            lot: order.lot.clone(),
            operator: order.operator.clone(),
            replaces: order.replaces.clone(),
            retries: retries.clone(),
            began: attempt.began(),
        };
        jobs.push(Planned { index, job, numbers, nest });
    }
    Ok(jobs)
}

/// Units on the network of a site find their services by themselves: the bench, or the broker that is named.
fn prepare_site(order: &Order, bench: &Bench, plan: &BoundPlan) -> Result<(), JobsError> {
    let Some(site) = bench.site() else { return Ok(()) };
    let profile = plan.profile();
    let text = |template: &Template| -> Result<String, JobsError> {
        let text = plan.render(template).map_err(MaterialError::from).map_err(ValuesError::from)?;
        Ok(text.expose().to_owned())
    };
    let calls_ca = |ca: &&Ca| ca.called_by == Caller::Unit;
    let called = profile.ca.as_ref().filter(calls_ca).map(|ca| &ca.url);
    for url in called.into_iter().chain(profile.config_server.as_ref().map(|server| &server.url)) {
        let url: HttpUrl = text(url)?.parse()?;
        site.prepare(Arrives::Connections, url.at(), url.port())?;
    }
    if let Some(time) = &profile.time {
        let host: Host = text(&time.server)?.parse()?;
        site.prepare(Arrives::Datagrams, &host, time.port)?;
    }
    if let Some(ota) = profile.ota.as_ref().filter(|_| plan.plan().has_check(CheckId::OtaUpdate)) {
        site.prepare(Arrives::Connections, &ota.server.0, ota.server.1)?;
    }
    let Some(endpoint) = &plan.endpoint else { return Ok(()) };
    let Some(there) = &order.broker else {
        return Ok(site.prepare(Arrives::Connections, endpoint.at(), endpoint.port())?);
    };
    let named = &there.endpoint;
    match named.at() == endpoint.at() && named.port() == endpoint.port() {
        true => Ok(()),
        false => {
            let (given, named) = (endpoint.to_string(), named.to_string());
            Err(JobsError::OtherBroker { given, named })
        }
    }
}

/// A real unit that is judged is shipped as it is.
fn refuse_shipping_trust(
    order: &Order,
    images: &FlashImages,
    bench_root: &str,
) -> Result<(), JobsError> {
    let is_real = order.devices.iter().any(|(_, url)| url.is_real());
    // What is only provisioned has no verdict, and what is taken back is not shipped.
    if !is_real || matches!(order.plan.scope, Scope::Provision | Scope::FactoryReset) {
        return Ok(());
    }
    match redirects::what_trusts_the_bench(&order.profile, images, &order.given, bench_root) {
        Some(what) => Err(JobsError::ShipsTrust { what }),
        None => Ok(()),
    }
}

/// Without its program a test would be an ERROR of every unit.
fn refuse_unusable_programs(order: &Order) -> Result<(), JobsError> {
    for own in order.profile.own_tests() {
        own.refuse_unusable()
            .map_err(|error| JobsError::Program { test: own.name.clone(), error })?;
    }
    Ok(())
}

/// An emulated unit's way to the network, each time that it is switched on.
fn plug(place: &Place) -> Plug {
    let place = place.clone();
    Box::new(move || place.plug())
}

/// What a guest of esp-emu finds, each time that it is switched on.
fn uplink(place: &Place) -> Uplink {
    let place = place.clone();
    Box::new(move || {
        let EmulatedAccessPoint { ssid, passphrase, names } = place.emulated_access_point()?;
        let place = place.clone();
        let attach = Box::new(move |leader, mac| {
            // It had the network a moment ago, and keeps it to the end of the run.
            let _attached = place.attach_guest(leader, mac);
        });
        Ok(UplinkOfRun { ssid, passphrase, names, attach })
    })
}

fn bench(order: &Order, authority: Arc<Authority>, clock: &Clock) -> Result<Bench, JobsError> {
    // A product that opens none needs no way into one.
    let visiting = order.network.visiting().filter(|_| order.profile.portal.is_some());
    let config = BenchConfig {
        network: order.network.kind,
        authority,
        faults: order.faults.testbed.clone().into(),
        broker: order.broker.clone(),
        ca: order.ca.clone(),
        redirected_because: order.redirect.as_ref().and_then(|it| it.because.clone()),
        ca_root: order.ca_root.clone(),
        config_server: order.config_server.clone(),
        visitor: visiting.map(Visitor::new).transpose()?,
        clock: clock.clone(),
    };
    match (order.network.interface(), &order.site) {
        (Some(interface), _) => {
            Ok(Bench::on_interface(interface, order.network.hostapd(), config)?)
        }
        (None, Some(place)) => Ok(Bench::on_site(place.clone(), config)),
        (None, None) => Ok(Bench::new(config)),
    }
}

/// Whom the services of the bench show.
fn shown(order: &Order, bench: &Bench) -> Shown {
    let authority = bench.authority();
    Shown {
        bench: Some(authority.shown_by_servers()),
        broker: order.broker.as_ref().map(|broker| broker.trust.clone()),
    }
}

/// Who takes the numbers of a unit that is not known yet.
struct Taker {
    run_id: Uuid,
    lot: Option<String>,
    clock: Clock,
    taken: Taken,
}

impl Taker {
    fn holder(&self, mac: Mac) -> Holder {
        Holder { run_id: self.run_id, mac, lot: self.lot.clone(), at: self.clock.now() }
    }
}

/// The values of a unit that is provisioned now, made when it is identified.
fn fresh(order: &Order, state: &StateDirectory, given: Given, taker: Taker) -> ValuesOfUnit {
    let (state, profile, identity) = (state.clone(), Arc::clone(&order.profile), order.identity);
    Box::new(move |chip: &ChipFacts| {
        let holder = taker.holder(chip.mac);
        let (profile_name, taken) = (&profile.name, taker.taken);
        let mut sources = Leasing { state: &state, profile: profile_name, holder, taken };
        let values = Bindings::resolve(&profile, &given, identity, &mut sources);
        values.map_err(|error| Diagnosis::new(Code::StationState, error.to_string()))
    })
}

/// The values of a unit that this station provisioned before.
fn remembered(
    order: &Order,
    state: &StateDirectory,
    given: Given,
    images: &FlashImages,
    (taker, ships): (Taker, bool),
) -> ValuesOfUnit {
    let recall = Recall {
        state: state.clone(),
        profile: Arc::clone(&order.profile),
        product: order.plan.product_digest(images),
        identity: order.identity,
        given,
        taken: taker.taken.clone(),
        ships,
    };
    Box::new(move |chip: &ChipFacts| {
        recall.values_of(taker.holder(chip.mac)).map_err(|error| error.diagnosis())
    })
}
