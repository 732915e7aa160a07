//! All that a unit did at its broker, noted when its run is about to end: what it does late counts too.

use std::collections::BTreeSet;

use super::{Failure, Run};
use crate::{
    check::Conduct,
    testbed::broker::{Connection, Ending},
};

impl Run {
    /// Where the broker is not the bench's own, nobody tells.
    pub(super) fn note_conduct(&mut self) -> Result<(), Failure> {
        let Ok(joined_at) = self.link().map(|link| link.counts_from) else { return Ok(()) };
        let broker = &self.testbed()?.broker;
        if broker.is_external() {
            return Ok(());
        }
        let mut connections = broker.unit_connections();
        connections.retain(|connection| connection.opened >= joined_at);
        let bindings = self.bound()?.bindings();
        let mut leaked = Vec::new();
        let conduct = conduct(&connections, |text| {
            let (shown, names) = bindings.redact(text);
            leaked.extend(names);
            shown
        });
        self.seen.leaked.extend(leaked);
        if let Some(seen) = &mut self.seen.broker {
            seen.conduct = Some(conduct);
        }
        Ok(())
    }
}

/// A unit may mix its fields up, so each text is shown without secrets.
fn conduct(connections: &[Connection], mut shown: impl FnMut(&str) -> String) -> Conduct {
    let mut seen = Conduct::default();
    let (mut names, mut asked) = (BTreeSet::new(), BTreeSet::new());
    let (mut published, mut retained) = (BTreeSet::new(), BTreeSet::new());
    for connection in connections {
        asked.extend(connection.subscriptions.iter().map(|one| shown(&one.filter)));
        if let Some(connect) = connection.connect.as_ref().filter(|_| connection.is_accepted()) {
            let username = connect.username.as_deref().unwrap_or_default();
            names.insert((shown(&connect.client_id), shown(username)));
        }
        for (_, message) in &connection.published {
            published.insert(shown(&message.topic));
            if message.retain {
                retained.insert(shown(&message.topic));
            }
        }
        // Nobody but the unit has a place in its room at the broker.
        seen.taken_over += usize::from(connection.ending == Some(Ending::TakenOver));
        seen.dropped += connection.dropped;
    }
    Conduct {
        asked: asked.into_iter().collect(),
        names: names.into_iter().collect(),
        published: published.into_iter().collect(),
        retained: retained.into_iter().collect(),
        ..seen
    }
}
