//! Filling the unit's own web page in the network that it opens, and the firmware that writes the values
//! itself and is then replaced.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Failure, Run,
    visiting::{Inside, Stream},
};
use crate::{
    check::{PortalSeen, plain, stops},
    client::portal::{Portal as Page, PortalError},
    clock::Deadline,
    device::ConsoleLine,
    identity::Mac,
    image::compile_factory_app,
    profile::{FactoryFirmware, Portal},
    record::Diagnosis,
    secret::Secret,
    testbed::network::{NetworkEvent, UnitNetwork},
};

/// How long after the network of the boot before its own one opens.
const ANOTHER_OPENS: Duration = Duration::from_secs(3);
/// How often it is called at a door where nobody answers yet.
const KNOCKS: Duration = Duration::from_millis(100);
/// How a firmware that writes the values says that it could not.
const FACTORY_FAILED: &str = "Provisioning failed";

impl Run {
    /// Joins the unit's network, submits the values, and waits until the unit restarts with them.
    pub(super) async fn submit_portal(&mut self, portal: &Portal) -> Result<(), Failure> {
        let deadlines = self.plan.profile.deadlines;
        let bench = Arc::clone(&self.bench);
        let (network, first) = match bench.visitor() {
            Some(visitor) => (self.visit(visitor, portal).await?, None),
            None => {
                let deadline = Deadline::after(deadlines.boot + deadlines.service);
                let (inside, first) = self.enter_portal(portal, deadline).await?;
                (inside, Some(first))
            }
        };
        let filled = self.fill_portal(&network, first, portal).await;
        // It takes the network down when it restarts.
        network.leave().await;
        let before = filled?;
        self.await_application(before, "did not restart after its portal took the values").await
    }

    /// Calls at the door of a network that was joined: its page may be there a moment later than that.
    async fn knock(
        &mut self,
        network: &Inside,
        portal: &Portal,
    ) -> Result<Box<dyn Stream>, Failure> {
        let deadline = Deadline::after(self.plan.profile.deadlines.service);
        loop {
            match network.connect(portal).await {
                Err(Failure::Unit(_)) if Instant::now() < deadline.instant() => {}
                called => return called,
            }
            tokio::select! {
                () = sleep(KNOCKS) => {}
                failure = self.interrupted() => return Err(failure),
            }
        }
    }

    /// Submits the values to the page in the unit's network; how many lines had told of a start before.
    async fn fill_portal(
        &mut self,
        network: &Inside,
        first: Option<Box<dyn Stream>>,
        portal: &Portal,
    ) -> Result<usize, Failure> {
        let deadlines = self.plan.profile.deadlines;
        let first = match first {
            Some(first) => first,
            None => self.knock(network, portal).await?,
        };
        let fields = self.portal_fields(portal)?;
        let page = Page::at(portal.address);
        let call = Deadline::after(deadlines.service);
        let (path, stream) = match portal.fetch_form || network.may_be_anothers() {
            true => {
                let text = tokio::select! {
                    text = page.fetch_page(first, call) => text.map_err(refused)?,
                    failure = self.interrupted() => return Err(failure),
                };
                if network.may_be_anothers() {
                    self.refuse_strangers_page(&text)?;
                }
                (path_of(&page, portal, &text, &fields)?, network.connect(portal).await?)
            }
            false => (portal.path.clone(), first),
        };
        let before = self.hearing.facts().application_lines;
        self.hearing.expect_restart();
        let fields: Vec<(&str, Secret)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let saved = tokio::select! {
            saved = page.save(stream, &path, &fields, call) => saved,
            failure = self.interrupted() => return Err(failure),
        };
        saved.map_err(refused)?;
        Ok(before)
    }

    /// Joins the unit's network and calls at its door. One that closes at once is that of the boot before,
    /// which goes while the unit is being reset: another one opens.
    async fn enter_portal(
        &mut self,
        portal: &Portal,
        deadline: Deadline,
    ) -> Result<(Inside, Box<dyn Stream>), Failure> {
        let mut patience = None;
        loop {
            let mut events = self.testbed()?.network.follow();
            let network = Inside::Simulated(self.join_portal(portal, deadline).await?);
            let nothing = match network.connect(portal).await {
                Ok(stream) => return Ok((network, stream)),
                Err(failure) => failure,
            };
            let patience = *patience.get_or_insert_with(|| Deadline::after(ANOTHER_OPENS));
            if patience.left().is_zero() {
                return Err(nothing);
            }
            tokio::select! {
                _ = events.next(patience) => {}
                failure = self.interrupted() => return Err(failure),
            }
        }
    }

