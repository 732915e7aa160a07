//! `[prove] accept`: which bad units may pass, and why.

use super::Problems;
use crate::profile::{
    Accepted,
    problem::Problem,
    raw::{At, RawAccepted, RawProve},
};

impl Problems {
    pub(super) fn accepted(&mut self, raw: RawProve) -> Vec<Accepted> {
        let mut accepted: Vec<Accepted> = Vec::new();
        for RawAccepted { mutant, because } in raw.accept {
            if because.get_ref().trim().is_empty() {
                self.push(because.span(), Problem::NoReason { mutant: mutant.get_ref().clone() });
            }
            if accepted.iter().any(|earlier| earlier.mutant.as_str() == mutant.get_ref()) {
                let twice = Problem::AcceptedTwice { mutant: mutant.get_ref().clone() };
                self.push(mutant.span(), twice);
                continue;
            }
            match mutant.get_ref().parse() {
                Ok(mutant) => accepted.push(Accepted { mutant, because: At::into_inner(because) }),
                Err(error) => self.push(mutant.span(), Problem::MutantPattern(error)),
            }
        }
        accepted
    }
}
