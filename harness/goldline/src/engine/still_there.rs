//! Who lies there when a unit that ran is to be blamed: what another one did, or none, is not its fault.
//!
//! A unit that passes is asked anyway, by the last read-back. Where nothing is lost on contacts, nobody is asked. Must
//! not judge.

use super::{Change, Failure, Run, nest::Doubt, nest::Stand};
use crate::{
    check::judge,
    device::DeviceError,
    identity::Mac,
    plan::Step,
    record::{Code, Diagnosis, Outcome},
};

/// Name of the stage.
const STAGE: &str = "identify_again";

impl Run {
    /// Asks a unit that ran, and would be blamed for what it did, once more who it is.
    pub(super) async fn ask_who_is_blamed(&mut self) {
        let Stand::Nest(_) = self.stand else { return };
        if self.running().is_err() || self.cancel.is_cancelled() || !self.blames_unit() {
            return;
        }
        let Err(failure) = self.timed(STAGE, Self::enter_loader).await else { return };
        if let Some(failure) = self.speaks_for_the_unit(failure).await {
            self.seen.not_vouched_for = true;
            self.stop(STAGE, failure);
        }
    }

    fn blames_unit(&self) -> bool {
        let stopped = self.seen.stopped.as_ref().map(|stop| stop.blame);
        let (profile, scope) = (&self.plan.profile, self.plan.scope);
        let checks = judge(profile, scope, self.phase.plan(), &self.seen).checks;
        checks.iter().map(|check| check.outcome).chain(stopped).any(|one| one == Outcome::Fail)
    }

    /// What came of asking, where it says that the unit may not have been there.
    async fn speaks_for_the_unit(&mut self, failure: Failure) -> Option<Failure> {
        match failure {
            Failure::Device(DeviceError::Exchanged { .. }) => Some(failure),
            Failure::PortVanished | Failure::Device(DeviceError::Vanished { .. }) => {
                Some(self.one_of_several(failure).await)
            }
            Failure::Device(
                DeviceError::NoAnswer { .. }
                | DeviceError::TimedOut { .. }
                | DeviceError::Garbled { .. },
            ) => self.unless_nest_is_good(&failure).await,
            // It cannot be asked, or the run is to end: what was seen of it stands.
            _ => None,
        }
    }

    /// A unit that answered when the run began and does not now was taken out, or lies badly.
    async fn unless_nest_is_good(&mut self, failure: &Failure) -> Option<Failure> {
        let mac = self.seen.chip.as_ref().map(|chip| chip.mac);
        let why = self.stand.clone().vouched(Doubt::Contacts, mac).await.err()?;
        let message = format!(
            "when it was to be blamed the unit answered no more, which a contact can do or whoever took it out, and {why}: {failure}"
        );
        Some(Failure::Service(Diagnosis::new(Code::NestUnsure, message)))
    }

    /// Before a step: what it gives to a unit that runs is given to whoever lies there.
    pub(super) fn note_given_to_whoever_runs(&mut self, step: &Step) {
        let gives = step.changes_unit() && !matches!(step, Step::Boot(_));
        self.given_to_whoever_runs |= gives && self.running().is_ok();
    }

    /// Another unit lies there. Nothing that was seen since the first one was asked is known to be of it, nor that it
    /// has what was given meanwhile; and the other may have it.
    pub(super) fn forget_what_ran(&mut self, other: Mac, stage: &str) {
        self.seen.not_vouched_for = true;
        if !self.given_to_whoever_runs {
            return;
        }
        self.change = Change::Begun;
        if let Err(why) = (self.note_change)(other, stage, Change::None) {
            tracing::warn!(why, %other, "it was not noted that another unit may have been changed");
        }
    }
}
