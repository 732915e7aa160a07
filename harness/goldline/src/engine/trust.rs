//! The negative test of trust: for a while, another broker answers for the planned name, with a
//! certificate of a CA that nobody knows. The unit must refuse it, and come back to the right one.

use tokio::time::sleep_until;

use super::{
    Failure, Run, millis,
    ping::Pings,
    probing::{Talk, at_broker},
};
use crate::{
    check::TrustObservation,
    clock::Deadline,
    testbed::{
        TestbedError,
        authority::Authority,
        broker::{Broker, BrokerConfig},
    },
};

/// The wrong certificate lives no longer than the trial.
const VALIDITY: time::Duration = time::Duration::days(1);

impl Run {
    pub(super) async fn offer_stranger(&mut self) -> Result<(), Failure> {
        let endpoint = self.bound()?.endpoint()?.clone();
        let wait = self.plan.profile.deadlines.mqtt;
        let clock = self.bench.clock().clone();
        let unknown = Authority::create(clock.clone()).map_err(TestbedError::from)?;
        let names = endpoint.at().certificate_names();
        let shown = unknown.issue_server(&names, VALIDITY).map_err(TestbedError::from)?;
        let testbed = self.testbed()?;
        let callers = testbed.network.callers().clone();
        let config = BrokerConfig { callers, ..BrokerConfig::new(shown, Vec::new()) };
        let stranger = Broker::start(config, clock).await.map_err(TestbedError::from)?;

        let (host, port) = (endpoint.at(), endpoint.port());
        let redirect = |to| testbed.network.redirect(host, port, to).map_err(TestbedError::from);
        redirect(stranger.address())?;
        testbed.broker.drop_unit();
        let deadline = Deadline::after(wait);
        let mut seen = TrustObservation::default();
        let tried = tokio::select! {
            tried = stranger.wait_for(deadline, |connection| {
                if !connection.caller.is_unit() {
                    return None;
                }
                // A handshake that only broke off is no refusal: the next one tells.
                let failure = connection.tls_failure.as_ref();
                let refused = failure.filter(|failure| failure.cause.is_distrust());
                let accepted = connection.connect.is_some();
                let refused = refused.map(|failure| failure.cause.to_string());
                (refused.is_some() || accepted).then_some((refused, accepted))
            }) => tried.ok().or_else(|| silent_refusal(&stranger)),
            failure = self.interrupted() => return Err(failure),
        };
        seen.waited_ms = millis(deadline.allowed().saturating_sub(deadline.left()));
        seen.tried = tried.is_some();
        if let Some((refused_with, accepted)) = tried {
            seen.refused_with = refused_with;
            seen.accepted = accepted;
        }
        let back_at = tokio::time::Instant::now();
        redirect(testbed.broker.address())?;
        stranger.drop_unit();

        let deadline = Deadline::after(wait);
        let mut events = testbed.broker.follow();
        let mut pings = Pings::new(self, &testbed.broker)?;
        seen.returned = loop {
            let connections = testbed.broker.unit_connections();
            let mut after = connections.iter().filter(|connection| connection.opened >= back_at);
            let planned = &self.bound()?.broker()?.subscriptions;
            let whole = after.any(|connection| {
                let granted: Vec<&String> =
                    connection.subscriptions.iter().map(|filter| &filter.filter).collect();
                let subscribed = testbed.broker.is_external()
                    || planned.iter().all(|filter| granted.contains(&filter));
                connection.is_accepted() && subscribed
            });
            if whole {
                break true;
            }
            tokio::select! {
                _ = events.next(deadline) => {}
                sent = pings.next(&testbed.broker) => sent?,
                () = sleep_until(deadline.instant()) => break false,
                failure = self.interrupted() => return Err(failure),
            }
        };
        if !seen.tried || !seen.returned {
            let (testbed, plan) = (self.testbed()?, self.bound()?);
            let witness = at_broker(testbed, plan, &self.bench, Talk::Command).await?;
            seen.witness = Some(witness);
        }
        self.seen.trust = Some(seen);
        Ok(())
    }
}

/// A unit that closes each handshake without an alert refuses too; it has had all the time there is.
fn silent_refusal(stranger: &Broker) -> Option<(Option<String>, bool)> {
    let connections = stranger.unit_connections();
    let failure =
        connections.iter().rev().find_map(|connection| connection.tls_failure.as_ref())?;
    Some((Some(failure.cause.to_string()), false))
}
