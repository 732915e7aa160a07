//! Every run's record, in SQLite: written once, found again by run, unit, lot or time.
//!
//! The journal is written first and is what counts after a crash: opening the store takes in what the
//! journal has and the store has not. So nothing is lost, and nothing is there twice, since a run's id
//! is its key. Must not know how a record is made.

mod changes;
mod export;
mod insert;
mod older;
mod query;
mod queued;
mod sums;

use sqlx::Row;
use time::{OffsetDateTime, UtcOffset, macros::format_description};

use super::{
    StateDirectory, StoreError,
    database::Database,
    journal::{Entry, Started},
};
use crate::record::Record;

pub use changes::Unsettled;
pub(super) use older::sum_older_rows;
pub use query::{Found, RunFilter, RunOutcome, RunOutcomeError, RunSummary};

/// The open store; several processes may have it open at once.
#[derive(Clone, Debug)]
pub struct RecordStore {
    pub(super) database: Database,
    pub(super) state: StateDirectory,
}

impl StateDirectory {
    /// Opens the record store and takes in what only the journal knows.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it cannot be used, [`StoreError::OlderSchema`] and
    /// [`StoreError::NewerSchema`] when another version of Goldline made it, [`StoreError::Io`] when the journal
    /// cannot be read.
    pub async fn records(&self) -> Result<RecordStore, StoreError> {
        let store = RecordStore { database: self.database().await?, state: self.clone() };
        store.take_in_journal().await?;
        Ok(store)
    }
}

impl RecordStore {
    /// Keeps a record; one that is there already is left as it is. Says whether it was new.
    ///
    /// # Errors
    /// [`StoreError::Database`] when it cannot be written.
    pub async fn keep(&self, record: &Record) -> Result<bool, StoreError> {
        let mut transaction = self.database.write().await?;
        let new = insert::record(&mut transaction, record).await;
        let new = new.map_err(|source| self.database.failed(source))?;
        transaction.commit().await.map_err(|source| self.database.failed(source))?;
        Ok(new)
    }

    /// Takes in what the journal has and the database has not.
    pub(super) async fn take_in_journal(&self) -> Result<(), StoreError> {
        let failed = |source| self.database.failed(source);
        let length = self.state.journal_length();
        if length == self.bytes_taken_in(&self.database.pool).await? {
            return Ok(());
        }
        // The place is read again inside, where no other process can move it.
        let mut transaction = self.database.write().await?;
        let taken_in = self.bytes_taken_in(&mut *transaction).await?;
        // A journal that became shorter is another one; records that are known stay as they are.
        let shrunk = taken_in > length;
        let start = if shrunk { 0 } else { taken_in };
        if shrunk {
            let lost = taken_in - length;
            tracing::warn!(
                "journal.jsonl lost {lost} bytes since it was read last; what they said of runs is in records.sqlite"
            );
        }
        let (entries, end) = match length {
            0 => (Vec::new(), 0),
            _ => self.state.journal_from(start)?,
        };
        for entry in entries {
            let taken = match entry {
                Entry::Started(started) => insert::started(&mut transaction, &started).await,
                // Read before, with what followed; what is left of the journal may not say how it went on.
                Entry::Changing(_) | Entry::Settled(_) | Entry::Queued(_) | Entry::Arrived(_)
                    if shrunk =>
                {
                    Ok(())
                }
                Entry::Changing(changing) => changes::changing(&mut transaction, &changing).await,
                Entry::Queued(row) => queued::insert(&mut transaction, &row).await,
                Entry::Arrived(ticket) => queued::remove(&mut transaction, ticket).await,
                Entry::Settled(run_id) => changes::settled(&mut transaction, run_id).await,
                Entry::Ended(record) => insert::record(&mut transaction, &record).await.map(drop),
            };
            taken.map_err(failed)?;
        }
        let place = i64::try_from(end).expect("a journal is far below 8 EiB");
        sqlx::raw_sql("DELETE FROM journal_read")
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        sqlx::query("INSERT INTO journal_read VALUES (?)")
            .bind(place)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn bytes_taken_in<'a>(
        &self,
        executor: impl sqlx::SqliteExecutor<'a>,
    ) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT bytes FROM journal_read").fetch_optional(executor).await;
        let row = row.map_err(|source| self.database.failed(source))?;
        Ok(row.map_or(0, |row| row.get::<i64, _>(0).unsigned_abs()))
    }
}

/// A time as the database has it: UTC with milliseconds, so that text sorts by time.
fn time_text(at: OffsetDateTime) -> String {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    at.to_offset(UtcOffset::UTC).format(form).expect("a time of day has all parts")
}

#[cfg(test)]
mod tests;
