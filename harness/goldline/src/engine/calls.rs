//! Waiting for the unit's own calls after it joined: for the time, its configuration, its CA.
//!
//! What the bench's service recorded is the evidence. After a call that never came, the bench asks the
//! same service itself: its success is the witness that blames the unit.

use tokio::time::{Instant, sleep_until};

use super::{
    Failure, Next, Run, millis,
    on_site::and_the_way,
    probing::{at_ca, at_config_server, at_time_server},
};
use crate::{
    check::{CaObservation, ServiceObservation, Witness},
    clock::Deadline,
    profile::{Ca, ProvisioningApi},
    testbed::{ca::Registration, config_server::ConfigCall},
};

/// A unit that was told a time which is further off than this was told a wrong one.
pub(super) const TIME_TOLERANCE: time::Duration = time::Duration::minutes(1);
pub(super) const UNTRUE_TIME: &str = "the time server told a time that is not the bench's";
/// Firmware tries again after a refusal; this many are no accident.
const REFUSALS: usize = 3;

impl Run {
    /// A unit without the time trusts nobody: nothing after it can tell more.
    pub(super) async fn await_time(&mut self) -> Result<Next, Failure> {
        if self.testbed()?.network.is_site() {
            return self.await_time_on_site().await;
        }
        let (since, deadline) = self.wait_for_call()?;
        let testbed = self.testbed()?;
        let server = testbed.time_server.as_ref();
        let server = server.ok_or(Failure::NotOffered("time server"))?;
        let mut questions = server.follow();
        let answered = loop {
            let asked = server.asked();
            let mut of_unit =
                asked.iter().filter(|asked| asked.instant >= since && asked.event.caller.is_unit());
            if let Some(found) = of_unit.find(|asked| asked.event.answered.is_some()) {
                break Some(found.instant);
            }
            tokio::select! {
                _ = questions.next(deadline) => {}
                () = sleep_until(deadline.instant()) => break None,
                failure = self.interrupted() => return Err(failure),
            }
        };
        let asked = server.asked().iter().any(|asked| asked.event.caller.is_unit());
        let detail = match (answered, asked) {
            (Some(_), _) => "the unit asked and was answered",
            (None, true) => "the unit asked and was not answered",
            (None, false) => "the unit never asked",
        };
        let asked = server.asked();
        let of_unit = asked.iter().filter(|asked| asked.event.caller.is_unit());
        let wrong = of_unit
            .filter_map(|asked| Some(asked.at - asked.event.answered?))
            .any(|off| off.abs() > TIME_TOLERANCE);
        let served = answered.is_some() && !wrong;
        let witness = match answered {
            Some(_) => None,
            None => Some(at_time_server(testbed, self.bound()?, &self.bench).await?),
        };
        let mut seen = observation(answered, since, deadline, detail, witness);
        seen.untrue = wrong.then(|| UNTRUE_TIME.to_owned());
        self.seen.time = Some(seen);
        Ok(if served { Next::GoOn } else { Next::Enough })
    }

    pub(super) async fn await_configuration(
        &mut self,
        api: &ProvisioningApi,
    ) -> Result<Next, Failure> {
        let (since, deadline) = self.wait_for_call()?;
        let testbed = self.testbed()?;
        let server = testbed.config_server.as_ref();
        let server = server.ok_or(Failure::NotOffered("config server"))?;
        let planned = self.bound()?.render(&api.device)?.expose().to_owned();
        let fetched = |call: &ConfigCall| matches!(call, ConfigCall::Fetched { device_id } if *device_id == planned);
        let mut calls = server.follow();
        let served = loop {
            let known = server.calls();
            let mut after =
                known.iter().filter(|call| call.instant >= since && call.event.caller.is_unit());
            if let Some(found) = after.find(|call| fetched(&call.event.what)) {
                break Some(found.instant);
            }
            tokio::select! {
                _ = calls.next(deadline) => {}
                () = sleep_until(deadline.instant()) => break None,
                failure = self.interrupted() => return Err(failure),
            }
        };
        let witness = match served {
            Some(_) => None,
            None => {
                let witness = at_config_server(testbed, self.bound()?, &self.bench).await?;
                let reached = server.calls().iter().any(|call| call.event.caller.is_unit());
                let way_in = self.way_in()?.without_its_own();
                Some(and_the_way(testbed, &way_in, witness, reached).await)
            }
        };
        let others = server
            .calls()
            .into_iter()
            .filter(|call| call.instant >= since && call.event.caller.is_unit());
        let other = others.into_iter().find_map(|call| match call.event.what {
            ConfigCall::Fetched { device_id } => Some(device_id),
            _ => None,
        });
        let detail = match (served, other) {
            (Some(_), _) => "the unit fetched its configuration".to_owned(),
            (None, Some(other)) => {
                format!("the unit fetched the configuration of {other}, its own is {planned}'s")
            }
            (None, None) => "the unit fetched nothing that the server could give".to_owned(),
        };
        self.seen.configuration = Some(observation(served, since, deadline, &detail, witness));
        Ok(if served.is_some() { Next::GoOn } else { Next::Enough })
    }

