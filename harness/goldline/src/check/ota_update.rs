//! What must not be taken is refused, an update arrives and runs, and a bad one is rolled back. That NVS is kept through
//! all of it is told by the read-back after the run.

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
            Some(problem) if update.accepted => {
                finding.fail(problem.code, format!("{}: {}", update.what, problem.message));
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
    let wanted = plan.profile().ota.as_ref();
    let planned = wanted.map_or(0, |ota| 2 + usize::from(ota.bad_update.is_some()));
    let bad = wanted.map_or(0, |ota| ota.refuses.len());
    let is_refusal = |update: &&UpdateObservation| update.outgoing == Outgoing::Refused;
    let (refused, done): (Vec<_>, Vec<_>) =
        ota.updates.iter().filter(|update| update.reported).partition(is_refusal);
    let all = |planned: usize| Limits { lower: Some(planned as f64), upper: None };
    let took = ota.updates.iter().find(|update| update.outgoing == Outgoing::Runs);
    let took = took.map(|update| update.took_ms as f64);
    if bad > 0 {
        let refused = Some(refused.len() as f64);
        finding.measure(
            Code::OtaFailed,
            [Measurement::number("images_refused", refused, "", all(bad))],
        );
    }
    finding.measure(
        Code::OtaFailed,
        [
            Measurement::number("updates", Some(done.len() as f64), "", all(planned)),
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
        Outgoing::Refused if update.accepted => {
            let took = "the unit took it, and restarted with it".to_owned();
            return Some(Diagnosis::new(Code::OtaAcceptedBadImage, took));
        }
        Outgoing::Runs | Outgoing::Refused => Code::OtaFailed,
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
