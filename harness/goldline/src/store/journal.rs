//! One line for each run that began and each that ended, and between them one before its unit is changed, one
//! for each step after that, and one when the unit is as the run was to leave it: what is left when a station
//! loses power. Rows for a registry are noted where they are queued and where they arrived.
//!
//! Append only. A run that is under way holds a lock on a file of its own, so that a reader can tell it
//! from one that was interrupted.

use std::{
    borrow::Cow,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{StateDirectory, StoreError, at, make_private_folder};
use crate::{identity::Mac, record::Record};

/// The beginning of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Started<'a> {
    /// Unique for this run.
    pub run_id: Uuid,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Name of the profile.
    pub profile: Cow<'a, str>,
    /// URL of the device.
    pub device: Cow<'a, str>,
    /// The batch of units.
    #[serde(default)]
    pub lot: Option<Cow<'a, str>>,
    /// Who runs it.
    #[serde(default)]
    pub operator: Option<Cow<'a, str>>,
}

/// A step of a run that changes its unit, or that comes after one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Changing {
    /// The run.
    pub run_id: Uuid,
    /// Base MAC of the unit.
    pub mac: Mac,
    /// Name of the profile.
    pub profile: String,
    /// The step's stage.
    pub stage: String,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// A row for a registry that was queued.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Queued {
    /// Names this queueing: a newer row of the unit has another one.
    pub(super) ticket: Uuid,
    pub(super) registry: Option<String>,
    pub(super) profile: String,
    pub(super) unit: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) at: OffsetDateTime,
    /// Nonce and ciphertext, in hex.
    pub(super) sealed: String,
}

/// Removes what killed processes left behind. A shared lock is no obstacle to those who ask whether a run
/// goes on; a file that cannot be removed says nothing wrong.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let left = File::open(entry.path()).is_ok_and(|file| file.try_lock_shared().is_ok());
        if left {
            let _gone = fs::remove_file(entry.path());
        }
    }
}

/// Whether a line must bear a loss of power as soon as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durable {
    /// It is on the disk when the call returns.
    Now,
    /// It bears the end of the process, and reaches the disk with the next line that must.
    Later,
}

