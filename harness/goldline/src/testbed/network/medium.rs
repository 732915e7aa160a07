//! An interface that the stations of several runs are on, as far as their networks know of it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Addresses, directory::Directory};

/// How long a station believes in its address. Short, so that renewals are met in a soak and addresses come back the
/// same shift; longer than most runs.
pub(super) const BELIEVED: Duration = Duration::from_secs(600);

/// Says what is wrong with the interface now, if anything is.
type Look = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// What the networks of an interface share. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct Medium(Arc<Inner>);

struct Inner {
    addresses: Addresses,
    /// What any of its runs leads somewhere: the way of stations that are of no run.
    everyones: Arc<Mutex<Directory>>,
    look: Look,
    failed: Mutex<Option<(Instant, String)>>,
}

impl std::fmt::Debug for Medium {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Medium").field("failed", &*self.failed()).finish_non_exhaustive()
    }
}

impl Medium {
    /// Of an interface that is looked at so.
    pub(in crate::testbed) fn new(
        look: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            addresses: Addresses::by_station(BELIEVED),
            everyones: Arc::default(),
            look: Box::new(look),
            failed: Mutex::default(),
        }))
    }

    /// Notes that it carried nothing at this moment.
    pub(in crate::testbed) fn fails(&self, why: String) {
        *self.failed() = Some((Instant::now(), why));
    }

    /// What is wrong with it, or was since then.
    pub(super) fn fault_since(&self, then: Instant) -> Option<String> {
        let before = self.failed().clone().filter(|(at, _)| *at >= then).map(|(_, why)| why);
        before.or_else(|| (self.0.look)())
    }

    pub(super) fn addresses(&self) -> &Addresses {
        &self.0.addresses
    }

    pub(super) fn everyones(&self) -> &Arc<Mutex<Directory>> {
        &self.0.everyones
    }

    fn failed(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
