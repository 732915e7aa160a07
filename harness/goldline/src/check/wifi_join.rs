//! Association, address, time and signal.
//!
//! The access point's own record says whether the unit joined; the serial log only explains why not.

use super::{
    AtAccessPoint, Finding, JoinObservation, LogFacts, NestPath, Observations, RefusedFor, limits,
    signal,
};
use crate::{
    plan::BoundPlan,
    profile::CheckSpec,
    record::{Code, Diagnosis, Measurement, Outcome},
};

/// From reset to the access point's word that the unit was admitted.
const ADMITTED: &str = "admitted_ms";
/// ESP-IDF's reason for "no access point of that name".
const NO_AP_FOUND: u16 = 201;
/// ESP-IDF's reasons that a wrong passphrase leads to: AUTH_EXPIRE, 4WAY_HANDSHAKE_TIMEOUT,
/// HANDSHAKE_TIMEOUT, AUTH_FAIL.
const WRONG_PASSWORD: [u16; 4] = [2, 15, 204, 202];
/// ESP-IDF's reasons where one side has a password and the other has none:
/// NO_AP_FOUND_W_COMPATIBLE_SECURITY, NO_AP_FOUND_IN_AUTHMODE_THRESHOLD.
const OPEN_UNIT: u16 = 210;
const OPEN_NETWORK: u16 = 211;

pub(super) fn judge(spec: &CheckSpec, plan: &BoundPlan, seen: &Observations) -> Finding {
    let Some(join) = &seen.join else { return Finding::not_run() };
    let mut finding = Finding::ran();
    let facts = seen.console.facts();
    match &join.access_point {
        _ if join.is_in() => {
            measure(spec, join, facts, seen.path.as_ref(), &mut finding);
            note_signals(spec, join, seen, &mut finding);
        }
        Some(found) if join.has_address() => explain_another_way(found, join, &mut finding),
        Some(found) => explain_by_access_point(plan, found, join, facts, &mut finding),
        None if join.address.is_some() => explain_no_address(plan, join, &mut finding),
        None => explain(plan, join, facts, &mut finding),
    }
    judge_resets(spec, seen, &mut finding);
    finding.evidence.extend(join.access_point.iter().map(AtAccessPoint::sentence));
    finding.evidence.extend(seen.traffic.iter().cloned());
    finding
}

/// What the boot says outranks whatever else was found. A firmware that restarts its unit for want of
/// something is judged by what it wanted.
pub(super) fn judge_resets(spec: &CheckSpec, seen: &Observations, finding: &mut Finding) {
    let facts = seen.console.facts();
    let resets = facts.unexpected_resets();
    if resets > 0 && facts.crashes() == 0 && facts.has_application() && wanted_something(seen) {
        finding.evidence.push(format!(
            "the firmware restarted the unit {resets} times by itself ({})",
            facts.resets.join(", ")
        ));
        return;
    }
    match facts.boot_fact() {
        Some(fact) => {
            let Diagnosis { code, message, .. } = fact.diagnosis();
            finding.fail_outranking(code, message);
        }
        None => count_resets(spec, facts, finding),
    }
}

/// Whether the unit did not get what it was waited for with.
fn wanted_something(seen: &Observations) -> bool {
    let joined = seen.join.as_ref().is_some_and(JoinObservation::is_in);
    let broker = seen.broker.as_ref();
    !joined || broker.is_some_and(|broker| !broker.accepted) || seen.stopped.is_some()
}

/// A unit that crashes once and then works is a bad unit, unless its profile says that it restarts.
pub(super) fn count_resets(spec: &CheckSpec, facts: &LogFacts, finding: &mut Finding) {
    let mut allowed = limits(spec, "unexpected_resets");
    allowed.upper.get_or_insert(0.0);
    let resets = Measurement::number(
        "unexpected_resets",
        Some(facts.unexpected_resets() as f64),
        "",
        allowed,
    );
    if resets.outcome != Outcome::Pass {
        finding.evidence.extend(facts.panic.iter().map(|line| format!("serial log: {line}")));
        finding.fail_outranking(
            Code::BootUnexpectedReset,
            format!(
                "the unit reset {} times by itself ({})",
                facts.unexpected_resets(),
                facts.resets.join(", ")
            ),
        );
    }
    finding.measurements.push(resets);
}

