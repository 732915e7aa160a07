//! An update arrives and runs, a bad one is rolled back, and NVS is kept through both.

use super::{Finding, Observations, limits};
use crate::{
    plan::BoundPlan,
    profile::CheckSpec,
    record::{Code, Limits, Measurement},
};

pub(super) fn judge(spec: &CheckSpec, plan: &BoundPlan, seen: &Observations) -> Finding {
    let Some(ota) = &seen.ota else { return Finding::not_run() };
    let mut finding = Finding::ran();
    for update in &ota.updates {
        match &update.problem {
            None => {
                finding.evidence.push(format!("{}: as it must, {} ms", update.what, update.took_ms))
            }
            Some(problem) => finding.fail_with_witness(
                problem.code,
                Code::TestbedBroker,
                format!("{}: {}", update.what, problem.message),
                update.witness.as_ref(),
            ),
        }
    }
    if !ota.changed_keys.is_empty() {
        finding.fail(
            Code::OtaChangedNvs,
            format!("an update changed the unit's {}", ota.changed_keys.join(", ")),
        );
    }
    // The good one, the bad one where there is one, and the way back.
    let planned =
        plan.profile().ota.as_ref().map_or(0, |ota| 2 + usize::from(ota.bad_update.is_some()));
    let done = ota.updates.iter().filter(|update| update.problem.is_none()).count();
    let all = Limits { lower: Some(planned as f64), upper: None };
    let took = ota.updates.first().map(|update| update.took_ms as f64);
    finding.measure(
        Code::OtaFailed,
        [
            Measurement::number("updates", Some(done as f64), "", all),
            Measurement::number("update_ms", took, "ms", limits(spec, "update_ms")),
        ],
    );
    finding
}
