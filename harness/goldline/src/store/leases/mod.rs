//! Numbers that are given once and never again, and what became of each.
//!
//! A series is one numbered value of one profile; its accounts are a file of lines, each an event of
//! one number, appended under a lock and forced to the disk. A lease names its unit, which has that number
//! first call on it ever after: a process that dies leaves it `leased`, and the unit's next run takes it up
//! again. Synchronous, since a file is written. Must not know how a unit gets its number.

mod accounts;
mod file;

use std::{collections::BTreeMap, fs, path::PathBuf};

use time::OffsetDateTime;
use uuid::Uuid;

use super::{StateDirectory, StoreError, at, lock, make_private_folder, twofold::COPIES};
use crate::identity::Mac;

pub use accounts::{Lease, LeaseState, Series};
use file::Entry;

/// Who takes a number.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The run.
    pub run_id: Uuid,
    /// Base MAC of the unit.
    pub mac: Mac,
    /// The batch of units.
    pub lot: Option<String>,
    /// When.
    pub at: OffsetDateTime,
}

/// What became of a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeaseOutcome {
    /// A unit holds it.
    Used {
        /// Base MAC of that unit.
        mac: Mac,
    },
    /// Its run ended before the unit was provisioned; the number is burnt.
    Aborted {
        /// Base MAC, when the unit was identified.
        mac: Option<Mac>,
    },
    /// Someone wrote the number off, with its unit if it had one. Final.
    Scrapped {
        /// Why, in that person's words.
        reason: String,
    },
}

/// Tells the fate of a number.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// What became of it.
    pub outcome: LeaseOutcome,
    /// The run that says so.
    pub run_id: Option<Uuid>,
    /// When.
    pub at: OffsetDateTime,
}

/// The fate of a number cannot be noted.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum LeaseError {
    #[error("{profile} never gave the number {number}: its next one is {next}")]
    NeverGiven { profile: String, number: u32, next: u32 },
    #[error("the number {number} is {found} and cannot become {wanted}")]
    Settled { number: u32, found: String, wanted: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StateDirectory {
    /// The next number of a profile's value. It is gone from now on, even if the run fails. `held` are numbers
    /// that units have from elsewhere: the accounts take them up, and none of them is given.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the series' file cannot be understood or the series is used up.
    pub fn lease(
        &self,
        profile: &str,
        value: &str,
        holder: &Holder,
        held: &BTreeMap<u32, Mac>,
    ) -> Result<u32, StoreError> {
        let folder = self.leases_folder()?;
        let _lock = lock(&folder.join("lock"))?;
        self.note_lease()?;
        let mut file = file::open(&self.root, profile, value)?;
        let first = self.first_number()?;
        let mut next = file.series.next.map(|next| next.max(first));
        loop {
            let number = next.ok_or_else(|| StoreError::Damaged {
                path: file.path().to_owned(),
                reason: "the series is used up".to_owned(),
            })?;
            let Some(&mac) = held.get(&number) else {
                file.append(&Entry::leased(number, holder))?;
                return Ok(number);
            };
            let outcome = LeaseOutcome::Used { mac };
            file.append(&Entry::leased(number, &Holder { mac, ..holder.clone() }))?;
            let settlement = Settlement { outcome, run_id: None, at: holder.at };
            file.append(&Entry::settled(number, &settlement))?;
            next = number.checked_add(1);
        }
    }

    /// The number that was leased for a unit, and that no later one replaced and nobody wrote off.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the series' file cannot be understood.
    pub fn number_of(
        &self,
        profile: &str,
        value: &str,
        mac: Mac,
    ) -> Result<Option<u32>, StoreError> {
        let folder = self.leases_folder()?;
        let _lock = lock(&folder.join("lock"))?;
        Ok(file::open(&self.root, profile, value)?.series.number_of(mac))
    }

    /// Notes what became of a number. Said twice it is noted once; and a unit that was to be given its own
    /// number once more, and was not, keeps it.
    ///
    /// # Errors
    /// [`LeaseError::NeverGiven`] for a number that no lease gave, [`LeaseError::Settled`] when it was
    /// scrapped already or another unit holds it.
    pub fn settle(
        &self,
        profile: &str,
        value: &str,
        number: u32,
        settlement: &Settlement,
    ) -> Result<(), LeaseError> {
        let folder = self.leases_folder()?;
        let _lock = lock(&folder.join("lock"))?;
        let mut file = file::open(&self.root, profile, value)?;
        let Some(lease) = file.series.leases.get(&number) else {
            let (profile, next) = (profile.to_owned(), file.series.next.unwrap_or(u32::MAX));
            return Err(LeaseError::NeverGiven { profile, number, next });
        };
        if lease.state.is(&settlement.outcome) || lease.state.outlasts(&settlement.outcome) {
            return Ok(());
        }
        if !lease.state.may_become(&settlement.outcome) {
            let wanted = LeaseState::from(&settlement.outcome).to_string();
            return Err(LeaseError::Settled { number, found: lease.state.to_string(), wanted });
        }
        file.append(&Entry::settled(number, settlement))?;
        Ok(())
    }

    /// Every series of a profile, by the name of its value.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a series' file cannot be understood.
    pub fn leases(&self, profile: &str) -> Result<Vec<Series>, StoreError> {
        let folder = self.leases_folder()?;
        let _lock = lock(&folder.join("lock"))?;
        let mut values = Vec::new();
        let copies = self.root.join(COPIES).join(file::FOLDER);
        make_private_folder(&copies)?;
        let mut names = Vec::new();
        for folder in [&folder, &copies] {
            for entry in fs::read_dir(folder).map_err(at(folder))? {
                names.push(entry.map_err(at(folder))?.file_name());
            }
        }
        for name in names {
            // A series that was carried on has two files.
            if let Some((of, value)) = name.to_str().and_then(file::series_of)
                && of == profile
                && !values.iter().any(|known| known == value)
            {
                values.push(value.to_owned());
            }
        }
        values.sort();
        let first = self.first_number()?;
        let series = |value: &String| {
            let mut series = file::open(&self.root, profile, value)?.series;
            series.next = series.next.map(|next| next.max(first));
            Ok(series)
        };
        values.iter().map(series).collect()
    }

    fn leases_folder(&self) -> Result<PathBuf, StoreError> {
        let folder = self.root.join(file::FOLDER);
        make_private_folder(&folder)?;
        Ok(folder)
    }
}

#[cfg(test)]
mod tests;
