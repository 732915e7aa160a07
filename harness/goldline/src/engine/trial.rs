//! The steps in which the unit runs: boot, join, connect, answer.
//!
//! What the access point and the broker saw of the unit's own connections is the evidence; the serial
//! log only tells when waiting is in vain. After a failure the bench itself tries the same with the
//! plan's credentials: its success is the witness that blames the unit, its failure the testbed.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{
    Failure, Next, Run,
    access_point::{SAMPLES, Watched},
    millis,
    on_site::and_the_way,
    phase::{Activity, Boot, Link},
    ping::{Pings, Said},
    probing::{Talk, at_broker, at_network, credential},
    signs::{Signs, is_up},
    turned_away::refusal,
    validity::note_validity,
};
use crate::{
    check::{
        BrokerObservation, Credential, JoinObservation, LogFacts, Observer, Refusal, Service,
        ToldBy,
    },
    clock::Deadline,
    device::CAUGHT_UP,
    identity::Mac,
    plan::{BoundPlan, Purpose},
    profile::CommandRoundTrip,
    testbed::{
        Testbed,
        broker::{Connection, Ending},
        network::NetworkEvent,
    },
};

/// No more samples of a signal are waited for.
const MOST_SAMPLES: f64 = 64.0;
/// Firmware tries again after a refusal; this many without a success in between are no accident.
const REFUSALS: usize = 5;

impl Run {
    pub(super) async fn boot(&mut self, purpose: Purpose) -> Result<(), Failure> {
        self.keep_console();
        self.typed.clear();
        let earlier_lines = self.seen.earlier_console.len();
        let lost_before = self.seen.lines_lost;
        self.hearing.know(self.mac()?, self.bound()?);
        // Taken before: a quick unit joins while the reset is still being reported.
        let at = Instant::now();
        let mut boot =
            Boot { purpose, at, done: at, earlier_lines, lost_before, before_update: None };
        // Also when the reset fails, the console's log is this boot's and not the last one's.
        self.placed_mut()?.activity = Activity::Rests(Some(boot.clone()));
        let reset = self
            .with_device(|device| {
                device.boot()?;
                Ok(device.last_reset())
            })
            .await?;
        boot.at = reset.map_or(at, Instant::from_std);
        self.lets_go(at);
        boot.done = Instant::now();
        self.placed_mut()?.activity = Activity::Runs(boot);
        self.seen.booted |= purpose == Purpose::Trial;
        Ok(())
    }

    /// From now on the present boot is the trial; its log began with what the unit was given.
    pub(super) fn try_as_it_runs(&mut self) -> Result<(), Failure> {
        let boot = Boot { purpose: Purpose::Trial, ..self.running()?.clone() };
        self.placed_mut()?.activity = Activity::Runs(boot);
        self.seen.booted = true;
        Ok(())
    }

