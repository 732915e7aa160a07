//! Survivors that a profile knows of and accepts, each with its reason.

use super::mutant::Mutant;

/// Mutants that may pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// An id, or the beginning of some with `*` at the end.
    pub mutant: String,
    /// Why.
    pub because: String,
}

impl Accepted {
    /// Whether it is one of them.
    pub fn holds(&self, mutant: &Mutant) -> bool {
        match self.mutant.strip_suffix('*') {
            Some(beginning) => mutant.id.starts_with(beginning),
            None => mutant.id == self.mutant,
        }
    }
}
