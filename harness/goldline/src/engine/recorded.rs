//! What a record says of a run besides its checks: the unit, its network, its endpoints, what it was not proven for.
//!
//! Pure: observations and plan in, plain data out.

use std::collections::BTreeMap;

use super::{Change, Stand};
use crate::{
    bench::Bench,
    check::{Observations, final_flaw, flash_is_sound},
    device::{ChipFacts, Left},
    identity::Mac,
    plan::{BoundPlan, Excluded},
    profile::{Caller, CheckId, Interface, Profile, ValueSource, ValueSpec},
    record::{
        CheckRecord, EndpointRecord, Holds, LeftAs, NetworkRecord, NotProven, Outcome, RadioProof,
        Shipped, Unit,
    },
    testbed::network::NetworkKind,
};

/// Among what the bench gave a unit: the values that it was tested with are aboard still.
pub const TEST_VALUES: &str = "values of its test";

/// A radio is proven by a check that nothing else passes.
pub(super) fn network_record(network: NetworkKind, checks: &[CheckRecord]) -> NetworkRecord {
    let by_radio = |check: &&CheckRecord| check.id == CheckId::WifiJoin.name();
    let passed = checks.iter().find(by_radio).is_some_and(|check| check.outcome == Outcome::Pass);
    let radio = if passed { RadioProof::Proven } else { RadioProof::NotProven };
    NetworkRecord { name: network.name().to_owned(), radio }
}

pub(super) fn not_proven(excluded: &Excluded) -> NotProven {
    NotProven { id: excluded.check.name().to_owned(), because: excluded.because.to_owned() }
}

pub(super) fn endpoint_records(
    plan: &BoundPlan,
    broker: Option<String>,
    because: Option<String>,
) -> Vec<EndpointRecord> {
    let planned = plan.endpoint.as_ref().zip(plan.profile().mqtt.as_ref());
    let record = planned.map(|(endpoint, mqtt)| EndpointRecord {
        service: "mqtt".to_owned(),
        shipped: endpoint.to_string(),
        policy: mqtt.policy.name().to_owned(),
        accept_redirect: because.filter(|_| broker.is_none()),
        answered_by: broker.unwrap_or_else(|| "built-in bench".to_owned()),
    });
    record.into_iter().collect()
}

pub(super) fn describe_unit(seen: &Observations, plan: Option<&BoundPlan>) -> Unit {
    let chip = seen.chip.as_ref();
    Unit {
        mac: chip.map(|chip| chip.mac),
        interfaces: chip.map(interfaces).unwrap_or_default(),
        chip: chip.map(|chip| match chip.revision {
            Some((major, minor)) => format!("{} v{major}.{minor}", chip.chip),
            None => chip.chip.to_string(),
        }),
        flash_size: chip.map(|chip| chip.flash_size),
        ids: plan.map_or_else(BTreeMap::new, |plan| plan.bindings().public_ids(plan.profile())),
        shared_secrets: plan.map(shared_secrets).unwrap_or_default(),
        replaces: None,
    }
}

fn interfaces(chip: &ChipFacts) -> BTreeMap<String, Mac> {
    let named = |(interface, mac): (Interface, Mac)| (interface.name().to_owned(), mac);
    // What no chip can have is nobody's address.
    chip.chip.macs(chip.mac).filter(|_| chip.mac.is_a_chips()).map(named).collect()
}

/// What nobody but the bench knows, and a real unit must not be shipped with.
pub(super) fn given_by_bench(bench: &Bench, profile: &Profile, stand: &Stand) -> Vec<&'static str> {
    let services = [
        ("CA", keeps_of_ca(profile) && bench.external_ca().is_none()),
        (
            "provisioning server",
            profile.provisioning_api.is_some() && bench.external_config_server().is_none(),
        ),
        ("samples", matches!(stand, Stand::Simulated)),
    ];
    services.into_iter().filter(|(_, is_bench)| *is_bench).map(|(service, _)| service).collect()
}

/// Whether a unit is shipped with what its CA gave it: what it fetched itself while it was tested with other values is
/// erased.
fn keeps_of_ca(profile: &Profile) -> bool {
    let finished = profile.is_tested_then_finished();
    profile.ca.as_ref().is_some_and(|ca| !finished || ca.called_by == Caller::Bench)
}

/// What a unit holds that is tested with other values than it is shipped with; nothing of one that was not touched.
pub(super) fn shipped(
    profile: &Profile,
    plan: Option<&BoundPlan>,
    seen: &Observations,
    change: Change,
) -> Option<Shipped> {
    let plan = plan.filter(|_| profile.is_tested_then_finished())?;
    let is_whole = |plan| seen.before_boot.is_some() && flash_is_sound(plan, seen);
    let holds = match plan.is_of_two() {
        true if plan.is_final() => match seen.finally.is_some() && final_flaw(plan, seen).is_none()
        {
            true => Holds::Final,
            false => Holds::Unknown,
        },
        true if seen.before_boot.is_some() => Holds::BenchValues,
        false if is_whole(plan) => Holds::Final,
        _ if change == Change::None => return None,
        _ => Holds::Unknown,
    };
    let (left, why) = match seen.left {
        Some(Left::Held(how)) => (LeftAs::Held, how),
        Some(Left::MayHaveBooted(why)) => (LeftAs::MayHaveBooted, why),
        // Whatever it holds, nobody took care that it does not start.
        None => (LeftAs::MayHaveBooted, "the run ended before the unit was left at rest"),
    };
    Some(Shipped { holds, left, why: why.to_owned() })
}

/// The secrets in the unit that the profile gives to more units than one.
fn shared_secrets(plan: &BoundPlan) -> Vec<String> {
    let profile = plan.profile();
    let mqtt = profile.mqtt.iter().map(|mqtt| &mqtt.password);
    let wifi = profile.wifi.iter().map(|wifi| &wifi.password);
    let held = profile.nvs.entries.iter().map(|entry| &entry.value).chain(mqtt).chain(wifi);
    let held: Vec<&str> = held.flat_map(|template| template.symbols()).collect();
    let shared = |spec: &&ValueSpec| spec.shared || spec.source == ValueSource::Site;
    let secrets =
        profile.values.iter().filter(|spec| spec.secret && held.contains(&spec.name.as_str()));
    secrets.filter(shared).map(|spec| spec.name.clone()).collect()
}