    /// Waits until the unit has an address; a unit without one is not waited for at the broker.
    pub(super) async fn await_join(&mut self) -> Result<Next, Failure> {
        let (mac, booted_at) = self.unit_and_boot()?;
        let start_deadline = self.start_deadline()?;
        let deadlines = self.plan.profile.deadlines;
        let deadline = Deadline::after(deadlines.boot + deadlines.wifi);
        let console = self.console()?;
        let testbed = self.testbed()?;
        let mut join = JoinObservation::default();
        let on_site = testbed.network.is_site();
        if on_site {
            join.told_by = ToldBy::Console;
        }
        let mut associated_at;
        let mut signs = Signs::new(self.wanted_samples("rssi"));
        let mut events = testbed.network.follow();
        let mut watched = self.watched(testbed.network.as_ref())?;
        loop {
            associated_at = note_association(testbed, mac, booted_at, &mut join);
            let owes_word = match &mut watched {
                Some(watched) => watched.owes_word(join.address.is_some()).await?,
                None => false,
            };
            join.access_point = watched.as_ref().map(Watched::seen);
            let printed = console.printed();
            let facts = self.hearing.facts();
            if on_site {
                associated_at = note_claim(&facts, booted_at, &mut join).or(associated_at);
                // Somebody came with its identity, and it is not up: that was another.
                if join.address != facts.address && !is_up(&facts) {
                    join.address = None;
                }
            }
            let behind = console.behind().map(Instant::from_std);
            // Its first lines may still be unheard.
            let caught_up = behind.map_or(booted_at, |behind| behind + CAUGHT_UP);
            let late_at = caught_up.max(start_deadline);
            let started_late = !facts.has_application() && Instant::now() >= late_at;
            let refused_by_radio = join.access_point.as_ref().map_or(0, |found| found.refused);
            let refusals = refusals(testbed, mac, booted_at).max(refused_by_radio);
            let refusals = facts.disconnects.len().max(refusals);
            signs.note(
                &facts,
                behind,
                refusals == 0,
                join.address.map(|given| (given, is_used(testbed, &join, given, booted_at))),
            );
            // What the access point saw may be known before the lines of the unit that tried it.
            let refused = refusals >= REFUSALS && facts.has_application() && join.address.is_none();
            // What the boot says is judged with the join: it must have been observed.
            let enough = signs.enough() && !owes_word;
            if enough || facts.ends_waiting() || refused || started_late {
                break;
            }
            if console.is_closed() {
                return Err(Failure::PortVanished);
            }
            let word_until = watched.as_ref().map_or(booted_at, Watched::until);
            tokio::select! {
                () = console.changed(printed) => {}
                _ = events.next(deadline) => {}
                () = heard(&mut watched, deadline) => {}
                () = sleep_until(word_until), if owes_word => {}
                () = sleep_until(late_at), if !facts.has_application() => {}
                () = sleep_until(signs.next()), if signs.any() && !owes_word => {}
                () = sleep_until(deadline.instant()) => break,
                () = self.cancel.cancelled() => return Err(Failure::Aborted),
            }
        }
        join.waited_ms = millis(booted_at.elapsed());
        // Not every firmware prints its address, but none can use one that it has not.
        join.address_shown = self.hearing.facts().address.is_some()
            || join.address.is_some_and(|address| {
                self.hearing.facts().names(address) || is_used(testbed, &join, address, booted_at)
            });
        if let (true, Some(watched), Some(found)) = (join.is_in(), &watched, &mut join.access_point)
        {
            let samples = self.wanted_samples("ap_rssi").max(SAMPLES);
            found.signals_dbm = watched.signals(samples).await?;
            self.bench.successes().note(mac, Service::AccessPoint, Credential::Passphrase);
        }
        let joined = join.is_in();
        if !joined {
            let plan = self.bound()?;
            join.witness = Some(at_network(testbed, plan, &self.way_in()?).await?);
        }
        if let Some((address, since)) = join.address.zip(associated_at) {
            let boot = self.running()?.clone();
            let counts_from = if on_site { booted_at } else { since };
            let link = Link { address, since, counts_from };
            self.placed_mut()?.activity = Activity::Joined(boot, link);
        }
        self.seen.join = Some(join);
        Ok(if joined { Next::GoOn } else { Next::Enough })
    }

    /// How many samples of a signal the profile asks for: one where it only limits the signal, none where it does not.
    fn wanted_samples(&self, signal: &str) -> usize {
        let mut limits = self.plan.profile.checks.iter().map(|check| &check.limits);
        let samples = format!("{signal}_samples");
        let least = limits.clone().find_map(|limits| limits.get(&samples)?.lower);
        let is_limited = limits.any(|limits| limits.contains_key(signal));
        least.map_or(0, |least| least.clamp(0.0, MOST_SAMPLES) as usize).max(is_limited.into())
    }

