//! The unit's calls to the time server and to its configuration server.

use super::{Certificates, Finding, Observations, ServiceObservation, limits};
use crate::{
    plan::BoundPlan,
    profile::CheckSpec,
    record::{Code, Measurement},
};

const OF_API: Certificates = Certificates {
    measurement: "api_certificate_days",
    whose: "the provisioning server's certificate",
    fault: Code::TestbedConfigServer,
    action: "renew the certificate that ends first on the provisioning server, or its CA, and test the unit again",
};

pub(super) fn judge_time(spec: &CheckSpec, plan: &BoundPlan, seen: &Observations) -> Finding {
    let server = plan.profile().time.as_ref().and_then(|time| plan.render(&time.server).ok());
    let server = server.map(|server| server.expose().to_owned()).unwrap_or_default();
    let what = format!("the time from {server}");
    let codes = (Code::TimeNotSynchronized, Code::TestbedTime);
    judge(spec, "time_ms", &what, codes, seen.time.as_ref())
}

pub(super) fn judge_configuration(
    spec: &CheckSpec,
    plan: &BoundPlan,
    seen: &Observations,
) -> Finding {
    let server = plan.profile().config_server.as_ref();
    let url = server.and_then(|server| plan.render(&server.url).ok());
    let what = format!(
        "its configuration from {}",
        url.map(|url| url.expose().to_owned()).unwrap_or_default()
    );
    let codes = (Code::ConfigNotFetched, Code::TestbedConfigServer);
    let mut finding = judge(spec, "config_ms", &what, codes, seen.configuration.as_ref());
    // Only a run that provisions calls it.
    if let Some(api) = seen.api.as_ref().filter(|_| finding.ran) {
        finding.measure_remaining(spec, &OF_API, api.certificate.as_ref());
    }
    finding
}

fn judge(
    spec: &CheckSpec,
    name: &'static str,
    what: &str,
    (unit, testbed): (Code, Code),
    seen: Option<&ServiceObservation>,
) -> Finding {
    let Some(seen) = seen else { return Finding::not_run() };
    let mut finding = Finding::ran();
    if let Some(untrue) = &seen.untrue {
        // Whoever was told so: nothing is said of the unit.
        let answered =
            format!("the unit did not get {what} in {} ms: {}", seen.waited_ms, seen.detail);
        finding.evidence.push(format!("the unit: {answered}"));
        finding.error(testbed, untrue.clone());
    } else if seen.served {
        finding.evidence.push(seen.detail.clone());
        let took = seen.took_ms.map(|ms| ms as f64);
        finding.measure(unit, [Measurement::number(name, took, "ms", limits(spec, name))]);
    } else {
        let message =
            format!("the unit did not get {what} in {} ms: {}", seen.waited_ms, seen.detail);
        finding.fail_with_witness(unit, testbed, message, seen.witness.as_ref());
    }
    finding
}
