//! How many units run at a time: as many as have anything to do as there are processors for, and many more that wait
//! for what never comes.
//!
//! A unit that takes longer than good ones do waits, most of the time; it makes room for another.

use std::{sync::Arc, thread, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};

/// Units with something to do, for each processor.
const BUSY: usize = 2;
/// Units that run, for each processor.
const ALL: usize = 32;

/// Lets units in.
#[derive(Clone)]
pub(super) struct Gate {
    busy: Arc<Semaphore>,
    all: Arc<Semaphore>,
    /// From then on a unit waits.
    busy_for: Duration,
}

/// Held while a unit runs.
pub(super) struct Admitted {
    _all: OwnedSemaphorePermit,
    busy: JoinHandle<()>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.busy.abort();
    }
}

impl Gate {
    /// For units of which good ones take so long.
    pub(super) fn new(good: Duration) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            busy: Arc::new(Semaphore::new(processors * BUSY)),
            all: Arc::new(Semaphore::new(processors * ALL)),
            busy_for: good * 2,
        }
    }

    /// Waits for room.
    pub(super) async fn admit(&self) -> Admitted {
        let all = Self::permit(&self.all).await;
        let busy = Self::permit(&self.busy).await;
        let busy_for = self.busy_for;
        let busy = tokio::spawn(async move {
            tokio::time::sleep(busy_for).await;
            drop(busy);
        });
        Admitted { _all: all, busy }
    }

    async fn permit(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        let permit = Arc::clone(semaphore).acquire_owned().await;
        permit.expect("the gate is never closed")
    }
}
