//! Whether a state directory is the one that was last used here.
//!
//! Once a lease has given a number, each run raises one in the directory and in a file beside it. A directory that was restored from an older
//! copy, or copied to another station, is behind or alone, and is refused before it gives a number twice: it is
//! taken into use on purpose, with numbers from a fresh block on.
//!
//! Inside first, then beside: a machine that stops in between leaves the directory one ahead, which is right. What
//! cannot be seen is a copy of both. Nor is a directory seen that begins a file system of its own (a volume is moved
//! from machine to machine as it is meant to), or that lies where its owner may not write.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{StateDirectory, StoreError, at, lock, write_private};
use crate::hex::hex;

const INSIDE: &str = "generation.json";
/// `state` has `state.generation` beside it.
const BESIDE: &str = "generation";

/// A generation and its digest, as it stands in both files.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    generation: Generation,
    sum: String,
}

/// Which use of the directory it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Generation {
    /// Made anew whenever a directory is taken into use.
    station: Uuid,
    number: u64,
    /// No lease gives a number below this one.
    first: u32,
    /// Whether a lease ever gave one: without, a copy can give none twice.
    leased: bool,
}

impl Generation {
    fn new() -> Self {
        Self { station: Uuid::new_v4(), number: 1, first: 0, leased: false }
    }

    /// A changed bit is seen.
    fn sum(self) -> String {
        let Self { station, number, first, leased } = self;
        hex(&Sha256::digest(format!("{station} {number} {first} {leased}")))
    }

    fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }
}

impl StateDirectory {
    /// Raises the directory's generation, before a run is begun.
    ///
    /// # Errors
    /// [`StoreError::Displaced`] when it is not the directory that was last used here.
    pub fn raise_generation(&self) -> Result<(), StoreError> {
        let _lock = lock(&self.root.join("generation.lock"))?;
        let beside = self.beside(BESIDE);
        let generation = match (read(&self.root.join(INSIDE))?, read(&beside)?) {
            (Some(inside), Some(outside)) if inside.station != outside.station => {
                return Err(self.displaced(&beside, "another directory was last used in its place"));
            }
            (Some(inside), Some(outside)) if inside.number < outside.number => {
                let found = format!(
                    "it is of run {}, and {} were begun here: it was restored from an older copy",
                    inside.number, outside.number
                );
                return Err(self.displaced(&beside, &found));
            }
            (Some(inside), None) if inside.leased && self.may_lie_beside(&beside) => {
                return Err(
                    self.displaced(&beside, "nothing tells that it was ever used in this place")
                );
            }
            (None, Some(_)) => {
                return Err(self.displaced(&beside, "its own generation is lost, or it is new"));
            }
            (Some(inside), _) => inside.next(),
            (None, None) => Generation::new(),
        };
        self.write_generation(generation)
    }

    /// Takes the directory into use as it lies there. Its leases give no number below `first`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read or written.
    pub fn adopt(&self, first: u32) -> Result<(), StoreError> {
        let _lock = lock(&self.root.join("generation.lock"))?;
        let known = read(&self.root.join(INSIDE)).ok().flatten().map_or(0, |inside| inside.first);
        let first = first.max(known);
        self.write_generation(Generation { first, leased: true, ..Generation::new() })
    }

    /// Notes, before a lease gives a number, that it does.
    pub(super) fn note_lease(&self) -> Result<(), StoreError> {
        let _lock = lock(&self.root.join("generation.lock"))?;
        let known = read(&self.root.join(INSIDE))?.unwrap_or_else(Generation::new);
        if known.leased {
            return Ok(());
        }
        self.write_generation(Generation { leased: true, ..known })
    }

    /// The number below which no lease gives one.
    pub(super) fn first_number(&self) -> Result<u32, StoreError> {
        Ok(read(&self.root.join(INSIDE))?.map_or(0, |generation| generation.first))
    }

    fn write_generation(&self, generation: Generation) -> Result<(), StoreError> {
        let stored = Stored { generation, sum: generation.sum() };
        let json = serde_json::to_vec(&stored).expect("a few fields become JSON");
        write_private(&self.root.join(INSIDE), &json)?;
        let beside = self.beside(BESIDE);
        let guarded = generation.leased && self.may_lie_beside(&beside);
        if guarded { write_private(&beside, &json) } else { Ok(()) }
    }

    /// Whether the file beside the directory can be kept, and goes where the directory goes.
    fn may_lie_beside(&self, beside: &Path) -> bool {
        let folder = beside.parent().unwrap_or(Path::new("/"));
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        device(folder) == device(&self.root) && access(folder, Access::WRITE_OK).is_ok()
    }

    fn displaced(&self, beside: &Path, found: &str) -> StoreError {
        StoreError::Displaced {
            path: self.root.clone(),
            found: found.to_owned(),
            beside: beside.to_owned(),
        }
    }
}

fn read(path: &Path) -> Result<Option<Generation>, StoreError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(at(path))?,
    };
    let stored = serde_json::from_slice::<Stored>(&bytes).ok();
    let sound = stored.filter(|stored| stored.sum == stored.generation.sum());
    let damaged = || StoreError::Damaged {
        path: path.to_owned(),
        reason: "it names no generation; goldline station adopt --first NUMBER makes a new one"
            .to_owned(),
    };
    Ok(Some(sound.ok_or_else(damaged)?.generation))
}
