//! The only interpreter of a plan's steps: plan → device and testbed → observations.
//!
//! One task owns all that is known of a run; device calls block on threads of their own. Steps are
//! done in order; the first that cannot be done ends the run, and what was seen until then is judged.
//! Must not judge by itself, and knows no terminal.

mod access_point;
mod again;
mod alert;
mod answer;
mod calls;
mod change;
mod conduct;
mod crashed;
mod dialogue;
mod echo;
mod event;
mod evidence;
mod failure;
mod finish;
mod flash_reading;
mod flash_writing;
mod flashing;
mod fuses;
mod hand;
mod hearing;
mod leftovers;
mod measuring;
mod medium;
mod nest;
mod on_site;
mod outage;
mod paste;
mod phase;
mod ping;
mod portal;
mod probing;
mod readiness;
mod recorded;
mod registration;
mod registry_row;
mod reprovisioning;
mod rewrite;
mod rivalry;
mod sharing;
mod signs;
mod steady;
mod still_there;
mod time_on_site;
mod traffic;
mod trial;
mod trust;
mod turned_away;
mod update;
mod validity;
mod visiting;
mod waiting;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    bench::{Bench, Place},
    check::{Judgement, NestPath, Observations, Stop, UnitLog, judge},
    device::{AskHand, ChipFacts, ConsoleLine, Device, DeviceError, NumberedLine},
    identity::Mac,
    image::{FlashImages, Symbols},
    plan::{Bindings, BoundPlan, Claim, Content, Moment, Plan, Purpose, Step},
    profile::Resource,
    record::{
        Diagnosis, EarlierRun, EndpointRecord, Flashed, Holds, Outcome, Provenance, Record,
        Replacement, SCHEMA, Simulation, Stage, Unit,
    },
    testbed::ca::ExpectedRegistration,
};

use again::{Again, Given};
pub use change::{AskStanding, Change, NoteChange};
use echo::Typed;
pub use event::{Event, Events};
use failure::Failure;
use flash_writing::Seen;
use hearing::Hearing;
pub use nest::{AskNest, Doubt, PrepareNest, Stand};
pub use outage::Outages;
use phase::Phase;
pub use recorded::TEST_VALUES;
use recorded::{
    describe_unit, endpoint_records, given_by_bench, network_record, not_proven, shipped,
};
pub use registration::EnrolUnit;
pub use registry_row::{News, NoRow, registry_row};
pub use sharing::{Held, Shares, TakeShare};

/// Opens the device of a run; it may be told to give up. Blocks.
pub type OpenDevice =
    Box<dyn FnOnce(&dyn Fn() -> bool) -> Result<Box<dyn Device>, DeviceError> + Send>;

/// Gives a unit its values, once it is known which unit it is; says why it cannot.
pub type ValuesOfUnit = Box<dyn FnOnce(&ChipFacts) -> Result<Bindings, Diagnosis> + Send>;

/// Makes what belongs to one unit alone that unit's, or says who has it already.
pub type ClaimIdentity = Arc<dyn Fn(Mac, &[Claim]) -> Result<(), NoClaim> + Send + Sync>;

/// A unit cannot have the identity that is planned for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoClaim {
    /// Another unit has it; in words, without a secret.
    Taken(String),
    /// The station cannot tell, and why.
    Unknown(String),
}

/// Puts a yes-or-no question to the operator; `None` when nobody answers. May block.
pub type AskOperator = Arc<dyn Fn(&str) -> Option<bool> + Send + Sync>;

