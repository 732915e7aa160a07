//! Where those who come over a site's network are told apart, and who hears of it.
//!
//! An address says nothing there: behind one there may be all units of a line. Whose a visitor is, the service finds
//! out by what it says of itself, and tells the network of that run; what matches no run is told to all.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::caller::{Borrower, Visit};

/// Hears who came.
pub(super) trait Attends: Send + Sync {
    /// A visitor is this run's unit, or says what only its unit was given.
    fn came(&self, visit: Visit);
    /// A visitor is no run's unit, for this reason.
    fn turned_away(&self, visit: Visit, because: &str);
}

/// Who hears of the visitors of each run. Cheap to clone: all clones are one.
#[derive(Clone, Default)]
pub struct Reception(Arc<Mutex<HashMap<Borrower, Weak<dyn Attends>>>>);

impl fmt::Debug for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reception").field(&self.attending().len()).finish()
    }
}

impl Reception {
    /// From now on this one hears of the run's visitors, for as long as it is there.
    pub(super) fn attend(&self, run: Borrower, attendant: Weak<dyn Attends>) {
        let mut attending = self.attending();
        attending.retain(|_, attendant| attendant.strong_count() > 0);
        attending.insert(run, attendant);
    }

    /// A visitor was told apart.
    pub(super) fn came(&self, run: Borrower, visit: Visit) {
        let attendant = self.attending().get(&run).and_then(Weak::upgrade);
        if let Some(attendant) = attendant {
            attendant.came(visit);
        }
    }

    /// A visitor is nobody's.
    pub(super) fn turned_away(&self, visit: Visit, because: &str) {
        let all: Vec<_> = self.attending().values().filter_map(Weak::upgrade).collect();
        for attendant in all {
            attendant.turned_away(visit, because);
        }
    }

    fn attending(&self) -> MutexGuard<'_, HashMap<Borrower, Weak<dyn Attends>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
