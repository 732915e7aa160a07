//! A unit of which the bench has the console alone: its flash cannot be read back, and no service of the bench is
//! in its reach. What of a profile is left to prove there, what is not, and why.
//!
//! Judged before anything is touched. Nothing is left out that the order does not go without by name. Must not
//! know which device that is.

use super::{Purpose, Scope, Step};
use crate::profile::{Caller, CheckId, Method, Profile};

const UNREAD: &str = "the flash of the unit cannot be read back where it runs";
const UNASKED: &str = "nobody asks for the eFuses of the unit where it runs";
const NOT_THE_BENCHS: &str =
    "the unit's network is none of the bench's, which does not see it join";
const OUT_OF_REACH: &str = "the services of the bench are out of the unit's reach";
const ELSEWHERE: &str = "no program of the bench measures a unit that runs elsewhere";
const UNSEEN: &str = "the bench does not see which networks the unit opens where it runs";

/// A check of the profile that a run goes without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Excluded {
    /// Which one.
    pub check: CheckId,
    /// Why it cannot be proven.
    pub because: &'static str,
}

/// A profile cannot be proven by the console alone.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum NotByConsole {
    #[error("this device proves nothing of {}", list(.excluded))]
    Unnamed { excluded: Vec<Excluded> },
    #[error("--without {}: this device can prove it", .check.name())]
    Provable { check: CheckId },
    #[error("--without {}: the profile {profile} has no such check", .check.name())]
    NotAsked { check: CheckId, profile: String },
    #[error("nothing stays in a unit on this device: it is flashed anew by each run")]
    NothingStays,
    #[error(
        "units of the profile {profile} are given a final image after their test, and on this device none stays"
    )]
    NotFinished { profile: String },
    #[error(
        "units of the profile {profile} are given their values by {by}, which this device has no way for"
    )]
    NoWayToGive { profile: String, by: &'static str },
}

impl NotByConsole {
    /// What to do about it.
    pub fn action(&self) -> String {
        match self {
            Self::Unnamed { excluded } => {
                let names: Vec<&str> = excluded.iter().map(|one| one.check.name()).collect();
                format!(
                    "say that the run goes without: --without {}; the record names them",
                    names.join(",")
                )
            }
            Self::Provable { .. } | Self::NotAsked { .. } => "leave it out".to_owned(),
            Self::NotFinished { .. } => {
                "choose a simulated unit or a real port, or a profile with another policy in [mqtt]"
                    .to_owned()
            }
            Self::NothingStays => "choose goldline run".to_owned(),
            Self::NoWayToGive { .. } => {
                "choose a profile that flashes the values or types them: method = \"factory_image\", \"ca_registration\" or \"console\""
                    .to_owned()
            }
        }
    }
}

