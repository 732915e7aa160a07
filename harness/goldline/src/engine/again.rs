//! The second hearing. What came once over the console may fail no unit: when a unit would fail for
//! that alone, it is booted once more, and what it says then is judged.
//!
//! Never more than once in a run, and never after a crash or a reset of its own: that is the unit's fault
//! however seldom it comes. What is heard again starts at the last boot, with all that was known before it;
//! a secret that was printed stays printed. Must not judge: `check` says what is hearsay.

use std::ops::Range;

use super::{
    Failure, Next, Run,
    phase::{Activity, Phase},
};
use crate::{
    check::{Hearsay, LogFacts, Observations, judge},
    plan::Purpose,
    record::{Stage, Verdict},
};

/// Whether a unit can be heard once more, and from where on.
#[derive(Default)]
pub(super) enum Again {
    /// It never ran.
    #[default]
    NotYet,
    /// It runs since this start.
    From(Box<Start>),
    /// It was: these stages are done twice.
    Done(Range<usize>),
}

/// Where the unit was given its values by a console that gives nothing back: a bit that was inverted on their way
/// shows only in what the unit does with them.
#[derive(Default)]
pub(super) struct Given {
    start: Option<Box<Start>>,
    pub(super) blindly: bool,
}

/// What was so before a boot.
#[derive(Clone)]
pub(super) struct Start {
    step: usize,
    stage: usize,
    seen: Observations,
}

impl Run {
    /// A boot is about to be done.
    pub(super) fn remember_start(&mut self, step: usize, purpose: Purpose) {
        if matches!(self.again, Again::Done(_)) {
            return;
        }
        self.keep_console();
        let start = Start { step, stage: self.stages.len(), seen: self.seen.clone() };
        if purpose == Purpose::Provisioning {
            self.given = Given { start: Some(Box::new(start.clone())), blindly: false };
        }
        self.again = Again::From(Box::new(start));
    }

    /// The step from which the unit is given its values once more, where it would fail with those that nobody saw
    /// arrive. A reset of its own is no matter of values.
    pub(super) fn give_again(&mut self) -> Option<usize> {
        if !self.given.blindly || self.cancel.is_cancelled() {
            return None;
        }
        self.keep_console();
        let judgement = judge(&self.plan.profile, self.plan.scope, self.phase.plan(), &self.seen);
        let fails = judgement.verdict == Some(Verdict::Fail);
        if !fails || self.judged_facts().unexpected_resets() > 0 {
            return None;
        }
        let start = std::mem::take(&mut self.given).start?;
        let message = judgement.diagnosis.map(|why| why.message).unwrap_or_default();
        Some(self.go_back(*start, Hearsay { check: None, message }))
    }

    /// The step from which the unit is heard once more, after one that came to this.
    pub(super) fn hear_again(&mut self, outcome: &Result<Next, Failure>) -> Option<usize> {
        if !matches!(self.again, Again::From(_)) || self.cancel.is_cancelled() {
            return None;
        }
        let hearsay = self.hearsay(outcome)?;
        self.keep_console();
        let Again::From(start) = std::mem::take(&mut self.again) else { return None };
        Some(self.go_back(*start, hearsay))
    }

    /// All as it was then, but for what it leaked.
    fn go_back(&mut self, start: Start, hearsay: Hearsay) -> usize {
        let Start { step, stage, seen } = start;
        let leaked = std::mem::replace(&mut self.seen, seen).leaked;
        self.seen.leaked.extend(leaked);
        self.seen.misheard = Some(hearsay);
        // The log of the boot that is forgotten is kept no more.
        if let Phase::Placed(placed) = &mut self.phase {
            placed.activity = Activity::Rests(None);
        }
        self.again = Again::Done(stage..self.stages.len());
        step
    }

    fn hearsay(&self, outcome: &Result<Next, Failure>) -> Option<Hearsay> {
        let facts = self.judged_facts();
        match outcome {
            Ok(_) => Hearsay::among(&self.plan.profile, &self.seen, &facts),
            Err(Failure::Unit(diagnosis)) => Hearsay::of_stop(diagnosis, &self.seen, &facts),
            Err(_) => None,
        }
    }

    /// What the log claims that is judged: an update restarts the unit, which is another log.
    pub(super) fn judged_facts(&self) -> LogFacts {
        let before_update = self.phase.last_boot().and_then(|boot| boot.before_update.as_ref());
        before_update.map_or_else(|| self.hearing.facts(), |(_, facts)| facts.clone())
    }

    /// A stage that is done twice is one stage, at the 2nd attempt. The second time has the same order.
    pub(super) fn note_stage(&mut self, stage: Stage) {
        let known = match &mut self.again {
            Again::Done(twice) => twice.next().and_then(|index| self.stages.get_mut(index)),
            _ => None,
        };
        match known {
            Some(known) => {
                known.duration_ms += stage.duration_ms;
                known.attempts = known.attempts.max(stage.attempts).max(2);
            }
            None => self.stages.push(stage),
        }
    }
}
