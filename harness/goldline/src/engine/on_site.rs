//! What a site's network leaves open, and who closes it: clients that broke off before they said who they were, the way
//! from a unit to the bench, and others with the unit's identity.

use std::time::Duration;

use tokio::time::Instant;

use super::{Failure, Run, medium::WayIn, millis, phase::Link, turned_away::refusal};
use crate::{
    check::{BrokerObservation, ToldBy, Witness},
    testbed::{
        Testbed,
        broker::{Connection, Ending},
        network::NetworkEvent,
    },
};

/// A service that is sound is no reason to blame a unit that never came there over a network which is not the bench's:
/// somebody must have come that way.
pub(super) async fn and_the_way(
    testbed: &Testbed,
    way_in: &WayIn,
    witness: Witness,
    reached: bool,
) -> Witness {
    match testbed.network.medium() {
        Some(medium) if testbed.network.is_site() && !reached && witness.is_sound() => {
            way_in.over(medium).await
        }
        _ => witness,
    }
}

impl Run {
    /// Handshakes at the bench's broker that failed since then and had no name, where the unit's log says that one of its
    /// own failed.
    fn nameless_failures(&self, link: Link) -> Result<Vec<Connection>, Failure> {
        let testbed = self.testbed()?;
        if !testbed.network.is_site() || self.hearing.facts().tls.is_none() {
            return Ok(Vec::new());
        }
        let mut nameless = testbed.broker.nameless_since(link.counts_from);
        nameless.retain(|connection| connection.tls_failure.is_some());
        Ok(nameless)
    }

    /// Takes the last of them for the unit's, which came by no name, where no other unit can have come so.
    pub(super) fn take_for_unit(
        &self,
        broker: &mut BrokerObservation,
        link: Link,
    ) -> Result<(), Failure> {
        if self.testbed()?.broker.waits_for_others() {
            return Ok(());
        }
        if let Some(last) = self.nameless_failures(link)?.last() {
            broker.reached = true;
            broker.nameless = true;
            broker.refusal = refusal(last);
        }
        Ok(())
    }

    /// What a service saw of the unit outranks what its console claims.
    pub(super) fn note_that_it_came(&mut self) -> Result<(), Failure> {
        let since = self.link()?.counts_from;
        let events = self.testbed()?.network.events();
        let came = events.iter().any(|stamped| {
            stamped.instant >= since && matches!(stamped.event, NetworkEvent::Came { .. })
        });
        if let Some(join) = self.seen.join.as_mut().filter(|_| came) {
            join.told_by = ToldBy::Service;
        }
        Ok(())
    }

    /// Whether another may have the unit's identity: the unit was turned away by its name, or somebody of its name took
    /// the place of somebody who was still there.
    pub(super) fn may_have_namesake(&self) -> Result<bool, Failure> {
        let testbed = self.testbed()?;
        if !testbed.network.is_site() || testbed.broker.is_external() {
            return Ok(false);
        }
        let since = self.link()?.counts_from;
        let was_put_out = |connection: &Connection| {
            connection.opened >= since && connection.ending == Some(Ending::TakenOver)
        };
        let turned_away = self
            .seen
            .broker
            .as_ref()
            .is_some_and(|broker| broker.reached && !broker.nameless && !broker.accepted);
        Ok(turned_away || testbed.broker.unit_connections().iter().any(was_put_out))
    }

    /// The unit is held in its loader from now on. What it sent before may still be on its way.
    pub(super) fn holds_unit(&mut self, on_its_way: Duration) {
        self.in_loader.push((Instant::now() + on_its_way, None));
    }

    /// The unit is let go at that moment.
    pub(super) fn lets_go(&mut self, at: Instant) {
        if let Some((_, until)) = self.in_loader.last_mut() {
            until.get_or_insert(at);
        }
    }

    /// How long the unit had been held in its loader when somebody came with its identity, who is another then.
    pub(super) fn namesake_while_held(&self) -> Result<Option<u64>, Failure> {
        let testbed = self.testbed()?;
        if !testbed.network.is_site() || testbed.broker.is_external() {
            return Ok(None);
        }
        let after = |opened: Instant| {
            let mut during = self.in_loader.iter().filter(|(from, until)| {
                opened >= *from && until.is_none_or(|until| opened < until)
            });
            during.next().map(|(from, _)| millis(opened.duration_since(*from)))
        };
        Ok(testbed.broker.unit_connections().iter().find_map(|one| after(one.opened)))
    }

    /// Notes at the end of a run whether another has the unit's identity.
    pub(super) fn note_namesake(&mut self) {
        let Ok(Some(after_ms)) = self.namesake_while_held() else { return };
        let broker = self.seen.broker.get_or_insert_default();
        broker.on_site = true;
        broker.rival_after_ms.get_or_insert(after_ms);
    }

    /// How long after that moment somebody came with the unit's identity.
    pub(super) fn namesake_after(&self, then: Instant) -> Result<Option<u64>, Failure> {
        let connections = self.testbed()?.broker.unit_connections();
        let first = connections.iter().map(|one| one.opened).find(|opened| *opened >= then);
        Ok(first.map(|opened| millis(opened.duration_since(then))))
    }
}
