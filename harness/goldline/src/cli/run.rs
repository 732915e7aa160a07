//! `goldline run`, `provision` and `check`.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    time::Instant,
};

use miette::Report;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::mpsc::UnboundedReceiver,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    arguments::RunArguments,
    assembly::{Order, Planned},
    credentials, exit, output,
    problem::usage,
    run_outputs::RunOutputs,
    sources::{LeasedNumber, settle},
};
use crate::{
    clock::Clock,
    engine::{self, Event, Events, Finished},
    identity::Mac,
    plan::Scope,
    record::Record,
    report::{Progress, RunFiles, RunProgress, verdict_text},
    store::{LeaseOutcome, RecordStore, Started, StateDirectory, StoreError, UnderWay, UnitEntry},
};

/// Runs every device of the arguments; the code is the worst unit's.
pub(super) fn run(arguments: &RunArguments, scope: Scope) -> miette::Result<u8> {
    let began = Instant::now();
    let order = Order::new(arguments, scope)?;
    let outputs = RunOutputs::look(arguments, order.units(), order.flash_files())?;
    if arguments.dry_run {
        output::print(&order.plan.to_string())?;
        return Ok(exit::PASS);
    }
    outputs.make_folders()?;
    let clock = Clock::system();
    let state = order.state()?;
    let runtime = Runtime::new().map_err(usage)?;
    // Before any number is leased or unit touched: a run that cannot be kept is not begun.
    let records = runtime.block_on(state.records()).map_err(usage)?;
    let jobs = {
        let _entered = runtime.enter();
        order.jobs(&state, &clock, began)?
    };
    let station = Station { state, records, clock, outputs, progress: bars(arguments) };
    let cancel = CancellationToken::new();
    let signals = runtime.block_on(async { stop_on_signal(cancel.clone()) }).map_err(usage)?;
    let (records, mut troubles) = runtime.block_on(station.run_all(jobs, cancel));
    signals.abort();
    troubles.extend(print_records(&records, arguments.json).err());
    // A call that still blocks on a dead port must not keep the process.
    runtime.shutdown_background();
    for trouble in &troubles {
        output::complain(&format!("{trouble:?}"));
    }
    // The units were touched: what the station could not keep is its own error, not the user's.
    let station = if troubles.is_empty() { exit::PASS } else { exit::ERROR };
    Ok(exit::worst(records.iter().map(exit::of).chain([station])))
}

/// Bars are for people: not with `--json`, only where they can be drawn, and never over a question.
fn bars(arguments: &RunArguments) -> Option<Progress> {
    (!arguments.json && !arguments.confirm_alert && io::stderr().is_terminal())
        .then(Progress::default)
}

fn print_records(records: &[Record], json: bool) -> miette::Result<()> {
    match (json, records) {
        (true, [record]) => output::print_json(record),
        (true, records) => output::print_json(&records),
        (false, records) => output::print(&records.iter().map(verdict_text).collect::<String>()),
    }
}

/// What all runs of one command share.
struct Station {
    state: StateDirectory,
    records: RecordStore,
    clock: Clock,
    outputs: RunOutputs,
    progress: Option<Progress>,
}

impl Station {
    /// Runs the jobs side by side. Records come in the jobs' order, whatever the station could not keep
    /// of them; why it could not comes beside them.
    async fn run_all(
        self,
        jobs: Vec<Planned>,
        cancel: CancellationToken,
    ) -> (Vec<Record>, Vec<Report>) {
        let mut runs = JoinSet::new();
        for (index, Planned { job, numbers }) in jobs.into_iter().enumerate() {
            let (events, seen) = Events::channel();
            let scope = job.plan.scope;
            let follow = Follower {
                state: self.state.clone(),
                clock: self.clock.clone(),
                lot: job.lot.clone(),
                operator: job.operator.clone(),
                under_way: None,
                bars: self.progress.as_ref().map(Progress::add),
            };
            let follower = tokio::spawn(follow.follow(seen));
            let run = engine::run(job, events, cancel.clone());
            runs.spawn(async move {
                let finished = run.await;
                // A panic in the display was printed already; the run itself is done.
                let _shown = follower.await;
                (index, scope, numbers, finished)
            });
        }
        let mut records: Vec<Option<Record>> = Vec::new();
        records.resize_with(runs.len(), || None);
        let mut troubles = Vec::new();
        let mut credentials: BTreeMap<usize, serde_json::Value> = BTreeMap::new();
        while let Some(ended) = runs.join_next().await {
            let (index, scope, numbers, finished) = match ended {
                Ok(ended) => ended,
                Err(panic) => {
                    troubles.push(usage(panic));
                    continue;
                }
            };
            let files = self.outputs.of_unit(index);
            troubles.extend(self.keep(scope, &finished, files).err());
            troubles.extend(self.account_for(&numbers, scope, &finished).err());
            troubles.extend(self.records.keep(&finished.record).await.map_err(usage).err());
            credentials.extend(credentials::entry(&finished).map(|entry| (index, entry)));
            records[index] = Some(finished.record);
        }
        if let Some(place) = &self.outputs.credentials {
            let entries: Vec<_> = credentials.into_values().collect();
            troubles.extend(credentials::save(place, &entries).map_err(usage).err());
        }
        (records.into_iter().flatten().collect(), troubles)
    }

