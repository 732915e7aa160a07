//! Waiting for what units share: no time of it is a measurement of the unit.
//!
//! Must not know who counts the pieces.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Failure, Run, millis};
use crate::{
    plan::{Purpose, Step},
    profile::Resource,
    record::{Diagnosis, Stage},
};

/// A piece of what units share, until it is dropped.
pub type Held = Box<dyn Send>;

/// Waits for a piece of what units share; `None` when whoever waits has given up. Blocks.
pub type TakeShare =
    Arc<dyn Fn(&Resource, &dyn Fn() -> bool) -> Result<Option<Held>, Diagnosis> + Send + Sync>;

/// What the units of a station share.
#[derive(Clone)]
pub struct Shares {
    /// What the unit's nest holds for the whole run.
    pub held_already: Vec<Resource>,
    /// Whether only so many units may be joining at once.
    pub joins_are_counted: bool,
    /// Takes a piece.
    pub take: TakeShare,
}

impl Run {
    /// Before a step that needs any of it.
    pub(super) async fn wait_for_shares(&mut self, step: &Step) -> Result<(), Failure> {
        for resource in self.needed(step) {
            let began = Instant::now();
            let (take, cancel) = (Arc::clone(&self.shares.take), self.cancel.clone());
            let wanted = resource.clone();
            let taken =
                tokio::task::spawn_blocking(move || take(&wanted, &|| cancel.is_cancelled()));
            let held = taken.await?.map_err(Failure::Service)?.ok_or(Failure::Aborted)?;
            let duration_ms = millis(began.elapsed());
            let name = format!("wait_for_{resource}");
            self.note_stage(Stage { name, duration_ms, attempts: 1 });
            self.held.push((resource, held));
        }
        Ok(())
    }

    /// After it. A unit whose run ends before it joined gives its leave back with the run.
    pub(super) fn give_shares_back(&mut self, step: &Step) {
        match step {
            Step::Measure(own) => self.held.retain(|(held, _)| !own.uses.contains(held)),
            Step::AwaitJoin => self.held.retain(|(held, _)| *held != Resource::joins()),
            _ => {}
        }
    }

    fn needed(&self, step: &Step) -> Vec<Resource> {
        let mut needed = match step {
            Step::Measure(own) => own.uses.clone(),
            Step::Boot(Purpose::Trial) if self.shares.joins_are_counted && self.joins() => {
                vec![Resource::joins()]
            }
            _ => Vec::new(),
        };
        // Whoever takes several takes them in one order, so that no two wait for each other.
        needed.sort();
        needed.dedup();
        needed.retain(|wanted| {
            self.held.iter().all(|(held, _)| held != wanted)
                && !self.shares.held_already.contains(wanted)
        });
        needed
    }

    fn joins(&self) -> bool {
        self.plan.steps.iter().any(|step| matches!(step, Step::AwaitJoin))
    }
}
