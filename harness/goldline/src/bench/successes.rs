//! What units of this bench succeeded at, so that one can be the witness for a service at which another
//! fails.
//!
//! Only what came to its end is noted. Must not know why a unit fails.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use crate::{
    check::{Credential, Service, UnitSuccess},
    identity::Mac,
};

/// More than stand in a jig; the oldest goes.
const KEPT: usize = 64;

/// The newest successes.
#[derive(Debug, Default)]
pub struct Successes(Mutex<VecDeque<Success>>);

#[derive(Clone, Copy, Debug)]
struct Success {
    unit: Mac,
    service: Service,
    credential: Credential,
    at: Instant,
}

impl Successes {
    /// A unit was served to the end, now.
    pub fn note(&self, unit: Mac, service: Service, credential: Credential) {
        let mut kept = self.kept();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Success { unit, service, credential, at: Instant::now() });
    }

    /// The newest success of another unit there, since that moment.
    pub fn of_another(
        &self,
        unit: Mac,
        service: Service,
        credential: Credential,
        since: Instant,
    ) -> Option<UnitSuccess> {
        let kept = self.kept();
        let found = kept.iter().rev().find(|success| {
            success.unit != unit
                && (success.service, success.credential) == (service, credential)
                && success.at >= since
        })?;
        Some(UnitSuccess {
            unit: found.unit.to_string(),
            service,
            credential,
            ago: found.at.elapsed(),
        })
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Success>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ONE: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);

    #[tokio::test(start_paused = true)]
    async fn only_another_units_success_since_the_failure_counts() {
        let successes = Successes::default();
        let of_other = |unit, since| {
            successes.of_another(unit, Service::Broker, Credential::Certificate, since)
        };
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        successes.note(ONE, Service::Broker, Credential::Certificate);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(of_other(ONE, before), None, "it is the unit's own");
        let found = of_other(OTHER, before).expect("the other had success");
        assert_eq!((found.unit, found.ago), (ONE.to_string(), Duration::from_secs(1)));
        assert_eq!(of_other(OTHER, Instant::now()), None, "the service may have died since");
        let at_ca = successes.of_another(OTHER, Service::Ca, Credential::Certificate, before);
        assert_eq!(at_ca, None);
    }

    #[tokio::test]
    async fn a_bench_that_runs_for_years_keeps_the_newest() {
        let (successes, before) = (Successes::default(), Instant::now());
        for number in 0..=u8::MAX {
            let unit = Mac([2, 0, 0, 0, 1, number]);
            successes.note(unit, Service::Broker, Credential::Password);
        }
        assert_eq!(successes.kept().len(), KEPT);
        let newest = successes.of_another(ONE, Service::Broker, Credential::Password, before);
        assert_eq!(newest.expect("it is kept").unit, Mac([2, 0, 0, 0, 1, u8::MAX]).to_string());
    }
}
