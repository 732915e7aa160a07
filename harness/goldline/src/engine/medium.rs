//! Who knows of what lies behind an interface of the bench: the access point, the switch, the cable that a unit comes
//! over. A join of the bench's own goes nowhere near them, so that only another's tells whether a unit that did not
//! come could have.

use tokio::time::Instant;

use super::{
    Failure, Run,
    access_point::Watched,
    nest::{Doubt, Stand},
    signs::is_up,
};
use crate::{
    bench::stations_of,
    check::{AtAccessPoint, Credential, Service, UnitSuccess, Witness},
    identity::Mac,
    testbed::{
        hostapd::{Hostapd, Sight},
        network::{Medium, Network, NetworkEvent},
    },
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
    /// What the access point saw of the unit, where it is asked.
    at_access_point: Option<AtAccessPoint>,
    /// Another unit of this bench that the access point admitted since.
    other: Option<UnitSuccess>,
    on_site: bool,
    /// Whether somebody came with the unit's identity, while its log speaks of no unit that is in its network.
    namesake_came: bool,
}

impl Run {
    /// What is known of the way into the network since the unit's last boot.
    pub(super) fn way_in(&self) -> Result<WayIn, Failure> {
        let (base, since) = self.unit_and_boot()?;
        let network = &self.testbed()?.network;
        let (came, on_site) = (joins(network.as_ref(), base, since), network.is_site());
        let facts = self.hearing.facts();
        let is_there = !on_site || facts.address.is_some() || is_up(&facts);
        Ok(WayIn {
            unit: stations_of(self.bound()?),
            base,
            since,
            came_in: came && is_there,
            namesake_came: came && !is_there || self.namesake_while_held()?.is_some(),
            stand: self.stand.clone(),
            at_access_point: self.watched(network.as_ref())?.as_ref().map(Watched::seen),
            other: self.bench.successes().of_another(
                base,
                Service::AccessPoint,
                Credential::Passphrase,
                since,
            ),
            on_site,
        })
    }
}

impl WayIn {
    /// Whether somebody else came with what only the unit was given.
    pub(super) fn namesake_came(&self) -> bool {
        self.namesake_came
    }

    /// Who knows of the way to a service that the unit is not seen to reach: not the unit, which may have reached another.
    pub(super) fn without_its_own(self) -> Self {
        Self { came_in: false, ..self }
    }