/// What is measured of a unit that is in its network.
pub(super) fn measure(
    spec: &CheckSpec,
    join: &JoinObservation,
    facts: &LogFacts,
    path: Option<&NestPath>,
    finding: &mut Finding,
) {
    let address = join.address.map(|address| address.to_string());
    if let Some(message) = other_address(join, facts) {
        finding.fail(Code::WifiOutOfLimits, message);
    }
    let joined = join.joined_after_ms.map(|ms| ms as f64);
    finding.measure(
        Code::WifiOutOfLimits,
        [
            Measurement::fact("ip_address", address.as_deref()),
            Measurement::number("join_ms", joined, "ms", limits(spec, "join_ms")),
        ],
    );
    // Most firmwares print no signal: it is missed only where somebody asks for it.
    signal::OF_UNIT.measure(spec, &facts.signals_dbm, path, finding);
    let Some(found) = &join.access_point else { return };
    let admitted = found.admitted_after_ms.map(|ms| ms as f64);
    if admitted.is_some() || spec.limits.contains_key(ADMITTED) {
        let admitted = Measurement::number(ADMITTED, admitted, "ms", limits(spec, ADMITTED));
        finding.measure(Code::WifiOutOfLimits, [admitted]);
    }
    match found.signals_dbm.is_empty() && signal::OF_ACCESS_POINT.is_limited(spec) {
        true => finding.error(
            Code::TestbedAccessPoint,
            format!("{} does not tell how strong it hears a station", found.name),
        ),
        false => signal::OF_ACCESS_POINT.measure(spec, &found.signals_dbm, path, finding),
    }
}

/// What is behind the signals, and what of them nobody could tell.
fn note_signals(
    spec: &CheckSpec,
    join: &JoinObservation,
    seen: &Observations,
    finding: &mut Finding,
) {
    let any = finding
        .measurements
        .iter()
        .any(|one| signal::OF_UNIT.has(&one.name) || signal::OF_ACCESS_POINT.has(&one.name));
    if any {
        signal::note_path(seen, finding);
    }
    if join.access_point.is_none() && signal::OF_ACCESS_POINT.is_limited(spec) {
        finding.evidence.push(
            "what the access point hears is limited, and no access point was asked".to_owned(),
        );
    }
}

/// Whether the unit believes in another address than it was given.
pub(super) fn other_address(join: &JoinObservation, facts: &LogFacts) -> Option<String> {
    let (given, said) = (join.address?, facts.address?);
    (given != said)
        .then(|| format!("the unit says that its address is {said}, the network gave it {given}"))
}

/// The unit has an address, and the access point never admitted it: it came by a cable, or another access point.
fn explain_another_way(found: &AtAccessPoint, join: &JoinObservation, finding: &mut Finding) {
    let message = format!(
        "the unit was given an address and {} did not admit it in {} ms: it came another way than by this access point",
        found.name, join.waited_ms
    );
    let (code, witness) = (Code::WifiNotJoined, join.witness.as_ref());
    finding.fail_with_witness(code, Code::TestbedAccessPoint, message, witness);
}

/// The access point's word of a unit that has no address outranks what the unit says of it.
fn explain_by_access_point(
    plan: &BoundPlan,
    found: &AtAccessPoint,
    join: &JoinObservation,
    facts: &LogFacts,
    finding: &mut Finding,
) {
    let (name, waited) = (&found.name, join.waited_ms);
    if found.was_admitted() {
        return explain_no_address(plan, join, finding);
    }
    let Some(what_for) = found.refused_for else { return explain(plan, join, facts, finding) };
    if let Some((code, message)) = told_by_the_log(join, facts) {
        return finding.fail(code, message);
    }
    let times = found.refused;
    let message = match what_for {
        RefusedFor::Passphrase => {
            format!("{name} refused the unit's passphrase {times} times in {waited} ms")
        }
        RefusedFor::Credentials => {
            format!("{name} refused what the unit shows by 802.1X {times} times in {waited} ms")
        }
    };
    let (code, witness) = (Code::WifiWrongPassword, join.witness.as_ref());
    finding.fail_with_witness(code, Code::TestbedAccessPoint, message, witness);
}

