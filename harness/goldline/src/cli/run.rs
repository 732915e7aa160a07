//! `goldline run`, `provision` and `check`.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Instant,
};

use tokio::{
    runtime::Runtime,
    sync::mpsc::UnboundedReceiver,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{arguments::RunArguments, assembly::Order, exit, problem::usage};
use crate::{
    clock::Clock,
    engine::{self, Event, Events, Finished, Job},
    plan::Scope,
    record::Record,
    report::{Progress, RunProgress, verdict_text, write_files},
    store::{StateDirectory, UnitEntry},
};

/// Runs every device of the arguments; the code is the worst unit's.
pub(super) fn run(arguments: &RunArguments, scope: Scope) -> miette::Result<u8> {
    let began = Instant::now();
    let order = Order::new(arguments, scope)?;
    if arguments.dry_run {
        print!("{}", order.plan);
        return Ok(exit::PASS);
    }
    let clock = Clock::system();
    let state = order.state()?;
    let jobs = order.jobs(&state, &clock, began)?;
    let runtime = Runtime::new().map_err(usage)?;
    let station = Station { state, clock, out: arguments.out.clone(), progress: bars(arguments) };
    let records = runtime.block_on(station.run_all(jobs))?;
    print_records(&records, arguments.json);
    // A call that still blocks on a dead port must not keep the process.
    runtime.shutdown_background();
    Ok(exit::worst(records.iter().map(exit::of)))
}

/// Bars are for people: not with `--json`, and only where they can be drawn.
fn bars(arguments: &RunArguments) -> Option<Progress> {
    (!arguments.json && std::io::stderr().is_terminal()).then(Progress::default)
}

fn print_records(records: &[Record], json: bool) {
    match (json, records) {
        (true, [record]) => print_json(record),
        (true, records) => print_json(&records),
        (false, records) => {
            for record in records {
                print!("{}", verdict_text(record));
            }
        }
    }
}

fn print_json(value: &impl serde::Serialize) {
    println!("{}", serde_json::to_string_pretty(value).expect("a record becomes JSON"));
}

/// What all runs of one command share.
struct Station {
    state: StateDirectory,
    clock: Clock,
    out: Option<PathBuf>,
    progress: Option<Progress>,
}

impl Station {
    /// Runs the jobs side by side; records in the jobs' order.
    async fn run_all(self, jobs: Vec<Job>) -> miette::Result<Vec<Record>> {
        let cancel = CancellationToken::new();
        let interrupted = stop_on_interrupt(cancel.clone());
        let several = jobs.len() > 1;
        let mut runs = JoinSet::new();
        for (index, job) in jobs.into_iter().enumerate() {
            let (events, seen) = Events::channel();
            let scope = job.plan.scope;
            let follow = Follower {
                state: self.state.clone(),
                clock: self.clock.clone(),
                bars: self.progress.as_ref().map(Progress::add),
            };
            let follower = tokio::spawn(follow.follow(seen));
            let run = engine::run(job, events, cancel.clone());
            runs.spawn(async move {
                let finished = run.await;
                // A panic in the display was printed already; the run itself is done.
                let _shown = follower.await;
                (index, scope, finished)
            });
        }
        let mut records: Vec<Option<Record>> = Vec::new();
        records.resize_with(runs.len(), || None);
        while let Some(ended) = runs.join_next().await {
            let (index, scope, finished) = ended.map_err(usage)?;
            let folder = self.out.as_deref().map(|out| folder_of(out, index, several));
            self.keep(scope, &finished, folder.as_deref())?;
            records[index] = Some(finished.record);
        }
        interrupted.abort();
        Ok(records.into_iter().flatten().collect())
    }

    /// Remembers what later commands need of a run.
    fn keep(&self, scope: Scope, finished: &Finished, out: Option<&Path>) -> miette::Result<()> {
        let record = &finished.record;
        if let (Some(plan), Some(mac)) = (&finished.plan, record.unit.mac)
            && scope != Scope::Check
            && finished.observations.before_boot.is_some()
        {
            let unit = UnitEntry {
                mac,
                profile: record.profile.clone(),
                run_id: record.run_id,
                provisioned_at: record.started_at,
                values: plan.bindings().to_remember(),
            };
            self.state.remember(&unit).map_err(usage)?;
        }
        if let Some(folder) = out {
            write_files(folder, record, &finished.observations).map_err(usage)?;
        }
        Ok(())
    }
}

/// One folder for one unit, numbered ones for several.
fn folder_of(out: &Path, index: usize, several: bool) -> PathBuf {
    if several { out.join(format!("{:02}", index + 1)) } else { out.to_owned() }
}

/// Ctrl-C stops the runs; they end as ABORTED.
fn stop_on_interrupt(cancel: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel();
        }
    })
}

/// The readers of one run's events: the journal, and the bars where there are any.
struct Follower {
    state: StateDirectory,
    clock: Clock,
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

    fn note(&self, event: &Event) -> Result<(), crate::store::StoreError> {
        match event {
            Event::Started { run_id, profile, device, .. } => {
                self.state.journal_started(*run_id, self.clock.now(), profile, device)
            }
            Event::Ended(record) => self.state.journal_ended(record, self.clock.now()),
            _ => Ok(()),
        }
    }
}