    /// Waits until the broker has accepted the unit and granted what the plan names.
    pub(super) async fn await_broker(&mut self) -> Result<Next, Failure> {
        let link = self.link()?;
        let deadline = Deadline::after(self.plan.profile.deadlines.mqtt);
        let testbed = self.testbed()?;
        let plan = self.bound()?;
        let planned = plan.broker()?;
        let mut connections = testbed.broker.follow();
        let mut network = testbed.network.follow();
        let console = self.console()?;
        let mut pings = Pings::new(self, &testbed.broker)?;
        // A broker that is already there does not tell; an answer to a command does.
        let subscribed = |seen: &BrokerObservation| {
            let granted = |filter| seen.subscriptions.contains(filter);
            seen.observer == Observer::Client || planned.subscriptions.iter().all(granted)
        };
        loop {
            let seen = observe_broker(testbed, link);
            let printed = console.printed();
            let in_vain = failed_connections(testbed, link) >= REFUSALS;
            if (seen.accepted && subscribed(&seen)) || (!seen.accepted && in_vain) {
                break;
            }
            tokio::select! {
                _ = connections.next(deadline) => {}
                _ = network.next(deadline) => {}
                sent = pings.next(&testbed.broker) => sent?,
                () = console.changed(printed) => {}
                () = sleep_until(deadline.instant()) => break,
                failure = self.interrupted() => match failure {
                    // It restarts because of its broker, or in spite of it.
                    Failure::BootLog if self.hearing.facts().restarts_on_purpose() => break,
                    failure => return Err(failure),
                },
            }
        }
        let mut broker = observe_broker(testbed, link);
        let accepted = broker.accepted;
        if !broker.reached {
            self.take_for_unit(&mut broker, link)?;
        }
        if !accepted || !subscribed(&broker) {
            let witness = at_broker(testbed, plan, &self.bench, Talk::Command).await?;
            broker.witness =
                Some(and_the_way(testbed, &self.way_in()?, witness, broker.reached).await);
        }
        note_validity(testbed, plan, self.bench.clock().now(), &mut broker);
        let leaked = redact_claims(plan, &mut broker);
        self.seen.leaked.extend(leaked);
        self.seen.broker = Some(broker);
        self.note_that_it_came()?;
        if !accepted {
            self.look_for_rival().await?;
        }
        Ok(if accepted { Next::GoOn } else { Next::Enough })
    }

    /// Sends the command and waits for the answer on the unit's own connection.
    pub(super) async fn command(&mut self, command: &CommandRoundTrip) -> Result<Next, Failure> {
        let deadline = Deadline::after(self.plan.profile.deadlines.command);
        let Said { topic, payload, reply_topic, expected } = self.said(command)?;

        let sent = Instant::now();
        let testbed = self.testbed()?;
        let broker = &testbed.broker;
        broker
            .publish(&topic, payload.as_bytes())
            .map_err(|error| Failure::Publish(error.to_string()))?;
        let answers = |connection: &Connection| {
            let on_topic = connection.published.iter().filter(|(at, message)| {
                *at >= sent && message.topic == reply_topic && connection.caller.is_unit()
            });
            on_topic
                .map(|(at, message)| (*at, String::from_utf8_lossy(&message.payload).into_owned()))
                .collect::<Vec<_>>()
        };
        let right = |text: &str| expected.iter().all(|part| text.contains(part.as_str()));
        let answered = tokio::select! {
            answered = broker.wait_for(deadline, |connection| {
                answers(connection).into_iter().find(|(_, text)| right(text))
            }) => answered.ok(),
            failure = self.interrupted() => return Err(failure),
        };
        let last = broker.connections().iter().flat_map(answers).map(|(_, text)| text).next_back();
        let wrong = last.map(|text| what_lacks(&text, command, &expected));
        let witness = match answered {
            Some(_) => None,
            None => Some(at_broker(testbed, self.bound()?, &self.bench, Talk::Command).await?),
        };
        if answered.is_some() {
            let credential = credential(self.bound()?)?;
            self.bench.successes().note(self.mac()?, Service::Broker, credential);
        }
        let broken_off = broken_off(testbed, self.link()?);
        if let Some(seen) = &mut self.seen.broker {
            seen.broken_off = broken_off;
            seen.round_trip_ms = answered.as_ref().map(|(at, _)| millis(at.duration_since(sent)));
            seen.wrong_answer = wrong.filter(|_| answered.is_none());
            seen.witness = witness.or(seen.witness.take());
        }
        let held = self.look_for_rival().await?;
        Ok(if held { Next::Enough } else { Next::GoOn })
    }
}

