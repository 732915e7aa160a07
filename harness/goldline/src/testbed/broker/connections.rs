//! What is kept of each connection, and how much of it.
//!
//! Past the bounds, which no run comes near, what is dropped is counted: of one connection the oldest
//! messages, of all the oldest connections of the address that fills most, those that are over first.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use time::OffsetDateTime;
use tokio::time::Instant;

use super::facts::{Connection, Happening, Message, Subscription};
use crate::testbed::caller::Who;

/// Of one connection.
const MOST_SUBSCRIPTIONS: usize = 256;
const MOST_MESSAGES: usize = 1000;
const MOST_MESSAGE_BYTES: usize = 1 << 20;
/// Of all together.
const MOST_CONNECTIONS: usize = 4096;
const MOST_BYTES: usize = 8 << 20;
/// What a connection without messages takes, roughly.
const CONNECTION_BYTES: usize = 1024;
/// What a message or subscription takes besides its text.
const ENTRY_BYTES: usize = 64;
/// Of what one address holds, this part is dropped at a time, so that a flood costs little.
const DROPPED_PART: usize = 4;

#[derive(Debug)]
pub(super) struct Connections {
    /// In the order of arrival.
    kept: Vec<Connection>,
    opened: usize,
    bytes: usize,
    /// Connections that are not kept, and what was dropped of connections that are.
    dropped: u64,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self { kept: Vec::new(), opened: 0, bytes: 0, dropped: 0 }
    }

    pub(super) fn kept(&self) -> &[Connection] {
        &self.kept
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A new connection; its number.
    pub(super) fn open(&mut self, who: Who, now: OffsetDateTime) -> usize {
        let number = self.opened;
        self.opened += 1;
        self.bytes += CONNECTION_BYTES;
        self.kept.push(Connection {
            number,
            peer: who.peer,
            caller: who.caller,
            opened_at: now,
            opened: Instant::now(),
            greeted: None,
            secured: None,
            answered: None,
            tls: None,
            tls_failure: None,
            connect: None,
            subscriptions: Vec::new(),
            published: Vec::new(),
            ending: None,
            dropped: 0,
        });
        self.shrink();
        number
    }

    /// One less: it is kept elsewhere.
    pub(super) fn take_out(&mut self, number: usize) -> Option<Connection> {
        let position = self.kept.binary_search_by_key(&number, |kept| kept.number).ok()?;
        let connection = self.kept.remove(position);
        self.bytes = self.bytes.saturating_sub(held_bytes(&connection));
        Some(connection)
    }

    /// One more, of which something is known already; its number.
    pub(super) fn take_in(&mut self, known: Connection, who: Who) -> usize {
        let number = self.opened;
        self.opened += 1;
        let connection = Connection { number, peer: who.peer, caller: who.caller, ..known };
        self.bytes += held_bytes(&connection);
        self.kept.push(connection);
        self.shrink();
        number
    }

    /// Notes what happened; whose it is, if the connection is kept.
    pub(super) fn apply(&mut self, number: usize, what: Happening) -> Option<SocketAddr> {
        let position = self.kept.binary_search_by_key(&number, |kept| kept.number).ok()?;
        let connection = &mut self.kept[position];
        let before = held_bytes(connection);
        let dropped = connection.dropped;
        connection.apply(what);
        let peer = connection.peer;
        self.dropped += connection.dropped - dropped;
        self.bytes = self.bytes + held_bytes(connection) - before;
        self.shrink();
        Some(peer)
    }

    /// The connections that last, or the last one that did.
    pub(super) fn open_or_last(&self) -> Vec<usize> {
        let open = self.kept.iter().filter(|connection| connection.ending.is_none());
        let mut numbers: Vec<usize> = open.map(|connection| connection.number).collect();
        if numbers.is_empty() {
            numbers.extend(self.kept.last().map(|connection| connection.number));
        }
        numbers
    }

    fn shrink(&mut self) {
        while (self.kept.len() > MOST_CONNECTIONS || self.bytes > MOST_BYTES) && self.drop_some() {}
    }

    /// Drops the oldest part of what the fullest address holds; false when there is nothing to drop.
    fn drop_some(&mut self) -> bool {
        let mut of_address = BTreeMap::<IpAddr, (usize, usize)>::new();
        for connection in &self.kept {
            let (bytes, over) = of_address.entry(connection.peer.ip()).or_default();
            *bytes += held_bytes(connection);
            *over += usize::from(connection.ending.is_some());
        }
        let fullest = of_address.into_iter().max_by_key(|(_, held)| *held);
        let Some((address, (_, over))) = fullest else { return false };
        let before = (self.kept.len(), self.bytes);
        if over > 0 {
            let mut left = over.div_ceil(DROPPED_PART);
            self.kept.retain(|connection| {
                let is_its = connection.peer.ip() == address && connection.ending.is_some();
                let goes = is_its && left > 0;
                left -= usize::from(goes);
                !goes
            });
            self.dropped += (before.0 - self.kept.len()) as u64;
        } else {
            // None of its connections is over: what they said goes.
            let its = self.kept.iter_mut().filter(|connection| connection.peer.ip() == address);
            for connection in its {
                let gone = connection.published.len().div_ceil(DROPPED_PART);
                connection.published.drain(..gone);
                connection.dropped += gone as u64;
                self.dropped += gone as u64;
            }
        }
        self.bytes = self.kept.iter().map(held_bytes).sum();
        (self.kept.len(), self.bytes) != before
    }
}

