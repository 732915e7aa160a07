//! What the registry is told of a unit: on this station's disk first and then in the registry, if the station
//! knows one.
//!
//! And the later delivery of what had to wait. Must not know how a unit was provisioned.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{order::Order, remembered::provisioned_unit};
use crate::{
    check::RegistryObservation,
    clock::{Clock, Deadline},
    engine::{EnrolUnit, Finished, News, registry_row},
    identity::Mac,
    plan::Scope,
    record::Verdict,
    registry::{
        DeviceRow, Notice, Registered, Registry, RegistryError, RegistryUrl, Status, UnitName,
    },
    secret::Secret,
    store::{
        Delivered, Enrolled, NotDelivered, Outbox, OutboxKey, StateDirectory, StoreError, Waiting,
        held_by_other,
    },
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

/// Tells the registry of units that failed.
#[derive(Clone)]
pub(super) struct Failures {
    state: StateDirectory,
    registry: Option<RegistryUrl>,
    replaced: Option<Mac>,
    clock: Clock,
}

impl Failures {
    pub(super) fn of(state: &StateDirectory, order: &Order, clock: &Clock) -> Self {
        Self {
            state: state.clone(),
            registry: order.registry.clone(),
            replaced: order.replaces.as_ref().map(|replaced| replaced.mac),
            clock: clock.clone(),
        }
    }

    /// Sends or queues the row of a unit whose verdict is FAIL, once it is known which unit it is. Any other
    /// verdict says nothing of the unit that the registry has not got.
    ///
    /// # Errors
    /// [`StoreError`] when the row could not be queued.
    pub(super) async fn tell(&self, scope: Scope, finished: &Finished) -> Result<(), StoreError> {
        let Some(row) = self.row(scope, finished) else { return Ok(()) };
        let outbox = self.state.outbox().await?;
        let profile = &finished.record.profile;
        let deadline = Deadline::after(DEADLINE);
        let now = self.clock.now();
        match outbox.enrol(self.registry.as_ref(), profile, &row, now, deadline).await? {
            Enrolled::Recorded { .. } => {}
            Enrolled::Queued { reason } | Enrolled::Rejected { reason } => {
                tracing::info!(reason, "the status \"failed\" waits for the registry");
            }
        }
        Ok(())
    }

    fn row(&self, scope: Scope, finished: &Finished) -> Option<DeviceRow> {
        let failed = finished.record.verdict == Some(Verdict::Fail);
        // What no chip has is the address of many.
        let known = finished.record.unit.mac.is_some_and(Mac::is_a_chips);
        let plan = finished.plan.as_ref().filter(|_| failed && known)?;
        let spec = plan.profile().registry.as_ref()?;
        let news = match provisioned_unit(scope, finished) {
            Some(_) => News::FailedWithValues,
            None => News::Failed,
        };
        // One of which no row can be made was told of in the run, where that is a check.
        let row = registry_row(plan.shipped(), spec, news, self.clock.now()).ok()?;
        Some(row.replacing(self.replaced))
    }
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
    /// What the registry made of those that it has now, in the order in which they were sent.
    pub rows: Vec<DeliveredRow>,
    /// Every row that waits on this station, in the order in which they were queued.
    pub pending: Vec<Waiting>,
}

/// A row that the registry has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DeliveredRow {
    /// Which.
    #[serde(flatten)]
    pub key: OutboxKey,
    /// The registry's own number of it.
    pub row: i64,
    /// What it made of what was sent.
    pub fate: Fate,
}

/// What a registry made of what was sent to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It holds this now.
    Written,
    /// It holds something newer of the unit, and kept that.
    NewerKept,
    /// The unit is scrapped, and stays so.
    StaysScrapped,
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
    let mut rows = Vec::new();
    let done = deliver_rows(outbox, url, only, &mut rows).await?;
    let pending = outbox.pending(None).await?;
    Ok(Delivery { registry: url.label().to_owned(), done, rows, pending })
}

/// Queues that a unit is scrapped; it is on the disk when this returns. [`deliver`] sends it, behind what was
/// queued of the unit before.
///
/// # Errors
/// [`StoreError`] when it cannot be queued.
pub async fn scrap_unit(
    outbox: &Outbox,
    registry: Option<&RegistryUrl>,
    unit: UnitName,
    clock: &Clock,
) -> Result<(), StoreError> {
    let key = OutboxKey {
        registry: registry.map(|url| url.label().to_owned()),
        // Whichever it was made as.
        profile: "-".to_owned(),
        unit: unit.to_string(),
        status: Some(Status::Scrapped.as_str().to_owned()),
    };
    outbox.enqueue(&key, &Notice::Scrap(unit).to_text(), clock.now()).await.map(drop)
}

/// Over one connection, which is made for the first row.
async fn deliver_rows(
    outbox: &Outbox,
    url: &RegistryUrl,
    only: Option<&str>,
    rows: &mut Vec<DeliveredRow>,
) -> Result<Delivered, StoreError> {
    let mut registry = None;
    let done = outbox
        .deliver_with(only, async |key, text: Secret| {
            let notice = Notice::from_text(&text);
            let notice = notice.map_err(|error| NotDelivered::Refused(error.to_string()))?;
            let registry = connected(&mut registry, url).await.map_err(why_not)?;
            let fates = send(registry, &notice).await?;
            let told = fates.into_iter().map(|(row, fate)| {
                let key = key.clone();
                DeliveredRow { key, row, fate }
            });
            rows.extend(told);
            Ok(())
        })
        .await;
    if let Some(registry) = registry {
        registry.close().await;
    }
    done
}

async fn connected<'a>(
    registry: &'a mut Option<Registry>,
    url: &RegistryUrl,
) -> Result<&'a mut Registry, RegistryError> {
    match registry {
        Some(registry) => Ok(registry),
        None => {
            let deadline = Deadline::after(DEADLINE);
            let mut opened = Registry::connect(url, deadline).await?;
            opened.ensure_schema(deadline).await?;
            Ok(registry.insert(opened))
        }
    }
}

/// The registry's numbers of the unit's rows, and what it made of each.
async fn send(registry: &mut Registry, notice: &Notice) -> Result<Vec<(i64, Fate)>, NotDelivered> {
    let deadline = Deadline::after(DEADLINE);
    let row = match notice {
        Notice::Row(row) => row,
        Notice::Scrap(unit) => {
            let rows = registry.scrap(unit, deadline).await.map_err(why_not)?;
            if rows.is_empty() {
                let why =
                    format!("the registry has no row of the unit {unit}: its row must come first");
                return Err(NotDelivered::Refused(why));
            }
            return Ok(rows.into_iter().map(|row| (row, Fate::Written)).collect());
        }
    };
    let registered = registry.upsert(row, deadline).await.map_err(why_not)?;
    let fate = match &registered {
        Registered::Written { .. } => Fate::Written,
        // The register's own, newer row stands: this one has been overtaken, and is done with.
        Registered::NewerKept { .. } => Fate::NewerKept,
        Registered::Scrapped { .. } => Fate::StaysScrapped,
        Registered::HeldByOther { mac, .. } => {
            return Err(NotDelivered::Refused(held_by_other(mac)));
        }
    };
    Ok(vec![(registered.id(), fate)])
}

/// A table that does not fit fits no row, so that no further one is tried.
fn why_not(error: RegistryError) -> NotDelivered {
    match error {
        RegistryError::Rejected { .. } => NotDelivered::Refused(error.to_string()),
        _ => NotDelivered::Unavailable(error.to_string()),
    }
}
