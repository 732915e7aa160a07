//! Watching a unit that is waited for with nothing else: whether its application starts, and goes on running.
//!
//! Must not judge.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Failure, Run, millis};
use crate::{check::StartObservation, device::CAUGHT_UP, profile::CheckId};

impl Run {
    /// Watches the unit until its application has run for so long, or will never start. A crash is watched
    /// anew, until it is clear whether it comes again and again.
    pub(super) async fn stay_up(&mut self, steady: Duration) -> Result<(), Failure> {
        let booted_at = self.running()?.at;
        let start_deadline = self.start_deadline()?;
        let console = self.console()?;
        let facts = self.hearing.facts();
        // What asked the unit for something before has watched it meanwhile.
        let known = facts.has_application() || self.prints_nothing();
        let mut since = known.then_some(booted_at);
        let mut crashes = facts.crashes();
        loop {
            let printed = console.printed();
            let facts = self.hearing.facts();
            if facts.has_application() {
                since.get_or_insert_with(Instant::now);
            }
            if facts.crashes() > crashes {
                crashes = facts.crashes();
                since = Some(Instant::now());
            }
            let behind = console.behind().map(Instant::from_std);
            // Its first lines may still be unheard.
            let caught_up = behind.map_or(booted_at, |behind| behind + CAUGHT_UP);
            let until = match since {
                Some(since) => since + steady,
                None => caught_up.max(start_deadline),
            };
            if facts.ends_waiting() || Instant::now() >= until {
                break;
            }
            if console.is_closed() {
                return Err(Failure::PortVanished);
            }
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep_until(until) => {}
                () = self.cancel.cancelled() => return Err(Failure::Aborted),
            }
        }
        self.seen.start = Some(StartObservation {
            waited_ms: millis(booted_at.elapsed()),
            steady_ms: since.map(|since| millis(since.elapsed())),
        });
        Ok(())
    }

    fn prints_nothing(&self) -> bool {
        let checks = &self.plan.profile.checks;
        checks.iter().any(|check| check.id == CheckId::Start && check.silent)
    }
}
