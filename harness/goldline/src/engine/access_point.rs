//! What the access point tells of the unit, where it is asked: it knows of a radio what nobody at this end does.
//!
//! Must not judge.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Failure, Run, millis};
use crate::{
    bench::stations_of,
    check::{AtAccessPoint, RefusedFor},
    clock::Deadline,
    identity::Mac,
    profile::Interface,
    record::{Code, Diagnosis},
    testbed::{
        event_log::Follower,
        hostapd::{Hostapd, HostapdError, Seen, Sight, Standing},
        network::{Medium, Network},
    },
};

/// An address may be given before the access point's word of that station is read.
const WORD_WITHIN: Duration = Duration::from_secs(5);
/// How often the signal is asked for, unless a profile wants more samples.
pub(super) const SAMPLES: usize = 9;
/// Time for a unit to be heard anew between two of them.
const BETWEEN_SAMPLES: Duration = Duration::from_millis(50);

/// The access point that a unit comes over, and what it saw of the unit since its last boot.
pub(super) struct Watched<'a> {
    access_point: &'a Hostapd,
    station: Mac,
    since: Instant,
    sights: Follower<Seen>,
    /// It said that the unit is admitted, when it was asked.
    confirmed: bool,
    /// When the unit was first known to have an address.
    addressed: Option<Instant>,
}

impl Run {
    /// The access point that the unit comes over, if one tells what it sees.
    pub(super) fn watched<'a>(
        &self,
        network: &'a dyn Network,
    ) -> Result<Option<Watched<'a>>, Failure> {
        let access_point = network.medium().and_then(Medium::access_point);
        let Some(access_point) = access_point else { return Ok(None) };
        let (base, since) = self.unit_and_boot()?;
        let plan = self.bound()?;
        let station = plan.profile().chip.mac_of(Interface::Station, base).unwrap_or(base);
        debug_assert!(stations_of(plan).contains(&station));
        let sights = access_point.follow();
        let (confirmed, addressed) = (false, None);
        Ok(Some(Watched { access_point, station, since, sights, confirmed, addressed }))
    }
}

impl Watched<'_> {
    /// What it saw so far.
    pub(super) fn seen(&self) -> AtAccessPoint {
        let mut seen = AtAccessPoint { name: self.access_point.name(), ..Default::default() };
        let sights = self.access_point.sights();
        let of_unit = |seen: &Seen| seen.station == self.station;
        let since = sights.iter().filter(|sight| sight.instant >= self.since);
        for stamped in since.filter(|stamped| of_unit(&stamped.event)) {
            let after_ms = millis(stamped.instant.duration_since(self.since));
            match stamped.event.sight {
                Sight::Admitted => {
                    seen.admitted_after_ms = Some(after_ms);
                    (seen.is_admitted, seen.refused, seen.refused_for) = (true, 0, None);
                }
                Sight::Left => seen.is_admitted = false,
                Sight::WrongPassphrase => seen.refuse(RefusedFor::Passphrase),
                Sight::WrongCredentials => seen.refuse(RefusedFor::Credentials),
            }
        }
        seen.is_admitted |= self.confirmed;
        seen
    }

    /// Waits for more, or for the deadline.
    pub(super) async fn next(&mut self, deadline: Deadline) {
        let _none_in_time = self.sights.next(deadline).await;
    }

    /// Whether its word is still to come of a unit that has an address; it is asked where it said nothing by itself.
    pub(super) async fn owes_word(&mut self, has_address: bool) -> Result<bool, Failure> {
        if !has_address || self.seen().was_admitted() {
            return Ok(false);
        }
        if self.addressed.is_none() {
            self.addressed = Some(Instant::now());
            let standing = self.access_point.standing(self.station).await.map_err(service)?;
            let age = self.since.elapsed().as_secs();
            // One of the boot before may still be on its list.
            let since = |standing: Standing| standing.admitted_s.is_some_and(|held| held <= age);
            self.confirmed = standing.is_some_and(|now| now.is_admitted && since(now));
        }
        Ok(!self.confirmed && self.until() > Instant::now())
    }

    /// Until when its word is waited for.
    pub(super) fn until(&self) -> Instant {
        self.addressed.unwrap_or_else(Instant::now) + WORD_WITHIN
    }

    /// How strong it hears the unit, this many times; none where its driver does not tell.
    pub(super) async fn signals(&self, samples: usize) -> Result<Vec<i8>, Failure> {
        let mut signals = Vec::new();
        while signals.len() < samples {
            let standing = self.access_point.standing(self.station).await.map_err(service)?;
            let Some(signal) = standing.and_then(|standing| standing.signal_dbm) else { break };
            signals.push(signal);
            sleep(BETWEEN_SAMPLES).await;
        }
        Ok(signals)
    }
}

impl AtAccessPoint {
    fn refuse(&mut self, what_for: RefusedFor) {
        self.refused += 1;
        self.refused_for = Some(what_for);
        self.is_admitted = false;
    }
}

fn service(error: HostapdError) -> Failure {
    Failure::Service(Diagnosis::new(Code::TestbedAccessPoint, error.to_string()))
}