/// A unit may call itself by a secret: what it claims is kept without them, and whose they were.
fn redact_claims(plan: &BoundPlan, broker: &mut BrokerObservation) -> Vec<String> {
    let mut leaked = Vec::new();
    let mut redact = |text: &mut String| {
        let (redacted, names) = plan.bindings().redact(text);
        *text = redacted;
        leaked.extend(names);
    };
    let claims = [
        &mut broker.client_id,
        &mut broker.username,
        &mut broker.server_name,
        &mut broker.client_certificate,
    ];
    claims.into_iter().flatten().for_each(&mut redact);
    broker.subscriptions.iter_mut().for_each(&mut redact);
    if let Some(
        Refusal::ServerUntrusted(text)
        | Refusal::Handshake(text)
        | Refusal::NotAuthorized(text)
        | Refusal::Protocol(text),
    ) = &mut broker.refusal
    {
        redact(text);
    }
    leaked
}

/// Which expected parts an answer lacks, by their templates: neither holds a value.
fn what_lacks(answer: &str, command: &CommandRoundTrip, expected: &[String]) -> String {
    let parts = command.reply_contains.iter().zip(expected);
    let missing: Vec<String> = parts
        .filter(|(_, part)| !answer.contains(part.as_str()))
        .map(|(template, _)| template.to_string())
        .collect();
    format!("{} bytes without {}", answer.len(), missing.join(", "))
}

/// The unit's association since its boot, as the access point recorded it; the moment of the last.
fn note_association(
    testbed: &Testbed,
    unit: Mac,
    since: Instant,
    join: &mut JoinObservation,
) -> Option<Instant> {
    let (mut associated_at, mut joined_as) = (None, None);
    let is_unit = |station| testbed.network.is_unit(station, unit);
    // What the unit did while it was given its values is another story.
    for stamped in testbed.network.events().into_iter().filter(|event| event.instant >= since) {
        match stamped.event {
            NetworkEvent::Join { mac, outcome, .. } if is_unit(mac) => match outcome {
                Ok(address) => {
                    joined_as = Some(mac);
                    join.address = Some(address);
                    join.joined_after_ms = Some(millis(stamped.instant.duration_since(since)));
                    associated_at = Some(stamped.instant);
                }
                Err(refusal) => join.refused = Some(refusal.reason),
            },
            NetworkEvent::Left { mac } if joined_as == Some(mac) => join.address = None,
            NetworkEvent::Came { from, .. } if associated_at.is_none() => {
                join.told_by = ToldBy::Service;
                join.joined_after_ms = Some(millis(stamped.instant.duration_since(since)));
                associated_at = Some(stamped.instant);
                // What it is behind a NAT, its console says.
                if let IpAddr::V4(from) = from.ip() {
                    join.address.get_or_insert(from);
                }
            }
            _ => {}
        }
    }
    associated_at
}

/// Waits for the access point's next word, where one is asked.
async fn heard(watched: &mut Option<Watched<'_>>, deadline: Deadline) {
    match watched {
        Some(watched) => watched.next(deadline).await,
        None => std::future::pending().await,
    }
}

/// On a site's network nobody gives an address out but the site: the unit's own console says that it has one. When it
/// is heard first is the moment, unless the unit came to a service before.
fn note_claim(facts: &LogFacts, since: Instant, join: &mut JoinObservation) -> Option<Instant> {
    join.address = Some(facts.address?);
    let after_ms = *join.joined_after_ms.get_or_insert_with(|| millis(since.elapsed()));
    (join.told_by == ToldBy::Console).then(|| since + Duration::from_millis(after_ms))
}

/// Whether a unit uses the address that it has.
fn is_used(testbed: &Testbed, join: &JoinObservation, given: Ipv4Addr, since: Instant) -> bool {
    join.told_by == ToldBy::Service || uses(testbed, given, since)
}

/// Whether anything came from that address: a question for a name, a connection, a datagram.
fn uses(testbed: &Testbed, address: Ipv4Addr, since: Instant) -> bool {
    let sent = |event: &NetworkEvent| match event {
        NetworkEvent::Resolved { from, .. }
        | NetworkEvent::Connection { from, .. }
        | NetworkEvent::Datagram { from, .. } => *from == address,
        _ => false,
    };
    let events = testbed.network.events();
    events.iter().any(|stamped| stamped.instant >= since && sent(&stamped.event))
}

