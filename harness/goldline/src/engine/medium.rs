//! Who knows of what lies behind an interface of the bench: the access point, the switch, the cable that a unit comes
//! over. A join of the bench's own goes nowhere near them, so that only another's tells whether a unit that did not
//! come could have.

use tokio::time::Instant;

use super::{
    Failure, Run,
    nest::{Doubt, Stand},
};
use crate::{
    bench::stations_of,
    check::Witness,
    identity::Mac,
    testbed::network::{Medium, Network, NetworkEvent},
};

/// What is known of the way into the network, besides what the network itself tells.
pub(super) struct WayIn {
    /// What the unit may call itself.
    unit: Vec<Mac>,
    base: Mac,
    /// Its last boot.
    since: Instant,
    /// Whether the network gave the unit an address since.
    came_in: bool,
    stand: Stand,
}

impl Run {
    /// What is known of the way into the network since the unit's last boot.
    pub(super) fn way_in(&self) -> Result<WayIn, Failure> {
        let (base, since) = self.unit_and_boot()?;
        let network = &self.testbed()?.network;
        Ok(WayIn {
            unit: stations_of(self.bound()?),
            base,
            since,
            came_in: joins(network.as_ref(), base, since),
            stand: self.stand.clone(),
        })
    }
}

impl WayIn {
    /// Whether anybody has come in, or the nest vouches for it.
    pub(super) async fn over(&self, medium: &Medium) -> Witness {
        if self.came_in {
            return Witness::of_medium(Ok("the unit itself was given an address there".to_owned()));
        }
        let name = medium.name();
        if let Some(station) = medium.heard_since(self.since.into_std(), &self.unit) {
            let heard = format!("the station {station} reached the bench over {name} meanwhile");
            return Witness::of_medium(Ok(heard));
        }
        let vouched = self.stand.clone().vouched(Doubt::Network, Some(self.base)).await;
        Witness::of_medium(vouched.map_err(|why| {
            format!(
                "no other station reached the bench over {name} since the unit started, and {why}: it may be the access point or switch behind {name}; look at it, or lay in a unit that is known to be good"
            )
        }))
    }
}

fn joins(network: &dyn Network, unit: Mac, since: Instant) -> bool {
    let came_in = |event: &NetworkEvent| matches!(event, NetworkEvent::Join { mac, outcome: Ok(_), .. } if network.is_unit(*mac, unit));
    let events = network.events();
    events.iter().any(|stamped| stamped.instant >= since && came_in(&stamped.event))
}
