//! One line for each run that began and each that ended: what is left when a station loses power.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt};

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{StateDirectory, StoreError, at};
use crate::record::Record;

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Entry<'a> {
    Started {
        run_id: Uuid,
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        profile: &'a str,
        device: &'a str,
    },
    Ended {
        run_id: Uuid,
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        record: &'a Record,
    },
}

impl StateDirectory {
    /// Notes that a run begins.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the journal cannot be written.
    pub fn journal_started(
        &self,
        run_id: Uuid,
        at: OffsetDateTime,
        profile: &str,
        device: &str,
    ) -> Result<(), StoreError> {
        self.append(&Entry::Started { run_id, at, profile, device })
    }

    /// Notes what a run came to, with its whole record.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the journal cannot be written.
    pub fn journal_ended(&self, record: &Record, at: OffsetDateTime) -> Result<(), StoreError> {
        self.append(&Entry::Ended { run_id: record.run_id, at, record })
    }

    fn append(&self, entry: &Entry<'_>) -> Result<(), StoreError> {
        let path = self.root.join("journal.jsonl");
        let mut line = serde_json::to_vec(entry).expect("an entry becomes JSON");
        line.push(b'\n');
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(at(&path))?;
        // One write of one line: lines of stations that run at once do not mix.
        file.write_all(&line).map_err(at(&path))?;
        file.sync_data().map_err(at(&path))
    }
}
