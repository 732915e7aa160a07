//! From the journal's lines to the rows of the outbox.

use sqlx::SqliteConnection;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::{hex::from_hex, store::journal::Queued};

/// A newer row of a unit takes the place of an older one. A line that makes no sense queues nothing, and is told
/// to the log.
pub(super) async fn insert(connection: &mut SqliteConnection, queued: &Queued) -> sqlx::Result<()> {
    let (Some(sealed), Ok(at)) = (from_hex(&queued.sealed), queued.at.format(&Rfc3339)) else {
        tracing::warn!("a row for a registry cannot be read in the journal, and is left out");
        return Ok(());
    };
    sqlx::query(
        "INSERT OR REPLACE INTO outbox (registry, profile, unit, queued_at, sealed, ticket) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(queued.registry.as_deref().unwrap_or_default())
    .bind(&queued.profile)
    .bind(&queued.unit)
    .bind(at)
    .bind(sealed)
    .bind(queued.ticket.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// One that was queued in its place meanwhile stays.
pub(super) async fn remove(connection: &mut SqliteConnection, ticket: Uuid) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM outbox WHERE ticket = ?")
        .bind(ticket.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