/// All that a run needs.
pub struct Job {
    /// Unique for this run.
    pub run_id: Uuid,
    /// What to do.
    pub plan: Plan,
    /// The unit's values; `unit.mac` is bound by the run.
    pub values: ValuesOfUnit,
    /// What is flashed besides data.
    pub images: FlashImages,
    /// What lies at the addresses of its application.
    pub symbols: Symbols,
    /// The bench that it borrows.
    pub bench: Arc<Bench>,
    /// Where its unit stands on it.
    pub place: Place,
    /// Makes the unit's identity its own.
    pub claim: ClaimIdentity,
    /// Whether the unit is as its last run left it on purpose.
    pub standing: AskStanding,
    /// Notes that the unit is about to be changed.
    pub note_change: NoteChange,
    /// Puts the unit into the device registry, for products that have one.
    pub enrol: EnrolUnit,
    /// Who confirms that an alert was seen, where that is asked for.
    pub confirm_alert: Option<AskOperator>,
    /// Who presses the unit's buttons, where somebody at a terminal does.
    pub hand: Option<AskHand>,
    /// The unit.
    pub open_device: OpenDevice,
    /// What the run is made of, for the record.
    pub provenance: Provenance,
    /// What was made wrong on purpose, for the record.
    pub simulation: Option<Simulation>,
    /// URL of the device, for the record.
    pub device_url: String,
    /// Whether a contact may be at fault.
    pub stand: Stand,
    /// What a radio's signal loses in the nest that the unit lies in.
    pub path: Option<NestPath>,
    /// Makes the nest ready that the unit lies in.
    pub prepare: Option<PrepareNest>,
    /// What the unit shares with others.
    pub shares: Shares,
    /// The ports that go away of all units that are run beside it.
    pub outages: Outages,
    /// The batch of units.
    pub lot: Option<String>,
    /// Who runs it.
    pub operator: Option<String>,
    /// The module that the unit takes the place of, for the record.
    pub replaces: Option<Replacement>,
    /// The runs of this unit that this one takes the place of, for the record.
    pub retries: Vec<EarlierRun>,
    /// When the command began, to tell how long it took to the first byte on the wire.
    pub began: std::time::Instant,
}

/// What a run leaves behind.
pub struct Finished {
    /// What is said of the unit.
    pub record: Record,
    /// What was seen.
    pub observations: Observations,
    /// Which version of the product was flashed: [`Plan::product_digest`].
    pub product: String,
    /// What the run did to the unit.
    pub change: Change,
    /// The bench's own services that gave the unit some of its values.
    pub of_bench: Vec<&'static str>,
    /// What was planned for this very unit; `None` when it was never identified.
    pub plan: Option<BoundPlan>,
}

/// Runs a job to its record. Never fails: whatever goes wrong is in the record.
pub async fn run(job: Job, events: Events, cancel: CancellationToken) -> Finished {
    let started_at = job.bench.clock().now();
    let started = Instant::now();
    let run_id = job.run_id;
    events.send(Event::Started {
        run_id,
        profile: job.plan.profile.name.clone(),
        device: job.device_url.clone(),
        steps: job.plan.steps.iter().map(ToString::to_string).collect(),
    });
    let (lot, operator, device) = (job.lot.clone(), job.operator.clone(), job.device_url.clone());
    let simulation = job.simulation.clone();
    let mut provenance = job.provenance.clone();
    let profile = Arc::clone(&job.plan.profile);
    let scope = job.plan.scope;
    let product = job.plan.product_digest(&job.images);
    let replaces = job.replaces.clone();
    let retries = job.retries.clone();
    let network = job.bench.network();
    let symbols = job.symbols.clone();
    let mut of_bench = given_by_bench(&job.bench, &profile, &job.stand);
    let not_proven = job.plan.excluded.iter().map(not_proven).collect();

    let mut run = Run::new(job, events.clone(), cancel);
    run.perform().await;
    let change = run.change;
    provenance.emulator = provenance.emulator.or_else(|| run.device.as_ref()?.emulator());
    provenance.transfer = run.device.as_ref().and_then(|device| device.transfer());
    provenance.flashed = run.flashed;
    let (mut observations, plan, stages, endpoints) = run.into_parts();
    observations.panic = crashed::seen(&observations, &profile, &symbols);

    let Judgement { verdict, diagnosis, checks } =
        judge(&profile, scope, plan.as_ref(), &observations);
    let shipped = shipped(&profile, plan.as_ref(), &observations, change);
    let was_tested = plan.as_ref().is_some_and(BoundPlan::is_of_two);
    if was_tested && shipped.as_ref().is_none_or(|shipped| shipped.holds != Holds::Final) {
        of_bench.push(TEST_VALUES);
    }
    let record = Record {
        schema: SCHEMA,
        run_id,
        profile: profile.name.clone(),
        device,
        lot,
        operator,
        started_at,
        duration_ms: millis(started.elapsed()),
        verdict,
        diagnosis,
        panic: observations.panic.clone(),
        unit: Unit { replaces, ..describe_unit(&observations, plan.as_ref()) },
        retries,
        simulation,
        provenance,
        network: Some(network_record(network, &checks)),
        endpoints,
        shipped,
        stages,
        checks,
        not_proven,
    };
    events.send(Event::Ended(Box::new(record.clone())));
    Finished { record, observations, product, change, of_bench, plan }
}

