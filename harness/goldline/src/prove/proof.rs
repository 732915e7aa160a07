//! What became of a product's mutants and of its good units, counted: what reports are made of.
//!
//! Must not know how they were run.

use serde::Serialize;

use super::{
    bound::{CONFIDENCE, OF_COUNTED, OF_DRAWN},
    firmware::Untold,
    mutant::Kind,
};

/// Of the JSON of a [`Proof`].
pub const SCHEMA: u32 = 1;

/// How good a profile's test is, as far as its mutants can tell.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Proof {
    /// Of this document.
    pub schema: u32,
    /// Name of the profile.
    pub profile: String,
    /// Version of the program that made it.
    pub goldline: String,
    /// Whose defects these are.
    pub subject: Subject,
    /// What decided which mutants were drawn, and in which order.
    pub seed: u64,
    /// How long it was to take at most, in seconds; `null` without limit.
    pub budget_s: Option<u64>,
    /// Whether every mutant that can be counted was to be run.
    pub all: bool,
    /// The only mutants that were to be run: ids, or beginnings of ids with `*` behind; empty of all of them.
    pub only: Vec<String>,
    /// The command that runs them again, as far as the profile: `--only ID` behind it runs one mutant alone.
    pub again: String,
    /// Whether somebody ended it before its time.
    pub stopped: bool,
    /// How long it took.
    pub duration_ms: u64,
    /// Mutants that were under way when the time was over; they are counted nowhere else.
    pub cut_off: usize,
    /// How the bounds of the kinds were made.
    pub bounds: Bounds,
    /// Good units, in between.
    pub good: GoodUnits,
    /// In the order of [`Kind::ALL`]; kinds that the product cannot show are not there.
    pub kinds: Vec<KindResult>,
    /// Bad units that passed, and those of them that the profile accepts.
    pub survivors: Vec<Survivor>,
    /// Units that were blamed for something else than what was wrong with them.
    pub wrong_causes: Vec<Case>,
    /// Units of which nothing was said: ERROR is not caught.
    pub undecided: Vec<Case>,
    /// Of `Must::NotBlame`: good units on a bad wire that were blamed.
    pub blamed: Vec<Case>,
    /// What was drawn and cannot be: it was refused before a unit was made.
    pub impossible: Vec<Case>,
    /// Lines of the firmware's description of which no mutant was made, as no run of this product could tell it.
    pub untold: Vec<Untold>,
    /// In the profile's order.
    pub checks: Vec<CheckResult>,
    /// What `[prove] accept` names and was caught after all, or names no mutant of this product.
    pub accepted_in_vain: Vec<AcceptedInVain>,
}

/// Of the mutants that ran, at most this share may be accepted survivors of a profile that is worth its name.
pub const ACCEPTABLE_SHARE: f64 = 0.02;

impl Proof {
    /// Everything that ran, whatever its kind.
    pub fn all_kinds(&self) -> Tally {
        let tallies = self.kinds.iter().flat_map(|kind| [kind.counted, kind.drawn]);
        tallies.fold(Tally::default(), Tally::plus)
    }

    /// Bad units that passed and that the profile does not accept.
    pub fn escapes(&self) -> usize {
        self.survivors.iter().filter(|survivor| survivor.accepted_because.is_none()).count()
    }

    /// Good units, those on a bad wire too.
    pub fn good_units(&self) -> usize {
        self.good.runs + self.all_kinds().good
    }

    /// Good units that were blamed.
    pub fn blames(&self) -> usize {
        let fails = self.good.refused.iter().filter(|case| case.verdict == "FAIL").count();
        fails + self.blamed.len()
    }

    /// Of the mutants that ran, how many are accepted survivors, as a share from 0 to 1.
    pub fn accepted_share(&self) -> f64 {
        let Tally { accepted, ran, .. } = self.all_kinds();
        if ran == 0 { 0.0 } else { accepted as f64 / ran as f64 }
    }

    /// Whether more survivors are accepted than [`ACCEPTABLE_SHARE`]. Of mutants that were asked for alone it says nothing.
    pub fn accepts_too_much(&self) -> bool {
        self.only.is_empty() && self.accepted_share() > ACCEPTABLE_SHARE
    }

    /// What it comes to.
    pub fn outcome(&self) -> ProofOutcome {
        if self.stopped {
            ProofOutcome::Stopped
        } else if self.escapes() > 0 || self.blames() > 0 || !self.accepted_in_vain.is_empty() {
            ProofOutcome::Escapes
        } else if self.fell_short() {
            ProofOutcome::FellShort
        } else {
            ProofOutcome::NothingEscapes
        }
    }

    /// Whether units were not judged that should have been: nothing is said of a bad one, or of a good one, or no bad
    /// one ran.
    pub fn fell_short(&self) -> bool {
        let of_good = self.good.refused.iter().any(|case| case.verdict != "FAIL");
        !self.undecided.is_empty() || of_good || self.all_kinds().judged() == 0
    }
}