    /// Whether anybody has come in, or the nest vouches for it.
    pub(super) async fn over(&self, medium: &Medium) -> Witness {
        if let Some((access_point, seen)) = medium.access_point().zip(self.at_access_point.as_ref())
        {
            return Witness::of_medium(self.by_radio(access_point, seen).await);
        }
        if self.came_in {
            let words = match self.on_site {
                true => "the unit itself came to a service of the bench",
                false => "the unit itself was given an address there",
            };
            return Witness::of_medium(Ok(words.to_owned()));
        }
        let name = medium.name();
        // What a nest does to a radio only another unit in it can tell, and the site's network is come to by radio.
        let elsewhere = !(self.on_site && self.stand.is_nest());
        let heard = medium.heard_since(self.since.into_std(), &self.unit);
        if let Some(station) = heard.filter(|_| elsewhere) {
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

impl WayIn {
    /// As [`Self::over`], where the access point is asked: it must serve, and its passphrase must be the planned one. What
    /// a nest does to a radio only another unit in it can tell.
    async fn by_radio(
        &self,
        access_point: &Hostapd,
        seen: &AtAccessPoint,
    ) -> Result<String, String> {
        access_point.still_serves().await.map_err(|error| error.to_string())?;
        let name = access_point.name();
        if seen.was_admitted() {
            return Ok(format!("{name} admitted the unit itself"));
        }
        if self.stand.is_nest() {
            let vouched = self.stand.clone().vouched(Doubt::Radio, Some(self.base)).await;
            return vouched.map_err(|why| unsure(&name, seen, &why));
        }
        if let Some(other) = &self.other {
            return Ok(format!("{name} admitted another unit, {}, meanwhile", other.unit));
        }
        match seen.refused_for {
            // Who else comes in may have another passphrase than the planned one.
            None => admitted_since(access_point, self.since, &self.unit)
                .map(|station| format!("{name} admitted the station {station} meanwhile"))
                .ok_or_else(|| {
                    unsure(&name, seen, "no other station came in since the unit started")
                }),
            Some(_) => Err(unsure(&name, seen, "no other unit came in since this one started")),
        }
    }
}

fn unsure(name: &str, seen: &AtAccessPoint, why: &str) -> String {
    match seen.refused_for {
        Some(_) => format!(
            "{name} refuses the unit, and {why}: it may be that {name} has another passphrase than units are given; compare the two, or lay in a unit that is known to be good"
        ),
        None => format!(
            "{name} has not admitted the unit, and {why}: it may be the way between the two; look at antenna and shielding of the nest, or lay in a unit that is known to be good"
        ),
    }
}

/// A station, none of these, that was admitted since then.
fn admitted_since(access_point: &Hostapd, then: Instant, but_for: &[Mac]) -> Option<Mac> {
    let sights = access_point.sights();
    let since = sights.iter().rev().filter(|stamped| stamped.instant >= then);
    let admitted = since.filter(|stamped| stamped.event.sight == Sight::Admitted);
    admitted.map(|stamped| stamped.event.station).find(|station| !but_for.contains(station))
}

fn joins(network: &dyn Network, unit: Mac, since: Instant) -> bool {
    let came_in = |event: &NetworkEvent| matches!(event, NetworkEvent::Join { mac, outcome: Ok(_), .. } | NetworkEvent::Came { mac, .. } if network.is_unit(*mac, unit));
    let events = network.events();
    events.iter().any(|stamped| stamped.instant >= since && came_in(&stamped.event))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixDatagram, path::Path, time::Duration};

    use rstest::rstest;

    use super::*;
    use crate::{check::RefusedFor, clock::Clock};

    const UNIT: Mac = Mac([0x24, 0x0A, 0xC4, 0, 2, 0x10]);
    const OTHER: Mac = Mac([0x24, 0x0A, 0xC4, 0, 2, 0x14]);

    /// Answers as hostapd does, for as long as the process lives.
    fn serve(path: &Path) {
        let door = UnixDatagram::bind(path).expect("a socket");
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((length, sender)) = door.recv_from(&mut buffer) {
                let answer = match &buffer[..length] {
                    b"PING" => "PONG\n",
                    b"STATUS" => "state=ENABLED\nbss[0]=wlan1\nssid[0]=Line\n",
                    _ => "OK\n",
                };
                let sender = sender.as_pathname().expect("it has a name");
                // Who asked may have left.
                let _gone = door.send_to(answer.as_bytes(), sender);
            }
        });
    }

    fn way_in(refused_for: Option<RefusedFor>, other: bool) -> WayIn {
        let other = other.then(|| UnitSuccess {
            unit: OTHER.to_string(),
            service: Service::AccessPoint,
            credential: Credential::Passphrase,
            ago: Duration::from_secs(1),
        });
        let (unit, base, since) = (vec![UNIT], UNIT, Instant::now());
        let at_access_point = Some(AtAccessPoint { refused_for, ..AtAccessPoint::default() });
        let stand = Stand::Simulated;
        let (came_in, on_site) = (false, false);
        let namesake_came = false;
        WayIn { unit, base, since, came_in, stand, at_access_point, other, on_site, namesake_came }
    }

    /// Another unit has the planned passphrase; of whoever else comes in nobody knows which.
    #[rstest]
    #[case::refused(Some(RefusedFor::Passphrase), true, true)]
    #[case::refused_and_alone(Some(RefusedFor::Passphrase), false, false)]
    #[case::never_seen(None, true, true)]
    #[case::never_seen_and_alone(None, false, false)]
    #[tokio::test(flavor = "multi_thread")]
    async fn another_unit_that_was_admitted_meanwhile_is_the_witness(
        #[case] refused_for: Option<RefusedFor>,
        #[case] other: bool,
        #[case] is_sound: bool,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("wlan1");
        serve(&socket);
        let hostapd = Hostapd::at(&socket, "wlan1", Clock::system()).expect("it is there");
        let medium = Medium::new("wlan1", Some(hostapd), || None);
        let witness = way_in(refused_for, other).over(&medium).await;
        assert_eq!(witness.is_sound(), is_sound, "{}", witness.detail());
        assert_eq!(witness.detail().contains(&OTHER.to_string()), other, "{}", witness.detail());
    }
}
