//! Into the network that a real unit opens, and whose page is found there.
//!
//! Several units have the same name for theirs: the address of its access point follows from the MAC that was read, and
//! before anything is told to a page, the page or the unit's console has named the unit.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    time::Instant,
};

use super::{Failure, Run, nest::Doubt};
use crate::{
    check::{Credential, Service, stops},
    identity::Mac,
    plan::BoundPlan,
    process::ProgramError,
    profile::{Interface, Portal},
    record::{Code, Diagnosis},
    testbed::{
        network::UnitNetwork,
        visits::{Visit, Visitor},
    },
};

/// Shorter identifiers stand in many a page by chance.
const SHORTEST_ID: usize = 6;

/// The bench in a unit's own network.
pub(super) enum Inside {
    /// Of a simulated unit: in this process.
    Simulated(UnitNetwork),
    /// Of a real one.
    Visit(Visit),
}

/// A connection within it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Inside {
    /// Calls at the unit's door.
    pub(super) async fn connect(&self, portal: &Portal) -> Result<Box<dyn Stream>, Failure> {
        let nothing = |error: io::Error| Failure::Unit(stops::no_portal(portal.address, error));
        match self {
            Self::Simulated(network) => {
                let stream = network.connect(portal.address).and_then(|stream| {
                    stream.set_nonblocking(true)?;
                    UnixStream::from_std(stream)
                });
                Ok(Box::new(stream.map_err(nothing)?))
            }
            Self::Visit(visit) => match visit.connect(portal.address).await {
                Ok(stream) => Ok(Box::new(stream)),
                // Somebody was there to say no.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    Err(nothing(error))
                }
                Err(error) => Err(not_reached(portal, &error)),
            },
        }
    }

    /// Leaves it.
    pub(super) async fn leave(self) {
        if let Self::Visit(visit) = self {
            visit.leave().await;
        }
    }

    /// Whether it may be another unit's.
    pub(super) fn may_be_anothers(&self) -> bool {
        matches!(self, Self::Visit(_))
    }
}

impl Run {
    /// Joins the network of this very unit, once nobody else is on a visit.
    pub(super) async fn visit(
        &mut self,
        visitor: &Visitor,
        portal: &Portal,
    ) -> Result<Inside, Failure> {
        let (mac, since) = self.unit_and_boot()?;
        let plan = self.bound()?;
        let bssid = plan.profile().chip.mac_of(Interface::AccessPoint, mac);
        let bssid =
            bssid.ok_or(Failure::NotOffered("way into a network that its chip cannot open"))?;
        let ssid = plan.render(&portal.ssid)?.expose().to_owned();
        let passphrase = plan.render(&portal.password)?.as_secret().clone();
        let turn = tokio::select! {
            turn = visitor.turn() => turn,
            failure = self.interrupted() => return Err(failure),
        };
        let stop = self.cancel.child_token();
        // Whatever ends the wait ends the program.
        let _ends = stop.clone().drop_guard();
        let joined = tokio::select! {
            joined = visitor.join(turn, (&ssid, bssid), &passphrase, move || stop.is_cancelled()) => joined,
            failure = self.interrupted() => return Err(failure),
        };
        let why = match joined {
            Ok(visit) => {
                self.bench.successes().note(mac, Service::Portal, Credential::Passphrase);
                return Ok(Inside::Visit(visit));
            }
            Err(ProgramError::Stopped) => return Err(Failure::Aborted),
            Err(error) => self.bound()?.bindings().redact(&error.to_string()).0,
        };
        let failed = format!("the bench did not join the unit's network {ssid} at {bssid}: {why}");
        Err(match self.joined_anothers(mac, since).await {
            Ok(witness) => {
                let message = format!("{failed}; witness: {witness}");
                Failure::Unit(Diagnosis::new(Code::PortalUnreachable, message))
            }
            Err(why) => Failure::Service(Diagnosis::new(
                Code::TestbedNetwork,
                format!(
                    "{failed}; and {why}: it may be the bench's own radio, or the way between the two"
                ),
            )),
        })
    }

    /// Whether the bench's radio gets into such a network. What a nest does to it only another unit in it can tell.
    async fn joined_anothers(&mut self, mac: Mac, since: Instant) -> Result<String, String> {
        if self.stand.is_nest() {
            return self.stand.clone().vouched(Doubt::Portal, Some(mac)).await;
        }
        let (service, credential) = (Service::Portal, Credential::Passphrase);
        let other = self.bench.successes().of_another(mac, service, credential, since);
        other
            .map(|other| format!("it joined that of {} meanwhile", other.unit))
            .ok_or_else(|| "it joined no other unit's since this one started".to_owned())
    }

