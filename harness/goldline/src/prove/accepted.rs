//! Survivors that a profile knows of and accepts, each with its reason: which of them still survive.

use super::{
    catalogue::Catalogue,
    draw::{Drawn, ENOUGH},
    fate::Fate,
    proof::AcceptedInVain,
};
use crate::profile::Accepted;

/// What came of the mutants that the profile accepts.
pub(super) struct Known(Vec<Seen>);

struct Seen {
    accepted: Accepted,
    /// Whether the product has any such mutant.
    exists: bool,
    passed: usize,
    /// Of those that can be counted, all that are caught.
    caught: Vec<String>,
    /// Of those that cannot, how many are caught, and one of them.
    drawn: Option<(usize, String)>,
}

impl Known {
    /// Of mutants that were asked for alone, only what accepts one of them is looked at.
    pub(super) fn new(catalogue: &Catalogue, accepted: &[Accepted]) -> Self {
        let seen = accepted.iter().map(|accepted| Seen {
            accepted: accepted.clone(),
            exists: catalogue.has(&accepted.mutant),
            passed: 0,
            caught: Vec::new(),
            drawn: None,
        });
        let is_all = catalogue.only().is_empty();
        Self(seen.filter(|seen| is_all || seen.exists).collect())
    }

    /// Why the profile accepts that mutant, if it does.
    pub(super) fn saw(&mut self, drawn: &Drawn, fate: &Fate) -> Option<String> {
        let id = &drawn.mutant.id;
        let mut because = None;
        for seen in self.0.iter_mut().filter(|seen| seen.accepted.mutant.holds(id)) {
            because.get_or_insert_with(|| seen.accepted.because.clone());
            match fate {
                Fate::Escaped => seen.passed += 1,
                Fate::Caught | Fate::WrongCause if drawn.of_family => {
                    seen.drawn.get_or_insert_with(|| (0, id.clone())).0 += 1;
                }
                Fate::Caught | Fate::WrongCause => seen.caught.push(id.clone()),
                // Nothing is known of it.
                Fate::Undecided | Fate::Blamed => {}
            }
        }
        because
    }

    /// What accepts a mutant that is caught after all, or none of this product. What was not drawn may still pass; of a
    /// family some members may be caught, but not all of many.
    pub(super) fn in_vain(self) -> Vec<AcceptedInVain> {
        let in_vain = self.0.into_iter().filter_map(|seen| {
            let Seen { accepted, exists, passed, mut caught, drawn } = seen;
            caught.extend(drawn.filter(|(n, _)| passed == 0 && *n >= ENOUGH).map(|(_, id)| id));
            (!exists || !caught.is_empty()).then(|| AcceptedInVain {
                mutant: accepted.mutant.to_string(),
                because: accepted.because,
                caught,
            })
        });
        in_vain.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prove::{Change, Family, Kind, Must, Mutant};
    use goldline_simulator::Fault;

    fn mutant(id: &str) -> Mutant {
        Mutant {
            kind: Kind::Region,
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
        catalogue.count(["region.a.swapped", "region.b.swapped"].map(mutant));
        catalogue.draw(Kind::Region, Family::new(|seed| mutant(&format!("region.a.bit@{seed:x}"))));
        catalogue
    }

    fn known(patterns: &[&str]) -> Known {
        let accepted = patterns.iter().map(|text| Accepted {
            mutant: text.parse().expect("a pattern"),
            because: "it is so".to_owned(),
        });
        Known::new(&catalogue(), &accepted.collect::<Vec<_>>())
    }

    fn counted(id: &str) -> Drawn {
        Drawn { mutant: mutant(id), of_family: false }
    }

    fn in_vain(known: Known) -> Vec<(String, Vec<String>)> {
        known.in_vain().into_iter().map(|it| (it.mutant, it.caught)).collect()
    }

    #[test]
    fn one_that_passes_is_accepted_for_its_reason() {
        let mut known = known(&["region.a.swapped"]);
        let because = known.saw(&counted("region.a.swapped"), &Fate::Escaped);
        assert_eq!(because.as_deref(), Some("it is so"));
        assert_eq!(known.saw(&counted("region.b.swapped"), &Fate::Escaped), None);
        assert_eq!(in_vain(known), []);
    }

    #[test]
    fn one_that_is_caught_after_all_is_said() {
        let mut known = known(&["region.*"]);
        known.saw(&counted("region.a.swapped"), &Fate::Escaped);
        known.saw(&counted("region.b.swapped"), &Fate::Caught);
        let caught = vec!["region.b.swapped".to_owned()];
        assert_eq!(in_vain(known), [("region.*".to_owned(), caught)]);
    }

    #[test]
    fn one_of_which_nothing_is_known_may_still_pass() {
        let mut known = known(&["region.a.swapped", "region.b.swapped"]);
        known.saw(&counted("region.a.swapped"), &Fate::Undecided);
        assert_eq!(in_vain(known), []);
    }

    #[test]
    fn what_names_no_mutant_of_the_product_is_said() {
        assert_eq!(in_vain(known(&["region.c.*"])), [("region.c.*".to_owned(), Vec::new())]);
        let only = vec!["region.a.swapped".parse().expect("a pattern")];
        let narrowed = catalogue().narrowed(only, "doorbell").expect("it is there");
        let accepted = Accepted {
            mutant: "region.c.*".parse().expect("a pattern"),
            because: "it is so".to_owned(),
        };
        assert_eq!(in_vain(Known::new(&narrowed, &[accepted])), [], "nobody looked for it");
    }

    #[test]
    fn a_family_is_caught_when_many_are_and_none_passes() {
        let draw =
            |seed| Drawn { mutant: mutant(&format!("region.a.bit@{seed:x}")), of_family: true };
        let mut few = known(&["region.a.bit@*"]);
        (1..ENOUGH).for_each(|seed| drop(few.saw(&draw(seed), &Fate::Caught)));
        assert_eq!(in_vain(few), []);
        let mut many = known(&["region.a.bit@*"]);
        (0..ENOUGH).for_each(|seed| drop(many.saw(&draw(seed), &Fate::Caught)));
        let one = vec!["region.a.bit@0".to_owned()];
        assert_eq!(in_vain(many), [("region.a.bit@*".to_owned(), one)]);
        let mut some = known(&["region.a.bit@*"]);
        some.saw(&draw(0), &Fate::Escaped);
        (0..ENOUGH).for_each(|seed| drop(some.saw(&draw(seed), &Fate::Caught)));
        assert_eq!(in_vain(some), []);
    }
}