/// What a proof comes to. What escapes is worse than what cannot be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProofOutcome {
    /// Every bad unit FAILs, or is known and accepted; no good one does.
    NothingEscapes,
    /// A bad unit passes that nobody accepted, a good one is blamed, or an acceptance holds no more.
    Escapes,
    /// Of some units nothing is said.
    FellShort,
    /// Somebody ended it: what is not there was not looked for.
    Stopped,
}

/// How upper bounds are made, in the field's terms.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Bounds {
    /// How sure they are, from 0 to 1; each is one-sided.
    pub confidence: f64,
    /// Of mutants that were drawn from families without number.
    pub of_drawn: String,
    /// Of mutants that can be counted and of which a part ran.
    pub of_counted: String,
}

impl Default for Bounds {
    fn default() -> Self {
        let (of_drawn, of_counted) = (OF_DRAWN.to_owned(), OF_COUNTED.to_owned());
        Self { confidence: CONFIDENCE, of_drawn, of_counted }
    }
}

/// Whose defects were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "of")]
pub enum Subject {
    /// Of a firmware that is described: what the product's own does besides, nobody mutated.
    Description {
        /// Name or path of the description.
        model: String,
    },
    /// Of the product's own image.
    Image {
        /// Its file.
        path: String,
    },
}

/// What became of the good units.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct GoodUnits {
    /// How many ran.
    pub runs: usize,
    /// How many passed.
    pub passed: usize,
    /// Those that did not.
    pub refused: Vec<Case>,
    /// Their median, in milliseconds.
    pub median_ms: u64,
    /// Medians of their stages, in the order of a run.
    pub stages: Vec<StageTime>,
}

/// How long a stage of a good unit's run takes.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct StageTime {
    /// Name of the stage.
    pub stage: String,
    /// Median, in milliseconds.
    pub median_ms: u64,
}

/// What became of the mutants of one kind.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct KindResult {
    /// Which.
    pub kind: Kind,
    /// Those that can be counted.
    pub counted: Tally,
    /// How many of those there are.
    pub there_are: usize,
    /// At most this share of those that can be counted is misjudged, where a part of them ran; `null` where all did,
    /// or none.
    pub counted_upper_bound: Option<f64>,
    /// Those that were drawn from families that cannot be counted.
    pub drawn: Tally,
    /// At most this share of the families' members is misjudged; `null` where none were drawn.
    pub upper_bound: Option<f64>,
}

/// How many, and what became of them: each that ran is one of caught to impossible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Tally {
    /// How many ran.
    pub ran: usize,
    /// Of these, good units on a bad wire and such: nobody may blame them.
    pub good: usize,
    /// FAIL, naming what was wrong; or, of a good unit on a bad wire, no FAIL.
    pub caught: usize,
    /// FAIL for something else.
    pub wrong_cause: usize,
    /// ERROR.
    pub undecided: usize,
    /// FAIL of a good unit.
    pub blamed: usize,
    /// PASS, and the profile does not accept it.
    pub escaped: usize,
    /// PASS, and the profile accepts it.
    pub accepted: usize,
    /// No unit can be so: it was refused before it was made.
    pub impossible: usize,
}

impl Tally {
    /// Units that were made.
    pub fn judged(self) -> usize {
        self.ran - self.impossible
    }

    /// Bad units that were made.
    pub fn bad(self) -> usize {
        self.judged() - self.good
    }

    /// Units that got the verdict which they must not get: a bad one's PASS, a good one's FAIL.
    pub fn misjudged(self) -> usize {
        self.escaped + self.accepted + self.blamed
    }

    fn plus(self, other: Self) -> Self {
        Self {
            ran: self.ran + other.ran,
            good: self.good + other.good,
            caught: self.caught + other.caught,
            wrong_cause: self.wrong_cause + other.wrong_cause,
            undecided: self.undecided + other.undecided,
            blamed: self.blamed + other.blamed,
            escaped: self.escaped + other.escaped,
            accepted: self.accepted + other.accepted,
            impossible: self.impossible + other.impossible,
        }
    }
}

/// A mutant, and what was said of it.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Case {
    /// Names it.
    pub mutant: String,
    /// What it is of; `null` for a good unit.
    pub kind: Option<Kind>,
    /// What was wrong with it.
    pub what: String,
    /// The verdict.
    pub verdict: String,
    /// Code of the diagnosis.
    pub code: Option<String>,
    /// Its message.
    pub message: Option<String>,
}

/// A bad unit that passed.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Survivor {
    /// Which.
    #[serde(flatten)]
    pub case: Case,
    /// What it means for a customer.
    pub means: String,
    /// Which check or limit would catch it.
    pub remedy: String,
    /// Why the profile accepts it, if it does.
    pub accepted_because: Option<String>,
}

/// What `[prove] accept` names for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct AcceptedInVain {
    /// As the profile names it.
    pub mutant: String,
    /// Why it was accepted.
    pub because: String,
    /// Mutants of it that are caught; none where the product has no such mutant.
    pub caught: Vec<String>,
}

