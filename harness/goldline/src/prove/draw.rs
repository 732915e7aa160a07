//! Which mutants come next: of each kind in turn, so that whatever the time, every kind has its share.
//!
//! The same seed gives the same mutants in the same order.

use super::{
    catalogue::{Catalogue, Population},
    mutant::Mutant,
};

/// How many of a kind are run at least where there are so many.
pub(super) const ENOUGH: usize = 300;

/// A mutant, and whether it was drawn from those that cannot be counted.
pub(super) struct Drawn {
    pub(super) mutant: Mutant,
    pub(super) of_family: bool,
}

/// How long mutants keep coming.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Until {
    /// As many of each kind as say something.
    Enough,
    /// Every one that can be counted, and as many of the others as say something.
    All,
    /// Until nobody asks any more, where there are any that cannot be counted.
    TimeIsOver,
}

/// Mutants of a catalogue, kind after kind.
pub(super) struct Sequence<'a> {
    streams: Vec<Stream<'a>>,
    next: usize,
}

impl<'a> Sequence<'a> {
    pub(super) fn new(catalogue: &'a Catalogue, seed: u64, until: Until) -> Self {
        let streams = catalogue.populations().enumerate();
        let streams = streams.map(|(index, (_, population))| {
            let random = fastrand::Rng::with_seed(seed.wrapping_mul(31).wrapping_add(index as u64));
            Stream::new(population, random, until)
        });
        Self { streams: streams.collect(), next: 0 }
    }
}

impl Iterator for Sequence<'_> {
    type Item = Drawn;

    fn next(&mut self) -> Option<Drawn> {
        for _ in 0..self.streams.len() {
            let stream = self.next % self.streams.len();
            self.next = stream + 1;
            if let Some(drawn) = self.streams[stream].next() {
                return Some(drawn);
            }
        }
        None
    }
}

/// Mutants of one kind.
struct Stream<'a> {
    population: &'a Population,
    /// Places of those that can be counted, in the order in which they are taken.
    counted: Vec<usize>,
    random: fastrand::Rng,
    until: Until,
    of_families: usize,
    of_counted: usize,
    turn: bool,
}

impl<'a> Stream<'a> {
    fn new(population: &'a Population, mut random: fastrand::Rng, until: Until) -> Self {
        let mut counted: Vec<usize> = (0..population.counted.len()).collect();
        random.shuffle(&mut counted);
        let (of_families, of_counted, turn) = (0, 0, false);
        Self { population, counted, random, until, of_families, of_counted, turn }
    }

    fn of_family(&mut self) -> Option<Drawn> {
        let families = &self.population.families;
        let is_enough = self.of_families >= ENOUGH && self.until != Until::TimeIsOver;
        if families.is_empty() || is_enough {
            return None;
        }
        let family = &families[self.of_families % families.len()];
        self.of_families += 1;
        Some(Drawn { mutant: family.member(self.random.u64(..)), of_family: true })
    }

    fn of_counted(&mut self) -> Option<Drawn> {
        if self.of_counted >= ENOUGH && self.until == Until::Enough {
            return None;
        }
        let place = self.counted.pop()?;
        self.of_counted += 1;
        Some(Drawn { mutant: self.population.counted[place].clone(), of_family: false })
    }
}

impl Iterator for Stream<'_> {
    type Item = Drawn;

    fn next(&mut self) -> Option<Drawn> {
        self.turn = !self.turn;
        match self.turn {
            true => self.of_counted().or_else(|| self.of_family()),
            false => self.of_family().or_else(|| self.of_counted()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use goldline_simulator::Fault;

    use super::*;
    use crate::prove::{Change, Family, Kind, Must};

    fn mutant(kind: Kind, id: String) -> Mutant {
        Mutant {
            kind,
            id,
            what: String::new(),
            means: String::new(),
            remedy: String::new(),
            must: Must::NotBlame,
            change: Change::Fault { fault: Fault::WireBit, seed: 0 },
        }
    }

    /// So many of one kind that can be counted, few of another, and a family of a third.
    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::default();
        catalogue.count((0..1000).map(|it| mutant(Kind::Firmware, format!("firmware.{it}"))));
        catalogue.count((0..3).map(|it| mutant(Kind::Radio, format!("radio.{it}"))));
        let family = |seed| mutant(Kind::Region, format!("region.{seed}"));
        catalogue.draw(Kind::Region, Family::new(family));
        catalogue
    }

    fn counts(until: Until) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        for drawn in Sequence::new(&catalogue(), 7, until).take(5000) {
            *counts.entry(drawn.mutant.kind).or_default() += 1;
        }
        counts
    }

    #[test]
    fn as_many_of_each_kind_come_as_say_something() {
        let enough = [(Kind::Firmware, ENOUGH), (Kind::Region, ENOUGH), (Kind::Radio, 3)];
        assert_eq!(counts(Until::Enough), enough.into());
        let all = [(Kind::Firmware, 1000), (Kind::Region, ENOUGH), (Kind::Radio, 3)];
        assert_eq!(counts(Until::All), all.into());
        // Families never end.
        assert_eq!(counts(Until::TimeIsOver)[&Kind::Region], 5000 - 1003);
    }

    #[test]
    fn whatever_the_time_every_kind_has_its_share() {
        let first: Vec<Kind> = Sequence::new(&catalogue(), 7, Until::TimeIsOver)
            .take(6)
            .map(|it| it.mutant.kind)
            .collect();
        for kind in [Kind::Firmware, Kind::Region, Kind::Radio] {
            assert_eq!(first.iter().filter(|it| **it == kind).count(), 2, "{first:?}");
        }
    }

    #[test]
    fn a_seed_repeats_itself_and_none_comes_twice() {
        let ids = |seed| -> Vec<String> {
            Sequence::new(&catalogue(), seed, Until::All).map(|it| it.mutant.id).collect()
        };
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
        let mut all = ids(7);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1303);
    }
}
