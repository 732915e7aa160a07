//! Which units are run, and run again: one whose run said nothing of it may have another, where that is asked
//! for.
//!
//! Each attempt is a run of its own in journal and records. A unit that was judged is never run again, good or
//! bad; nor is one after a run that somebody stopped, that was refused, or that could not be kept.

use std::{collections::BTreeMap, time::Instant};

use tokio_util::sync::CancellationToken;

use super::{
    batch::{Batch, BatchEnded, BatchError},
    credentials,
    journal::Watcher,
    order::Order,
    outputs::Outputs,
};
use crate::{
    clock::Clock,
    record::{Code, EarlierRun, Record, Verdict},
};

/// What came of an order.
#[derive(Debug)]
pub struct Ended {
    /// The last run of each unit, in the order of the devices, whatever the station could not keep of them.
    pub records: Vec<Record>,
    /// What the station could not keep, and why.
    pub troubles: Vec<BatchError>,
}

/// Runs each unit of an order, and those again that the order lets. `began` is when the command did; `watch` is
/// asked once for each run.
///
/// # Errors
/// [`BatchError`] says why the order cannot be begun. No unit was touched then, and no file written.
pub async fn carry_out(
    order: &Order,
    outputs: &Outputs,
    (clock, began): (Clock, Instant),
    mut watch: impl FnMut() -> Watcher,
    cancel: &CancellationToken,
) -> Result<Ended, BatchError> {
    let mut attempt = Attempt::first(order.units(), began);
    let batch = Batch::prepare(order, outputs, &clock, &attempt).await?;
    let mut so_far = batch.run(&mut watch, cancel).await;
    for _ in 0..order.retry_errors {
        attempt = attempt.after(&so_far.records);
        // Whoever cannot keep what came of a unit must not change it any further.
        if attempt.units.is_empty() || !so_far.troubles.is_empty() || cancel.is_cancelled() {
            break;
        }
        match Batch::prepare(order, outputs, &clock, &attempt).await {
            Ok(batch) => so_far.take(batch.run(&mut watch, cancel).await),
            Err(error) => so_far.troubles.push(error),
        }
    }
    Ok(finish(outputs, so_far))
}

/// Writes what is written of all units together.
fn finish(outputs: &Outputs, so_far: BatchEnded) -> Ended {
    let BatchEnded { records, credentials, mut troubles } = so_far;
    let records: Vec<Record> = records.into_values().collect();
    if let Some(place) = &outputs.credentials {
        let entries: Vec<_> = credentials.into_values().collect();
        troubles.extend(credentials::save(place, &entries).err().map(Into::into));
    }
    troubles.extend(outputs.write_report(&records).err().map(Into::into));
    Ended { records, troubles }
}

impl BatchEnded {
    /// What came of units that were run again stands in the place of what came of them before.
    fn take(&mut self, later: Self) {
        self.records.extend(later.records);
        self.credentials.extend(later.credentials);
        self.troubles.extend(later.troubles);
    }
}

/// Units that are run side by side.
pub(super) struct Attempt {
    /// Their places in the order, each with the runs that this one takes the place of.
    units: Vec<(usize, Vec<EarlierRun>)>,
    began: Instant,
}

impl Attempt {
    fn first(units: usize, began: Instant) -> Self {
        Self { units: (0..units).map(|index| (index, Vec::new())).collect(), began }
    }

    /// Those whose last run may be made again.
    fn after(&self, records: &BTreeMap<usize, Record>) -> Self {
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
