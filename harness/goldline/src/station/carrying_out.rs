//! An order from its first attempt to its last. Each attempt is a run of its own in journal and records.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::{
    attempt::Attempt,
    batch::{Batch, BatchEnded, BatchError},
    credentials,
    journal::Watcher,
    order::Order,
    outputs::Outputs,
};
use crate::{clock::Clock, record::Record};

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
        if attempt.units().is_empty() || !so_far.troubles.is_empty() || cancel.is_cancelled() {
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