    /// Values go to nobody before the page, or the unit's own console, has named this unit.
    pub(super) fn refuse_strangers_page(&self, page: &str) -> Result<(), Failure> {
        let (mac, _) = self.unit_and_boot()?;
        let ids = ids_of(self.bound()?, mac);
        let lines = self.console()?.lines_after(0);
        let mut said = lines.iter().map(|line| line.text.as_str());
        let anothers = another_named(page, mac, &ids);
        // The page outranks the console, which says who is on this port, and not whose page that is.
        if names(page, &ids) || anothers.is_none() && said.any(|line| names(line, &ids)) {
            return Ok(());
        }
        let (message, action) = match anothers {
            Some(other) => (
                format!("the page is another unit's: it names {other}, and nothing was sent"),
                "see that the program of [portal] join goes by the access point's address, and not by its name alone",
            ),
            None => (
                "neither the page nor the unit's console names this unit, whose MAC it would be: nothing was sent, since the page may be another unit's".to_owned(),
                "let the firmware print its MAC when it opens its network, or show it in its page",
            ),
        };
        let diagnosis = Diagnosis::new(Code::TestbedNetwork, message);
        Err(Failure::Service(Diagnosis { action: action.to_owned(), ..diagnosis }))
    }
}

fn not_reached(portal: &Portal, error: &io::Error) -> Failure {
    let message = format!(
        "the bench joined the unit's network, and does not reach {} there: {error}",
        portal.address
    );
    Failure::Service(Diagnosis::new(Code::TestbedNetwork, message))
}

/// What names a unit: its addresses, and identifiers that are no secret.
fn ids_of(plan: &BoundPlan, base: Mac) -> Vec<String> {
    let chip = plan.profile().chip;
    let derived = [Interface::Station, Interface::AccessPoint];
    let macs = derived.into_iter().filter_map(|interface| chip.mac_of(interface, base));
    let ids = plan.bindings().public_ids(plan.profile()).into_values();
    let long = ids.filter(|id| id.len() >= SHORTEST_ID);
    macs.map(|mac| mac.to_string()).chain(long).map(|id| plainly(&id)).collect()
}

/// A MAC of this unit's maker that stands in a page and is none of this unit's.
fn another_named(page: &str, own: Mac, ids: &[String]) -> Option<String> {
    const MAC: usize = 12;
    const MAKER: usize = 6;
    let (page, own) = (plainly(page), plainly(&own.to_string()));
    let words = page.split(|c: char| !c.is_ascii_alphanumeric());
    let others = words.filter(|word| {
        word.len() == MAC
            && word.starts_with(&own[..MAKER])
            && word.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !ids.iter().any(|id| id == word)
    });
    others.map(str::to_owned).next()
}

fn names(text: &str, ids: &[String]) -> bool {
    let text = plainly(text);
    ids.iter().any(|id| text.contains(id))
}

/// Without what differs between spellings.
fn plainly(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ':' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The console of this port names this port's unit, whosever page it is.
    #[rstest]
    #[case::another("<h1>Setup</h1> Device ID: 24:0A:C4:00:02:14", Some("240ac4000214"))]
    #[case::own("Device ID: 24-0a-c4-00-02-11", None)]
    #[case::another_maker("build 0123456789ab", None)]
    #[case::longer("240ac400021400ff", None)]
    #[case::nobody("<h1>Setup</h1>", None)]
    fn a_page_may_name_another_unit(#[case] page: &str, #[case] named: Option<&str>) {
        let ids = ["24:0a:c4:00:02:10", "24:0a:c4:00:02:11"].map(plainly);
        let own = "24:0a:c4:00:02:10".parse().expect("a MAC");
        assert_eq!(another_named(page, own, &ids).as_deref(), named);
    }

    #[rstest]
    #[case::plain("Device ID: 240AC4000210", true)]
    #[case::colons("<h1>Setup of 24:0a:c4:00:02:11</h1>", true)]
    #[case::dashes("24-0A-C4-00-02-10", true)]
    #[case::another("Device ID: 240AC4000214", false)]
    #[case::cut("240AC40002", false)]
    #[case::nothing("", false)]
    fn a_unit_is_named_in_any_spelling(#[case] text: &str, #[case] is_named: bool) {
        let ids = ["24:0a:c4:00:02:10", "24:0a:c4:00:02:11"].map(plainly);
        assert_eq!(names(text, &ids), is_named);
    }
}
