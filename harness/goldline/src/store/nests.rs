//! Which nests are in use, and what must be done to one whose run was killed: power off, lid open.
//!
//! ```text
//! nests/NAME.lock   held by the process that uses the nest; its number stands in it
//! nests/NAME.json   while there is something to take back: the programs that do it
//! ```

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{StateDirectory, StoreError, at, make_private_folder, try_lock, write_private};
use crate::process::Program;

/// A nest that nobody else uses until this is dropped.
#[derive(Debug)]
pub struct HeldNest {
    name: String,
    /// Locked.
    _lock: File,
    left: PathBuf,
}

/// What is to be done to a nest before anything else is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ToTakeBack {
    /// In order.
    pub programs: Vec<Program>,
    /// How long each of them may take, in seconds.
    pub within_s: u64,
}

/// A nest is not to be had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum NestInUse {
    #[error("the nest {nest} is in use by process {holder}")]
    Held { nest: String, holder: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StateDirectory {
    /// Takes a nest for this process.
    ///
    /// # Errors
    /// [`NestInUse::Held`] when another process has it.
    pub fn hold_nest(&self, name: &str) -> Result<HeldNest, NestInUse> {
        let folder = self.nests()?;
        let path = folder.join(format!("{name}.lock"));
        let mut lock = match try_lock(&path)? {
            Ok(lock) => lock,
            Err(mut held) => {
                let mut holder = String::new();
                let _unknown = held.read_to_string(&mut holder);
                return Err(NestInUse::Held {
                    nest: name.to_owned(),
                    holder: holder.trim().to_owned(),
                });
            }
        };
        let noted = lock
            .set_len(0)
            .and_then(|()| lock.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(lock, "{}", std::process::id()));
        noted.map_err(at(&path))?;
        let left = folder.join(format!("{name}.json"));
        Ok(HeldNest { name: name.to_owned(), _lock: lock, left })
    }

    /// The nests of which something is to be taken back, whoever uses them.
    ///
    /// # Errors
    /// [`StoreError`] when the folder cannot be read.
    pub fn nests_left(&self) -> Result<Vec<String>, StoreError> {
        let folder = self.nests()?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let path = entry.map_err(at(&folder))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
            }
        }
        names.sort();
        Ok(names)
    }

    fn nests(&self) -> Result<PathBuf, StoreError> {
        let folder = self.root.join("nests");
        make_private_folder(&folder)?;
        Ok(folder)
    }
}

impl HeldNest {
    /// The nest's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a run that was killed left to be done; `None` when the nest is as it must be left.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn left(&self) -> Result<Option<ToTakeBack>, StoreError> {
        if !self.left.exists() {
            return Ok(None);
        }
        let bytes = fs::read(&self.left).map_err(at(&self.left))?;
        let damaged = |error: serde_json::Error| StoreError::Damaged {
            path: self.left.clone(),
            reason: error.to_string(),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// Notes on the disk what is to be taken back, before it is done.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written: then it must not be done.
    pub fn will_take_back(&self, what: &ToTakeBack) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(what).expect("programs are plain data");
        write_private(&self.left, &bytes)
    }

    /// Notes that it was done.
    ///
    /// # Errors
    /// [`StoreError`] when the note cannot be removed: then it is done once more.
    pub fn taken_back(&self) -> Result<(), StoreError> {
        match fs::remove_file(&self.left) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(at(&self.left)(error))
            }
            _ => Ok(()),
        }
    }
}

impl ToTakeBack {
    /// How long each program may take.
    pub fn within(&self) -> Duration {
        Duration::from_secs(self.within_s)
    }
}