    /// The unit calls its CA itself, with its UUID and key.
    pub(super) async fn await_ca_call(&mut self, spec: &Ca) -> Result<Next, Failure> {
        let (since, deadline) = self.wait_for_call()?;
        let uuid = self.bound()?.render(&spec.uuid)?.expose().to_owned();
        let (mac, _) = self.unit_and_boot()?;
        let testbed = self.testbed()?;
        let ca = testbed.ca.as_ref().ok_or(Failure::NotOffered("CA"))?;
        let mut calls = ca.follow();
        let accepted = loop {
            let known = ca.registrations();
            let after: Vec<_> = known
                .iter()
                .filter(|call| call.instant >= since && call.event.caller.is_unit())
                .collect();
            let of_unit = after.iter().find_map(|call| match &call.event.what {
                // A UUID may be given in capitals.
                Registration::Accepted(registered)
                    if registered.uuid.to_string().eq_ignore_ascii_case(&uuid) =>
                {
                    Some((call.instant, registered.clone()))
                }
                _ => None,
            });
            if of_unit.is_some() {
                break of_unit;
            }
            let refused =
                after.iter().filter(|call| matches!(call.event.what, Registration::Refused(_)));
            if refused.count() >= REFUSALS {
                break None;
            }
            tokio::select! {
                _ = calls.next(deadline) => {}
                () = sleep_until(deadline.instant()) => break None,
                failure = self.interrupted() => return Err(failure),
            }
        };
        let known = ca.registrations();
        let mut of_unit = known.iter().rev().filter(|call| call.event.caller.is_unit());
        let refusal = of_unit.find_map(|call| match &call.event.what {
            Registration::Refused(sentence) => Some(sentence.clone()),
            Registration::Accepted(_) => None,
        });
        let witness = match accepted {
            Some(_) => None,
            None => {
                let reached = known.iter().any(|call| call.event.caller.is_unit());
                let witness = at_ca(testbed, self.bound()?, &self.bench, mac).await?;
                Some(and_the_way(testbed, &self.way_in()?, witness, reached).await)
            }
        };
        // The CA's sentence repeats what the unit sent, which may be one of its secrets.
        let bindings = self.bound()?.bindings();
        let refusal = refusal.map(|sentence| bindings.redact(&sentence));
        let (refusal, leaked) = refusal.unzip();
        let (accepted, registered) = accepted.unzip();
        let other_mac =
            registered.as_ref().map(|called| called.mac).filter(|called| *called != mac);
        let serial = registered.as_ref().map(|called| called.serial.clone());
        // A unit that mixes its fields up says a secret here.
        let said = registered.map(|called| bindings.redact(&called.device_type));
        let (device_type, mixed_up) = said.unzip();
        self.seen.leaked.extend(leaked.into_iter().chain(mixed_up).flatten());
        self.seen.ca = Some(CaObservation {
            caller: "the unit",
            accepted: accepted.is_some(),
            refusal: refusal.filter(|_| accepted.is_none()),
            uuid: accepted.map(|_| uuid),
            serial,
            device_type,
            other_mac: other_mac.map(|mac| (mac.to_string(), self.mac_text())),
            took_ms: accepted.map(|at| millis(at.duration_since(since))),
            witness,
            ..CaObservation::default()
        });
        Ok(if accepted.is_some() { Next::GoOn } else { Next::Enough })
    }

    fn mac_text(&self) -> String {
        self.seen.chip.as_ref().map(|chip| chip.mac.to_string()).unwrap_or_default()
    }

    pub(super) fn wait_for_call(&self) -> Result<(Instant, Deadline), Failure> {
        let since = self.link()?.counts_from;
        Ok((since, Deadline::after(self.plan.profile.deadlines.service)))
    }
}

fn observation(
    served: Option<Instant>,
    since: Instant,
    deadline: Deadline,
    detail: &str,
    witness: Option<Witness>,
) -> ServiceObservation {
    ServiceObservation {
        served: served.is_some(),
        took_ms: served.map(|at| millis(at.saturating_duration_since(since))),
        waited_ms: millis(deadline.allowed()),
        detail: detail.to_owned(),
        untrue: None,
        witness,
    }
}
