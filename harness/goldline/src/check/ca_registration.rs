//! The CA knows the unit: the bench registered it before anything was written, or the unit itself
//! called after it joined.

use super::{CaObservation, Certificates, Finding, Observations, limits};
use crate::{
    plan::BoundPlan,
    profile::{Caller, CheckSpec},
    record::{Code, Limits, Measurement},
};

const OF_CA: Certificates = Certificates {
    measurement: "ca_certificate_days",
    whose: "the CA's certificate",
    fault: Code::TestbedCa,
    action: "renew the CA's certificate that ends first, and register the unit again",
};

pub(super) fn judge(spec: &CheckSpec, plan: &BoundPlan, seen: &Observations) -> Finding {
    let Some(ca) = &seen.ca else { return Finding::not_run() };
    let mut finding = Finding::ran();
    finding.evidence.extend(ca.notes.iter().cloned());
    if !ca.accepted {
        explain(ca, &mut finding);
        return finding;
    }
    if let Some((called, own)) = &ca.other_mac {
        finding.fail(
            Code::CaNotRegistered,
            format!("the unit registered the MAC {called} with the CA, its own is {own}"),
        );
    }
    let planned = plan.profile().ca.as_ref().and_then(|ca| plan.render(&ca.uuid).ok());
    let planned = planned.map(|uuid| uuid.expose().to_owned()).unwrap_or_default();
    let took = ca.took_ms.map(|ms| ms as f64);
    finding.measure(
        Code::CaNotRegistered,
        [
            Measurement::word("uuid", ca.uuid.as_deref(), &planned),
            Measurement::number("registration_ms", took, "ms", limits(spec, "registration_ms")),
        ],
    );
    let registration = if ca.kept { "kept" } else { "new" };
    let serial = ca.serial.as_deref().map(|serial| {
        // Public: it stands in every handshake.
        Measurement::fact("certificate_serial", Some(serial))
    });
    let told = [Measurement::fact("registration", Some(registration))].into_iter().chain(serial);
    finding.measure(Code::CaNotRegistered, told);
    if let Some(said) = &ca.device_type {
        let planned = plan.profile().ca.as_ref().and_then(|ca| plan.render(&ca.device_type).ok());
        let planned = planned.map(|kind| kind.expose().to_owned()).unwrap_or_default();
        finding.measure(Code::CaNotRegistered, [Measurement::word("type", Some(said), &planned)]);
    }
    if plan.profile().ca.as_ref().is_some_and(|ca| ca.called_by == Caller::Bench) {
        let mut allowed: Limits = limits(spec, "remaining_validity_days");
        allowed.lower.get_or_insert(0.0);
        let days = ca.remaining_validity_days.map(|days| days as f64);
        let days = Measurement::number("remaining_validity_days", days, "days", allowed);
        finding.measure(Code::CaCertificateExpired, [days]);
        finding.measure_remaining(spec, &OF_CA, ca.ca_certificate.as_ref());
    }
    finding
}

fn explain(ca: &CaObservation, finding: &mut Finding) {
    let message = match &ca.refusal {
        Some(refusal) => format!("the CA refused {}: {refusal}", ca.caller),
        None => format!("{} never called the CA", ca.caller),
    };
    finding.fail_with_witness(Code::CaNotRegistered, Code::TestbedCa, message, ca.witness.as_ref());
}
