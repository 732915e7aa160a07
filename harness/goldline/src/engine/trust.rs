//! The negative test of trust: for a while, another broker answers for the planned name, with a
//! certificate of a CA that nobody knows. The unit must refuse it, and come back to the right one.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{
    Failure, Run, millis,
    ping::Pings,
    probing::{Talk, at_broker},
};
use crate::{
    check::TrustObservation,
    clock::Deadline,
    profile::Endpoint,
    testbed::{
        TestbedError,
        authority::Authority,
        broker::{Broker, BrokerConfig, Connection},
        network::{Network, NoRedirect},
    },
};

/// How long after a refusal that names nobody the unit itself may still come in.
const GRACE: Duration = Duration::from_secs(2);
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

        let network = Arc::clone(&testbed.network);
        let lost_at = self.hearing.facts().tls_lines;
        let stands_in = StandsIn::of(network, &endpoint, testbed.broker.address());
        stands_in.lead(stranger.address()).map_err(TestbedError::from)?;
        testbed.broker.drop_unit();
        let deadline = Deadline::after(wait);
        let mut seen = match testbed.network.is_site() {
            true => self.visitor_of(&stranger, lost_at, deadline).await?,
            false => self.caller_of(&stranger, deadline).await?,
        };
        seen.waited_ms = millis(deadline.allowed().saturating_sub(deadline.left()));
        let testbed = self.testbed()?;
        let back_at = Instant::now();
        drop(stands_in);
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

    /// What the unit did at the wrong broker, where each connection tells whose it is.
    async fn caller_of(
        &mut self,
        stranger: &Broker,
        deadline: Deadline,
    ) -> Result<TrustObservation, Failure> {
        let tried = tokio::select! {
            tried = stranger.wait_for(deadline, |connection| {
                if !connection.caller.is_unit() {
                    return None;
                }
                let (refused, accepted) = (distrust_of(connection), connection.connect.is_some());
                (refused.is_some() || accepted).then_some((refused, accepted))
            }) => tried.ok().or_else(|| silent_refusal(stranger)),
            failure = self.interrupted() => return Err(failure),
        };
        let (is_tried, (refused_with, accepted)) = (tried.is_some(), tried.unwrap_or_default());
        Ok(TrustObservation { tried: is_tried, refused_with, accepted, ..Default::default() })
    }

    /// What the unit did there over a site's network, where one that refuses says not who it is: its own log tells, which
    /// had so many lines about failed handshakes before. One that does not refuse says its name.
    async fn visitor_of(
        &mut self,
        stranger: &Broker,
        lines_before: usize,
        deadline: Deadline,
    ) -> Result<TrustObservation, Failure> {
        let client_id = self.bound()?.broker()?.client_id.clone();
        let (console, mut events) = (self.console()?, stranger.follow());
        let mut seen = TrustObservation::default();
        // A refusal that names nobody may be another one's, and this unit about to come in.
        let mut grace = None;
        let own = loop {
            let printed = console.printed();
            let own = self.hearing.facts().tls_lines > lines_before;
            let connections = stranger.connections();
            let is_its = |connection: &&Connection| {
                connection.connect.as_ref().is_some_and(|connect| connect.client_id == client_id)
            };
            seen.accepted = connections.iter().any(|connection| is_its(&connection));
            seen.refused_with = connections.iter().find_map(distrust_of);
            seen.tried = seen.accepted || own && seen.refused_with.is_some();
            let now = Instant::now();
            let until = seen.tried.then(|| *grace.get_or_insert(now + GRACE));
            if seen.accepted || until.is_some_and(|until| until <= now) {
                return Ok(seen);
            }
            tokio::select! {
                () = console.changed(printed) => {}
                _ = events.next(deadline) => {}
                () = sleep_until(until.unwrap_or(deadline.instant())) => {}
                () = sleep_until(deadline.instant()) => break own,
                failure = self.interrupted() => return Err(failure),
            }
        };
        // It had all the time there is: who only broke off refused too.
        let mut failures = stranger.connections().into_iter().filter_map(|one| one.tls_failure);
        seen.refused_with = failures.next_back().map(|failure| failure.cause.to_string());
        seen.tried = own && seen.refused_with.is_some();
        seen.nameless = !own && seen.refused_with.is_some();
        Ok(seen)
    }
}

/// The wrong broker in the place of the right one, for every unit of the network, until this is dropped.
struct StandsIn<'a> {
    network: Arc<dyn Network>,
    endpoint: &'a Endpoint,
    right: SocketAddr,
}

impl<'a> StandsIn<'a> {
    fn of(network: Arc<dyn Network>, endpoint: &'a Endpoint, right: SocketAddr) -> Self {
        Self { network, endpoint, right }
    }

    fn lead(&self, to: SocketAddr) -> Result<IpAddr, NoRedirect> {
        self.network.redirect_instead(self.endpoint.at(), self.endpoint.port(), to)
    }
}

impl Drop for StandsIn<'_> {
    fn drop(&mut self) {
        // It led there before, so that nothing new is asked for.
        let _back = self.lead(self.right);
    }
}

/// With what a client refused the certificate. A handshake that only broke off is no refusal: the next one tells.
fn distrust_of(connection: &Connection) -> Option<String> {
    let failure = connection.tls_failure.as_ref();
    failure.filter(|failure| failure.cause.is_distrust()).map(|failure| failure.cause.to_string())
}

/// A unit that closes each handshake without an alert refuses too; it has had all the time there is.
fn silent_refusal(stranger: &Broker) -> Option<(Option<String>, bool)> {
    let connections = stranger.unit_connections();
    let failure =
        connections.iter().rev().find_map(|connection| connection.tls_failure.as_ref())?;
    Some((Some(failure.cause.to_string()), false))
}
