//! The installer's alert arrives, and says which tenant, building and room it comes from.

use super::{Finding, Observations, limits};
use crate::{
    plan::BoundPlan,
    profile::CheckSpec,
    record::{Code, Measurement},
};

pub(super) fn judge(spec: &CheckSpec, plan: &BoundPlan, seen: &Observations) -> Finding {
    let Some(alert) = &seen.alert else { return Finding::not_run() };
    let mut finding = Finding::ran();
    if alert.took_ms.is_none() {
        let topic = plan.profile().alert.as_ref().and_then(|alert| plan.render(&alert.topic).ok());
        let topic = topic.map(|topic| topic.expose().to_owned()).unwrap_or_default();
        let message = match &alert.lacking {
            Some(lacking) => format!("the alert on {topic} is not this unit's: {lacking}"),
            None => format!("no alert arrived on {topic}"),
        };
        finding.fail_with_witness(
            Code::AlertMissing,
            Code::TestbedBroker,
            message,
            alert.witness.as_ref(),
        );
    }
    if alert.confirmed == Some(false) {
        finding.fail(Code::AlertNotConfirmed, "the operator did not see the alert");
    }
    if alert.confirmed == Some(true) {
        finding.evidence.push("the operator saw the alert".to_owned());
    }
    let took = alert.took_ms.map(|ms| ms as f64);
    let took = Measurement::number("alert_ms", took, "ms", limits(spec, "alert_ms"));
    finding.measure(Code::AlertMissing, [took]);
    finding
}
