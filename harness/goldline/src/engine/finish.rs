//! What a unit is shipped with, after it was tested with other values: erased, written, read back, and never started.
//!
//! Must not judge: `check` says whether the test was passed, and whether the final image is there.

use super::{
    Failure, Next, Run,
    again::Again,
    flash_writing::{Laid, erase_rest},
    phase::Phase,
};
use crate::{
    check::{final_flaw, has_passed_test},
    plan::{Span, Step, Stretch},
};

impl Run {
    /// Only a unit that passed its test is given what it is shipped with. From here on the plan is that.
    pub(super) fn judge_test(&mut self) -> Next {
        self.keep_console();
        self.note_traffic();
        self.note_namesake();
        let plan = self.phase.plan();
        if !plan.is_some_and(|plan| has_passed_test(plan, &self.seen)) {
            return Next::Enough;
        }
        if let Phase::Placed(placed) = &mut self.phase {
            placed.plan.turn_final();
        }
        // Nothing that it said is heard once more: for that it would have to start.
        if matches!(self.again, Again::From(_)) {
            self.again = Again::NotYet;
        }
        Next::GoOn
    }

    /// Whatever the test left in the spans; what is erased already is not erased again.
    pub(super) async fn erase_tested(&mut self, spans: &[Span]) -> Result<(), Failure> {
        let nothing_laid = |span: &Span| Laid {
            at: Stretch { offset: span.offset, size: span.size },
            image: Vec::new(),
        };
        let stretches: Vec<Laid> = spans.iter().map(nothing_laid).collect();
        let erased = self.with_device(move |device| erase_rest(device, &stretches)).await?;
        self.note_flashed(erased.flashed);
        Ok(())
    }

    /// A unit whose final image is not there byte for byte is no good one, however well its test went.
    pub(super) fn require_final(&self) -> Result<(), Failure> {
        match final_flaw(self.bound()?, &self.seen) {
            Some(why) => Err(Failure::Unit(why)),
            None => Ok(()),
        }
    }

    pub(super) async fn hold(&mut self) -> Result<(), Failure> {
        self.seen.left = Some(self.with_device(|device| Ok(device.hold())).await?);
        Ok(())
    }

    /// How far the run came, for whoever finds the unit when it ended there.
    pub(super) fn stage_noted(&self, step: &Step) -> String {
        let stage = step.stage();
        let is_tested = self.phase.plan().is_some_and(|plan| plan.is_of_two() && !plan.is_final());
        match is_tested {
            true => format!("{stage}, with the values of its test aboard"),
            false => stage,
        }
    }
}
