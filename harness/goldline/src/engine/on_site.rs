//! What a site's network leaves open, and who closes it: clients that broke off before they said who they were, the way
//! from a unit to the bench, and others with the unit's identity.

use tokio::time::Instant;

use super::{Failure, Run, medium::WayIn, millis, phase::Link, trial::refusal};
use crate::{
    check::{BrokerObservation, ToldBy, Witness},
    testbed::{
        Testbed,
        broker::{Connection, Ending},
        network::NetworkEvent,
    },
};

/// A broker that is sound is no reason to blame a unit that never came there over a network which is not the bench's:
/// somebody must have come that way.
pub(super) async fn and_the_way(
    testbed: &Testbed,
    way_in: &WayIn,
    witness: Witness,
    broker: &BrokerObservation,
) -> Witness {
    match testbed.network.medium() {
        Some(medium) if broker.on_site && !broker.reached && witness.is_sound() => {
            way_in.over(medium).await
        }
        _ => witness,
    }
}

impl Run {
    /// Handshakes at the bench's broker that failed since then and had no name, where the unit's log says that one of its
    /// own failed.
    pub(super) fn nameless_failures(&self, link: Link) -> Result<Vec<Connection>, Failure> {
        let testbed = self.testbed()?;
        if !testbed.network.is_site() || self.hearing.facts().tls.is_none() {
            return Ok(Vec::new());
        }
        let mut nameless = testbed.broker.nameless_since(link.counts_from);
        nameless.retain(|connection| connection.tls_failure.is_some());
        Ok(nameless)
    }

    /// Takes the last of them for the unit's, which came by no name.
    pub(super) fn take_for_unit(
        &self,
        broker: &mut BrokerObservation,
        link: Link,
    ) -> Result<(), Failure> {
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

    /// How long after that moment somebody came with the unit's identity.
    pub(super) fn namesake_after(&self, then: Instant) -> Result<Option<u64>, Failure> {
        let connections = self.testbed()?.broker.unit_connections();
        let first = connections.iter().map(|one| one.opened).find(|opened| *opened >= then);
        Ok(first.map(|opened| millis(opened.duration_since(then))))
    }
}
