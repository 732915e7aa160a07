//! Units that are made one jig after the other: which rows come next, and what came of each.
//!
//! Must not know who is asked for the next unit, nor how a run is made.

use std::collections::BTreeSet;

use super::{
    order::{DEFAULT_PROFILE, OrderError},
    request::Request,
    state_directory::open_state,
    values::ValuesError,
};
use crate::{
    plan::{UnitRow, Units},
    profile::find,
    record::{Record, Verdict},
    store::{RunFilter, RunOutcome, RunSummary, StoreError},
};

/// The rows of a file of units, in its order, and which of them are still to be made.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    profile: String,
    labels: Vec<String>,
    settled: BTreeSet<String>,
}

impl Rows {
    /// The rows of a request's file; none without a file.
    ///
    /// # Errors
    /// [`OrderError`] when file or profile cannot be read.
    pub fn of(request: &Request) -> Result<Self, OrderError> {
        let Some(path) = &request.units else { return Ok(Self::default()) };
        let name = request.profile.as_deref().unwrap_or(DEFAULT_PROFILE);
        let profile = find(name, request.profiles.as_deref())?;
        let units = Units::load(path, &profile).map_err(ValuesError::from)?;
        Ok(Self::new(&profile.name, units.rows().iter().map(UnitRow::label)))
    }

    /// Of units of a profile, by the label of each row.
    pub fn new(profile: &str, labels: impl IntoIterator<Item = String>) -> Self {
        let labels = labels.into_iter().collect();
        Self { profile: profile.to_owned(), labels, settled: BTreeSet::new() }
    }

    /// Settles what this station made before, in another command. Says how many rows that are.
    ///
    /// # Errors
    /// [`StoreError`] when the records cannot be read.
    pub async fn settle_known(&mut self, request: &Request) -> Result<usize, StoreError> {
        if self.labels.is_empty() {
            return Ok(0);
        }
        let store = open_state(request.state.as_deref())?.records().await?;
        for label in &self.labels {
            let newest = RunFilter {
                profile: Some(self.profile.clone()),
                id: Some(label.clone()),
                limit: Some(1),
                ..RunFilter::default()
            };
            if store.list(&newest).await?.first().is_some_and(is_settled) {
                self.settled.insert(label.clone());
            }
        }
        Ok(self.settled.len())
    }

    /// Whether there is a file of units at all.
    pub fn are_given(&self) -> bool {
        !self.labels.is_empty()
    }

    /// Whether a row has this label.
    pub fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|known| known == label)
    }

    /// The next ones, at most as many as there are places for units.
    pub fn next(&self, places: usize) -> Vec<String> {
        self.left().take(places).map(str::to_owned).collect()
    }

    /// Those that are still to be made, in the file's order.
    pub fn left(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().filter(|label| !self.settled.contains(*label)).map(String::as_str)
    }

    /// Takes what came of a row in a run.
    pub fn take(&mut self, label: &str, record: &Record) {
        self.note(label, settles(record.verdict, record.diagnosis.is_some()));
    }

    fn note(&mut self, label: &str, settled: bool) {
        if settled {
            self.settled.insert(label.to_owned());
        } else {
            self.settled.remove(label);
        }
    }
}

/// Whether a unit has what stands in the row, good or bad: the next unit gets the next row. A run that only
/// provisions has no verdict; of an error nothing is known, and its row is made again.
fn settles(verdict: Option<Verdict>, is_diagnosed: bool) -> bool {
    match verdict {
        Some(Verdict::Pass | Verdict::Fail) => true,
        Some(Verdict::Error | Verdict::Aborted) => false,
        None => !is_diagnosed,
    }
}

fn is_settled(run: &RunSummary) -> bool {
    match run.outcome {
        RunOutcome::Judged(verdict) => settles(Some(verdict), run.diagnosis.is_some()),
        RunOutcome::Unjudged => settles(None, run.diagnosis.is_some()),
        RunOutcome::Running | RunOutcome::Interrupted => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        Rows::new("espvault", ["A", "B", "C", "D"].map(str::to_owned))
    }

    #[test]
    fn rows_come_in_the_order_of_the_file() {
        let mut rows = rows();
        assert_eq!(rows.next(2), ["A", "B"]);
        rows.note("A", true);
        rows.note("B", true);
        assert_eq!(rows.next(3), ["C", "D"]);
        assert_eq!(rows.left().collect::<Vec<_>>(), ["C", "D"]);
    }

    #[test]
    fn good_and_bad_units_have_their_rows_and_an_error_tells_of_none() {
        for verdict in [Verdict::Pass, Verdict::Fail] {
            assert!(settles(Some(verdict), verdict == Verdict::Fail), "{verdict:?}");
        }
        for verdict in [Verdict::Error, Verdict::Aborted] {
            assert!(!settles(Some(verdict), true), "{verdict:?}");
        }
        assert!(settles(None, false), "it was provisioned");
        assert!(!settles(None, true), "it was not provisioned");
    }

    #[test]
    fn a_row_that_no_unit_got_comes_again() {
        let mut rows = rows();
        rows.note("A", false);
        assert_eq!(rows.next(1), ["A"]);
        // Made once more by name, and the jig was unplugged.
        rows.note("A", true);
        rows.note("A", false);
        assert_eq!(rows.next(1), ["A"]);
    }

    #[test]
    fn a_row_that_is_picked_by_name_is_not_offered_again() {
        let mut rows = rows();
        rows.note("C", true);
        assert!(rows.has("C") && !rows.has("E"));
        assert_eq!(rows.next(4), ["A", "B", "D"]);
    }
}