/// What one check is good for.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct CheckResult {
    /// Name of the check, or `""` for what ends a run without a check (a stop of the run).
    pub id: String,
    /// Bad units that it blamed.
    pub caught: usize,
    /// Those that no other check blamed.
    pub alone: usize,
    /// Of these, those whose run ended before every other check was asked: what the others would have said, nobody
    /// knows.
    pub others_not_asked: usize,
    /// Whether a mutant of the product is of the kind that this check is for: its remedy names the check, or a FAIL
    /// of the check would name the mutant.
    pub has_mutants: bool,
    /// Those that it blamed, by kind.
    pub by_kind: std::collections::BTreeMap<Kind, usize>,
    /// Time of its own stages in a good unit's run, in milliseconds.
    pub median_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many mutants of one kind that did as they should.
    fn proof(caught: usize) -> Proof {
        let counted = Tally { ran: caught, caught, ..Tally::default() };
        let (counted_upper_bound, drawn, upper_bound) = (None, Tally::default(), None);
        let there_are = caught;
        Proof {
            schema: SCHEMA,
            profile: "doorbell".to_owned(),
            goldline: String::new(),
            subject: Subject::Description { model: "doorbell".to_owned() },
            seed: 0,
            budget_s: None,
            all: false,
            only: Vec::new(),
            again: String::new(),
            stopped: false,
            duration_ms: 0,
            cut_off: 0,
            bounds: Bounds::default(),
            good: GoodUnits::default(),
            kinds: vec![KindResult {
                kind: Kind::Nvs,
                counted,
                there_are,
                counted_upper_bound,
                drawn,
                upper_bound,
            }],
            survivors: Vec::new(),
            wrong_causes: Vec::new(),
            undecided: Vec::new(),
            blamed: Vec::new(),
            impossible: Vec::new(),
            untold: Vec::new(),
            checks: Vec::new(),
            accepted_in_vain: Vec::new(),
        }
    }

    fn case(verdict: &str) -> Case {
        Case {
            mutant: "nvs.ssid.missing".to_owned(),
            kind: Some(Kind::Nvs),
            what: String::new(),
            verdict: verdict.to_owned(),
            code: None,
            message: None,
        }
    }

    fn survivor(accepted_because: Option<&str>) -> Survivor {
        Survivor {
            case: case("PASS"),
            means: String::new(),
            remedy: String::new(),
            accepted_because: accepted_because.map(str::to_owned),
        }
    }

    #[test]
    fn nothing_escapes_where_all_is_caught_or_accepted() {
        assert_eq!(proof(3).outcome(), ProofOutcome::NothingEscapes);
        let accepts = Proof { survivors: vec![survivor(Some("it is so"))], ..proof(3) };
        assert_eq!(accepts.outcome(), ProofOutcome::NothingEscapes);
    }

    #[test]
    fn what_escapes_is_worse_than_what_is_not_known() {
        let undecided = Proof { undecided: vec![case("ERROR")], ..proof(3) };
        assert_eq!(undecided.outcome(), ProofOutcome::FellShort);
        let escapes = Proof { survivors: vec![survivor(None)], ..undecided };
        assert_eq!(escapes.outcome(), ProofOutcome::Escapes);
    }

    #[test]
    fn a_good_unit_that_fails_is_blamed_and_one_that_errs_is_not_judged() {
        let with = |verdict| {
            let good = GoodUnits { refused: vec![case(verdict)], ..GoodUnits::default() };
            Proof { good, ..proof(3) }.outcome()
        };
        assert_eq!(with("FAIL"), ProofOutcome::Escapes);
        assert_eq!(with("ERROR"), ProofOutcome::FellShort);
        let on_bad_wire = Proof { blamed: vec![case("FAIL")], ..proof(3) };
        assert_eq!(on_bad_wire.outcome(), ProofOutcome::Escapes);
    }

    #[test]
    fn where_no_bad_unit_ran_nothing_is_proven() {
        assert_eq!(proof(0).outcome(), ProofOutcome::FellShort);
    }

    #[test]
    fn an_acceptance_that_holds_no_more_is_to_be_taken_out() {
        let in_vain = AcceptedInVain {
            mutant: "nvs.ssid.*".to_owned(),
            because: "it is so".to_owned(),
            caught: Vec::new(),
        };
        let proof = Proof { accepted_in_vain: vec![in_vain], ..proof(3) };
        assert_eq!(proof.outcome(), ProofOutcome::Escapes);
    }

    #[test]
    fn more_than_two_percent_of_accepted_survivors_is_too_much() {
        let accepting = |accepted, caught| {
            let mut proof = proof(caught);
            let counted = &mut proof.kinds[0].counted;
            (counted.accepted, counted.ran) = (accepted, caught + accepted);
            proof.accepts_too_much()
        };
        assert!(!accepting(0, 0) && !accepting(2, 98));
        assert!(accepting(3, 97));
    }
}
