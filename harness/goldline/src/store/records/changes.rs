//! Units that were being changed when their run ended: half written, and not to be judged.
//!
//! What the journal says of it, by unit: the last run that changed it, and whether that came to its end.

use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::{RecordStore, StoreError, time_text};
use crate::{identity::Mac, store::journal::Changing};

/// A run that began to change a unit and did not come to the end of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsettled {
    /// The run.
    pub run_id: Uuid,
    /// Name of its profile.
    pub profile: String,
    /// How far it came.
    pub stage: String,
    /// Whether it has a record: its process lived on, and the run was stopped or went wrong.
    pub recorded: bool,
}

impl RecordStore {
    /// The last run that changed a unit, where it did not come to the end of it and does not go on.
    ///
    /// # Errors
    /// [`StoreError`] when journal or database cannot be read.
    pub async fn unsettled(&self, mac: Mac) -> Result<Option<Unsettled>, StoreError> {
        self.take_in_journal().await?;
        let row = sqlx::query(
            "SELECT run_id, profile, stage, \
             EXISTS (SELECT 1 FROM runs WHERE runs.run_id = changes.run_id) AS recorded \
             FROM changes WHERE mac = ? AND settled = 0",
        )
        .bind(mac.to_string())
        .fetch_optional(&self.database.pool)
        .await
        .map_err(|source| self.database.failed(source))?;
        let Some(row) = row else { return Ok(None) };
        let run_id: Uuid = row
            .get::<String, _>("run_id")
            .parse()
            .map_err(|_| self.database.damaged("a change of a unit has no run"))?;
        let unsettled = Unsettled {
            run_id,
            profile: row.get("profile"),
            stage: row.get("stage"),
            recorded: row.get("recorded"),
        };
        Ok(Some(unsettled).filter(|_| !self.state.is_under_way(run_id)))
    }
}

/// The journal's order decides, and not a clock that may be set back.
pub(super) async fn changing(
    connection: &mut SqliteConnection,
    changing: &Changing,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT OR REPLACE INTO changes (mac, run_id, profile, stage, noted_at) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(changing.mac.to_string())
    .bind(changing.run_id.to_string())
    .bind(&changing.profile)
    .bind(&changing.stage)
    .bind(time_text(changing.at))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn settled(connection: &mut SqliteConnection, run_id: Uuid) -> sqlx::Result<()> {
    sqlx::query("UPDATE changes SET settled = 1 WHERE run_id = ?")
        .bind(run_id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