    /// Says what became of the numbers that were leased for a run.
    fn account_for(
        &self,
        numbers: &[LeasedNumber],
        scope: Scope,
        finished: &Finished,
    ) -> miette::Result<()> {
        let record = &finished.record;
        for number in numbers {
            let outcome = match provisioned_unit(scope, finished) {
                Some(mac) => LeaseOutcome::Used { mac },
                None => LeaseOutcome::Aborted { mac: record.unit.mac },
            };
            settle(&self.state, number, outcome, Some(record.run_id), &self.clock)?;
        }
        Ok(())
    }

    /// Remembers what later commands need of a run.
    fn keep(
        &self,
        scope: Scope,
        finished: &Finished,
        files: Option<&RunFiles>,
    ) -> miette::Result<()> {
        let record = &finished.record;
        if let (Some(plan), Some(mac)) = (&finished.plan, provisioned_unit(scope, finished)) {
            let unit = UnitEntry {
                mac,
                profile: record.profile.clone(),
                product: finished.product.clone(),
                run_id: record.run_id,
                provisioned_at: record.started_at,
                values: plan.bindings().to_remember(),
            };
            self.state.remember(&unit).map_err(usage)?;
        }
        if let Some(files) = files {
            files.write(record, &finished.observations).map_err(usage)?;
        }
        Ok(())
    }
}

/// The unit, when the run gave it its values and read them back.
fn provisioned_unit(scope: Scope, finished: &Finished) -> Option<Mac> {
    let writes = scope != Scope::Check && scope != Scope::FactoryReset;
    let provisioned = writes && finished.observations.before_boot.is_some();
    finished.record.unit.mac.filter(|_| provisioned)
}

/// Ctrl-C, and what a supervisor or a closed terminal sends, stop the runs; they end as ABORTED.
///
/// # Errors
/// When the system does not let a process listen to its signals.
fn stop_on_signal(cancel: CancellationToken) -> io::Result<JoinHandle<()>> {
    // From here on, and not only when the task gets its turn, a signal does not kill the process.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
        cancel.cancel();
    }))
}

/// The readers of one run's events: the journal, and the bars where there are any.
struct Follower {
    state: StateDirectory,
    clock: Clock,
    lot: Option<String>,
    operator: Option<String>,
    under_way: Option<UnderWay>,
    bars: Option<RunProgress>,
}

impl Follower {
    async fn follow(mut self, mut seen: UnboundedReceiver<Event>) {
        while let Some(event) = seen.recv().await {
            if let Some(bars) = &mut self.bars {
                bars.show(&event);
            }
            if let Err(error) = self.note(&event) {
                tracing::warn!(%error, "the journal is incomplete");
            }
            if matches!(event, Event::Ended(_)) {
                break;
            }
        }
    }

    fn note(&mut self, event: &Event) -> Result<(), StoreError> {
        match event {
            Event::Started { run_id, profile, device, .. } => {
                let started = Started {
                    run_id: *run_id,
                    at: self.clock.now(),
                    profile: profile.into(),
                    device: device.into(),
                    lot: self.lot.as_deref().map(Into::into),
                    operator: self.operator.as_deref().map(Into::into),
                };
                self.under_way = Some(self.state.journal_started(&started)?);
            }
            Event::Ended(record) => self.state.journal_ended(record, self.clock.now())?,
            _ => {}
        }
        Ok(())
    }
}
