//! The unit stands in the device registry, or is durably queued for it: a registry that is down must
//! not stop a line.

use super::{Finding, Observations, RegistryObservation, limits};
use crate::{
    profile::CheckSpec,
    record::{Code, Measurement},
};

pub(super) fn judge(spec: &CheckSpec, seen: &Observations) -> Finding {
    let Some(registry) = &seen.registry else { return Finding::not_run() };
    let mut finding = Finding::ran();
    match registry {
        RegistryObservation::Recorded { row, took_ms } => {
            finding.evidence.push(format!("recorded as row {row}"));
            let took = *took_ms as f64;
            finding.measure(
                Code::RegistryRejected,
                [
                    Measurement::fact("state", Some("recorded")),
                    // What the registry returned for the row: its own id of the unit.
                    Measurement::fact("row", Some(&row.to_string())),
                    Measurement::number(
                        "registry_ms",
                        Some(took),
                        "ms",
                        limits(spec, "registry_ms"),
                    ),
                ],
            );
        }
        RegistryObservation::Queued { reason } => {
            finding.evidence.push(format!("durably queued for the registry: {reason}"));
            let state = Measurement::fact("state", Some("durably queued"));
            finding.measure(Code::RegistryRejected, [state]);
        }
        RegistryObservation::Lost { reason } => {
            finding.error(Code::StationState, format!("the row could not be kept: {reason}"));
        }
        RegistryObservation::Rejected { reason } => {
            // The row comes of the profile and the site, not of the unit.
            finding.error(Code::RegistryRejected, reason.clone());
        }
    }
    finding
}
