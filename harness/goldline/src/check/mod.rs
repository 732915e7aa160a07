//! The QC list: observations and plan → outcomes.
//!
//! A check is a pure function. It never asks a device or a service for anything: what it needs, the
//! engine observed before. A check that depends on the testbed blames the unit only when a witness
//! says that the service was sound.

mod boot_fact;
mod ca_registration;
mod command;
mod conduct;
mod console_status;
mod crash;
mod device_id;
mod factory_reset;
mod flash_integrity;
mod hearsay;
mod interface_off;
mod line;
mod log;
mod mqtt_connect;
mod network_join;
mod nvs_foreign;
mod nvs_readback;
mod observations;
mod ota_update;
mod reasons;
mod registry_record;
mod restarts;
mod secret_hygiene;
mod security_state;
mod server_trust;
mod signal;
mod slot;
mod start;
pub mod stops;
mod test_alert;
mod unit_calls;
mod wifi_join;
mod witness;

use crate::{
    plan::{BoundPlan, Scope},
    profile::{CheckId, CheckSpec, Profile},
    record::{CheckRecord, Code, Diagnosis, Limits, Measurement, Outcome, Verdict},
};

pub use boot_fact::BootFact;
pub(crate) use command::is_met;
pub use crash::Crash;
pub use interface_off::NOT_PROVEN;
pub use line::{LineKind, is_logged, kind_of, plain};
pub use log::{LogFacts, UnitLog};
pub use nvs_foreign::FRAMEWORKS;
pub use observations::{
    AlertObservation, Answered, ApiObservation, AtAccessPoint, Blame, BrokerObservation,
    CaObservation, Conduct, DeviceIdObservation, DialogueObservation, Difference, Evidence,
    ExchangeObservation, FusesSeen, Hearsay, JoinObservation, Leftovers, Lost, NestDoubt, NestPath,
    Observations, Observer, OtaObservation, Outgoing, OwnTestObservation, PortalSeen, Refusal,
    RefusedFor, RegistryObservation, Remaining, ServiceObservation, SpanDigest, StartObservation,
    Stop, ToldBy, TrustObservation, UpdateObservation,
};
pub use reasons::{reasons, reasons_to_stop};
pub use witness::{Credential, ProbeReport, Service, UnitSuccess, Witness};

/// What is judged without the unit running.
const ON_FLASH: [CheckId; 2] = [CheckId::FlashIntegrity, CheckId::NvsReadback];

/// When a unit holds what it is shipped with, in sentences.
const FINALLY: &str = "as it is shipped";

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// `None` when the plan had no QC.
    pub verdict: Option<Verdict>,
    /// The first reason of the gravest kind.
    pub diagnosis: Option<Diagnosis>,
    /// In the profile's order.
    pub checks: Vec<CheckRecord>,
}

/// Judges a whole run; `plan` is missing when the unit was never identified.
pub fn judge(
    profile: &Profile,
    scope: Scope,
    plan: Option<&BoundPlan>,
    seen: &Observations,
) -> Judgement {
    let judge = |spec| judge_one(spec, plan, seen);
    let mut checks: Vec<CheckRecord> =
        profile.checks.iter().filter(|spec| scope.includes(spec.id, profile)).map(judge).collect();
    weigh_nest(&mut checks, seen);
    let mut stopped = seen.stopped.as_ref().map(|stop| stop.diagnosis.clone());
    name_panic(&mut checks, stopped.as_mut(), seen);
    if scope == Scope::Provision {
        return provisioned(checks, stopped, seen);
    }
    // A test alone makes no unit that can be shipped.
    let is_unfinished = plan.is_some_and(BoundPlan::is_of_two) && seen.finally.is_none();
    let verdict = match verdict(&checks, seen) {
        Verdict::Pass if is_unfinished => Verdict::Error,
        verdict => verdict,
    };
    let diagnosis = match verdict {
        Verdict::Pass => None,
        Verdict::Aborted => Some(aborted()),
        Verdict::Fail => first_diagnosis(&checks, Outcome::Fail).or(stopped),
        Verdict::Error => stopped.or_else(|| first_diagnosis(&checks, Outcome::Error)),
    };
    Judgement { verdict: Some(verdict), diagnosis, checks }
}

