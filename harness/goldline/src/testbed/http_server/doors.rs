//! Who is connected, and who has to go when there are too many.
//!
//! A connection whose request is whole is in the hands of its service and stays. Of the others one goes:
//! a stranger's before one that a run opened; the longest without a whole request, of the address that
//! holds the most, so that a flood from one place displaces itself first.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::AbortHandle;

use super::{Caller, Who};

#[derive(Clone, Default)]
pub(super) struct Doors {
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    /// Counts admissions and answers, as the order in which connections wait.
    turn: u64,
    held: BTreeMap<u64, Held>,
}

struct Held {
    from: IpAddr,
    is_strangers: bool,
    task: AbortHandle,
    /// Since which turn it waits; none while its request is answered.
    waits_since: Option<u64>,
}

impl Doors {
    /// Starts a connection's task with its place, which it must hold to its end.
    pub(super) fn admit(&self, who: &Who, start: impl FnOnce(Place) -> AbortHandle) {
        // Locked until it is entered, since a quick task asks for its place at once.
        let mut open = self.lock();
        open.turn += 1;
        let number = open.turn;
        let task = start(Place { number, doors: self.clone() });
        let held = Held {
            from: who.peer.ip(),
            is_strangers: who.caller == Caller::Stranger,
            task,
            waits_since: Some(number),
        };
        open.held.insert(number, held);
    }

    /// Ends one connection that waits for a whole request; false when there is none.
    pub(super) fn put_one_out(&self) -> bool {
        let mut open = self.lock();
        let mut of_address = BTreeMap::<IpAddr, usize>::new();
        for held in open.held.values() {
            *of_address.entry(held.from).or_default() += 1;
        }
        let waiting = open.held.iter().filter_map(|(number, held)| {
            let since = held.waits_since?;
            let share = of_address.get(&held.from).copied();
            Some((held.is_strangers, share, std::cmp::Reverse(since), *number))
        });
        let Some((_, _, _, number)) = waiting.max() else { return false };
        if let Some(held) = open.held.remove(&number) {
            held.task.abort();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among the others; given back when dropped.
pub(super) struct Place {
    number: u64,
    doors: Doors,
}

impl Place {
    /// The request is whole: from now on nobody puts this connection out.
    pub(super) fn keep(&self) {
        if let Some(held) = self.doors.lock().held.get_mut(&self.number) {
            held.waits_since = None;
        }
    }

    /// The answer is given: the connection waits for the next request, behind all others.
    pub(super) fn wait(&self) {
        let mut open = self.doors.lock();
        open.turn += 1;
        let turn = open.turn;
        if let Some(held) = open.held.get_mut(&self.number) {
            held.waits_since.get_or_insert(turn);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.doors.lock().held.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn admit(doors: &Doors, from: u8) -> (Arc<Place>, AbortHandle) {
        admit_as(doors, from, Caller::Stranger)
    }

    /// Admits a connection that lasts until it is put out.
    fn admit_as(doors: &Doors, from: u8, caller: Caller) -> (Arc<Place>, AbortHandle) {
        let mut admitted = None;
        let peer = (Ipv4Addr::new(127, 0, 0, from), 1).into();
        doors.admit(&Who { peer, caller }, |place| {
            let place = Arc::new(place);
            let held = Arc::clone(&place);
            let task = tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(held);
            });
            admitted = Some((place, task.abort_handle()));
            task.abort_handle()
        });
        admitted.expect("it was started")
    }

    async fn ended(task: &AbortHandle) -> bool {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        task.is_finished()
    }

    #[tokio::test]
    async fn the_fullest_address_gives_up_its_oldest() {
        let doors = Doors::default();
        let (_quiet, quiet) = admit(&doors, 1);
        let (_first, first) = admit(&doors, 2);
        let (_second, second) = admit(&doors, 2);
        assert!(doors.put_one_out());
        assert!(ended(&first).await);
        assert!(!ended(&quiet).await && !ended(&second).await);
    }

    #[tokio::test]
    async fn a_unit_stays_as_long_as_there_are_strangers() {
        let doors = Doors::default();
        let unit = Caller::Unit(crate::testbed::caller::Borrower::new());
        let (_unit, unit) = admit_as(&doors, 1, unit);
        let (_stranger, stranger) = admit(&doors, 2);
        assert!(doors.put_one_out());
        assert!(ended(&stranger).await && !ended(&unit).await);
    }

    #[tokio::test]
    async fn who_is_being_answered_stays() {
        let doors = Doors::default();
        let (place, task) = admit(&doors, 1);
        place.keep();
        assert!(!doors.put_one_out());
        place.wait();
        assert!(doors.put_one_out());
        assert!(ended(&task).await);
        assert!(!doors.put_one_out());
    }

    #[tokio::test]
    async fn who_was_answered_waits_behind_the_others() {
        let doors = Doors::default();
        let (place, answered) = admit(&doors, 1);
        let (_idle, idle) = admit(&doors, 1);
        place.keep();
        place.wait();
        assert!(doors.put_one_out());
        assert!(ended(&idle).await);
        assert!(!ended(&answered).await);
    }
}
