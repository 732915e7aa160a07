//! The runs of one attempt, side by side: each is watched and noted in the journal while it lasts, and
//! kept and accounted for when it ended.
//!
//! Shows nothing: whoever watches sees the engine's events. Whatever goes wrong here once units are
//! touched is told beside the records and stops no other run.

use std::collections::BTreeMap;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::Attempt,
    changes::settle_change,
    credentials,
    enrolment::Failures,
    jobs::{self, JobsError, Planned},
    journal::{Journal, Journalled, Watcher},
    leases::{Taken, settle},
    nests::{NestOfRun, NestsError},
    order::Order,
    outputs::Outputs,
    remembered::{provisioned_unit, remember},
    state_directory::open_state,
};
use crate::{
    clock::Clock,
    engine::{self, Events, Finished},
    output_file::OutputError,
    plan::Scope,
    record::Record,
    report::serial_log,
    store::{LeaseError, LeaseOutcome, RecordStore, StateDirectory, StoreError},
};

/// The runs of one attempt, ready to begin.
pub(super) struct Batch<'a> {
    jobs: Vec<(Planned, Journal)>,
    failures: Failures,
    keeper: Keeper<'a>,
}

/// What came of a batch.
#[derive(Debug, Default)]
pub(super) struct BatchEnded {
    /// By the units' places in the order, whatever the station could not keep of them.
    pub(super) records: BTreeMap<usize, Record>,
    /// What is saved of units by name, secrets included, by their places.
    pub(super) credentials: BTreeMap<usize, serde_json::Value>,
    /// What the station could not keep, and why.
    pub(super) troubles: Vec<BatchError>,
}

/// A batch cannot be begun, or not all of it be kept.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum BatchError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Jobs(#[from] JobsError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Nests(#[from] NestsError),
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error(transparent)]
    Panicked(#[from] JoinError),
}

impl BatchError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        match self {
            Self::Jobs(error) => error.action(),
            Self::Nests(error) => error.action(),
            Self::Store(_) | Self::Output(_) | Self::Lease(_) | Self::Panicked(_) => None,
        }
    }
}

impl<'a> Batch<'a> {
    /// Opens what the runs are kept in and tries their values for fit. Touches no unit.
    ///
    /// # Errors
    /// [`BatchError`] says why the attempt cannot be begun.
    pub(super) async fn prepare(
        order: &Order,
        outputs: &'a Outputs,
        clock: &Clock,
        attempt: &Attempt,
    ) -> Result<Self, BatchError> {
        outputs.make_folders()?;
        let clock = clock.clone();
        let state = open_state(order.state.as_deref())?;
        // Before any unit is touched: a run that cannot be kept is not begun.
        let records = state.records().await?;
        state.require_room()?;
        state.raise_generation()?;
        let jobs = jobs::jobs(order, attempt, (&state, &records), &clock)?.into_iter();
        let noted = |planned: Planned| {
            let journal = Journal::begin(&state, &clock, &planned.job)?;
            Ok::<_, StoreError>((planned, journal))
        };
        let jobs = jobs.map(noted).collect::<Result<_, _>>()?;
        let failures = Failures::of(&state, order, &clock);
        let is_first = attempt.is_first();
        Ok(Self { jobs, failures, keeper: Keeper { state, records, clock, outputs, is_first } })
    }

    /// Runs all jobs to their ends. `watch` is asked once for each run, in the order of the devices.
    pub(super) async fn run(
        self,
        watch: &mut impl FnMut() -> Watcher,
        cancel: &CancellationToken,
    ) -> BatchEnded {
        let Self { jobs, failures, keeper } = self;
        let mut runs = JoinSet::new();
        for (Planned { index, job, numbers, nest }, journal) in jobs {
            let (events, seen) = Events::channel();
            let scope = job.plan.scope;
            let follower = tokio::spawn(journal.follow(seen, watch()));
            let run = engine::run(job, events, cancel.clone());
            let failures = failures.clone();
            runs.spawn(async move {
                // Of its own, so that a nest is left as it must be when it panics, too.
                let ended = tokio::spawn(run).await;
                let left = leave(nest, ended.as_ref().ok().map(|finished| &finished.record)).await;
                let finished = ended?;
                // A panic in the display was printed already; the run itself is done.
                let journalled = follower.await.ok();
                // Here, and not where runs are kept one after the other: a database may be slow.
                let told = failures.tell(scope, &finished).await;
                Ok(EndedRun { index, scope, numbers, finished, journalled, told, left })
            });
        }
        keeper.keep_all(runs).await
    }
}

