//! The mutants of a product: those that can be counted, and families of those that cannot.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::mutant::{Change, Kind, Mutant};

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

    /// Those that change the flash alone, for units whose firmware is machine code: nobody described it, and nothing of
    /// the chip but its flash can be changed.
    pub fn of_flash_alone(mut self) -> Self {
        let is_of_flash = |mutant: &Mutant| matches!(mutant.change, Change::Flash(_));
        for population in self.populations.values_mut() {
            population.counted.retain(is_of_flash);
            population.families.retain(|family| is_of_flash(&family.member(0)));
        }
        self.populations.retain(|_, of| !of.counted.is_empty() || !of.families.is_empty());
        self
    }

    /// By kind; kinds that the product cannot show are not there.
    pub fn populations(&self) -> impl Iterator<Item = (Kind, &Population)> {
        self.populations.iter().map(|(kind, population)| (*kind, population))
    }
}
