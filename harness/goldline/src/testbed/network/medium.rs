//! An interface that the stations of several runs are on, as far as their networks know of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Addresses, directory::Directory};
use crate::{identity::Mac, testbed::hostapd::Hostapd};

/// How long a station believes in its address. Short, so that renewals are met in a soak and addresses come back the
/// same shift; longer than most runs.
pub(super) const BELIEVED: Duration = Duration::from_secs(600);
/// Stations that are remembered as heard, so that no flood of them fills the memory.
const MOST_HEARD: usize = 256;

/// Says what is wrong with the interface now, if anything is.
type Look = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// What the networks of an interface share. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct Medium(Arc<Inner>);

struct Inner {
    name: String,
    addresses: Addresses,
    /// What any of its runs leads somewhere: the way of stations that are of no run.
    everyones: Arc<Mutex<Directory>>,
    look: Look,
    access_point: Option<Hostapd>,
    failed: Mutex<Option<(Instant, String)>>,
    heard: Mutex<HashMap<Mac, Instant>>,
}

impl std::fmt::Debug for Medium {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Medium");
        shown.field("name", &self.0.name).field("failed", &*self.failed()).finish_non_exhaustive()
    }
}

impl Medium {
    /// Of an interface of that name that is looked at so, and the access point that stations come over, where it tells
    /// what it sees.
    pub(crate) fn new(
        name: &str,
        access_point: Option<Hostapd>,
        look: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            addresses: Addresses::by_station(BELIEVED),
            everyones: Arc::default(),
            look: Box::new(look),
            access_point,
            failed: Mutex::default(),
            heard: Mutex::default(),
        }))
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The access point that its stations come over, where it tells what it sees.
    pub fn access_point(&self) -> Option<&Hostapd> {
        self.0.access_point.as_ref()
    }

    /// Notes that a station wrote to the bench's own address at this moment: it has heard the bench, and the bench it.
    pub(in crate::testbed) fn hears(&self, station: Mac, now: Instant) {
        let mut heard = self.heard();
        if heard.len() >= MOST_HEARD && !heard.contains_key(&station) {
            let longest_ago = heard.iter().min_by_key(|(_, at)| **at).map(|(mac, _)| *mac);
            longest_ago.and_then(|mac| heard.remove(&mac));
        }
        heard.insert(station, now);
    }

    /// The station that was heard last since then, none of these.
    pub fn heard_since(&self, then: Instant, but_for: &[Mac]) -> Option<Mac> {
        let heard = self.heard();
        let others = heard.iter().filter(|(mac, at)| **at >= then && !but_for.contains(mac));
        others.max_by_key(|(_, at)| **at).map(|(mac, _)| *mac)
    }

    /// Notes that it carried nothing at this moment.
    pub(in crate::testbed) fn fails(&self, why: String) {
        *self.failed() = Some((Instant::now(), why));
    }

    /// What is wrong with it, or was since then.
    pub(super) fn fault_since(&self, then: Instant) -> Option<String> {
        let before = self.failed().clone().filter(|(at, _)| *at >= then).map(|(_, why)| why);
        let of_access_point = || self.access_point()?.fault_since(then);
        before.or_else(of_access_point).or_else(|| (self.0.look)())
    }

    pub(super) fn addresses(&self) -> &Addresses {
        &self.0.addresses
    }

    pub(super) fn everyones(&self) -> &Arc<Mutex<Directory>> {
        &self.0.everyones
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<Mac, Instant>> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station(number: u32) -> Mac {
        let [a, b, c, d] = number.to_be_bytes();
        Mac([2, 0, a, b, c, d])
    }

    #[test]
    fn the_last_other_station_since_then_is_the_one_that_was_heard() {
        let medium = Medium::new("wlan1", None, || None);
        let began = Instant::now();
        let at = |second: u64| began + Duration::from_secs(second);
        medium.hears(station(1), at(1));
        medium.hears(station(2), at(2));
        medium.hears(station(3), at(3));
        assert_eq!(medium.heard_since(at(1), &[station(3)]), Some(station(2)));
        assert_eq!(medium.heard_since(at(3), &[station(3)]), None, "before then, or the unit");
        medium.hears(station(1), at(4));
        assert_eq!(medium.heard_since(at(3), &[station(3)]), Some(station(1)));
    }

    #[test]
    fn a_flood_of_stations_is_forgotten_from_its_beginning() {
        let (medium, began) = (Medium::new("wlan1", None, || None), Instant::now());
        for number in 0..5000 {
            medium.hears(station(number), began + Duration::from_millis(number.into()));
        }
        assert_eq!(medium.heard().len(), MOST_HEARD);
        assert_eq!(medium.heard_since(began, &[]), Some(station(4999)));
    }
}
