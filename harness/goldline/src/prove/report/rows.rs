//! The table of the kinds: a row for those that can be counted, a row for those that were drawn.

use super::words::percent;
use crate::prove::{Kind, KindResult, Proof, Tally};

/// What stands over the columns of a row's numbers.
pub(super) const COLUMNS: [&str; 9] = [
    "there are",
    "ran",
    "caught",
    "wrong cause",
    "ERROR",
    "blamed",
    "escaped",
    "accepted",
    "at most",
];

/// A row.
pub(super) struct Row {
    pub(super) kind: Kind,
    /// Whether its mutants were drawn from those without number.
    pub(super) is_drawn: bool,
    /// In the order of [`COLUMNS`].
    pub(super) cells: [String; 9],
}

/// The rows of a proof, kind after kind; a kind without mutants has none.
pub(super) fn rows(proof: &Proof) -> Vec<Row> {
    proof.kinds.iter().flat_map(|kind| [counted(kind), drawn(kind)]).flatten().collect()
}

fn counted(kind: &KindResult) -> Option<Row> {
    let there_are = kind.there_are.to_string();
    let bound = kind.counted_upper_bound;
    (kind.there_are > 0).then(|| row(kind.kind, false, there_are, kind.counted, bound))
}

fn drawn(kind: &KindResult) -> Option<Row> {
    let is_there = kind.drawn.ran > 0;
    is_there.then(|| row(kind.kind, true, "∞".to_owned(), kind.drawn, kind.upper_bound))
}

fn row(kind: Kind, is_drawn: bool, there_are: String, tally: Tally, bound: Option<f64>) -> Row {
    let number = |number: usize| number.to_string();
    let cells = [
        there_are,
        number(tally.judged()),
        number(tally.caught),
        number(tally.wrong_cause),
        number(tally.undecided),
        number(tally.blamed),
        number(tally.escaped),
        number(tally.accepted),
        bound.map(percent).unwrap_or_default(),
    ];
    Row { kind, is_drawn, cells }
}