fn verdict(checks: &[CheckRecord], seen: &Observations) -> Verdict {
    let stopped = seen.stopped.iter().map(|stop| stop.blame);
    match Verdict::of(checks.iter().map(|check| check.outcome).chain(stopped)) {
        // A witnessed FAIL stands even when the run was stopped afterwards.
        Verdict::Fail => Verdict::Fail,
        _ if seen.aborted => Verdict::Aborted,
        verdict => verdict,
    }
}

/// A nest's supply can break down as well as a unit's own: only one that is known to be good lets a unit be blamed
/// for what follows of it.
fn weigh_nest(checks: &mut [CheckRecord], seen: &Observations) {
    let Some(NestDoubt { lost, known }) = &seen.nest else { return };
    let resets = [Code::BootLoop, Code::BootUnexpectedReset, Code::BootSilent];
    let of_flash = |id: &str| ON_FLASH.iter().any(|check| check.name() == id);
    for check in checks.iter_mut().filter(|check| check.outcome == Outcome::Fail) {
        let follows = |code| match lost {
            Lost::Supply => resets.contains(&code),
            // Whatever a unit is asked for over a contact that is open.
            Lost::Words => !of_flash(&check.id),
        };
        let Some(why) = check.diagnosis.as_mut().filter(|why| follows(why.code)) else {
            continue;
        };
        match known {
            Ok(witness) => why.message += &format!("; witness: {witness}"),
            Err(unknown) => {
                let message = format!(
                    "{}, which a contact or the nest's supply can do too, and {unknown}: {}",
                    lost.words(),
                    why.message
                );
                check.outcome = Outcome::Error;
                *why = Diagnosis::new(Code::NestUnsure, message);
            }
        }
    }
}

/// Where the firmware crashed stands with whatever a crash is the reason of.
fn name_panic(checks: &mut [CheckRecord], stopped: Option<&mut Diagnosis>, seen: &Observations) {
    let Some(panic) = &seen.panic else { return };
    let sentence = panic.sentence().map(|sentence| format!("; it {sentence}")).unwrap_or_default();
    let is_crash =
        |why: &&mut Diagnosis| [Code::BootLoop, Code::BootUnexpectedReset].contains(&why.code);
    let mut is_told = false;
    for check in checks {
        if let Some(why) = check.diagnosis.as_mut().filter(is_crash) {
            why.message += &sentence;
            check.evidence.extend(panic.evidence());
            is_told = true;
        }
    }
    if let Some(why) = stopped.filter(is_crash) {
        why.message += &sentence;
        if !is_told && let Some(note) = &panic.note {
            why.message += &format!("; {note}");
        }
    }
}

/// Provisioning has no verdict: a diagnosis says that it did not succeed.
fn provisioned(
    mut checks: Vec<CheckRecord>,
    stopped: Option<Diagnosis>,
    seen: &Observations,
) -> Judgement {
    checks.retain(|check| check.outcome != Outcome::NotRun);
    let diagnosis = if seen.aborted { Some(aborted()) } else { stopped };
    let diagnosis = diagnosis
        .or_else(|| first_diagnosis(&checks, Outcome::Fail))
        .or_else(|| first_diagnosis(&checks, Outcome::Error));
    Judgement { verdict: None, diagnosis, checks }
}

fn aborted() -> Diagnosis {
    Diagnosis::new(Code::Aborted, "the run was stopped")
}

/// Whether a unit passed all that is judged before it is given what it is shipped with: everything but its row in the
/// registry, which says that it has it.
pub fn has_passed_test(plan: &BoundPlan, seen: &Observations) -> bool {
    let is_tested = |spec: &&CheckSpec| spec.id != CheckId::RegistryRecord;
    let mut tested = plan.plan().checks().filter(is_tested);
    tested.all(|spec| judge_one(spec, Some(plan), seen).outcome == Outcome::Pass)
}

/// Why what a unit is to be shipped with does not lie in its flash; `None` when it does, all of it and nothing else.
pub fn final_flaw(plan: &BoundPlan, seen: &Observations) -> Option<Diagnosis> {
    let mut finding = Finding::ran();
    flash_integrity::judge_final(plan, seen, &mut finding);
    nvs_readback::judge_final(plan, seen, &mut finding);
    finding.blame.map(|(_, why)| why)
}

