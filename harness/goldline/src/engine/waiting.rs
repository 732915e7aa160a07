//! What ends every wait for a running unit, whatever is waited for: an abort, a port that is gone, and what
//! the boot log says. Facts outrank what was expected.
//!
//! Must not judge: the log's facts say what they come to.

use tokio::time::{Instant, sleep_until};

use super::{Failure, Next, Run, phase::Placed, probing::at_each};
use crate::{
    check::{LogFacts, stops},
    plan::Plan,
    profile::CheckId,
    record::Diagnosis,
};

impl Run {
    /// Comes back with a reason, or never. Holds nothing of the run, so that it may stand beside any wait.
    pub(super) fn interrupted(&self) -> impl Future<Output = Failure> + use<> {
        let (console, hearing, cancel) =
            (self.console(), self.hearing.clone(), self.cancel.clone());
        async move {
            let console = match console {
                Ok(console) => console,
                Err(failure) => return failure,
            };
            loop {
                let printed = console.printed();
                if console.is_closed() {
                    return Failure::PortVanished;
                }
                if hearing.ends_waiting() {
                    return Failure::BootLog;
                }
                tokio::select! {
                    () = cancel.cancelled() => return Failure::Aborted,
                    () = console.changed(printed) => {}
                }
            }
        }
    }

    /// What stopped a step, or the cause of that: a unit that crashed meanwhile did not do what was waited
    /// for because it crashed. It is heard until it is clear whether it crashes again and again.
    pub(super) async fn outranked(&mut self, failure: Failure) -> Failure {
        let of_unit = matches!(failure, Failure::BootLog | Failure::Unit(_) | Failure::Service(_));
        if !of_unit || self.running().is_err() {
            return failure;
        }
        let Ok(console) = self.console() else { return failure };
        let mut crashes = 0;
        let mut until = Instant::now();
        loop {
            let printed = console.printed();
            let facts = self.hearing.facts();
            let settled = facts.crashes() == 0 || facts.ends_waiting();
            if settled || console.is_closed() {
                break;
            }
            if facts.crashes() > crashes {
                crashes = facts.crashes();
                until = Instant::now() + self.plan.profile.deadlines.boot;
            }
            tokio::select! {
                () = self.cancel.cancelled() => return Failure::Aborted,
                () = console.changed(printed) => {}
                () = sleep_until(until) => break,
            }
        }
        match self.shown_facts().cause() {
            Some(cause)
                if self.hearing.facts().restarts_on_purpose() && self.is_without_its_network() =>
            {
                Failure::Service(stops::without_its_network(cause))
            }
            Some(cause) if self.hearing.facts().restarts_on_purpose() => {
                self.or_a_service(cause).await
            }
            Some(cause) => Failure::Unit(cause),
            None => failure,
        }
    }

    /// A unit is not blamed for what it did not do where the device cannot vouch for itself: its emulator hangs, or
    /// gave the unit no time. What the log says stands by itself.
    pub(super) async fn if_vouched_for(
        &mut self,
        outcome: Result<Next, Failure>,
    ) -> Result<Next, Failure> {
        let missed = match &outcome {
            Ok(Next::GoOn) => self.seen.start.is_some_and(|start| start.steady_ms.is_none()),
            Ok(Next::Enough) => true,
            Err(failure) => matches!(failure, Failure::Unit(_)),
        };
        let facts = self.shown_facts();
        let told =
            facts.cause().is_some() || facts.configuration.is_some() || facts.gave_up.is_some();
        if !missed || told || self.running().is_err() {
            return outcome;
        }
        if facts.is_unheard() {
            self.seen.not_vouched_for = true;
            return Err(Failure::Service(stops::not_heard()));
        }
        match self.vouched().await {
            Ok(()) => outcome,
            Err(failure) => {
                self.seen.not_vouched_for = true;
                Err(failure)
            }
        }
    }

    /// Whether the unit has a network to join, and the device cannot have it there.
    fn is_without_its_network(&self) -> bool {
        let Plan { profile, excluded, .. } = &self.plan;
        profile.reaches_network()
            && excluded.iter().any(|one| {
                matches!(one.check, CheckId::WifiJoin | CheckId::NetworkJoin | CheckId::MqttConnect)
            })
    }

    /// Asks the device whether it gave the unit its time.
    pub(super) async fn vouched(&mut self) -> Result<(), Failure> {
        self.with_device(|device| device.vouch()).await
    }

    /// Many a firmware restarts when it finds no network or no service: the unit's own fault only where they
    /// are sound.
    async fn or_a_service(&mut self, cause: Diagnosis) -> Failure {
        let asked = match (self.placed(), self.way_in()) {
            (Ok(Placed { testbed, plan, mac, .. }), Ok(way_in)) => {
                at_each(testbed, plan, &self.bench, (*mac, &way_in)).await
            }
            (Err(failure), _) | (_, Err(failure)) => Err(failure),
        };
        match asked {
            Ok((_, witness)) if witness.is_sound() => {
                let message = format!("{}; witness: {}", cause.message, witness.detail());
                Failure::Unit(Diagnosis { message, ..cause })
            }
            Ok((code, witness)) => Failure::Service(Diagnosis::new(code, witness.detail())),
            Err(failure) => failure,
        }
    }

    /// What the log claims, with each quoted line as it may be shown.
    fn shown_facts(&self) -> LogFacts {
        let facts = self.hearing.facts();
        match self.phase.plan() {
            Some(plan) => facts.shown(|line| plan.bindings().redact(line).0),
            None => facts,
        }
    }
}
