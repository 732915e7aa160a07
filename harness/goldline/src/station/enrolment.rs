//! A unit's row: on this station's disk first and then in the registry, if the station knows one.
//!
//! And the later delivery of rows that had to wait. Must not know how a unit was provisioned.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::order::Order;
use crate::{
    check::RegistryObservation,
    clock::{Clock, Deadline},
    engine::EnrolUnit,
    registry::{DeviceRow, Registered, Registry, RegistryError, RegistryUrl},
    secret::Secret,
    store::{Delivered, Enrolled, NotDelivered, Outbox, StateDirectory, StoreError, Waiting},
};

/// For one connection, and for one row: a database that takes longer is at fault.
const DEADLINE: Duration = Duration::from_secs(10);

/// What puts the units of a run into the registry.
pub(super) fn enroller(state: &StateDirectory, order: &Order, clock: &Clock) -> EnrolUnit {
    let (state, clock) = (state.clone(), clock.clone());
    let (registry, profile) = (order.registry.clone(), order.profile.name.clone());
    let replaced = order.replaces.as_ref().map(|replaced| replaced.mac);
    Arc::new(move |row, deadline| {
        let row = row.replacing(replaced);
        let (state, registry) = (state.clone(), registry.clone());
        let (profile, now) = (profile.clone(), clock.now());
        Box::pin(async move {
            let began = Instant::now();
            let enrolled = async {
                let outbox = state.outbox().await?;
                outbox.enrol(registry.as_ref(), &profile, &row, now, deadline).await
            };
            observed(enrolled.await, began.elapsed())
        })
    })
}

fn observed(enrolled: Result<Enrolled, StoreError>, took: Duration) -> RegistryObservation {
    match enrolled {
        Ok(Enrolled::Recorded { id }) => RegistryObservation::Recorded {
            row: id,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        },
        Ok(Enrolled::Queued { reason }) => RegistryObservation::Queued { reason },
        Ok(Enrolled::Rejected { reason }) => RegistryObservation::Rejected { reason },
        Err(error) => RegistryObservation::Lost { reason: error.to_string() },
    }
}

/// What came of a delivery, and what still waits.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The registry that was sent to, without its credentials.
    pub registry: String,
    /// How many rows came to what.
    pub done: Delivered,
    /// Every row that waits on this station, in the order in which they were queued.
    pub pending: Vec<Waiting>,
}

impl Delivery {
    /// Whether a row waits for this registry, or for whichever comes.
    pub fn concerns(&self, row: &Waiting) -> bool {
        row.key.registry.as_deref().is_none_or(|label| label == self.registry)
    }

    /// How many rows wait for another registry.
    pub fn elsewhere(&self) -> usize {
        self.pending.iter().filter(|row| !self.concerns(row)).count()
    }
}

/// Sends the rows that wait for a registry; all there are, when it takes the place of the others.
///
/// # Errors
/// [`StoreError`] when the queue cannot be used. What the registry says is in the rows.
pub async fn deliver(
    outbox: &Outbox,
    url: &RegistryUrl,
    all: bool,
) -> Result<Delivery, StoreError> {
    let only = (!all).then(|| url.label());
    let done = deliver_rows(outbox, url, only).await?;
    let pending = outbox.pending(None).await?;
    Ok(Delivery { registry: url.label().to_owned(), done, pending })
}

/// Over one connection, which is made for the first row.
async fn deliver_rows(
    outbox: &Outbox,
    url: &RegistryUrl,
    only: Option<&str>,
) -> Result<Delivered, StoreError> {
    let mut registry = None;
    let done = outbox
        .deliver_with(only, async |_, text: Secret| {
            let row = DeviceRow::from_text(&text);
            let row = row.map_err(|error| NotDelivered::Refused(error.to_string()))?;
            let sent = send(&mut registry, url, &row).await;
            // The register's own, newer row stands: this one has been overtaken, and is done with.
            sent.map(drop).map_err(why_not)
        })
        .await;
    if let Some(registry) = registry {
        registry.close().await;
    }
    done
}

async fn send(
    registry: &mut Option<Registry>,
    url: &RegistryUrl,
    row: &DeviceRow,
) -> Result<Registered, RegistryError> {
    let registry = match registry {
        Some(registry) => registry,
        None => {
            let deadline = Deadline::after(DEADLINE);
            let mut opened = Registry::connect(url, deadline).await?;
            opened.ensure_schema(deadline).await?;
            registry.insert(opened)
        }
    };
    registry.upsert(row, Deadline::after(DEADLINE)).await
}

/// A table that does not fit fits no row, so that no further one is tried.
fn why_not(error: RegistryError) -> NotDelivered {
    match error {
        RegistryError::Rejected { .. } => NotDelivered::Refused(error.to_string()),
        _ => NotDelivered::Unavailable(error.to_string()),
    }
}
