//! One unit into the register, or into the queue for it: the row is on the disk before it is sent.
//!
//! So a process that dies anywhere in between loses nothing, and the register's upsert bears the same row
//! twice. Must not know how a unit was provisioned.

use time::OffsetDateTime;

use super::{Outbox, OutboxKey, StoreError};
use crate::{
    clock::Deadline,
    registry::{DeviceRow, Registered, Registry, RegistryError, RegistryUrl},
};

/// What became of a unit's row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Enrolled {
    /// The register holds it.
    Recorded {
        /// The row's own number there.
        id: i64,
    },
    /// It waits on this station's disk; `goldline registry deliver` sends it.
    Queued {
        /// Why it could not be sent, without secrets.
        reason: String,
    },
    /// The register does not take it. It waits all the same, so that nothing is lost.
    Rejected {
        /// Why, without secrets.
        reason: String,
    },
}

impl Outbox {
    /// Queues a unit's row and then tries to send it, once.
    ///
    /// # Errors
    /// [`StoreError`] when the row could not be put on the disk, or not be taken off it.
    pub async fn enrol(
        &self,
        registry: Option<&RegistryUrl>,
        profile: &str,
        row: &DeviceRow,
        at: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Enrolled, StoreError> {
        let device = row.device();
        let key = OutboxKey {
            registry: registry.map(|url| url.label().to_owned()),
            profile: profile.to_owned(),
            unit: device.uuid.to_string(),
            status: device.status_only.then(|| device.status.as_str().to_owned()),
        };
        let ticket = self.enqueue(&key, &row.to_text(), at).await?;
        let Some(url) = registry else {
            return Ok(Enrolled::Queued { reason: "this station knows no registry".to_owned() });
        };
        match send(url, row, deadline).await {
            Ok(Registered::Written { id: row }) => {
                self.remove(ticket).await?;
                Ok(Enrolled::Recorded { id: row })
            }
            Ok(Registered::NewerKept { provisioned_at, .. }) => {
                let reason = format!(
                    "the registry has a row of this unit that is newer ({provisioned_at}): compare the stations' clocks"
                );
                self.note(ticket, &reason).await?;
                Ok(Enrolled::Rejected { reason })
            }
            Ok(Registered::HeldByOther { mac, .. }) => {
                let reason = held_by_other(&mac);
                self.note(ticket, &reason).await?;
                Ok(Enrolled::Rejected { reason })
            }
            Ok(Registered::Scrapped { id }) => {
                let reason = scrapped(id);
                self.note(ticket, &reason).await?;
                Ok(Enrolled::Rejected { reason })
            }
            Err(error) => {
                let reason = error.to_string();
                self.note(ticket, &reason).await?;
                Ok(if error.may_pass_later() {
                    Enrolled::Queued { reason }
                } else {
                    Enrolled::Rejected { reason }
                })
            }
        }
    }
}

/// Why a row of a unit that was written off is not taken.
fn scrapped(id: i64) -> String {
    format!(
        "the registry has this unit as scrapped (row {id}), and keeps it so: take it off the line, or have its status changed in the database if that was a mistake"
    )
}

/// Why a row is not taken whose UUID is another unit's.
pub fn held_by_other(mac: &str) -> String {
    format!("the registry's row of this UUID is of the unit {mac}")
}

async fn send(
    url: &RegistryUrl,
    row: &DeviceRow,
    deadline: Deadline,
) -> Result<Registered, RegistryError> {
    let mut registry = Registry::connect(url, deadline).await?;
    registry.ensure_schema(deadline).await?;
    let registered = registry.upsert(row, deadline).await;
    // A server that is slow to hear goodbye must not make the run slow.
    let _left = tokio::time::timeout_at(deadline.instant(), registry.close()).await;
    registered
}
