//! What is on the station's disk before a unit is changed: that it will be, by which run and which step.
//!
//! A power cut leaves a unit half written, and the next command must not hold that against it.

use std::{future::Future, pin::Pin, sync::Arc};

use super::{Failure, Run};
use crate::{
    check::stops,
    identity::Mac,
    plan::{Purpose, Step},
    record::Diagnosis,
};

/// Notes that a run of this unit comes to a step, or says why it cannot. What the unit was until now decides
/// whether the note must be on the disk first.
pub type NoteChange = Arc<dyn Fn(Mac, &str, Change) -> Result<(), String> + Send + Sync>;

/// Whether a unit is as its last run left it on purpose; says what became of that run otherwise.
pub type AskStanding =
    Arc<dyn Fn(Mac) -> Pin<Box<dyn Future<Output = Result<(), Diagnosis>> + Send>> + Send + Sync>;

/// What a run did to its unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Change {
    /// Nothing: it is as it was.
    #[default]
    None,
    /// It was being changed when the run ended.
    Begun,
    /// All that was to be changed was.
    Done,
}

impl Run {
    /// The first change of a unit is noted or not made. Later steps only say how far the run came.
    pub(super) fn note_change(&mut self, step: &Step) -> Result<(), Failure> {
        if self.change == Change::None && !step.changes_unit() {
            return Ok(());
        }
        let noted = (self.note_change)(self.mac()?, &self.stage_noted(step), self.change);
        match noted {
            Err(why) if self.change == Change::None => {
                return Err(Failure::Service(stops::station(why)));
            }
            Err(why) => tracing::warn!(why, "it was not noted how far the run came"),
            Ok(()) => {}
        }
        if step.changes_unit() {
            self.change = Change::Begun;
        }
        Ok(())
    }

    /// After a step was done: whether the unit is changed further before it is tried.
    pub(super) fn note_changed(&mut self, index: usize) {
        let changes = |step: &Step| step.changes_unit();
        let trial = |step: &&Step| !matches!(step, Step::Boot(Purpose::Trial) | Step::Try);
        let further = self.plan.steps[index + 1..].iter().take_while(trial).any(changes);
        if changes(&self.plan.steps[index]) && !further {
            self.change = Change::Done;
        }
    }

    /// A unit that is judged by what this station gave it must be as a run left it on purpose.
    pub(super) async fn ask_standing(&mut self, mac: Mac) -> Result<(), Failure> {
        match self.plan.scope.remembers() {
            true => (self.standing)(mac).await.map_err(Failure::Service),
            false => Ok(()),
        }
    }
}