/// A run under way.
struct Run {
    run_id: Uuid,
    plan: Plan,
    images: FlashImages,
    bench: Arc<Bench>,
    place: Place,
    events: Events,
    cancel: CancellationToken,
    claim: ClaimIdentity,
    standing: AskStanding,
    note_change: NoteChange,
    change: Change,
    /// Whether something was given to a unit that ran since it was last asked who it is.
    given_to_whoever_runs: bool,
    enrol: EnrolUnit,
    confirm_alert: Option<AskOperator>,
    hand: Option<AskHand>,
    device_url: String,
    stand: Stand,
    prepare: Option<PrepareNest>,
    shares: Shares,
    held: Vec<(Resource, Held)>,
    outages: Outages,
    phase: Phase,
    /// While the run lasts, the bench's CA signs for its unit.
    expected_at_ca: Option<ExpectedRegistration>,
    /// `None` while a call blocks on it in another thread.
    device: Option<Box<dyn Device>>,
    /// How often a call of this step had to be tried at most.
    attempts: u32,
    seen: Observations,
    hearing: Hearing,
    /// From when to when the unit was held in its loader since it is in its testbed.
    in_loader: Vec<(Instant, Option<Instant>)>,
    began: std::time::Instant,
    /// What the bench itself typed since the last boot; its echo is no leak of the unit's.
    typed: Vec<Typed>,
    again: Again,
    given: Given,
    /// What was put into the NVS partition in the place of what it held.
    nvs_rewritten: Option<Vec<u8>>,
    /// What the unit said of its flash in the step before, which is so still.
    standing_digests: Vec<Seen>,
    flashed: Option<Flashed>,
    stages: Vec<Stage>,
}

impl Run {
    fn new(job: Job, events: Events, cancel: CancellationToken) -> Self {
        Self {
            run_id: job.run_id,
            plan: job.plan,
            images: job.images,
            bench: job.bench,
            place: job.place,
            events,
            cancel,
            claim: job.claim,
            standing: job.standing,
            note_change: job.note_change,
            change: Change::None,
            given_to_whoever_runs: false,
            enrol: job.enrol,
            confirm_alert: job.confirm_alert,
            hand: job.hand,
            device_url: job.device_url,
            stand: job.stand,
            prepare: job.prepare,
            shares: job.shares,
            held: Vec::new(),
            outages: job.outages,
            phase: Phase::Unopened(job.open_device, job.values),
            expected_at_ca: None,
            device: None,
            attempts: 1,
            seen: Observations { path: job.path, ..Observations::default() },
            hearing: Hearing::default(),
            in_loader: Vec::new(),
            began: job.began,
            typed: Vec::new(),
            again: Again::default(),
            given: Given::default(),
            nvs_rewritten: None,
            standing_digests: Vec::new(),
            flashed: None,
            stages: Vec::new(),
        }
    }

    /// Does the steps in order until one cannot be done.
    async fn perform(&mut self) {
        if self.prepare.is_some()
            && let Err(failure) = self.timed("nest", Self::prepare_nest).await
        {
            return self.stop("nest", failure);
        }
        if let Err(failure) = self.timed("open", Self::open).await {
            return self.stop("open", failure);
        }
        let steps = self.plan.steps.clone();
        let mut index = 0;
        while let Some(step) = steps.get(index) {
            if let Step::Boot(purpose) = step {
                self.remember_start(index, *purpose);
            }
            self.events.send(Event::StepStarted { index });
            let shared = self.wait_for_shares(step).await;
            let began = Instant::now();
            let outcome = match shared {
                Ok(()) => self.step(step).await,
                Err(failure) => Err(failure),
            };
            self.give_shares_back(step);
            let duration_ms = millis(began.elapsed());
            let attempts = std::mem::replace(&mut self.attempts, 1);
            if outcome.is_ok() {
                self.note_changed(index);
            }
            self.note_stage(Stage { name: step.stage(), duration_ms, attempts });
            self.events.send(Event::StepEnded { index, duration_ms });
            let outcome = self.if_vouched_for(outcome).await;
            if let Some(start) = self.hear_again(&outcome) {
                index = start;
                continue;
            }
            index += 1;
            match outcome {
                Ok(Next::GoOn) if index < steps.len() => {}
                Ok(next) => {
                    let reading = match next {
                        Next::Enough => self.unread_values(index),
                        Next::GoOn => None,
                    };
                    match reading.or_else(|| self.give_again()) {
                        Some(step) => index = step,
                        None => break,
                    }
                }
                Err(failure) => {
                    let failure = self.one_of_several(self.explained(failure)).await;
                    let failure = self.outranked(failure).await;
                    let failure = self.excused_by_nest(failure).await;
                    self.stop(step.name(), failure);
                    break;
                }
            }
        }
        self.keep_console();
        self.ask_after_nest().await;
        self.note_namesake();
        self.note_traffic();
        self.ask_who_is_blamed().await;
        self.note_first_byte();
    }