/// Leaves the nest of a run that ended. It may take as long as its programs do.
async fn leave(nest: Option<NestOfRun>, record: Option<&Record>) -> Result<(), NestsError> {
    let Some(nest) = nest else { return Ok(()) };
    let record = record.cloned();
    let left = tokio::task::spawn_blocking(move || nest.leave(record.as_ref()));
    left.await.unwrap_or_else(|panic| Err(NestsError::NotLeftWell(panic.to_string())))
}

/// A run that ended.
struct EndedRun {
    /// Its place in the order.
    index: usize,
    scope: Scope,
    numbers: Taken,
    finished: Finished,
    /// `None` when whoever watched it panicked.
    journalled: Option<Journalled>,
    /// Whether the registry knows of a failure, or will.
    told: Result<(), StoreError>,
    /// Whether its nest is as it must be left.
    left: Result<(), NestsError>,
}

/// What all runs of a batch are kept in.
struct Keeper<'a> {
    state: StateDirectory,
    records: RecordStore,
    clock: Clock,
    outputs: &'a Outputs,
    /// Whether the files that it writes are the first of their units.
    is_first: bool,
}

impl Keeper<'_> {
    /// Keeps each run as soon as it ends.
    async fn keep_all(self, mut runs: JoinSet<Result<EndedRun, JoinError>>) -> BatchEnded {
        let BatchEnded { mut records, mut credentials, mut troubles } = BatchEnded::default();
        while let Some(ended) = runs.join_next().await {
            let mut run = match ended {
                Ok(Ok(run)) => run,
                Ok(Err(panic)) | Err(panic) => {
                    troubles.push(panic.into());
                    continue;
                }
            };
            self.keep(&mut run, &mut troubles).await;
            let EndedRun { index, finished, .. } = run;
            credentials.extend(credentials::entry(&finished).map(|entry| (index, entry)));
            records.insert(index, finished.record);
        }
        BatchEnded { records, credentials, troubles }
    }

    /// Remembers what later commands need of a run, each part whatever became of the others.
    async fn keep(&self, run: &mut EndedRun, troubles: &mut Vec<BatchError>) {
        let kept = self.records.keep(&run.finished.record).await.map(drop);
        let journalled = run.journalled.as_mut().map_or(Ok(()), Journalled::take_kept);
        // Where whoever journals it panicked, nobody knows what the journal has.
        let in_journal = journalled.is_ok() && run.journalled.is_some();
        if let Err(error) = &kept
            && !in_journal
        {
            run.finished.record.withdraw(&error.to_string());
        }
        troubles.extend(kept.err().map(Into::into));
        troubles.extend(journalled.err().map(Into::into));
        let (run_id, log) = (run.finished.record.run_id, serial_log(&run.finished.observations));
        troubles.extend(self.state.keep_log(run_id, &log).err().map(Into::into));
        troubles.extend(self.remember(run).err());
        troubles.extend(std::mem::replace(&mut run.left, Ok(())).err().map(Into::into));
        troubles.extend(std::mem::replace(&mut run.told, Ok(())).err().map(Into::into));
        troubles.extend(self.account_for(run).err().map(Into::into));
        troubles.extend(self.give_back(run).err().map(Into::into));
    }

    fn remember(&self, run: &EndedRun) -> Result<(), BatchError> {
        let EndedRun { index, scope, finished, .. } = run;
        remember(&self.state, *scope, finished)?;
        settle_change(&self.state, *scope, finished)?;
        if let Some(files) = self.outputs.of_unit(*index) {
            let of_earlier_run = (!self.is_first).then(|| files.of_our_own());
            let files = of_earlier_run.as_ref().unwrap_or(files);
            files.write(&finished.record, &finished.observations)?;
        }
        Ok(())
    }

    /// An identity that the unit never got is free for another.
    fn give_back(&self, run: &EndedRun) -> Result<(), StoreError> {
        let EndedRun { scope, finished, .. } = run;
        match (provisioned_unit(*scope, finished), finished.record.unit.mac) {
            (None, Some(mac)) if scope.provisions() => {
                self.state.release(mac, finished.record.run_id, self.clock.now())
            }
            _ => Ok(()),
        }
    }

    /// Says what became of the numbers that were leased for a run.
    fn account_for(&self, run: &EndedRun) -> Result<(), LeaseError> {
        let EndedRun { scope, numbers, finished, .. } = run;
        let record = &finished.record;
        for number in &numbers.take() {
            let outcome = match provisioned_unit(*scope, finished) {
                Some(mac) => LeaseOutcome::Used { mac },
                None => LeaseOutcome::Aborted { mac: record.unit.mac },
            };
            settle(&self.state, number, outcome, Some(record.run_id), &self.clock)?;
        }
        Ok(())
    }
}