fn list(excluded: &[Excluded]) -> String {
    let one = |Excluded { check, because }: &Excluded| format!("{} ({because})", check.name());
    excluded.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The profile as it can be proven by the console, and the checks that the run goes without.
///
/// # Errors
/// [`NotByConsole`] when something of it cannot be done or proven there, and `without` does not name it.
pub fn by_console(
    profile: Profile,
    scope: Scope,
    without: &[CheckId],
) -> Result<(Profile, Vec<Excluded>), NotByConsole> {
    if scope != Scope::Run {
        return Err(NotByConsole::NothingStays);
    }
    if profile.is_tested_then_finished() {
        return Err(NotByConsole::NotFinished { profile: profile.name });
    }
    let by = match profile.method {
        Method::FactoryImage | Method::CaRegistration | Method::Console => None,
        Method::Portal => Some("a web portal"),
        Method::FactoryFirmware => Some("a firmware that is flashed over later"),
    };
    if let Some(by) = by {
        return Err(NotByConsole::NoWayToGive { profile: profile.name, by });
    }
    for &check in without {
        if profile.checks.iter().all(|spec| spec.id != check) {
            return Err(NotByConsole::NotAsked { check, profile: profile.name });
        }
        if reason(check, &profile).is_none() {
            return Err(NotByConsole::Provable { check });
        }
    }
    let excluded = profile.checks.iter().filter_map(|spec| {
        reason(spec.id, &profile).map(|because| Excluded { check: spec.id, because })
    });
    let excluded: Vec<Excluded> = excluded.collect();
    if excluded.iter().any(|one| !without.contains(&one.check)) {
        return Err(NotByConsole::Unnamed { excluded });
    }
    let mut checks = profile.checks.clone();
    checks.retain(|spec| excluded.iter().all(|one| one.check != spec.id));
    Ok((Profile { checks, ..profile }, excluded))
}

/// Why a check cannot be proven by the console; nothing where it can.
fn reason(check: CheckId, profile: &Profile) -> Option<&'static str> {
    match check {
        CheckId::FlashIntegrity | CheckId::NvsReadback | CheckId::FactoryReset => Some(UNREAD),
        CheckId::WifiJoin | CheckId::NetworkJoin => Some(NOT_THE_BENCHS),
        CheckId::TimeSync
        | CheckId::RemoteConfig
        | CheckId::MqttConnect
        | CheckId::TestAlert
        | CheckId::ServerTrust
        | CheckId::OtaUpdate => Some(OUT_OF_REACH),
        CheckId::CaRegistration => {
            let by_unit = profile.ca.as_ref().is_some_and(|ca| ca.called_by == Caller::Unit);
            by_unit.then_some(OUT_OF_REACH)
        }
        CheckId::SecurityState => Some(UNASKED),
        CheckId::Command => Some(ELSEWHERE),
        CheckId::InterfaceOff => {
            profile.interface_off.as_ref().is_some_and(|off| off.portal).then_some(UNSEEN)
        }
        CheckId::DeviceId
        | CheckId::RegistryRecord
        | CheckId::Start
        | CheckId::ConsoleStatus
        | CheckId::SecretHygiene => None,
    }
}

/// The steps that are left. A unit that was given values over its console is tried as it runs: nothing says whether
/// they would outlive a reset. The start of the application, which a join or the flash would show, is waited for, and
/// what came of it is looked at again at the end.
pub(super) fn steps_by_console(steps: Vec<Step>) -> Vec<Step> {
    let mut left = Vec::with_capacity(steps.len());
    let mut runs = false;
    for step in steps.into_iter().filter(can_be_done) {
        match step {
            Step::Boot(Purpose::Trial) if runs => left.push(Step::Try),
            Step::Boot(Purpose::Trial) => left.extend([step, Step::AwaitApplication]),
            step => {
                runs |= matches!(step, Step::Boot(Purpose::Provisioning));
                left.push(step);
            }
        }
    }
    if !matches!(left.last(), Some(Step::AwaitApplication)) {
        left.push(Step::AwaitApplication);
    }
    left
}

