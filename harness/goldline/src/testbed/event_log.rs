//! A log of what a service of the testbed saw, which a task can wait on.
//!
//! Must not know what the events mean. A reader that comes late sees all of it, up to a bound that no run
//! comes near: past it the oldest events of the peer that caused most are dropped and counted, so that a
//! flood displaces itself. Where events were dropped, the absence of one is no evidence.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;
use tokio::{sync::watch, time::Instant};

use super::caller::{Caller, Who};
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

/// More than a hundred runs cause.
const MOST_EVENTS: usize = 20_000;
/// What all events together may hold, in bytes.
const MOST_BYTES: usize = 4 << 20;
/// Of what one peer caused, this part is dropped at a time, so that a flood costs little.
const DROPPED_PART: usize = 4;

/// The log of one service.
pub struct EventLog<E> {
    kept: Mutex<Kept<E>>,
    /// How many events were recorded.
    length: watch::Sender<u64>,
    clock: Clock,
}

struct Kept<E> {
    events: Vec<Stamped<E>>,
    /// Of each event, in the same order.
    causes: Vec<Cause>,
    recorded: u64,
    bytes: usize,
}

#[derive(Clone, Copy)]
struct Cause {
    number: u64,
    peer: Option<IpAddr>,
    bytes: usize,
}

impl<E> std::fmt::Debug for EventLog<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog").field("length", &*self.length.borrow()).finish_non_exhaustive()
    }
}

impl<E> Kept<E> {
    fn new() -> Self {
        Self { events: Vec::new(), causes: Vec::new(), recorded: 0, bytes: 0 }
    }

    fn push(&mut self, event: Stamped<E>, peer: Option<IpAddr>, bytes: usize) {
        let bytes = bytes + size_of::<Stamped<E>>() + size_of::<Cause>();
        self.causes.push(Cause { number: self.recorded, peer, bytes });
        self.events.push(event);
        self.recorded += 1;
        self.bytes += bytes;
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            self.drop_some();
        }
    }

    /// Drops the oldest part of what the peer caused that fills most of the log.
    fn drop_some(&mut self) {
        let mut of_peer = BTreeMap::<Option<IpAddr>, (usize, usize)>::new();
        for cause in &self.causes {
            let (bytes, events) = of_peer.entry(cause.peer).or_default();
            *bytes += cause.bytes;
            *events += 1;
        }
        let fullest = of_peer.into_iter().max_by_key(|(_, caused)| *caused);
        let Some((peer, (_, events))) = fullest else { return };
        let mut left = events.div_ceil(DROPPED_PART);
        let goes: Vec<bool> = self
            .causes
            .iter()
            .map(|cause| {
                let goes = cause.peer == peer && left > 0;
                left -= usize::from(goes);
                goes
            })
            .collect();
        let mut position = goes.iter();
        self.events.retain(|_| position.next().is_some_and(|goes| !goes));
        let mut position = goes.iter();
        self.causes.retain(|_| position.next().is_some_and(|goes| !goes));
        self.bytes = self.causes.iter().map(|cause| cause.bytes).sum();
    }
}

impl<E: Clone> EventLog<Heard<E>> {
    /// Appends what a peer did, which holds so many bytes besides its own size, and wakes who waits.
    pub fn hear(&self, who: Who, what: E, bytes: usize) {
        let Who { peer, caller } = who;
        self.append(Heard { peer, caller, what }, Some(peer.ip()), bytes);
    }
}

impl<E: Clone> EventLog<E> {
    /// An empty log whose times of day come from the clock.
    pub fn new(clock: Clock) -> Self {
        Self { kept: Mutex::new(Kept::new()), length: watch::Sender::new(0), clock }
    }

    /// Appends an event of the service's own and wakes who waits.
    pub fn record(&self, event: E) {
        self.append(event, None, 0);
    }

    /// Appends an event that a peer caused, and that holds so many bytes besides its own size.
    pub(super) fn append(&self, event: E, peer: Option<IpAddr>, bytes: usize) {
        let mut kept = self.lock();
        let stamped = Stamped { at: self.clock.now(), instant: Instant::now(), event };
        kept.push(stamped, peer, bytes);
        let length = kept.recorded;
        drop(kept);
        // Two recorders may arrive here out of order, and the length must never step back.
        self.length.send_modify(|seen| *seen = length.max(*seen));
    }