    /// Not a step, but what a user waits for before anything moves: from the command's start on.
    fn note_first_byte(&mut self) {
        let first_byte = self.device.as_ref().and_then(|device| device.line().first_byte());
        if let Some(at) = first_byte {
            let duration_ms = millis(at.saturating_duration_since(self.began));
            let name = "first_byte".to_owned();
            self.stages.insert(0, Stage { name, duration_ms, attempts: 1 });
        }
    }

    async fn step(&mut self, step: &Step) -> Result<Next, Failure> {
        if self.cancel.is_cancelled() {
            return Err(Failure::Aborted);
        }
        self.note_change(step)?;
        if !matches!(step, Step::CollectEvidence { .. }) {
            self.standing_digests.clear();
        }
        self.note_given_to_whoever_runs(step);
        match step {
            Step::Identify => self.identify().await?,
            Step::EraseRest(rest) => self.erase_rest(rest).await?,
            Step::Write(region) => {
                if region.content == Content::FactoryApp {
                    self.make_factory_app()?;
                }
                self.write(region).await?;
                if self.plan.runs_before_evidence() {
                    self.verify(region).await?;
                }
            }
            Step::CollectEvidence { moment, coverage, nvs } => {
                if *moment != Moment::Final {
                    self.note_conduct()?;
                }
                self.collect(*moment, coverage, nvs).await?;
                if *moment == Moment::Final {
                    self.require_final()?;
                }
            }
            Step::ReadFuses(moment) => self.read_fuses(*moment).await?,
            Step::Gate => return self.gate(),
            Step::EnterLoader => self.enter_loader().await?,
            Step::Boot(purpose) => self.boot(*purpose).await?,
            Step::ReadNvs(region) => self.read_nvs(region).await?,
            Step::RewriteNvs(part, region) => self.rewrite_nvs(*part, region).await?,
            Step::ReadDeviceId(scraped) => return self.read_device_id(scraped).await,
            Step::Dialogue(dialogue) => self.dialogue(dialogue).await?,
            Step::SearchLeftovers(region) => self.search_leftovers(region).await?,
            Step::Alert(alert) => self.alert(alert).await?,
            Step::Register(ca) => self.register(ca).await?,
            Step::RequestCredentials(api) => self.request_credentials(api).await?,
            // Whose row that would be nobody knows, where another came with the same identity.
            Step::RecordInRegistry(_) if self.namesake_while_held()?.is_some() => {
                return Ok(Next::Enough);
            }
            Step::RecordInRegistry(spec) => self.record_in_registry(spec).await?,
            Step::SubmitPortal(portal) => self.submit_portal(portal).await?,
            Step::AwaitFactoryFirmware(factory) => self.await_factory_firmware(factory).await?,
            Step::AwaitTime => return self.await_time().await,
            Step::AwaitConfiguration(api) => return self.await_configuration(api).await,
            Step::AwaitCaCall(ca) => return self.await_ca_call(ca).await,
            Step::SeekPortal(portal) => self.seek_portal(portal)?,
            Step::StayUp(steady) => self.stay_up(*steady).await?,
            Step::Measure(own) => self.measure(own).await?,
            Step::OfferStranger => self.offer_stranger().await?,
            Step::Update(ota) => self.update(ota).await?,
            Step::Try => self.try_as_it_runs()?,
            Step::AwaitApplication => self.await_start().await?,
            Step::AwaitJoin => return self.await_join().await,
            Step::AwaitBroker => return self.await_broker().await,
            Step::Command(command) => return self.command(command).await,
            Step::JudgeTest => return Ok(self.judge_test()),
            Step::EraseTested(spans) => self.erase_tested(spans).await?,
            Step::WriteFinal(region) => self.write(region).await?,
            Step::Hold => self.hold().await?,
        }
        Ok(Next::GoOn)
    }

