//! What a service keeps for each run, found by who calls.
//!
//! A service listens once and serves many runs: each has a room of its own in it (accounts, expected
//! devices, a log), which no other run's unit can enter, and which ends with its run.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, PoisonError, RwLock},
};

use super::caller::{Borrower, Caller};

/// The rooms of one service.
#[derive(Debug)]
pub struct Rooms<R> {
    of: RwLock<HashMap<Borrower, Arc<R>>>,
    /// Where callers go for whom there is no other; without it they are turned away.
    anyone: Option<Arc<R>>,
    /// Where stations go that are no run's unit, on an interface of the bench.
    guests: Option<Arc<R>>,
}

impl<R> Rooms<R> {
    /// For the units of runs only.
    pub fn of_runs() -> Arc<Self> {
        Arc::new(Self { of: RwLock::default(), anyone: None, guests: None })
    }

    /// For the units of runs, and one room for all guests.
    pub fn of_runs_and_guests(room: Arc<R>) -> Arc<Self> {
        Arc::new(Self { of: RwLock::default(), anyone: None, guests: Some(room) })
    }

    /// One room more, for whoever has none.
    pub fn with_anyone(room: Arc<R>) -> Arc<Self> {
        Arc::new(Self { of: RwLock::default(), anyone: Some(room), guests: None })
    }

    /// The room that a caller enters; none means that the service has nothing for it.
    pub fn enter(&self, caller: Caller) -> Option<Arc<R>> {
        match caller {
            Caller::Unit(run) | Caller::Bench(run) => {
                let rooms = self.of.read().unwrap_or_else(PoisonError::into_inner);
                rooms.get(&run).cloned()
            }
            // Until a visitor has said who it is, it is nobody's.
            Caller::Guest | Caller::Visitor => self.guests.clone(),
            Caller::Stranger => None,
        }
        .or_else(|| self.anyone.clone())
    }

    /// The rooms of those runs of which this is true, as of a visitor that says who it is.
    pub fn that(&self, is_its: impl Fn(&R) -> bool) -> Vec<(Borrower, Arc<R>)> {
        let rooms = self.of.read().unwrap_or_else(PoisonError::into_inner);
        let its = rooms.iter().filter(|(_, room)| is_its(room));
        its.map(|(run, room)| (*run, Arc::clone(room))).collect()
    }

    /// Gives a run a room, until what is returned is dropped.
    pub fn lend(self: &Arc<Self>, run: Borrower, room: R) -> Lent<R> {
        let room = Arc::new(room);
        let mut rooms = self.of.write().unwrap_or_else(PoisonError::into_inner);
        rooms.insert(run, Arc::clone(&room));
        drop(rooms);
        Lent { room, lease: Some(Lease { rooms: Arc::clone(self), run }) }
    }
}

/// A room, and the lease that ends when this is dropped.
#[derive(Debug)]
pub struct Lent<R> {
    room: Arc<R>,
    lease: Option<Lease<R>>,
}

#[derive(Debug)]
struct Lease<R> {
    rooms: Arc<Rooms<R>>,
    run: Borrower,
}

impl<R> Lent<R> {
    /// A room that nobody has to give back.
    pub fn own(room: Arc<R>) -> Self {
        Self { room, lease: None }
    }

    /// The run that it is lent to.
    pub fn run(&self) -> Option<Borrower> {
        self.lease.as_ref().map(|lease| lease.run)
    }
}

impl<R> Deref for Lent<R> {
    type Target = Arc<R>;

    fn deref(&self) -> &Arc<R> {
        &self.room
    }
}

impl<R> Drop for Lease<R> {
    fn drop(&mut self) {
        let mut rooms = self.rooms.of.write().unwrap_or_else(PoisonError::into_inner);
        rooms.remove(&self.run);
    }
}
