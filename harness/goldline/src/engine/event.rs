//! Everything visible of a run while it lasts: one type on one channel.
//!
//! The terminal, the station's page and the journal only read it. No event carries a secret.

use tokio::sync::mpsc;

use crate::record::{Record, Unit};

/// Something that happened in a run.
#[derive(Clone, Debug)]
pub enum Event {
    /// The run begins.
    Started {
        /// Unique for this run.
        run_id: uuid::Uuid,
        /// Name of the profile.
        profile: String,
        /// URL of the device.
        device: String,
        /// What will be done, in order.
        steps: Vec<String>,
    },
    /// A step begins.
    StepStarted {
        /// Position in the plan, from 0.
        index: usize,
    },
    /// A step comes along.
    Progress {
        /// Bytes done.
        done: usize,
        /// Bytes in all.
        total: usize,
    },
    /// A step is done.
    StepEnded {
        /// Position in the plan, from 0.
        index: usize,
        /// How long it took.
        duration_ms: u64,
    },
    /// It is known which unit this is.
    Identified(Unit),
    /// Somebody is asked to press the unit's buttons.
    HandNeeded {
        /// What to do, with the name of the unit's place.
        request: String,
    },
    /// Nobody is asked any more.
    HandDone,
    /// The run is over.
    Ended(Box<Record>),
}

/// The sending end of a run's events; a reader that went away does not matter to the run.
#[derive(Clone, Debug)]
pub struct Events(Option<mpsc::UnboundedSender<Event>>);

impl Events {
    /// Events and their reader.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(Some(sender)), receiver)
    }

    /// Nobody listens.
    pub fn nobody() -> Self {
        Self(None)
    }

    pub(super) fn send(&self, event: Event) {
        if let Some(sender) = &self.0 {
            // The reader may have gone; the run goes on.
            let _heard = sender.send(event);
        }
    }
}