/// A line of the journal.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Started(&'a Started<'a>),
    Changing(&'a Changing),
    Settled {
        run_id: Uuid,
    },
    Queued(&'a Queued),
    Arrived {
        ticket: Uuid,
    },
    Ended {
        run_id: Uuid,
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        record: &'a Record,
    },
}

/// A line that was read back.
pub(super) enum Entry {
    Started(Started<'static>),
    Changing(Changing),
    Settled(Uuid),
    Queued(Queued),
    Arrived(Uuid),
    Ended(Box<Record>),
}

/// Says that a run is under way, until dropped or until its process dies.
#[derive(Debug)]
pub struct UnderWay {
    path: PathBuf,
    _lock: File,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // A file that stays behind is unlocked, which says the same.
        let _gone = fs::remove_file(&self.path);
    }
}

impl StateDirectory {
    /// Notes that a run begins; it counts as under way as long as the answer is held.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the journal cannot be written.
    pub fn journal_started(&self, started: &Started<'_>) -> Result<UnderWay, StoreError> {
        let folder = self.root.join("running");
        make_private_folder(&folder)?;
        // Whoever sweeps must not take a file that is not locked yet for one that was left behind.
        let _alone = super::lock(&self.root.join("running.lock"))?;
        sweep(&folder);
        let path = self.running(started.run_id);
        let lock = super::lock(&path)?;
        self.append(&Line::Started(started), Durable::Now)?;
        Ok(UnderWay { path, _lock: lock })
    }

    /// Notes what a run came to, with its whole record.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the journal cannot be written.
    pub fn journal_ended(&self, record: &Record, at: OffsetDateTime) -> Result<(), StoreError> {
        self.append(&Line::Ended { run_id: record.run_id, at, record }, Durable::Now)
    }

    /// Notes that a run comes to a step that changes its unit, or that comes after one.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the journal cannot be written.
    pub fn journal_changing(
        &self,
        changing: &Changing,
        durable: Durable,
    ) -> Result<(), StoreError> {
        self.append(&Line::Changing(changing), durable)
    }

    /// Notes that a unit is as its run was to leave it, and that the station knows how.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the journal cannot be written.
    pub fn journal_settled(&self, run_id: Uuid) -> Result<(), StoreError> {
        self.append(&Line::Settled { run_id }, Durable::Now)
    }

    /// Notes that a row waits for a registry.
    pub(super) fn journal_queued(&self, queued: &Queued) -> Result<(), StoreError> {
        self.append(&Line::Queued(queued), Durable::Now)
    }

    /// Notes that a row arrived, or is not to be sent any more.
    pub(super) fn journal_arrived(&self, ticket: Uuid) -> Result<(), StoreError> {
        self.append(&Line::Arrived { ticket }, Durable::Now)
    }

    /// Whether the process of a run still holds its lock.
    pub(super) fn is_under_way(&self, run_id: Uuid) -> bool {
        File::open(self.running(run_id)).is_ok_and(|file| file.try_lock_shared().is_err())
    }

    fn running(&self, run_id: Uuid) -> PathBuf {
        self.root.join("running").join(run_id.to_string())
    }

    fn journal(&self) -> PathBuf {
        self.root.join("journal.jsonl")
    }

    fn append(&self, line: &Line<'_>, durable: Durable) -> Result<(), StoreError> {
        let path = self.journal();
        let mut text = serde_json::to_vec(line).expect("a line becomes JSON");
        text.push(b'\n');
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .mode(0o600)
            .open(&path)
            .map_err(at(&path))?;
        file.lock().map_err(at(&path))?;
        // A line that a loss of power tore must not swallow this one.
        if ends_torn(&mut file).map_err(at(&path))? {
            text.insert(0, b'\n');
        }
        file.write_all(&text).map_err(at(&path))?;
        match durable {
            Durable::Now => file.sync_data().map_err(at(&path)),
            Durable::Later => Ok(()),
        }
    }

    /// How long the journal is; nothing is as long as an absent one.
    pub(super) fn journal_length(&self) -> u64 {
        fs::metadata(self.journal()).map_or(0, |metadata| metadata.len())
    }

    /// The whole lines from a place on, and the place behind the last of them. A line that cannot be
    /// understood is told to the log and left out.
    pub(super) fn journal_from(&self, start: u64) -> Result<(Vec<Entry>, u64), StoreError> {
        let path = self.journal();
        let mut file = File::open(&path).map_err(at(&path))?;
        file.seek(SeekFrom::Start(start)).map_err(at(&path))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(at(&path))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let entries = lines.filter_map(|line| {
            let entry = read(line);
            if let Err(error) = &entry {
                tracing::warn!(%error, "a line of the journal cannot be read, and is left out");
            }
            entry.ok()
        });
        Ok((entries.collect(), start + whole as u64))
    }
}

fn ends_torn(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn read(line: &[u8]) -> serde_json::Result<Entry> {
    #[derive(Deserialize)]
    #[serde(tag = "event", rename_all = "snake_case")]
    enum Stored {
        Started(Started<'static>),
        Changing(Changing),
        Settled { run_id: Uuid },
        Queued(Queued),
        Arrived { ticket: Uuid },
        Ended { record: Box<Record> },
    }
    Ok(match serde_json::from_slice(line)? {
        Stored::Started(started) => Entry::Started(started),
        Stored::Changing(changing) => Entry::Changing(changing),
        Stored::Settled { run_id } => Entry::Settled(run_id),
        Stored::Queued(queued) => Entry::Queued(queued),
        Stored::Arrived { ticket } => Entry::Arrived(ticket),
        Stored::Ended { record } => Entry::Ended(record),
    })
}
