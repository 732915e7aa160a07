//! Who is connected to a service, and who has to go when there are too many.
//!
//! A connection that its service is busy with stays. Of those that wait one goes: a stranger's before one
//! that a run opened; the one that waits longest, of the address that holds the most, so that a flood from
//! one place displaces itself first.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::AbortHandle;

use super::caller::Who;

#[derive(Clone)]
pub(super) struct Doors {
    most: usize,
    most_of_address: usize,
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
    /// None for the moment in which it is started.
    task: Option<AbortHandle>,
    /// Since which turn it waits; none while its service is busy with it.
    waits_since: Option<u64>,
}

impl Doors {
    /// Lets in so many at the same time, and so many of one address.
    pub(super) fn new(most: usize, most_of_address: usize) -> Self {
        Self { most, most_of_address, open: Arc::default() }
    }

    /// Makes room for one more of this address, whoever has to go for it; false when nobody can.
    pub(super) fn make_room(&self, from: IpAddr) -> bool {
        let (all, of_address) = {
            let open = self.lock();
            let of_address = open.held.values().filter(|held| held.from == from).count();
            (open.held.len(), of_address)
        };
        if of_address >= self.most_of_address {
            self.put_out(Some(from))
        } else {
            all < self.most || self.put_out(None)
        }
    }

    /// Starts a connection's task with its place, which it must hold to its end.
    pub(super) fn admit(&self, who: &Who, start: impl FnOnce(Place) -> AbortHandle) {
        let number = {
            let mut open = self.lock();
            open.turn += 1;
            let number = open.turn;
            let held = Held {
                from: who.peer.ip(),
                is_strangers: who.caller.borrower().is_none(),
                task: None,
                waits_since: Some(number),
            };
            open.held.insert(number, held);
            number
        };
        // Not locked: a runtime that ends drops the task, and its place, at once.
        let task = start(Place { number, doors: self.clone() });
        if let Some(held) = self.lock().held.get_mut(&number) {
            held.task = Some(task);
        }
    }

    /// Ends one connection that waits, of any address or of this one; false when there is none.
    pub(super) fn put_out(&self, of: Option<IpAddr>) -> bool {
        let mut open = self.lock();
        let mut of_address = BTreeMap::<IpAddr, usize>::new();
        for held in open.held.values() {
            *of_address.entry(held.from).or_default() += 1;
        }
        let waiting = open.held.iter().filter_map(|(number, held)| {
            held.task.as_ref()?;
            let since = held.waits_since.filter(|_| of.is_none_or(|of| of == held.from))?;
            let share = of_address.get(&held.from).copied();
            Some((held.is_strangers, share, std::cmp::Reverse(since), *number))
        });
        let Some((_, _, _, number)) = waiting.max() else { return false };
        if let Some(task) = open.held.remove(&number).and_then(|held| held.task) {
            task.abort();
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
    /// The service is busy with it: from now on nobody puts this connection out.
    pub(super) fn keep(&self) {
        if let Some(held) = self.doors.lock().held.get_mut(&self.number) {
            held.waits_since = None;
        }
    }

    /// The connection waits again, behind all others.
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
    use crate::testbed::caller::Caller;

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
        let doors = Doors::new(10, 10);
        let (_quiet, quiet) = admit(&doors, 1);
        let (_first, first) = admit(&doors, 2);
        let (_second, second) = admit(&doors, 2);
        assert!(doors.put_out(None));
        assert!(ended(&first).await);
        assert!(!ended(&quiet).await && !ended(&second).await);
    }

    #[tokio::test]
    async fn a_unit_stays_as_long_as_there_are_strangers() {
        let doors = Doors::new(10, 10);
        let unit = Caller::Unit(crate::testbed::caller::Borrower::new());
        let (_unit, unit) = admit_as(&doors, 1, unit);
        let (_stranger, stranger) = admit(&doors, 2);
        assert!(doors.put_out(None));
        assert!(ended(&stranger).await && !ended(&unit).await);
    }

    #[tokio::test]
    async fn who_is_being_answered_stays() {
        let doors = Doors::new(10, 10);
        let (place, task) = admit(&doors, 1);
        place.keep();
        assert!(!doors.put_out(None));
        place.wait();
        assert!(doors.put_out(None));
        assert!(ended(&task).await);
        assert!(!doors.put_out(None));
    }

    #[tokio::test]
    async fn one_address_cannot_take_the_room_of_all() {
        let doors = Doors::new(3, 2);
        let (busy, _) = admit(&doors, 1);
        busy.keep();
        let (_idle, idle) = admit(&doors, 1);
        let (other, kept) = admit(&doors, 2);
        assert!(doors.make_room(IpAddr::from([127, 0, 0, 1])), "its own idle one goes");
        assert!(ended(&idle).await && !ended(&kept).await);
        let (again, _) = admit(&doors, 1);
        again.keep();
        assert!(!doors.make_room(IpAddr::from([127, 0, 0, 1])), "its share is in use");
        assert!(doors.make_room(IpAddr::from([127, 0, 0, 3])), "another's idle one goes");
        assert!(ended(&kept).await);
        drop(other);
    }

    #[tokio::test]
    async fn who_was_answered_waits_behind_the_others() {
        let doors = Doors::new(10, 10);
        let (place, answered) = admit(&doors, 1);
        let (_idle, idle) = admit(&doors, 1);
        place.keep();
        place.wait();
        assert!(doors.put_out(None));
        assert!(ended(&idle).await);
        assert!(!ended(&answered).await);
    }
}
