//! The mutants of a product: those that can be counted, and families of those that cannot.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::mutant::{Kind, Mutant};

/// Every way to be bad that is known of a product.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    populations: BTreeMap<Kind, Population>,
}

/// The mutants of one kind.
#[derive(Clone, Debug, Default)]
pub struct Population {
    /// Those that can be counted, all of them.
    pub counted: Vec<Mutant>,
    /// Those that cannot: a bit somewhere, a moment.
    pub families: Vec<Family>,
}

/// Mutants without number that differ by a seed. The same seed is the same mutant.
#[derive(Clone)]
pub struct Family(Arc<dyn Fn(u64) -> Mutant + Send + Sync>);

impl Family {
    /// Whatever makes them.
    pub fn new(member: impl Fn(u64) -> Mutant + Send + Sync + 'static) -> Self {
        Self(Arc::new(member))
    }

    /// The one of a seed.
    pub fn member(&self, seed: u64) -> Mutant {
        (self.0)(seed)
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Family")
    }
}

impl Catalogue {
    /// Adds mutants that can be counted.
    pub fn count(&mut self, mutants: impl IntoIterator<Item = Mutant>) {
        for mutant in mutants {
            self.populations.entry(mutant.kind).or_default().counted.push(mutant);
        }
    }

    /// Adds mutants that cannot.
    pub fn draw(&mut self, kind: Kind, family: Family) {
        self.populations.entry(kind).or_default().families.push(family);
    }

    /// By kind; kinds that the product cannot show are not there.
    pub fn populations(&self) -> impl Iterator<Item = (Kind, &Population)> {
        self.populations.iter().map(|(kind, population)| (*kind, population))
    }
}
