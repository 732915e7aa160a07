//! What the clients of one broker may make it and the router hold, far above what units need.
//!
//! The router forgets neither a topic that it once matched nor a filter, a retained message or a lasting
//! session, so each is counted over the broker's life, and by the address that brought it: who uses its
//! own share up takes none from another. A share is for a
//! whole site's units behind one address. Must not know what clients are.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Bytes of a topic or filter.
const LONGEST_TOPIC: usize = 1024;
/// Topics that messages went to.
const TOPICS: Share = Share { of_peer: 4096, of_all: 16 * 1024 };
/// Each has a buffer of its own in the router.
const FILTERS: Share = Share { of_peer: 256, of_all: 512 };
/// Topics of retained messages.
const RETAINED: Share = Share { of_peer: 256, of_all: 512 };
const LARGEST_RETAINED: usize = 16 * 1024;
/// Client ids with a session that outlasts its connection.
const LASTING: Share = Share { of_peer: 256, of_all: 512 };
/// Messages of QoS 2 that wait for their release.
const MOST_UNRELEASED: usize = 64;

struct Share {
    of_peer: usize,
    of_all: usize,
}

/// A client asks for more than its share.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum TooMuch {
    #[error("a topic of {0} bytes; this broker takes {LONGEST_TOPIC}")]
    LongTopic(usize),
    #[error("more than {0} different {1} of one client; this broker takes no more")]
    Share(usize, &'static str),
    #[error("more than {MOST_UNRELEASED} messages of QoS 2 that were not released")]
    Unreleased,
}

/// What one broker's clients hold together.
#[derive(Debug, Default)]
pub(super) struct Quota(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    topics: Names,
    filters: Names,
    retained: Names,
    lasting: Names,
}

#[derive(Debug, Default)]
struct Names {
    known: BTreeSet<String>,
    of_peer: BTreeMap<IpAddr, usize>,
}

impl Names {
    fn take(&mut self, peer: IpAddr, name: &str, share: &Share) -> bool {
        if self.known.contains(name) {
            return true;
        }
        let held = self.of_peer.get(&peer).copied().unwrap_or_default();
        if held >= share.of_peer || self.known.len() >= share.of_all {
            return false;
        }
        self.known.insert(name.to_owned());
        self.of_peer.insert(peer, held + 1);
        true
    }
}

impl Quota {
    /// A message goes to this topic.
    pub(super) fn publish(&self, peer: IpAddr, topic: &str) -> Result<(), TooMuch> {
        require_short(topic)?;
        match self.lock().topics.take(peer, topic, &TOPICS) {
            true => Ok(()),
            false => Err(TooMuch::Share(TOPICS.of_peer, "topics")),
        }
    }

    /// A client subscribes to this filter.
    pub(super) fn subscribe(&self, peer: IpAddr, filter: &str) -> Result<(), TooMuch> {
        require_short(filter)?;
        match self.lock().filters.take(peer, filter, &FILTERS) {
            true => Ok(()),
            false => Err(TooMuch::Share(FILTERS.of_peer, "filters")),
        }
    }

    /// Whether one more message can be retained; if not, it is passed on as one that is not.
    pub(super) fn retains(&self, peer: IpAddr, topic: &str, bytes: usize) -> bool {
        bytes <= LARGEST_RETAINED && self.lock().retained.take(peer, topic, &RETAINED)
    }

    /// Whether the session of this client id can outlast its connection.
    pub(super) fn lasts(&self, peer: IpAddr, client_id: &str) -> bool {
        self.lock().lasting.take(peer, client_id, &LASTING)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session's messages of QoS 2 that wait for their release.
#[derive(Debug, Default)]
pub(super) struct Unreleased(usize);

impl Unreleased {
    pub(super) fn received(&mut self) -> Result<(), TooMuch> {
        self.0 += 1;
        if self.0 > MOST_UNRELEASED { Err(TooMuch::Unreleased) } else { Ok(()) }
    }

    pub(super) fn released(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }
}

fn require_short(topic: &str) -> Result<(), TooMuch> {
    if topic.len() > LONGEST_TOPIC { Err(TooMuch::LongTopic(topic.len())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        [127, 77, 0, last].into()
    }

    #[test]
    fn who_uses_its_share_up_takes_none_from_another() {
        let quota = Quota::default();
        for number in 0..FILTERS.of_peer {
            quota.subscribe(peer(1), &format!("topic/{number}")).expect("within the share");
        }
        let refused = quota.subscribe(peer(1), "one/more");
        assert_eq!(refused, Err(TooMuch::Share(FILTERS.of_peer, "filters")));
        quota.subscribe(peer(1), "topic/0").expect("it is held already");
        quota.subscribe(peer(2), "one/more").expect("another's share");
    }

    #[test]
    fn what_is_not_released_is_bounded() {
        let mut unreleased = Unreleased::default();
        for _ in 0..10 * MOST_UNRELEASED {
            unreleased.received().expect("released each time");
            unreleased.released();
        }
        let refused = (0..=MOST_UNRELEASED).find_map(|_| unreleased.received().err());
        assert_eq!(refused, Some(TooMuch::Unreleased));
    }
}