fn can_be_done(step: &Step) -> bool {
    match step {
        Step::Identify
        | Step::Register(_)
        | Step::RequestCredentials(_)
        | Step::Write(_)
        | Step::EraseRest(_)
        | Step::Boot(_)
        | Step::Try
        | Step::AwaitApplication
        | Step::StayUp(_)
        | Step::ReadDeviceId(_)
        | Step::Dialogue(_)
        | Step::RecordInRegistry(_) => true,
        Step::EnterLoader
        | Step::ReadNvs(_)
        | Step::ReadFuses(_)
        | Step::RewriteNvs(..)
        | Step::CollectEvidence { .. }
        | Step::Gate
        | Step::SubmitPortal(_)
        | Step::AwaitFactoryFirmware(_)
        | Step::SearchLeftovers(_)
        | Step::AwaitJoin
        | Step::AwaitTime
        | Step::AwaitConfiguration(_)
        | Step::AwaitCaCall(_)
        | Step::AwaitBroker
        | Step::Command(_)
        | Step::Alert(_)
        | Step::SeekPortal(_)
        | Step::Measure(_)
        | Step::OfferStranger
        | Step::Update(_)
        | Step::JudgeTest
        | Step::EraseTested(_)
        | Step::WriteFinal(_)
        | Step::Hold => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        plan::Plan,
        profile::{CheckSpec, find},
    };

    const UNPROVABLE: [CheckId; 4] =
        [CheckId::FlashIntegrity, CheckId::NvsReadback, CheckId::WifiJoin, CheckId::MqttConnect];

    fn espvault() -> Profile {
        find("espvault", None).expect("it ships")
    }

    #[test]
    fn what_is_not_named_is_refused_with_all_that_cannot_be_proven() {
        let refused = by_console(espvault(), Scope::Run, &UNPROVABLE[..3]);
        let Err(NotByConsole::Unnamed { excluded }) = refused else { panic!("{refused:?}") };
        let names: Vec<CheckId> = excluded.iter().map(|one| one.check).collect();
        assert_eq!(names, UNPROVABLE);
        let action = NotByConsole::Unnamed { excluded }.action();
        assert!(action.contains("--without flash_integrity,nvs_readback,wifi_join,mqtt_connect"));
    }

    #[test]
    fn what_is_left_touches_neither_flash_nor_network() {
        let by_console = by_console(espvault(), Scope::Run, &UNPROVABLE);
        let (profile, excluded) = by_console.expect("all are named");
        assert!(profile.checks.iter().all(|spec| !UNPROVABLE.contains(&spec.id)));
        let plan = Plan::by_console(Arc::new(profile), Scope::Run, excluded);
        let names: Vec<&str> = plan.steps.iter().map(Step::name).collect();
        let boot = names.iter().position(|name| *name == "boot").expect("it is started");
        assert_eq!(names[boot + 1], "application");
        assert_eq!(names.last(), Some(&"application"));
        assert!(!names.contains(&"read_back") && !names.contains(&"wifi_join"), "{names:?}");
        assert!(plan.to_string().contains("\nnot proven\n  flash_integrity: "), "{plan}");
    }

    #[test]
    fn nothing_provable_is_gone_without() {
        let mut profile = espvault();
        profile.checks.retain(|spec| spec.id != CheckId::MqttConnect);
        let without = |check| by_console(profile.clone(), Scope::Run, &[check]).map(drop);
        let absent = Err(NotByConsole::NotAsked {
            check: CheckId::MqttConnect,
            profile: "espvault".to_owned(),
        });
        assert_eq!(without(CheckId::MqttConnect), absent);
        let check = CheckId::SecretHygiene;
        let spec = CheckSpec::of(check);
        profile.checks.push(spec);
        let refused = by_console(profile, Scope::Run, &[check]).map(drop);
        assert_eq!(refused, Err(NotByConsole::Provable { check }));
    }

    #[test]
    fn a_unit_that_keeps_nothing_is_only_run() {
        for scope in [Scope::Provision, Scope::Check, Scope::FactoryReset] {
            let refused = by_console(espvault(), scope, &UNPROVABLE).map(drop);
            assert_eq!(refused, Err(NotByConsole::NothingStays));
        }
        for name in ["zeroconf-portal", "ble-gateway-factory"] {
            let profile = find(name, None).expect("it ships");
            let refused = by_console(profile, Scope::Run, &[]).map(drop);
            assert!(matches!(refused, Err(NotByConsole::NoWayToGive { .. })), "{refused:?}");
        }
    }

    #[test]
    fn a_unit_that_was_given_its_values_over_the_console_is_not_reset() {
        let profile = find("safesignal", None).expect("it ships");
        let all = profile.checks.iter().map(|spec| spec.id);
        let without: Vec<CheckId> = all.filter(|id| reason(*id, &profile).is_some()).collect();
        let (profile, excluded) = by_console(profile, Scope::Run, &without).expect("all named");
        let plan = Plan::by_console(Arc::new(profile), Scope::Run, excluded);
        let names: Vec<&str> = plan.steps.iter().map(Step::name).collect();
        let from = names.iter().position(|name| *name == "boot_to_provision").expect("it starts");
        let rest =
            ["boot_to_provision", "console_provision", "try", "console_status", "application"];
        assert_eq!(names[from..], rest);
    }
}
