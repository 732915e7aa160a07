//! The readers of one run's events: the journal, and whoever watches.

use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    clock::Clock,
    engine::{Event, Job},
    store::{Started, StateDirectory, StoreError, UnderWay},
};

/// Sees what happens in one run while it lasts.
pub type Watcher = Box<dyn FnMut(&Event) + Send>;

/// Notes one run in the journal.
pub(super) struct Journal {
    state: StateDirectory,
    clock: Clock,
    under_way: UnderWay,
}

/// What the journal has of a run that ended.
pub(super) struct Journalled {
    /// Whether its record is on the disk there.
    kept: Result<(), StoreError>,
    /// Nobody takes the run for interrupted while what it came to is being kept.
    _under_way: UnderWay,
}

impl Journalled {
    /// The answer, once.
    pub(super) fn take_kept(&mut self) -> Result<(), StoreError> {
        std::mem::replace(&mut self.kept, Ok(()))
    }
}

impl Journal {
    /// Notes that a run begins, on the disk: one that cannot be noted is not begun.
    pub(super) fn begin(
        state: &StateDirectory,
        clock: &Clock,
        job: &Job,
    ) -> Result<Self, StoreError> {
        let started = Started {
            run_id: job.run_id,
            at: clock.now(),
            profile: (&job.plan.profile.name).into(),
            device: (&job.device_url).into(),
            lot: job.lot.as_deref().map(Into::into),
            operator: job.operator.as_deref().map(Into::into),
        };
        let under_way = state.journal_started(&started)?;
        Ok(Self { state: state.clone(), clock: clock.clone(), under_way })
    }

    /// Reads the events of the run to its end.
    pub(super) async fn follow(
        self,
        mut seen: UnboundedReceiver<Event>,
        mut watch: Watcher,
    ) -> Journalled {
        let mut kept = Ok(());
        while let Some(event) = seen.recv().await {
            if let Event::Ended(record) = &event {
                kept = self.state.journal_ended(record, self.clock.now());
            }
            // What is shown was kept before.
            watch(&event);
            if matches!(event, Event::Ended(_)) {
                break;
            }
        }
        Journalled { kept, _under_way: self.under_way }
    }
}
