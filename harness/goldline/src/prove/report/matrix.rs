//! Which check caught what: a row for each kind, a column for each check.

use crate::prove::{Kind, Proof, report::words};

/// The kinds that ran and the checks that could blame them.
pub(super) struct Matrix<'a> {
    /// Names of the checks, in the profile's order.
    pub(super) checks: Vec<&'a str>,
    pub(super) rows: Vec<MatrixRow>,
}

/// One kind.
pub(super) struct MatrixRow {
    pub(super) kind: Kind,
    /// How many units of it ran.
    pub(super) ran: usize,
    /// For each check, how many of these it blamed.
    pub(super) blamed_by: Vec<usize>,
    /// How many passed and should not have.
    pub(super) passed: usize,
}

impl MatrixRow {
    /// How much of the kind a number is, from 0 to 1.
    pub(super) fn share(&self, number: usize) -> f64 {
        if self.ran == 0 { 0.0 } else { number as f64 / self.ran as f64 }
    }
}

/// Of a proof; kinds of which nothing ran are not there.
pub(super) fn matrix(proof: &Proof) -> Matrix<'_> {
    let rows = proof.kinds.iter().map(|kind| MatrixRow {
        kind: kind.kind,
        ran: kind.counted.judged() + kind.drawn.judged(),
        blamed_by: (proof.checks.iter())
            .map(|check| check.by_kind.get(&kind.kind).copied().unwrap_or_default())
            .collect(),
        passed: [kind.counted, kind.drawn].iter().map(|it| it.escaped + it.accepted).sum(),
    });
    Matrix {
        checks: proof.checks.iter().map(words::name_of).collect(),
        rows: rows.filter(|row| row.ran > 0).collect(),
    }
}