    /// How many events were dropped; with any, the absence of an event is no evidence.
    pub fn dropped(&self) -> u64 {
        let kept = self.lock();
        kept.recorded - kept.events.len() as u64
    }

    fn lock(&self) -> MutexGuard<'_, Kept<E>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that is kept, in order.
    pub fn all(&self) -> Vec<Stamped<E>> {
        self.lock().events.clone()
    }

    /// The first event from this number on, with its own.
    fn numbered_from(&self, number: u64) -> Option<(u64, Stamped<E>)> {
        let kept = self.lock();
        let position = kept.causes.partition_point(|cause| cause.number < number);
        Some((kept.causes.get(position)?.number, kept.events.get(position)?.clone()))
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
                let found = answer(&self.lock().events);
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

/// Reads a log in order, without repeating an event or missing one that is kept.
#[derive(Debug)]
pub struct Follower<E> {
    log: std::sync::Arc<EventLog<E>>,
    next: u64,
}

impl<E: Clone> Follower<E> {
    /// Starts at the log's first event.
    pub fn new(log: std::sync::Arc<EventLog<E>>) -> Self {
        Self { log, next: 0 }
    }

    /// The next event.
    ///
    /// # Errors
    /// [`NotSeen`] when the deadline passes first.
    pub async fn next(&mut self, deadline: Deadline) -> Result<Stamped<E>, NotSeen> {
        let mut length = self.log.length.subscribe();
        let wait = async {
            loop {
                length.mark_unchanged();
                match self.log.numbered_from(self.next) {
                    Some(found) => return found,
                    // The sender lives in the log, so this cannot fail while we wait.
                    None => length.changed().await.expect("the log outlives its readers"),
                }
            }
        };
        let next = tokio::time::timeout_at(deadline.instant(), wait).await;
        let (number, event) = next.map_err(|_| NotSeen { allowed: deadline.allowed() })?;
        self.next = number + 1;
        Ok(event)
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

    fn peer(last: u8) -> Who {
        Who { peer: ([127, 77, 0, last], 50_000).into(), caller: Caller::Stranger }
    }

    #[test]
    fn a_flood_displaces_itself_and_is_counted() {
        let log = EventLog::new(Clock::system());
        log.hear(peer(1), 0, 0);
        assert_eq!(log.dropped(), 0);
        for number in 1..=3 * MOST_EVENTS {
            log.hear(peer(2), number, 0);
        }
        let kept = log.all();
        assert!(kept.len() <= MOST_EVENTS, "{}", kept.len());
        assert_eq!(
            (kept[0].event.peer, kept[0].event.what),
            (peer(1).peer, 0),
            "the quiet peer's event stays"
        );
        assert_eq!(kept.last().map(|last| last.event.what), Some(3 * MOST_EVENTS));
        assert_eq!(log.dropped(), (3 * MOST_EVENTS + 1 - kept.len()) as u64);
        assert!(kept.is_sorted_by_key(|stamped| stamped.event.what));
    }

    #[test]
    fn large_events_are_bounded_by_their_bytes() {
        let log = EventLog::new(Clock::system());
        for number in 0..1000 {
            log.append(number, Some(peer(1).peer.ip()), MOST_BYTES / 100);
        }
        let kept = log.all();
        assert!(kept.len() < 100, "{}", kept.len());
        assert_eq!(kept.last().map(|last| last.event), Some(999));
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_goes_on_behind_what_was_dropped() {
        let log = Arc::new(EventLog::new(Clock::system()));
        let mut follower = Follower::new(Arc::clone(&log));
        for number in 0..2 * MOST_EVENTS {
            log.record(number);
        }
        let mut last = None;
        while let Ok(next) = follower.next(Deadline::after(Duration::from_millis(1))).await {
            assert!(last.is_none_or(|last| last < next.event));
            last = Some(next.event);
        }
        assert_eq!(last, Some(2 * MOST_EVENTS - 1));
    }
}