impl Connection {
    fn apply(&mut self, what: Happening) {
        let now = Instant::now();
        match what {
            Happening::Opened => {}
            Happening::Greeted(name) => self.greeted = name,
            Happening::Secured(facts) => {
                self.secured = Some(now);
                self.tls = Some(facts);
            }
            Happening::NotSecured(failure) => self.tls_failure = Some(failure),
            Happening::Connect(facts) => {
                self.answered = Some(now);
                self.connect = Some(facts);
            }
            Happening::Subscribed(subscriptions) => {
                let room = MOST_SUBSCRIPTIONS.saturating_sub(self.subscriptions.len());
                self.dropped += subscriptions.len().saturating_sub(room) as u64;
                self.subscriptions.extend(subscriptions.into_iter().take(room));
            }
            Happening::Published(message) => {
                self.published.push((now, message));
                // What a run waits for is always among the newest.
                while self.published.len() > MOST_MESSAGES
                    || published_bytes(self) > MOST_MESSAGE_BYTES
                {
                    let gone = self.published.len().div_ceil(DROPPED_PART);
                    self.published.drain(..gone);
                    self.dropped += gone as u64;
                }
            }
            Happening::Closed(ending) => self.ending = Some(ending),
        }
    }
}

impl Happening {
    /// What it holds besides its own size.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Connect(facts) => {
                facts.client_id.len() + facts.username.as_ref().map_or(0, String::len)
            }
            Self::Subscribed(subscriptions) => subscriptions.iter().map(subscription_bytes).sum(),
            Self::Published(message) => message_bytes(message),
            _ => 0,
        }
    }
}

fn held_bytes(connection: &Connection) -> usize {
    let connect = connection.connect.as_ref();
    let claims = connect
        .map_or(0, |facts| facts.client_id.len() + facts.username.as_ref().map_or(0, String::len));
    let subscriptions: usize = connection.subscriptions.iter().map(subscription_bytes).sum();
    CONNECTION_BYTES + claims + subscriptions + published_bytes(connection)
}

fn published_bytes(connection: &Connection) -> usize {
    connection.published.iter().map(|(_, message)| message_bytes(message)).sum()
}

fn message_bytes(message: &Message) -> usize {
    ENTRY_BYTES + message.topic.len() + message.payload.len()
}

fn subscription_bytes(subscription: &Subscription) -> usize {
    ENTRY_BYTES + subscription.filter.len()
}

#[cfg(test)]
mod tests {
    use super::{super::facts::Ending, *};
    use crate::testbed::caller::Caller;

    fn peer(last: u8) -> Who {
        Who { peer: ([127, 77, 0, last], 50_000).into(), caller: Caller::Stranger }
    }

    fn message(bytes: usize) -> Happening {
        let payload = vec![0; bytes];
        Happening::Published(Message { topic: "topic".to_owned(), payload, retain: false })
    }

    #[test]
    fn a_flood_of_connections_displaces_itself_and_is_counted() {
        let mut connections = Connections::new();
        let quiet = connections.open(peer(1), OffsetDateTime::UNIX_EPOCH);
        connections.apply(quiet, message(100));
        connections.apply(quiet, Happening::Closed(Ending::Dropped));
        for _ in 0..3 * MOST_CONNECTIONS {
            let number = connections.open(peer(2), OffsetDateTime::UNIX_EPOCH);
            connections.apply(number, Happening::Closed(Ending::Dropped));
        }
        let kept = connections.kept();
        assert!(kept.len() <= MOST_CONNECTIONS);
        assert_eq!((kept[0].number, kept[0].published.len()), (quiet, 1));
        assert_eq!(kept.last().map(|last| last.number), Some(3 * MOST_CONNECTIONS));
        assert_eq!(connections.dropped(), (3 * MOST_CONNECTIONS + 1 - kept.len()) as u64);
    }

    #[test]
    fn what_one_connection_says_is_bounded_and_counted() {
        let mut connections = Connections::new();
        let number = connections.open(peer(1), OffsetDateTime::UNIX_EPOCH);
        for filling in 0..100 {
            let payload = vec![filling; 65_000];
            let message = Message { topic: "topic".to_owned(), payload, retain: false };
            connections.apply(number, Happening::Published(message));
        }
        let kept = &connections.kept()[0];
        assert!(published_bytes(kept) <= MOST_MESSAGE_BYTES && kept.published.len() > 10);
        assert_eq!(kept.published.last().map(|(_, last)| last.payload[0]), Some(99), "the newest");
        assert_eq!(kept.dropped, 100 - kept.published.len() as u64);
        assert_eq!(connections.dropped(), kept.dropped);
    }

    #[test]
    fn open_connections_together_are_bounded_and_a_quiet_one_keeps_what_it_said() {
        let mut connections = Connections::new();
        let quiet = connections.open(peer(1), OffsetDateTime::UNIX_EPOCH);
        connections.apply(quiet, message(1000));
        for _ in 0..50 {
            let number = connections.open(peer(2), OffsetDateTime::UNIX_EPOCH);
            for _ in 0..10 {
                connections.apply(number, message(100_000));
            }
        }
        assert!(connections.bytes <= MOST_BYTES);
        assert_eq!(connections.kept().len(), 51);
        assert_eq!(connections.kept()[0].published.len(), 1);
    }
}