    async fn join_portal(
        &mut self,
        portal: &Portal,
        deadline: Deadline,
    ) -> Result<UnitNetwork, Failure> {
        let plan = self.bound()?;
        let ssid = plan.render(&portal.ssid)?.expose().to_owned();
        let password = plan.render(&portal.password)?.as_secret().clone();
        let (mac, _) = self.unit_and_boot()?;
        let testbed = self.testbed()?;
        let mut events = testbed.network.follow();
        loop {
            // Looked at before: a network that opens right after a refusal is joined the next time.
            let own = own_network(testbed.network.events(), mac);
            let joined = testbed.network.join_network(mac, &ssid, password.expose());
            let refusal = match joined {
                Ok(network) => return Ok(network),
                Err(refusal) => refusal,
            };
            if let Some(found) = own {
                let found = self.bound()?.bindings().redact(&found).0;
                let stop = stops::other_portal_network(&found, &ssid, refusal.reason);
                return Err(Failure::Unit(stop));
            }
            tokio::select! {
                _ = events.next(deadline) => {}
                () = sleep_until(deadline.instant()) => {
                    let waited = deadline.allowed().as_secs();
                    let complaint = self.hearing.facts().complains();
                    let complaint = self.bound()?.bindings().redact(&complaint).0;
                    let stop = stops::no_portal_network(&ssid, waited, &complaint);
                    return Err(Failure::Unit(stop));
                }
                failure = self.interrupted() => return Err(failure),
            }
        }
    }

    /// Looks whether the unit, which has its values, still opens the network that took them.
    pub(super) fn seek_portal(&mut self, portal: &Portal) -> Result<(), Failure> {
        let (mac, _) = self.unit_and_boot()?;
        let plan = self.bound()?;
        let ssid = plan.render(&portal.ssid)?.expose().to_owned();
        let password = plan.render(&portal.password)?.as_secret().clone();
        let network = &self.testbed()?.network;
        let joined = network.join_network(mac, &ssid, password.expose()).is_ok();
        let open = own_network(network.events(), mac).or(joined.then_some(ssid));
        let seen = match open {
            _ if !network.proves().own_networks => PortalSeen::NotSeen,
            Some(found) => PortalSeen::Open(plan.bindings().redact(&found).0),
            None => PortalSeen::Gone,
        };
        self.seen.portal = Some(seen);
        Ok(())
    }

    fn portal_fields(&self, portal: &Portal) -> Result<Vec<(String, Secret)>, Failure> {
        let plan = self.bound()?;
        let fields = portal.fields.iter();
        fields
            .map(|(name, value)| Ok((name.clone(), plan.render(value)?.as_secret().clone())))
            .collect()
    }

    /// Makes the firmware that carries this unit's values.
    pub(super) fn make_factory_app(&mut self) -> Result<(), Failure> {
        let profile = Arc::clone(&self.plan.profile);
        let Some(factory) = &profile.factory else { return Ok(()) };
        let plan = self.bound()?;
        let mut constants = std::collections::BTreeMap::new();
        for (name, value) in &factory.constants {
            constants.insert(name.clone(), plan.render(value)?.expose().to_owned());
        }
        let trust = self.bench.trusted();
        let app = compile_factory_app(&profile, factory, &constants, &trust)
            .map_err(|error| Failure::Service(stops::station(error)))?;
        Ok(self.bound_mut()?.take_factory_app(app)?)
    }

    /// Waits for the line that says that the values were written.
    pub(super) async fn await_factory_firmware(
        &mut self,
        factory: &FactoryFirmware,
    ) -> Result<(), Failure> {
        let deadline = Deadline::after(factory.within);
        let console = self.console()?;
        loop {
            let printed = console.printed();
            let lines = console.lines_after(0);
            if lines.iter().any(|line| line.text.contains(&factory.expect)) {
                return Ok(());
            }
            let failed = |line: &&ConsoleLine| line.text.contains(FACTORY_FAILED);
            if let Some(line) = lines.iter().find(failed) {
                let line = self.bound()?.bindings().redact(plain(&line.text).trim()).0;
                return Err(Failure::Unit(stops::factory_firmware_failed(&line)));
            }
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep_until(deadline.instant()) => {
                    let last = lines.last().map_or("nothing", |line| line.text.as_str());
                    let last = self.bound()?.bindings().redact(last).0;
                    if console.lost() > 0 {
                        let missing = format!("no line \"{}\"", factory.expect);
                        let stop = stops::console_full(console.lost(), &missing);
                        return Err(Failure::Service(stop));
                    }
                    let within = factory.within.as_secs();
                    let stop = stops::factory_firmware_silent(&factory.expect, within, &last);
                    return Err(Failure::Unit(stop));
                }
                failure = self.interrupted() => return Err(failure),
            }
        }
    }
}

/// The name of the network that the unit has open now.
fn own_network(
    events: Vec<crate::testbed::event_log::Stamped<NetworkEvent>>,
    unit: Mac,
) -> Option<String> {
    let last = events.into_iter().rev().find_map(|event| match event.event {
        NetworkEvent::NetworkOpened { mac, ssid } if mac == unit => Some(Some(ssid)),
        NetworkEvent::NetworkClosed { mac } if mac == unit => Some(None),
        _ => None,
    });
    last.flatten()
}

/// Where the form goes: as its page says, if that is looked at, else as the profile does.
fn path_of(
    page: &Page,
    portal: &Portal,
    text: &str,
    fields: &[(String, Secret)],
) -> Result<String, Failure> {
    if !portal.fetch_form {
        return Ok(portal.path.clone());
    }
    let form = page.form_in(text).map_err(refused)?;
    let names: BTreeSet<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    form.require(names.iter().copied()).map_err(refused)?;
    Ok(form.path)
}

fn refused(error: PortalError) -> Failure {
    Failure::Unit(Diagnosis::new(error.code(), error.to_string()))
}
