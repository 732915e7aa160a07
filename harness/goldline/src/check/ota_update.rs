//! An update arrives and runs, and a bad one is rolled back. That NVS is kept through both is told by the
//! read-back after the run.

use super::{Finding, Observations, Outgoing, UpdateObservation, Witness, limits};
use crate::{
    plan::BoundPlan,
    profile::CheckSpec,
    record::{Code, Diagnosis, Limits, Measurement},
};

pub(super) fn judge(spec: &CheckSpec, plan: &BoundPlan, seen: &Observations) -> Finding {
    let Some(ota) = &seen.ota else { return Finding::not_run() };
    let mut finding = Finding::ran();
    for update in &ota.updates {
        match problem(update) {
            None => {
                finding.evidence.push(format!("{}: as it must, {} ms", update.what, update.took_ms))
            }
            Some(problem) => {
                let (code, witness) = witness_of(update);
                finding.fail_with_witness(
                    problem.code,
                    code,
                    format!("{}: {}", update.what, problem.message),
                    witness,
                );
            }
        }
    }
    // The good one, the bad one where there is one, and the way back.
    let planned =
        plan.profile().ota.as_ref().map_or(0, |ota| 2 + usize::from(ota.bad_update.is_some()));
    let done = ota.updates.iter().filter(|update| update.reported).count();
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

/// What is wrong with an update; `None` when it went as it must.
fn problem(update: &UpdateObservation) -> Option<Diagnosis> {
    if update.reported {
        return None;
    }
    let code = match update.outgoing {
        Outgoing::Runs => Code::OtaFailed,
        Outgoing::RolledBack => Code::OtaNotRolledBack,
    };
    let how_far = match (update.fetched, update.last_report) {
        (false, _) => "the unit never downloaded it".to_owned(),
        (true, None) => {
            format!("the unit downloaded it and reported nothing in {} s", update.within_s)
        }
        (true, Some(bytes)) => format!(
            "the unit downloaded it; its last report has {bytes} bytes and is not the expected one"
        ),
    };
    Some(Diagnosis::new(code, how_far))
}

/// An update needs the broker, for its notice, and the update server: the one that is not sound counts.
fn witness_of(update: &UpdateObservation) -> (Code, Option<&Witness>) {
    match &update.download {
        Some(download) if !download.is_sound() => (Code::TestbedUpdateServer, Some(download)),
        _ => (Code::TestbedBroker, update.witness.as_ref()),
    }
}
