//! A series' file: one JSON line for each event of a number, append only, kept twice.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Holder, Lease, LeaseOutcome, LeaseState, Series, Settlement};
use crate::{
    identity::Mac,
    store::{StoreError, at, twofold::Twofold},
};

/// The first number of every series.
const FIRST: u32 = 1;
const END: &str = ".jsonl";
/// The folder of the first copies.
pub(super) const FOLDER: &str = "leases";

/// One event.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    number: u32,
    event: Happened,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lot: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac: Option<Mac>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Happened {
    Leased,
    Used,
    Aborted,
    Scrapped,
}

impl Entry {
    pub(super) fn leased(number: u32, holder: &Holder) -> Self {
        let Holder { run_id, mac, lot, at } = holder.clone();
        let (event, run_id, mac) = (Happened::Leased, Some(run_id), Some(mac));
        Self { number, event, at, run_id, lot, mac, reason: None }
    }

    pub(super) fn settled(number: u32, settlement: &Settlement) -> Self {
        let Settlement { outcome, run_id, at } = settlement.clone();
        let (event, mac, reason) = match outcome {
            LeaseOutcome::Used { mac } => (Happened::Used, Some(mac), None),
            LeaseOutcome::Aborted { mac } => (Happened::Aborted, mac, None),
            LeaseOutcome::Scrapped { reason } => (Happened::Scrapped, None, Some(reason)),
        };
        Self { number, event, at, run_id, lot: None, mac, reason }
    }

    /// What the event says of a number; `None` for the lease itself, or where a fact is missing.
    fn outcome(&self) -> Option<LeaseOutcome> {
        match self.event {
            Happened::Leased => None,
            Happened::Used => self.mac.map(|mac| LeaseOutcome::Used { mac }),
            Happened::Aborted => Some(LeaseOutcome::Aborted { mac: self.mac }),
            Happened::Scrapped => {
                let reason = self.reason.clone().unwrap_or_default();
                Some(LeaseOutcome::Scrapped { reason })
            }
        }
    }
}

/// An open series; the caller holds the lock.
pub(super) struct SeriesFile {
    file: Twofold,
    pub(super) series: Series,
}

/// Profile and value of a file in the folder of leases.
pub(super) fn series_of(file_name: &str) -> Option<(&str, &str)> {
    // Neither name holds a dot; the counter of older versions has no ending.
    file_name.strip_suffix(END).unwrap_or(file_name).split_once('.')
}

pub(super) fn open(root: &Path, profile: &str, value: &str) -> Result<SeriesFile, StoreError> {
    let name = PathBuf::from(FOLDER).join(format!("{profile}.{value}{END}"));
    let start = older_counter(&root.join(FOLDER).join(format!("{profile}.{value}")))?;
    let file = Twofold::open(root, &name)?;
    let mut leases = BTreeMap::new();
    for (index, line) in file.lines().iter().enumerate() {
        if take(line.as_bytes(), &mut leases).is_none() {
            let reason = format!("line {} is no event of a number", index + 1);
            return Err(StoreError::Damaged { path: file.path().to_owned(), reason });
        }
    }
    let next = match leases.last_key_value() {
        Some((last, _)) => u32::checked_add(*last, 1),
        None => Some(start),
    };
    let series = Series { value: value.to_owned(), next, accounted_from: start, leases };
    Ok(SeriesFile { file, series })
}

/// Adds one event to the accounts; `None` when it makes no sense.
fn take(line: &[u8], leases: &mut BTreeMap<u32, Lease>) -> Option<()> {
    let entry: Entry = serde_json::from_slice(line).ok()?;
    let Some(outcome) = entry.outcome() else {
        let Entry { number, run_id, lot, mac, at: leased_at, .. } = entry;
        let (state, settled_at) = (LeaseState::Leased { mac }, None);
        let lease = Lease { number, state, lot, run_id, leased_at, settled_at };
        let new = matches!(entry.event, Happened::Leased) && leases.insert(number, lease).is_none();
        return new.then_some(());
    };
    if let LeaseOutcome::Used { mac: unit } = outcome {
        // A unit holds one number of a series: the last that it was given.
        let held =
            leases.values_mut().filter(|lease| lease.state == LeaseState::Used { mac: unit });
        held.for_each(|lease| lease.state = LeaseState::Replaced { mac: unit, by: entry.number });
    }
    let lease = leases.get_mut(&entry.number)?;
    lease.state = lease.state.after(outcome);
    lease.settled_at = Some(entry.at);
    lease.run_id = entry.run_id.or(lease.run_id);
    Some(())
}

/// Where a series starts: the next number of a version that counted without accounts, or the first.
fn older_counter(path: &Path) -> Result<u32, StoreError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FIRST),
        read => read.map_err(at(path))?,
    };
    text.trim().parse().map_err(|_| StoreError::Damaged {
        path: path.to_owned(),
        reason: format!("\"{}\" is no number", text.trim()),
    })
}

impl SeriesFile {
    /// Writes one event to the disk: a number is given only when no loss of power can give it again.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.file.append(vec![serde_json::to_string(entry).expect("an event becomes JSON")])
    }

    /// For messages.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }
}