/// Judges what can be judged before the first boot: `false` keeps the unit from being booted.
pub fn flash_is_sound(plan: &BoundPlan, seen: &Observations) -> bool {
    plan.profile().checks.iter().filter(|spec| ON_FLASH.contains(&spec.id)).all(|spec| {
        let outcome = judge_one(spec, Some(plan), seen).outcome;
        !matches!(outcome, Outcome::Fail | Outcome::Error)
    })
}

fn first_diagnosis(checks: &[CheckRecord], outcome: Outcome) -> Option<Diagnosis> {
    checks.iter().filter(|check| check.outcome == outcome).find_map(|check| check.diagnosis.clone())
}

fn judge_one(spec: &CheckSpec, plan: Option<&BoundPlan>, seen: &Observations) -> CheckRecord {
    let Some(both) = plan else { return Finding::not_run().into_record(spec.name()) };
    let plan = both.tested();
    if seen.not_vouched_for && !ON_FLASH.contains(&spec.id) {
        return Finding::not_run().into_record(spec.name());
    }
    let finding = match spec.id {
        CheckId::FlashIntegrity => flash_integrity::judge(both, seen),
        CheckId::NvsReadback => nvs_readback::judge(both, seen),
        CheckId::Start => start::judge(spec, seen),
        CheckId::WifiJoin => wifi_join::judge(spec, plan, seen),
        CheckId::NetworkJoin => network_join::judge(spec, seen),
        CheckId::MqttConnect => mqtt_connect::judge(spec, plan, seen),
        CheckId::SecretHygiene => secret_hygiene::judge(seen),
        CheckId::DeviceId => device_id::judge(seen),
        CheckId::FactoryReset => factory_reset::judge(seen),
        CheckId::RegistryRecord => registry_record::judge(spec, seen),
        CheckId::TimeSync => unit_calls::judge_time(spec, plan, seen),
        CheckId::RemoteConfig => unit_calls::judge_configuration(spec, plan, seen),
        CheckId::CaRegistration => ca_registration::judge(spec, plan, seen),
        CheckId::TestAlert => test_alert::judge(spec, plan, seen),
        CheckId::ConsoleStatus => console_status::judge(seen),
        CheckId::InterfaceOff => interface_off::judge(plan, seen),
        CheckId::Command => command::judge(spec, seen),
        CheckId::ServerTrust => server_trust::judge(plan, seen),
        CheckId::OtaUpdate => ota_update::judge(spec, plan, seen),
        CheckId::SecurityState => security_state::judge(both, seen),
    };
    let mut record = finding.into_record(spec.name());
    record.evidence.extend(heard_before(spec.id, seen));
    record
}

/// What was said of the unit before it was heard once more.
fn heard_before(id: CheckId, seen: &Observations) -> Option<String> {
    let misheard = seen.misheard.as_ref().filter(|misheard| misheard.check == Some(id))?;
    Some(format!("at the 1st attempt, and only by its log: {}", misheard.message))
}

/// What one check found; becomes a [`CheckRecord`].
#[derive(Debug, Default)]
struct Finding {
    ran: bool,
    measurements: Vec<Measurement>,
    evidence: Vec<String>,
    blame: Option<(Outcome, Diagnosis)>,
}

impl Finding {
    /// The check could not run.
    fn not_run() -> Self {
        Self::default()
    }

    /// The check ran; nothing is known yet.
    fn ran() -> Self {
        Self { ran: true, ..Self::default() }
    }

    /// The unit is bad. The first reason stands.
    fn fail(&mut self, code: Code, message: impl Into<String>) {
        self.blame.get_or_insert_with(|| (Outcome::Fail, Diagnosis::new(code, message)));
    }

    /// The unit is bad, whatever is wrong with the bench: a FAIL outranks an ERROR.
    fn fail_outranking(&mut self, code: Code, message: impl Into<String>) {
        if !matches!(self.blame, Some((Outcome::Fail, _))) {
            self.blame = Some((Outcome::Fail, Diagnosis::new(code, message)));
        }
    }

