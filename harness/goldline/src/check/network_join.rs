//! Address and time, where the network has no radio: what stands in for `wifi_join` there.
//!
//! The network's own record says whether the unit joined; the serial log only explains why not. Proves
//! nothing of the unit's WiFi.

use super::{
    Finding, JoinObservation, LogFacts, Observations, ToldBy, limits,
    wifi_join::{judge_resets, other_address, told_by_the_log},
};
use crate::{
    profile::CheckSpec,
    record::{Code, Measurement},
};

pub(super) fn judge(spec: &CheckSpec, seen: &Observations) -> Finding {
    let Some(join) = &seen.join else { return Finding::not_run() };
    let mut finding = Finding::ran();
    let facts = seen.console.facts();
    match join.address {
        Some(_) if join.address_shown => measure(spec, join, facts, &mut finding),
        Some(_) => without_use(join, &mut finding),
        None => explain(join, facts, &mut finding),
    }
    judge_resets(spec, seen, &mut finding);
    finding.evidence.extend(told_by(join));
    finding.evidence.extend(seen.traffic.iter().cloned());
    finding
}

/// What is measured of a unit that is in its network.
pub(super) fn measure(
    spec: &CheckSpec,
    join: &JoinObservation,
    facts: &LogFacts,
    finding: &mut Finding,
) {
    if let Some(message) = other_address(join, facts) {
        finding.fail(Code::NetworkOutOfLimits, message);
    }
    let address = join.address.map(|address| address.to_string());
    let joined = join.joined_after_ms.map(|ms| ms as f64);
    finding.measure(
        Code::NetworkOutOfLimits,
        [
            Measurement::fact("ip_address", address.as_deref()),
            Measurement::number("join_ms", joined, "ms", limits(spec, "join_ms")),
        ],
    );
}

/// On a site's network, who tells that the unit is in it.
fn told_by(join: &JoinObservation) -> Option<String> {
    join.address?;
    match join.told_by {
        ToldBy::Network => None,
        ToldBy::Console => Some(
            "that it joined only its own console says: it came to no service of the bench"
                .to_owned(),
        ),
        ToldBy::Service => Some(
            "that it joined its own console says, and it came to a service of the bench and said who it is"
                .to_owned(),
        ),
    }
}

fn without_use(join: &JoinObservation, finding: &mut Finding) {
    let waited = join.waited_ms;
    blame(format!("the unit was given an address and used none in {waited} ms"), join, finding);
}

fn explain(join: &JoinObservation, facts: &LogFacts, finding: &mut Finding) {
    match told_by_the_log(join, facts) {
        Some((code, message)) => finding.fail(code, message),
        None => {
            let waited = join.waited_ms;
            let message = match join.told_by {
                ToldBy::Network => format!("the unit asked for no address in {waited} ms"),
                ToldBy::Console | ToldBy::Service => format!(
                    "the unit says of no address that it got one in {waited} ms{}",
                    facts.complains()
                ),
            };
            blame(message, join, finding);
        }
    }
}

fn blame(message: String, join: &JoinObservation, finding: &mut Finding) {
    let witness = join.witness.as_ref();
    finding.fail_with_witness(Code::NetworkNotJoined, Code::TestbedNetwork, message, witness);
}
