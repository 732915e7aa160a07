//! What became of a product's mutants and of its good units, counted: what reports are made of.
//!
//! Must not know how they were run.

use serde::Serialize;

use super::mutant::Kind;

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
    /// How long it took.
    pub duration_ms: u64,
    /// Mutants that were under way when the time was over; they are counted nowhere else.
    pub cut_off: usize,
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
    /// In the profile's order.
    pub checks: Vec<CheckResult>,
    /// What `[prove] accept` names and was caught after all, or names no mutant of this product.
    pub accepted_in_vain: Vec<String>,
}

impl Proof {
    /// Bad units that passed and that the profile does not accept.
    pub fn escapes(&self) -> usize {
        self.survivors.iter().filter(|survivor| survivor.accepted_because.is_none()).count()
    }

    /// Good units that were blamed.
    pub fn blames(&self) -> usize {
        let fails = self.good.refused.iter().filter(|case| case.verdict == "FAIL").count();
        fails + self.blamed.len()
    }

    /// Whether units were not judged that should have been: nothing is said of a bad one, or of a good one.
    pub fn fell_short(&self) -> bool {
        !self.undecided.is_empty() || self.good.refused.iter().any(|case| case.verdict != "FAIL")
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
    /// Those that were drawn from families that cannot be counted.
    pub drawn: Tally,
    /// At most this share of the family's members passes, with the given confidence; `null` where none were drawn.
    pub upper_bound: Option<f64>,
}

/// How many, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Tally {
    /// How many ran.
    pub ran: usize,
    /// FAIL, naming what was wrong; or, of a good unit on a bad wire, no FAIL.
    pub caught: usize,
    /// FAIL for something else.
    pub wrong_cause: usize,
    /// ERROR.
    pub undecided: usize,
    /// PASS.
    pub escaped: usize,
    /// Of those, what the profile accepts.
    pub accepted: usize,
    /// No unit can be so: it was refused before it was made.
    pub impossible: usize,
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

/// What one check is good for.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct CheckResult {
    /// Name of the check, or `""` for what ends a run without a check (a stop of the run).
    pub id: String,
    /// Bad units that it blamed.
    pub caught: usize,
    /// Those that no other check blamed.
    pub alone: usize,
    /// Those that it blamed, by kind.
    pub by_kind: std::collections::BTreeMap<Kind, usize>,
    /// Time of its own stages in a good unit's run, in milliseconds.
    pub median_ms: Option<u64>,
}