    /// Blames the unit when the witness found the service sound, and the testbed otherwise.
    fn fail_with_witness(
        &mut self,
        code: Code,
        testbed: Code,
        message: String,
        witness: Option<&Witness>,
    ) {
        match witness {
            Some(witness) if witness.is_sound() => {
                self.evidence.push(format!("witness: {}", witness.detail()));
                self.fail(code, message);
            }
            Some(witness) => {
                self.evidence.push(format!("the unit: {message}"));
                self.error(testbed, witness.detail());
            }
            None => {
                self.error(
                    testbed,
                    format!("{message}; no witness tells whether the bench was sound"),
                );
            }
        }
    }

    /// Puts advice for this very case in the place of the code's own.
    fn advise(&mut self, code: Code, action: &str) {
        if let Some((_, diagnosis)) = self.blame.as_mut().filter(|(_, found)| found.code == code) {
            action.clone_into(&mut diagnosis.action);
        }
    }

    /// Nothing can be said of the unit.
    fn error(&mut self, code: Code, message: impl Into<String>) {
        self.blame.get_or_insert_with(|| (Outcome::Error, Diagnosis::new(code, message)));
    }

    /// What is missing in the serial log is held against the unit only when all of it was heard.
    fn fail_for_absence(&mut self, code: Code, message: impl Into<String>, seen: &Observations) {
        let message = message.into();
        match seen.lines_lost {
            0 => self.fail(code, message),
            lost => self.error(Code::ConsoleFull, console_full(lost, &message)),
        }
    }

    /// Adds measurements; one outside its limits, or never set, fails with that code.
    fn measure(&mut self, code: Code, measurements: impl IntoIterator<Item = Measurement>) {
        for measurement in measurements {
            if measurement.outcome != Outcome::Pass {
                self.fail(code, describe(&measurement));
            }
            self.measurements.push(measurement);
        }
    }

    /// Adds how long certificates are still valid that are not the unit's own: out of its limits, nothing is
    /// said of the unit. Without a limit it is said when the end is near.
    fn measure_remaining(&mut self, spec: &CheckSpec, of: &Certificates, seen: Option<&Remaining>) {
        let bounds = limits(spec, of.measurement);
        let is_limited = spec.limits.contains_key(of.measurement);
        if seen.is_none() && !is_limited {
            return;
        }
        let days = seen.map(|seen| seen.days as f64);
        let measured = Measurement::number(of.measurement, days, "days", bounds);
        if let Some(seen) = seen.filter(|seen| seen.days <= SOON_DAYS) {
            let Remaining { days, subject } = seen;
            self.evidence.push(format!("{} {subject} ends in {days} days", of.whose));
        }
        if measured.outcome != Outcome::Pass {
            self.error(of.fault, describe(&measured));
            self.advise(of.fault, of.action);
        }
        self.measurements.push(measured);
    }

    fn into_record(self, id: &str) -> CheckRecord {
        let (outcome, diagnosis) = match self.blame {
            _ if !self.ran => (Outcome::NotRun, None),
            // Nothing passes unmeasured, however well it looks.
            None if self.measurements.is_empty() => (Outcome::NotRun, None),
            None => (Outcome::Pass, None),
            Some((outcome, diagnosis)) => (outcome, Some(diagnosis)),
        };
        CheckRecord {
            id: id.to_owned(),
            outcome,
            diagnosis,
            measurements: self.measurements,
            evidence: self.evidence,
        }
    }
}

/// From when on an end is said to be near without being limited.
const SOON_DAYS: i64 = 30;

/// Certificates of a service that the unit depends on.
struct Certificates {
    measurement: &'static str,
    /// Such as "the broker's certificate".
    whose: &'static str,
    /// Of the testbed.
    fault: Code,
    action: &'static str,
}

/// Why something that is missing in the serial log proves nothing.
fn console_full(lost: usize, missing: &str) -> String {
    format!(
        "the console buffer was full and {lost} lines were lost: {missing}, as far as was heard"
    )
}

fn describe(measurement: &Measurement) -> String {
    let Measurement { name, value, unit, lower, upper, .. } = measurement;
    if value.is_null() {
        return format!("{name} was never measured");
    }
    let bound = |bound: &Option<f64>| bound.map_or_else(|| "any".to_owned(), |b| b.to_string());
    format!("{name} is {value} {unit}, expected {} to {}", bound(lower), bound(upper))
}

fn limits(spec: &CheckSpec, name: &str) -> Limits {
    spec.limits.get(name).copied().unwrap_or_default()
}
