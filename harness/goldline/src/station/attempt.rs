//! Which units are run, and run again: one whose run said nothing of it may have another, where that is asked
//! for.
//!
//! A unit that was judged is never run again, good or bad; nor is one after a run that somebody stopped, that was
//! refused, or that could not be kept.

use std::{collections::BTreeMap, time::Instant};

use crate::record::{Code, EarlierRun, Record, Verdict};

/// Units that are run side by side.
pub(super) struct Attempt {
    /// Their places in the order, each with the runs that this one takes the place of.
    units: Vec<(usize, Vec<EarlierRun>)>,
    began: Instant,
}

impl Attempt {
    pub(super) fn first(units: usize, began: Instant) -> Self {
        Self { units: (0..units).map(|index| (index, Vec::new())).collect(), began }
    }

    /// Those whose last run may be made again.
    pub(super) fn after(&self, records: &BTreeMap<usize, Record>) -> Self {
        let again = |(index, earlier): &(usize, Vec<EarlierRun>)| {
            let run = earlier_run(records.get(index)?)?;
            Some((*index, earlier.iter().cloned().chain([run]).collect()))
        };
        Self { units: self.units.iter().filter_map(again).collect(), began: Instant::now() }
    }

    pub(super) fn units(&self) -> &[(usize, Vec<EarlierRun>)] {
        &self.units
    }

    pub(super) fn is_first(&self) -> bool {
        self.units.iter().all(|(_, earlier)| earlier.is_empty())
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }
}

/// What another run takes the place of; `None` of a run that must stand.
fn earlier_run(record: &Record) -> Option<EarlierRun> {
    let code = record.diagnosis.as_ref()?.code;
    let may_be_repeated = record.verdict == Some(Verdict::Error) && !is_settled(code);
    may_be_repeated.then_some(EarlierRun { run_id: record.run_id, code })
}

/// Whether another run would be refused, or could be kept no better.
fn is_settled(code: Code) -> bool {
    [Code::IdentityTaken, Code::StationState, Code::Aborted].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_or_could_not_be_kept_stands() {
        for code in [Code::IdentityTaken, Code::StationState, Code::Aborted] {
            assert!(is_settled(code), "{code:?}");
        }
        for code in [Code::PortTimeout, Code::TestbedBroker] {
            assert!(!is_settled(code), "{code:?}");
        }
    }
}
