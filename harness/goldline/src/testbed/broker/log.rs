//! What the broker saw, connection by connection, as it can be asked and waited for.
//!
//! Must not judge.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    connections::Connections,
    facts::{BrokerEvent, Connection, Ending, Happening, Message},
};
use crate::{
    clock::{Clock, Deadline},
    testbed::{
        caller::Who,
        event_log::{EventLog, Follower, NotSeen},
    },
};

/// The broker's log: events in order, and what they add up to.
#[derive(Debug)]
pub(super) struct BrokerLog {
    events: Arc<EventLog<BrokerEvent>>,
    connections: Mutex<Connections>,
    clock: Clock,
}

/// Notes a connection's end, however it comes.
pub(super) struct Closing {
    log: Arc<BrokerLog>,
    number: usize,
    pub(super) ending: Ending,
}

impl Closing {
    pub(super) fn of(log: Arc<BrokerLog>, number: usize) -> Self {
        Self { log, number, ending: Ending::PutOut }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.log.record(self.number, Happening::Closed(self.ending.clone()));
    }
}

impl BrokerLog {
    pub(super) fn new(clock: Clock) -> Self {
        let events = Arc::new(EventLog::new(clock.clone()));
        Self { events, connections: Mutex::new(Connections::new()), clock }
    }

    /// An empty one with the same clock.
    pub(super) fn another(&self) -> Self {
        Self::new(self.clock.clone())
    }

    /// A new connection; its number.
    pub(super) fn open(&self, who: Who) -> usize {
        let (peer, now) = (who.peer, self.clock.now());
        let number = self.lock().open(who, now);
        self.note(BrokerEvent { connection: number, peer, what: Happening::Opened });
        number
    }

    /// Takes a connection out that belongs elsewhere; none if it was not kept.
    pub(super) fn hand_over(&self, number: usize) -> Option<Connection> {
        self.lock().take_out(number)
    }

    /// Takes a connection in that was opened elsewhere, with what is known of it; its number here.
    pub(super) fn take_over(&self, known: Option<Connection>, who: Who) -> usize {
        let Some(known) = known else { return self.open(who) };
        let secured = known.tls.clone();
        let number = self.lock().take_in(known, who);
        let note = |what| self.note(BrokerEvent { connection: number, peer: who.peer, what });
        note(Happening::Opened);
        if let Some(facts) = secured {
            note(Happening::Secured(facts));
        }
        number
    }

    /// Something happened on a connection.
    pub(super) fn record(&self, number: usize, what: Happening) {
        let peer = self.lock().apply(number, what.clone());
        if let Some(peer) = peer {
            self.note(BrokerEvent { connection: number, peer, what });
        }
    }

    fn note(&self, event: BrokerEvent) {
        let (peer, bytes) = (event.peer.ip(), event.what.held_bytes());
        self.events.append(event, Some(peer), bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is not in the log any more.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped()
    }

    /// A message that the bench received as a client: it is of whoever is connected through the bench, or
    /// was until just now.
    pub(super) fn overheard(&self, message: &Message) {
        let senders = self.lock().open_or_last();
        for number in senders {
            self.record(number, Happening::Published(message.clone()));
        }
    }

    /// The same where nobody connects through the bench: what stands on this unit's topics is the unit's, and how it
    /// came there is not seen. Each message is kept by itself.
    pub(super) fn overheard_of(&self, who: Who, message: &Message) {
        let number = self.open(who);
        self.record(number, Happening::Published(message.clone()));
        self.record(number, Happening::Closed(Ending::Disconnected));
    }

    pub(super) fn connections(&self) -> Vec<Connection> {
        self.connections_where(|_| true)
    }

    pub(super) fn connections_where(
        &self,
        is_asked: impl Fn(&Connection) -> bool,
    ) -> Vec<Connection> {
        self.lock().kept().iter().filter(|connection| is_asked(connection)).cloned().collect()
    }

    pub(super) fn follow(&self) -> Follower<BrokerEvent> {
        Follower::new(Arc::clone(&self.events))
    }

    pub(super) async fn wait_for<T>(
        &self,
        deadline: Deadline,
        mut answer: impl FnMut(&Connection) -> Option<T>,
    ) -> Result<T, NotSeen> {
        self.events.wait_until(deadline, |_| self.lock().kept().iter().find_map(&mut answer)).await
    }
}
