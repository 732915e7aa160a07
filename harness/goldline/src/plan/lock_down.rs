//! Evidence before and after a unit is locked: what each check still needs, and what a locked unit leaves of it.
//!
//! A unit whose profile locks it is run twice. First it is open: flash and NVS are compared, and its fuses are not
//! all burnt yet, so that `security_state` is gone without by name. Then it is locked, and checked: its loader gives no
//! digest and no bytes any more, and what it does is seen.

use super::{Excluded, Plan, Scope, Step, Steps, method};
use std::sync::Arc;

use crate::{
    identity::Mac,
    profile::{CheckId, Profile},
};

const NOT_LOCKED_YET: &str =
    "the unit is locked afterwards: goldline check --locked MAC judges its fuses";

/// What needs the loader to digest and read the flash.
const NEEDS_OPEN_LOADER: [CheckId; 3] =
    [CheckId::FlashIntegrity, CheckId::NvsReadback, CheckId::FactoryReset];

/// Why a unit cannot be checked as a locked one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum NotLocked {
    #[error("--locked is of one unit, in goldline check")]
    Scope,
    #[error("--locked: the profile {profile} demands nothing of its units that locks them")]
    NotDemanded { profile: String },
}

impl NotLocked {
    /// What to do about it.
    pub fn action(&self) -> String {
        match self {
            Self::Scope => {
                "name one device, and check it; what gives a unit values needs its loader"
                    .to_owned()
            }
            Self::NotDemanded { .. } => {
                "leave it out, or demand download_mode or flash_encryption in [security]".to_owned()
            }
        }
    }
}

/// The profile as it is tested on a unit that is not locked yet, where that is asked for by name.
pub fn before_lock_down(
    profile: Profile,
    scope: Scope,
    without: &mut Vec<CheckId>,
) -> (Profile, Vec<Excluded>) {
    let locks = profile.security.as_ref().is_some_and(|demand| demand.locks().is_some());
    let named = without.iter().position(|check| *check == CheckId::SecurityState);
    let judged = profile.checks.iter().any(|spec| spec.id == CheckId::SecurityState);
    match named.filter(|_| locks && judged && scope != Scope::Provision) {
        None => (profile, Vec::new()),
        Some(named) => {
            without.remove(named);
            let excluded = Excluded { check: CheckId::SecurityState, because: NOT_LOCKED_YET };
            (leaving_out(profile, &[CheckId::SecurityState]), vec![excluded])
        }
    }
}

/// The profile as it can be proven of a locked unit, and what it goes without.
///
/// # Errors
/// [`NotLocked`] when no unit of it is one.
pub fn of_locked(
    profile: Profile,
    scope: Scope,
    units: usize,
) -> Result<(Profile, Vec<Excluded>), NotLocked> {
    if scope != Scope::Check || units != 1 || profile.is_tested_then_finished() {
        return Err(NotLocked::Scope);
    }
    let Some(because) = profile.security.as_ref().and_then(|demand| demand.locks()) else {
        return Err(NotLocked::NotDemanded { profile: profile.name });
    };
    let gone =
        profile.checks.iter().map(|spec| spec.id).filter(|id| NEEDS_OPEN_LOADER.contains(id));
    let excluded = gone.map(|check| Excluded { check, because }).collect();
    Ok((leaving_out(profile, &NEEDS_OPEN_LOADER), excluded))
}

fn leaving_out(mut profile: Profile, gone: &[CheckId]) -> Profile {
    profile.checks.retain(|spec| !gone.contains(&spec.id));
    profile
}

impl Plan {
    /// Makes the plan for a unit that is locked: of a profile that [`of_locked()`] gave.
    pub fn of_locked(profile: Arc<Profile>, mac: Mac, excluded: Vec<Excluded>) -> Self {
        let scope = Scope::Check;
        let steps = method::steps(&profile, scope).into_iter().filter(|step| {
            !matches!(step, Step::CollectEvidence { .. } | Step::Gate | Step::ReadNvs(_))
        });
        let steps = Steps::new(steps.collect()).expect("what is left needs no flash");
        Self { profile, scope, steps, excluded, golden: None, locked: Some(mac) }
    }
}
