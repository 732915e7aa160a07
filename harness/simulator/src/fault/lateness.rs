//! Answers that come late, as from a jig behind a network or a machine that is busy.
//!
//! Counts what was sent and never looks at a clock: the same seed makes the same answers late.

use std::time::Duration;

use super::chance::Chance;
use super::{Fault, Faults};

/// How late everything is with `wire.delay`.
const ALWAYS: Duration = Duration::from_millis(40);
/// The one late answer is among the first of so many.
const PLACES: u64 = 400;
const LONGEST_MS: u64 = 500;
const SHORTEST_ONCE_MS: u64 = 50;

/// How late each piece arrives that a unit sends.
#[derive(Debug, Default)]
pub(crate) enum Lateness {
    /// At once.
    #[default]
    Never,
    /// All pieces alike.
    Always(Duration),
    /// One piece, when so many went before it.
    Once { before: u64, by: Duration },
    /// Each by chance.
    Each(Chance),
}

impl Lateness {
    pub(crate) fn new(faults: &Faults, seed: u64) -> Self {
        if faults.has(Fault::WireLate) {
            Self::Each(Chance::of(seed, Fault::WireLate))
        } else if faults.has(Fault::WireLateOnce) {
            let mut chance = Chance::of(seed, Fault::WireLateOnce);
            let before = chance.below(PLACES);
            let by = SHORTEST_ONCE_MS + chance.below(LONGEST_MS + 1 - SHORTEST_ONCE_MS);
            Self::Once { before, by: Duration::from_millis(by) }
        } else if faults.has(Fault::WireDelay) {
            Self::Always(ALWAYS)
        } else {
            Self::Never
        }
    }

    /// How late the next piece is.
    pub(crate) fn next(&mut self) -> Duration {
        match self {
            Self::Never => Duration::ZERO,
            Self::Always(by) => *by,
            Self::Once { before: 0, by } => {
                let by = *by;
                *self = Self::Never;
                by
            }
            Self::Once { before, .. } => {
                *before -= 1;
                Duration::ZERO
            }
            Self::Each(chance) => Duration::from_millis(chance.below(LONGEST_MS + 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lateness(fault: Fault, seed: u64) -> Vec<Duration> {
        let mut lateness = Lateness::new(&[fault].into_iter().collect(), seed);
        (0..PLACES).map(|_| lateness.next()).collect()
    }

    #[test]
    fn one_answer_is_late_and_another_seed_takes_another() {
        let mut places = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let late = lateness(Fault::WireLateOnce, seed);
            assert_eq!(late, lateness(Fault::WireLateOnce, seed));
            let place = late.iter().position(|late| !late.is_zero()).expect("one is late");
            assert_eq!(late.iter().filter(|late| !late.is_zero()).count(), 1);
            assert!((50..=500).contains(&late[place].as_millis()), "{:?}", late[place]);
            places.insert(place);
        }
        assert!(places.len() > 40, "{places:?}");
    }

    #[test]
    fn all_answers_are_late_by_half_a_second_at_most() {
        let late = lateness(Fault::WireLate, 1);
        assert!(late.iter().all(|late| late.as_millis() <= 500));
        assert!(late.iter().filter(|late| late.as_millis() > 250).count() > 100);
        assert!(lateness(Fault::WireDelay, 1).iter().all(|late| *late == ALWAYS));
    }
}
