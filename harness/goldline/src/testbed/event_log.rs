//! An append-only log of what a service of the testbed saw, which a task can wait on.
//!
//! Must not know what the events mean. Nothing is lost: a reader that comes late sees all of it.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use time::OffsetDateTime;
use tokio::{sync::watch, time::Instant};

use super::caller::Caller;
use crate::clock::{Clock, Deadline};

/// Nothing fitting happened before the deadline.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("nothing fitting was seen within {allowed:?}: look at the log of the service")]
pub struct NotSeen {
    /// How long was waited.
    pub allowed: std::time::Duration,
}

/// One event and when it was seen.
#[derive(Clone, Debug)]
pub struct Stamped<E> {
    /// The time of day, UTC.
    pub at: OffsetDateTime,
    /// The moment, to measure with against other logs of the process.
    pub instant: Instant,
    /// What was seen.
    pub event: E,
}

/// What one caller of a service did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard<E> {
    /// Its end of the connection.
    pub peer: SocketAddr,
    /// Who opened the connection.
    pub caller: Caller,
    /// What it did.
    pub what: E,
}

/// The log of one service.
pub struct EventLog<E> {
    events: Mutex<Vec<Stamped<E>>>,
    length: watch::Sender<usize>,
    clock: Clock,
}

impl<E> std::fmt::Debug for EventLog<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog").field("length", &*self.length.borrow()).finish_non_exhaustive()
    }
}

impl<E: Clone> EventLog<E> {
    /// An empty log whose times of day come from the clock.
    pub fn new(clock: Clock) -> Self {
        Self { events: Mutex::default(), length: watch::Sender::new(0), clock }
    }

    /// Appends the event and wakes who waits.
    pub fn record(&self, event: E) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(Stamped { at: self.clock.now(), instant: Instant::now(), event });
        let length = events.len();
        drop(events);
        // Two recorders may arrive here out of order, and the length must never step back.
        self.length.send_modify(|seen| *seen = length.max(*seen));
    }

    /// Everything so far, in order.
    pub fn all(&self) -> Vec<Stamped<E>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `answer` finds something in what the log holds; asked at once and after each event.
    ///
    /// # Errors
    /// [`NotSeen`] when the deadline passes first.
    pub async fn wait_until<T>(
        &self,
        deadline: Deadline,
        mut answer: impl FnMut(&[Stamped<E>]) -> Option<T>,
    ) -> Result<T, NotSeen> {
        let mut length = self.length.subscribe();
        let wait = async {
            loop {
                length.mark_unchanged();
                let found = answer(&self.events.lock().unwrap_or_else(PoisonError::into_inner));
                match found {
                    Some(found) => return found,
                    // The sender lives in self, so this cannot fail while we wait.
                    None => length.changed().await.expect("the log outlives its readers"),
                }
            }
        };
        tokio::time::timeout_at(deadline.instant(), wait)
            .await
            .map_err(|_| NotSeen { allowed: deadline.allowed() })
    }
}

/// Reads a log in order, without missing or repeating an event.
#[derive(Debug)]
pub struct Follower<E> {
    log: std::sync::Arc<EventLog<E>>,
    position: usize,
}

impl<E: Clone> Follower<E> {
    /// Starts at the log's first event.
    pub fn new(log: std::sync::Arc<EventLog<E>>) -> Self {
        Self { log, position: 0 }
    }

    /// The next event.
    ///
    /// # Errors
    /// [`NotSeen`] when the deadline passes first.
    pub async fn next(&mut self, deadline: Deadline) -> Result<Stamped<E>, NotSeen> {
        let position = self.position;
        let next = self.log.wait_until(deadline, |events| events.get(position).cloned()).await?;
        self.position += 1;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    fn log() -> Arc<EventLog<u32>> {
        Arc::new(EventLog::new(Clock::system()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_the_event_it_asks_for() {
        let log = log();
        let recorder = Arc::clone(&log);
        tokio::spawn(async move {
            for event in 0..10 {
                recorder.record(event);
                tokio::task::yield_now().await;
            }
        });
        let found = log
            .wait_until(Deadline::after(Duration::from_secs(1)), |events| {
                events.iter().map(|stamped| stamped.event).find(|&event| event == 7)
            })
            .await;
        assert_eq!(found, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_in_vain_ends_at_its_deadline() {
        let (log, allowed) = (log(), Duration::from_secs(3));
        log.record(1);
        let started = Instant::now();
        let found = log.wait_until(Deadline::after(allowed), |_| None::<u32>).await;
        assert_eq!(found, Err(NotSeen { allowed }));
        assert!(started.elapsed() >= allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_follower_misses_nothing() {
        let log = log();
        log.record(1);
        log.record(2);
        let mut follower = Follower::new(log);
        for expected in [1, 2] {
            let next = follower.next(Deadline::after(Duration::from_secs(1))).await;
            assert_eq!(next.expect("an event").event, expected);
        }
    }
}
