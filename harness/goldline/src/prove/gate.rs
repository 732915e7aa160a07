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

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    const GOOD: Duration = Duration::from_millis(100);

    /// How many are let in at once.
    async fn at_once(gate: &Gate) -> Vec<Admitted> {
        let mut inside = Vec::new();
        for _ in iter::repeat_n((), 1000) {
            // The clock stands still while anybody may go on.
            match tokio::time::timeout(Duration::from_millis(1), gate.admit()).await {
                Ok(admitted) => inside.push(admitted),
                Err(_) => break,
            }
        }
        inside
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_makes_room_and_who_ends_too() {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let gate = Gate::new(GOOD);
        let mut inside = at_once(&gate).await;
        assert_eq!(inside.len(), processors * BUSY);
        // One ends.
        inside.pop();
        tokio::task::yield_now().await;
        assert_eq!(at_once(&gate).await.len(), 1);
        // The others wait by now for what never comes.
        tokio::time::sleep(GOOD * 2).await;
        inside.extend(at_once(&gate).await);
        assert_eq!(inside.len(), processors * BUSY * 2 - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_wait() {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let gate = Gate::new(GOOD);
        let mut inside = Vec::new();
        for _ in 0..ALL {
            inside.extend(at_once(&gate).await);
            tokio::time::sleep(GOOD * 2).await;
        }
        assert_eq!(inside.len(), processors * ALL);
    }
}
