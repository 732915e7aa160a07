//! From settings to test cases: one for each profile and check.
//!
//! Must not know how a run is shared or made.

use std::sync::Arc;

use goldline::profile::{CheckId, Listed};
use libtest_mimic::{Failed, Trial};

use super::{
    failure,
    session::{Ended, Session},
    settings::Settings,
    unit_run::UnitRun,
};

/// All cases, by profile, in the profile's order of checks.
pub fn of(settings: Settings) -> Vec<Trial> {
    let settings = Arc::new(settings);
    settings.profiles.iter().flat_map(|listed| of_profile(&settings, listed)).collect()
}

/// A case that cannot be run and says why.
pub fn failing(name: impl Into<String>, why: String) -> Trial {
    Trial::test(name, || Err(why.into()))
}

fn of_profile(settings: &Arc<Settings>, listed: &Listed) -> Vec<Trial> {
    let skipped = settings.only.as_ref().is_some_and(|only| *only != listed.name);
    let trials = match listed.load() {
        Ok(profile) => {
            profile.checks.iter().map(|check| of_check(settings, listed, check.id)).collect()
        }
        Err(error) => vec![failing(format!("{}::profile", listed.name), error.to_string())],
    };
    trials.into_iter().map(|trial| trial.with_ignored_flag(skipped)).collect()
}

fn of_check(settings: &Arc<Settings>, listed: &Listed, check: CheckId) -> Trial {
    let (settings, listed) = (Arc::clone(settings), listed.clone());
    Trial::test(format!("{}::{}", listed.name, check.name()), move || {
        refuse_other_product(&settings, &listed.name)?;
        let session = Session::open(&listed.name, &settings.run_key)?;
        let run = UnitRun::new(&settings, &listed);
        let ended = session.ended(|folder| run.start(folder))?;
        judge(&ended, check.name(), &session)
    })
}

/// A skipped case can be run by force; the unit in the nest is another product all the same.
fn refuse_other_product(settings: &Settings, name: &str) -> Result<(), Failed> {
    match &settings.only {
        Some(only) if only != name => {
            Err(format!("GOLDLINE_PROFILE is {only}: the unit is not run as {name}").into())
        }
        _ => Ok(()),
    }
}

fn judge(ended: &Ended, check: &str, session: &Session) -> Result<(), Failed> {
    match ended {
        Ended::Record(record) => failure::of_check(record, check, session.evidence())
            .map_or(Ok(()), |why| Err(why.into())),
        Ended::NoRecord { reason } => Err(reason.into()),
    }
}
