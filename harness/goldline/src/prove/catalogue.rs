//! The mutants of a product: those that can be counted, and families of those that cannot.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    firmware::Untold,
    mutant::{Change, Kind, Mutant},
};
use crate::profile::MutantPattern;

/// Every way to be bad that is known of a product.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    populations: BTreeMap<Kind, Population>,
    /// Lines of the firmware's description that are not changed, as no run of this product could tell.
    pub untold: Vec<Untold>,
    only: Vec<MutantPattern>,
}

/// A product has no such mutant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{product} has no mutant \"{pattern}\"")]
pub struct NoSuchMutant {
    /// What was looked for.
    pub pattern: MutantPattern,
    /// Name of the profile.
    pub product: String,
}

/// The mutants of one kind.
#[derive(Clone, Debug, Default)]
pub struct Population {
    /// Those that can be counted, all of them.
    pub counted: Vec<Mutant>,
    /// Those that cannot: a bit somewhere, a moment.
    pub families: Vec<Family>,
}

/// Mutants without number that differ by a seed. The same seed is the same mutant, and the id of each ends in `@` and
/// its seed, as hex: by that it is found again.
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

    /// What the ids of all its members begin with, up to the seed.
    pub fn stem(&self) -> String {
        let id = self.member(0).id;
        id.rsplit_once('@').map_or(id.clone(), |(stem, _)| format!("{stem}@"))
    }

    /// The one of that id, if it is one of these.
    fn find(&self, id: &str) -> Option<Mutant> {
        let (_, seed) = id.rsplit_once('@')?;
        let mutant = self.member(u64::from_str_radix(seed, 16).ok()?);
        (mutant.id == id).then_some(mutant)
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

    /// Which alone were asked for; none where all were.
    pub fn only(&self) -> &[MutantPattern] {
        &self.only
    }

    /// Whether a pattern names any of them.
    pub fn has(&self, pattern: &MutantPattern) -> bool {
        self.populations.values().any(|population| population.has(pattern))
    }

    /// Only those that a pattern names; a member of a family that is named by its id can be counted.
    ///
    /// # Errors
    /// [`NoSuchMutant`] of the first pattern that names none of `product`.
    pub fn narrowed(self, only: Vec<MutantPattern>, product: &str) -> Result<Self, NoSuchMutant> {
        let mut narrowed = Self { populations: BTreeMap::new(), untold: self.untold.clone(), only };
        for pattern in &narrowed.only {
            if !self.has(pattern) {
                let product = product.to_owned();
                return Err(NoSuchMutant { pattern: pattern.clone(), product });
            }
            for (kind, population) in &self.populations {
                let Population { counted, families } = population.narrowed(pattern);
                let into = narrowed.populations.entry(*kind).or_default();
                into.families.extend(families);
                for mutant in counted {
                    if into.counted.iter().all(|earlier| earlier.id != mutant.id) {
                        into.counted.push(mutant);
                    }
                }
            }
        }
        narrowed.populations.retain(|_, population| !population.is_empty());
        Ok(narrowed)
    }
}

impl Population {
    fn is_empty(&self) -> bool {
        self.counted.is_empty() && self.families.is_empty()
    }

    fn has(&self, pattern: &MutantPattern) -> bool {
        let mut families = self.families.iter();
        self.counted.iter().any(|mutant| pattern.holds(&mutant.id))
            || match pattern.beginning() {
                Some(beginning) => families.any(|family| family.stem().starts_with(beginning)),
                None => families.any(|family| family.find(pattern.as_str()).is_some()),
            }
    }

    fn narrowed(&self, pattern: &MutantPattern) -> Self {
        let counted = self.counted.iter().filter(|mutant| pattern.holds(&mutant.id)).cloned();
        match pattern.beginning() {
            Some(beginning) => {
                let begins = |family: &&Family| family.stem().starts_with(beginning);
                let families = self.families.iter().filter(begins).cloned().collect();
                Self { counted: counted.collect(), families }
            }
            None => {
                let drawn = self.families.iter().find_map(|family| family.find(pattern.as_str()));
                Self { counted: counted.chain(drawn).collect(), families: Vec::new() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prove::{Change, Must};
    use goldline_simulator::Fault;

    fn mutant(id: &str) -> Mutant {
        Mutant {
            kind: Kind::Nvs,
            id: id.to_owned(),
            what: String::new(),
            means: String::new(),
            remedy: String::new(),
            must: Must::NotBlame,
            change: Change::Fault { fault: Fault::WireDrop, seed: 0 },
        }
    }

    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::default();
        catalogue.count(["nvs.a.missing", "nvs.a.type", "nvs.b.missing"].map(mutant));
        catalogue.draw(Kind::Nvs, Family::new(|seed| mutant(&format!("nvs.a.bit@{seed:x}"))));
        catalogue
    }

    fn narrowed(patterns: &[&str]) -> Result<(Vec<String>, usize), NoSuchMutant> {
        let only = patterns.iter().map(|text| text.parse().expect("a pattern")).collect();
        let catalogue = catalogue().narrowed(only, "doorbell")?;
        let populations: Vec<_> = catalogue.populations().collect();
        let [(Kind::Nvs, population)] = populations.as_slice() else { panic!("{populations:?}") };
        let ids = population.counted.iter().map(|mutant| mutant.id.clone()).collect();
        Ok((ids, population.families.len()))
    }

    #[test]
    fn one_mutant_is_found_again_by_its_id() {
        assert_eq!(narrowed(&["nvs.b.missing"]), Ok((vec!["nvs.b.missing".to_owned()], 0)));
        assert_eq!(narrowed(&["nvs.a.bit@ff"]), Ok((vec!["nvs.a.bit@ff".to_owned()], 0)));
    }

    #[test]
    fn a_beginning_names_those_that_can_be_counted_and_families() {
        let both = vec!["nvs.a.missing".to_owned(), "nvs.a.type".to_owned()];
        assert_eq!(narrowed(&["nvs.a.*", "nvs.a.missing"]), Ok((both, 1)));
        assert_eq!(narrowed(&["nvs.b.*"]), Ok((vec!["nvs.b.missing".to_owned()], 0)));
    }

    #[test]
    fn what_names_none_is_refused() {
        for text in ["nvs.a", "nvs.c.*", "nvs.a.bit@", "nvs.b.bit@ff"] {
            let error = narrowed(&[text]).expect_err(text);
            assert_eq!(error.to_string(), format!("doorbell has no mutant \"{text}\""));
        }
    }
}