impl AtAccessPoint {
    /// For people.
    fn sentence(&self) -> String {
        let Self { name, refused, .. } = self;
        match (self.admitted_after_ms, self.is_admitted, self.refused_for) {
            (Some(after), true, _) => format!("{name}: the unit was admitted after {after} ms"),
            (None, true, _) => format!("{name}: the unit is admitted"),
            (_, false, Some(RefusedFor::Passphrase)) => {
                format!("{name}: the unit's passphrase was refused {refused} times")
            }
            (_, false, Some(RefusedFor::Credentials)) => {
                format!("{name}: what the unit shows by 802.1X was refused {refused} times")
            }
            (Some(after), false, None) => {
                format!("{name}: the unit was admitted after {after} ms, and left")
            }
            (None, false, None) => {
                format!("{name}: the unit was never admitted, and never refused")
            }
        }
    }
}

/// The access point took the unit, and the unit never showed that it has an address.
fn explain_no_address(plan: &BoundPlan, join: &JoinObservation, finding: &mut Finding) {
    let message = format!(
        "the unit joined {} and got no address in {} ms",
        plan.network_name(),
        join.waited_ms
    );
    finding.fail_with_witness(
        Code::WifiNotJoined,
        Code::TestbedAccessPoint,
        message,
        join.witness.as_ref(),
    );
}

fn explain(plan: &BoundPlan, join: &JoinObservation, facts: &LogFacts, finding: &mut Finding) {
    if let Some((code, message)) = told_by_the_log(join, facts) {
        return finding.fail(code, message);
    }
    let ssid = plan.network_name();
    let waited = join.waited_ms;
    let (code, message) = match join.refused.or(facts.disconnects.last().copied()) {
        Some(NO_AP_FOUND) => (
            Code::WifiNotFound,
            format!("the unit finds no network {ssid} (reason {NO_AP_FOUND}) in {waited} ms"),
        ),
        Some(reason) if WRONG_PASSWORD.contains(&reason) => (
            Code::WifiWrongPassword,
            format!("the network {ssid} refuses the unit's password (reason {reason})"),
        ),
        Some(OPEN_UNIT) => (
            Code::WifiWrongPassword,
            format!(
                "the network {ssid} wants a password, and the unit has none (reason {OPEN_UNIT})"
            ),
        ),
        Some(OPEN_NETWORK) => (
            Code::WifiWrongPassword,
            format!(
                "the network {ssid} is open, and the unit looks for one with a password (reason {OPEN_NETWORK})"
            ),
        ),
        Some(reason) => (
            Code::WifiNotJoined,
            format!("the unit did not join {ssid} in {waited} ms (last reason {reason})"),
        ),
        None => {
            (Code::WifiNotJoined, format!("the unit did not try to join {ssid} in {waited} ms"))
        }
    };
    finding.fail_with_witness(code, Code::TestbedAccessPoint, message, join.witness.as_ref());
}

/// What the serial log says of a unit that did not join, where it is no matter of the network.
pub(super) fn told_by_the_log(join: &JoinObservation, facts: &LogFacts) -> Option<(Code, String)> {
    if let Some(fact) = facts.boot_fact().filter(|_| !facts.restarts_on_purpose()) {
        let Diagnosis { code, message, .. } = fact.diagnosis();
        return Some((code, message));
    }
    if let Some(line) = facts.image_refused.as_ref().filter(|_| !facts.has_application()) {
        return Some((Code::BootImageRefused, format!("the boot loader says: {line}")));
    }
    if !facts.has_application() {
        let waited = join.waited_ms;
        let message = format!("no application started within {waited} ms of the reset");
        return Some((Code::BootSilent, message));
    }
    // Firmware that goes on to the network has coped with the key that it misses.
    let seen = join.access_point.as_ref().is_some_and(|found| found.refused > 0);
    let tried = seen || join.refused.is_some() || !facts.disconnects.is_empty();
    let line = facts.configuration.as_ref().or(facts.gave_up.as_ref()).filter(|_| !tried)?;
    Some((Code::FirmwareConfiguration, format!("the firmware says: {line}")))
}
