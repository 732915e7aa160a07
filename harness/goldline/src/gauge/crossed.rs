//! The values of a crossed design: every appraiser measured every unit, all equally often.

use std::collections::{BTreeMap, BTreeSet};

use super::spread::mean;

/// Values of units by appraisers, in a full and even table: at least two cells, at least two trials in each.
#[derive(Clone, PartialEq, Debug)]
pub struct Crossed {
    parts: Vec<String>,
    appraisers: Vec<String>,
    trials: usize,
    /// By part, then by appraiser.
    cells: Vec<Vec<f64>>,
}

/// Values make no crossed design.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotCrossed {
    /// No unit has enough values of every appraiser.
    #[error(
        "no unit was measured at least twice by each of the {appraisers} {word}: move each unit through all of them, and run it twice or more in each"
    )]
    NoPart {
        /// How many there are.
        appraisers: usize,
        /// What they are: nests or operators.
        word: &'static str,
    },
    /// One unit by one appraiser.
    #[error(
        "one unit was measured by one of the {word}: repeatability is all that it shows; take more units, or more {word}"
    )]
    OneCell {
        /// What they are: nests or operators.
        word: &'static str,
    },
}

impl Crossed {
    /// From the values of each unit by each appraiser, the oldest first. Units that an appraiser measured less than twice
    /// are left out; of cells with more values than the smallest, the newest count.
    ///
    /// # Errors
    /// [`NotCrossed`] when too few are left; `word` names what the appraisers are.
    pub fn of(
        values: &BTreeMap<(String, String), Vec<f64>>,
        word: &'static str,
    ) -> Result<Self, NotCrossed> {
        let repeated =
            || values.iter().filter(|(_, values)| values.len() > 1).map(|(cell, _)| cell);
        let appraisers: BTreeSet<&String> = repeated().map(|(_, appraiser)| appraiser).collect();
        let parts: BTreeSet<&String> = repeated().map(|(part, _)| part).collect();
        let cell = |part: &String, appraiser: &String| {
            values.get(&(part.clone(), appraiser.clone())).filter(|values| values.len() > 1)
        };
        let is_whole = |part: &&&String| appraisers.iter().all(|by| cell(part, by).is_some());
        let parts: Vec<&String> = parts.iter().filter(is_whole).copied().collect();
        match (parts.len(), appraisers.len()) {
            (0, appraisers) => return Err(NotCrossed::NoPart { appraisers, word }),
            (1, 1) => return Err(NotCrossed::OneCell { word }),
            _ => {}
        }
        let kept: Vec<&Vec<f64>> = parts
            .iter()
            .flat_map(|part| appraisers.iter().filter_map(|by| cell(part, by)))
            .collect();
        let trials = kept.iter().map(|values| values.len()).min().unwrap_or(0);
        Ok(Self {
            parts: parts.into_iter().cloned().collect(),
            appraisers: appraisers.into_iter().cloned().collect(),
            trials,
            cells: kept
                .into_iter()
                .map(|values| values[values.len() - trials..].to_vec())
                .collect(),
        })
    }

    /// The units.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Nests or operators.
    pub fn appraisers(&self) -> &[String] {
        &self.appraisers
    }

    /// How often each measured each.
    pub fn trials(&self) -> usize {
        self.trials
    }

    /// The trials of each unit by each appraiser.
    pub(super) fn cells(&self) -> &[Vec<f64>] {
        &self.cells
    }

    /// All values.
    pub(super) fn all(&self) -> Vec<f64> {
        self.cells.concat()
    }

    /// The mean of each unit.
    pub(super) fn part_means(&self) -> Vec<f64> {
        let rows = self.cells.chunks(self.appraisers.len());
        rows.map(|cells| mean(&cells.concat())).collect()
    }

    /// The mean of each appraiser.
    pub(super) fn appraiser_means(&self) -> Vec<f64> {
        let of = |at| self.cells.iter().skip(at).step_by(self.appraisers.len());
        let values = |at| of(at).flatten().copied().collect::<Vec<_>>();
        (0..self.appraisers.len()).map(|at| mean(&values(at))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(cells: &[(&str, &str, &[f64])]) -> BTreeMap<(String, String), Vec<f64>> {
        let cell = |&(part, by, values): &(&str, &str, &[f64])| {
            ((part.to_owned(), by.to_owned()), values.to_vec())
        };
        cells.iter().map(cell).collect()
    }

    #[test]
    fn a_unit_that_one_nest_has_not_seen_twice_is_left_out() {
        let cells = values(&[
            ("u1", "left", &[1.0, 2.0]),
            ("u1", "right", &[3.0, 4.0]),
            ("u2", "left", &[5.0, 6.0]),
            ("u2", "right", &[7.0]),
        ]);
        let crossed = Crossed::of(&cells, "nests").expect("one unit is whole");
        assert_eq!(crossed.parts(), ["u1"]);
        assert_eq!(crossed.appraiser_means(), [1.5, 3.5]);
    }

    #[test]
    fn of_longer_cells_the_newest_values_count() {
        let cells = values(&[("u1", "left", &[9.0, 1.0, 2.0]), ("u2", "left", &[3.0, 4.0])]);
        let crossed = Crossed::of(&cells, "nests").expect("two units");
        assert_eq!((crossed.trials(), crossed.cells()), (2, &[vec![1.0, 2.0], vec![3.0, 4.0]][..]));
        assert_eq!(crossed.part_means(), [1.5, 3.5]);
    }

    #[test]
    fn units_that_stay_in_their_nests_are_not_crossed() {
        let cells = values(&[("u1", "left", &[1.0, 2.0]), ("u2", "right", &[3.0, 4.0])]);
        let error = Crossed::of(&cells, "nests").expect_err("each unit has its own nest");
        assert_eq!(error, NotCrossed::NoPart { appraisers: 2, word: "nests" });
        let cells = values(&[("u1", "left", &[1.0, 2.0])]);
        let error = Crossed::of(&cells, "nests").expect_err("one cell");
        assert_eq!(error, NotCrossed::OneCell { word: "nests" });
    }
}