    async fn timed(
        &mut self,
        name: &str,
        work: impl AsyncFnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let outcome = work(self).await;
        let duration_ms = millis(began.elapsed());
        self.stages.push(Stage { name: name.to_owned(), duration_ms, attempts: 1 });
        outcome
    }

    /// Why the line ended, where the device knows more than that it did.
    fn explained(&self, failure: Failure) -> Failure {
        match failure {
            Failure::PortVanished => {
                let ending = self.device.as_ref().and_then(|device| device.ending());
                ending.map_or(Failure::PortVanished, Failure::Device)
            }
            failure => failure,
        }
    }

    fn stop(&mut self, stage: &'static str, failure: Failure) {
        self.keep_console();
        if matches!(failure, Failure::Aborted) {
            self.seen.aborted = true;
            return;
        }
        if let Failure::Device(DeviceError::Exchanged { is, .. }) = &failure {
            self.forget_what_ran(*is, stage);
        }
        let blame = if failure.blames_unit() { Outcome::Fail } else { Outcome::Error };
        self.seen.stopped = Some(Stop { stage, blame, diagnosis: failure.diagnosis() });
    }

    /// Keeps the serial log, without the secrets that the unit may have printed.
    fn keep_console(&mut self) {
        let (Some(device), Some(boot)) = (&self.device, self.phase.last_boot()) else { return };
        let line = device.line();
        self.seen.lines_lost = boot.lost_before + line.console().lost();
        let mut lines = line.console().lines();
        let mut facts = self.hearing.facts();
        let plan = self.phase.plan().map(BoundPlan::tested);
        if let Some(plan) = plan {
            for own in echo::take_out(&mut lines, &self.typed) {
                self.seen.leaked.extend(plan.bindings().redact(&own).1);
            }
            for NumberedLine { line, .. } in &mut lines {
                line.text = plan.bindings().redact(&line.text).0;
            }
        }
        match boot.purpose {
            Purpose::Trial => {
                // An update restarts the unit, as it must: that is another log.
                let end = match &boot.before_update {
                    Some((printed, before)) => {
                        facts = before.clone();
                        lines.partition_point(|line| line.number < *printed)
                    }
                    None => lines.len(),
                };
                if let Some(plan) = plan {
                    facts = facts.shown(|line| plan.bindings().redact(line).0);
                }
                self.seen.update_console = with_gaps(lines.split_off(end));
                self.seen.console = UnitLog::heard(with_gaps(lines), facts);
            }
            Purpose::Provisioning => {
                self.seen.earlier_console.truncate(boot.earlier_lines);
                self.seen.earlier_console.extend(with_gaps(lines));
            }
        }
    }

    fn into_parts(self) -> (Observations, Option<BoundPlan>, Vec<Stage>, Vec<EndpointRecord>) {
        let broker = self.bench.external_broker().map(|broker| broker.endpoint.to_string());
        let because = self.bench.redirected_because().map(str::to_owned);
        let records = |plan| endpoint_records(plan, broker, because);
        let plan = self.phase.into_plan();
        let endpoints = plan.as_ref().map(records).unwrap_or_default();
        (self.seen, plan, self.stages, endpoints)
    }
}

/// What follows a step.
enum Next {
    /// The next step.
    GoOn,
    /// No further step can tell anything more of this unit.
    Enough,
}

/// The lines with a word where others were not kept.
fn with_gaps(lines: Vec<NumberedLine>) -> Vec<ConsoleLine> {
    let mut shown = Vec::with_capacity(lines.len());
    let mut next = lines.first().map_or(0, |line| line.number);
    for NumberedLine { number, line } in lines {
        if number > next {
            let text = format!("[{} lines were not kept]", number - next);
            shown.push(ConsoleLine { at_ms: line.at_ms, text });
        }
        next = number + 1;
        shown.push(line);
    }
    shown
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
