//! The readers of one run's events: the journal, and whoever watches.

use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    clock::Clock,
    engine::Event,
    store::{Started, StateDirectory, StoreError, UnderWay},
};

/// Sees what happens in one run while it lasts.
pub type Watcher = Box<dyn FnMut(&Event) + Send>;

/// Notes one run in the journal.
pub(super) struct Journal {
    pub(super) state: StateDirectory,
    pub(super) clock: Clock,
    pub(super) lot: Option<String>,
    pub(super) operator: Option<String>,
    /// From the run's beginning on.
    pub(super) under_way: Option<UnderWay>,
}

impl Journal {
    /// Reads the events of the run to its end. The run counts as under way as long as the answer is held.
    pub(super) async fn follow(
        mut self,
        mut seen: UnboundedReceiver<Event>,
        mut watch: Watcher,
    ) -> Option<UnderWay> {
        while let Some(event) = seen.recv().await {
            watch(&event);
            if let Err(error) = self.note(&event) {
                tracing::warn!(%error, "the journal is incomplete");
            }
            if matches!(event, Event::Ended(_)) {
                break;
            }
        }
        self.under_way
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