fn refusals(testbed: &Testbed, unit: Mac, since: Instant) -> usize {
    let refused = |event: &NetworkEvent| matches!(event, NetworkEvent::Join { mac, outcome: Err(_), .. } if testbed.network.is_unit(*mac, unit));
    let events = testbed.network.events();
    events.iter().filter(|stamped| stamped.instant >= since && refused(&stamped.event)).count()
}

/// Connections of the unit that ended before the broker accepted it, at the door or on the way.
fn failed_connections(testbed: &Testbed, link: Link) -> usize {
    let Link { address: unit, counts_from: since, .. } = link;
    let unreached = |event: &NetworkEvent| matches!(event, NetworkEvent::Connection { from, connected: false, .. } if *from == unit);
    let events = testbed.network.events();
    let since_then = events.iter().filter(|stamped| stamped.instant >= since);
    let on_the_way = since_then.filter(|stamped| unreached(&stamped.event)).count();
    let turned_away = |connection: &&Connection| {
        connection.tls_failure.is_some()
            || connection.connect.is_some() && !connection.is_accepted()
            || matches!(connection.ending, Some(Ending::ProtocolError(_)))
            || connection.ending == Some(Ending::ClosedByBroker) && !connection.is_accepted()
    };
    let mut connections = testbed.broker.unit_connections();
    connections.retain(|connection| connection.opened >= since);
    on_the_way + connections.iter().filter(turned_away).count()
}

/// What the broker saw of the unit: an accepted connection if there is one, else the last.
fn observe_broker(testbed: &Testbed, link: Link) -> BrokerObservation {
    let joined_at = link.since;
    let mut connections = testbed.broker.unit_connections();
    connections.retain(|connection| connection.opened >= link.counts_from);
    let accepted = connections.iter().rev().find(|connection| connection.is_accepted());
    let observer = match testbed.broker.is_external() {
        true => Observer::Client,
        false => Observer::Broker,
    };
    let on_site = testbed.network.is_site();
    let Some(connection) = accepted.or(connections.last()) else {
        return BrokerObservation { observer, on_site, ..BrokerObservation::default() };
    };
    let first_message = connection.published.first().map(|(at, _)| *at);
    let tls = connection.tls.as_ref();
    let connect = connection.connect.as_ref();
    let granted = connection.subscriptions.iter().filter(|filter| filter.granted_qos.is_some());
    BrokerObservation {
        observer,
        on_site,
        reached: true,
        refusal: refusal(connection),
        tls_version: tls.map(|tls| tls.version.clone()),
        server_name: tls
            .and_then(|tls| tls.server_name.clone())
            .or_else(|| connection.greeted.clone()),
        connected_to: destinations(testbed, link),
        client_certificate: tls
            .and_then(|tls| tls.client_certificate.as_ref())
            .map(|certificate| certificate.subject.clone()),
        client_id: connect.map(|connect| connect.client_id.clone()),
        username: connect.and_then(|connect| connect.username.clone()),
        accepted: connection.is_accepted(),
        connected_after_ms: connection
            .answered
            .or(first_message)
            .map(|answered| millis(answered.saturating_duration_since(joined_at))),
        broken_off: broken_off(testbed, link),
        subscriptions: granted.map(|filter| filter.filter.clone()).collect(),
        ..BrokerObservation::default()
    }
}

/// How many of the unit's connections a broker of others ended.
fn broken_off(testbed: &Testbed, link: Link) -> usize {
    let ended = |connection: &Connection| {
        connection.opened >= link.counts_from && connection.ending == Some(Ending::ClosedByBroker)
    };
    testbed.broker.unit_connections().iter().filter(|connection| ended(connection)).count()
}

/// Where the unit's connections went that came about.
fn destinations(testbed: &Testbed, link: Link) -> Vec<SocketAddr> {
    let Link { address: unit, counts_from: since, .. } = link;
    let mut found = Vec::new();
    for stamped in testbed.network.events().into_iter().filter(|event| event.instant >= since) {
        match stamped.event {
            NetworkEvent::Connection { from, to, connected: true }
                if from == unit && !found.contains(&to) =>
            {
                found.push(to);
            }
            NetworkEvent::Came { to, .. } if !found.contains(&to) => found.push(to),
            _ => {}
        }
    }
    found
}
