//! The state directory: what a station knows from one process to the next.
//!
//! Readable by its owner only. It holds the bench CA, the station's key, the ledger of units by MAC,
//! the leased numbers, the journal of runs, their records, and what a registry has not got yet. Secrets
//! in it are sealed with the station's key, so that a copied ledger alone tells nothing. Must not know
//! how a run is made.
//!
//! ```text
//! ca/root.pem root.key intermediate.pem intermediate.key
//! station.key                   32 bytes
//! generation.json               which use of the directory this is; once more beside it
//! inventory.jsonl               digests of the key and the CA, which are never replaced in silence
//! units/a4cf12345678.json       one unit's last provisioning, values sealed
//! identities.jsonl              which unit has which identity, as fingerprints; append only
//! leases/espvault.number.jsonl  every number that was given, and what became of it; append only
//! journal.jsonl                 where a run begins, changes its unit, has settled it, and ends; append only
//! running/RUN                   locked while that run goes on
//! nests/NAME.lock NAME.json     who uses a nest; what is to be taken back after a run that was killed
//! shares/NAME.N.lock            who has a piece of what nests share
//! logs/RUN.log                  what that run's unit printed, bounded
//! records.sqlite                every run's record, and the outbox; its rows are sealed
//! copies/                       inventory, identities and leases once more
//! ```

mod authority;
mod backup;
mod database;
mod enrol;
mod generation;
mod identities;
mod inventory;
mod journal;
mod leases;
mod ledger;
mod logs;
mod nests;
mod outbox;
mod private;
mod records;
mod seal;
mod shares;
mod twofold;

use std::{
    fs::{self, DirBuilder, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::{secret::FingerprintKey, testbed::authority::AuthorityError};

pub use authority::bench_ca_if_any;
pub use backup::{Copied, Migrated};
pub use enrol::{Enrolled, held_by_other};
pub use identities::{Claimant, HeldIdentity, IdentityError};
pub use journal::{Changing, Durable, Started, UnderWay};
pub use leases::{Holder, Lease, LeaseError, LeaseOutcome, LeaseState, Series, Settlement};
pub use ledger::UnitEntry;
pub use nests::{HeldNest, NestInUse, ToTakeBack};
pub use outbox::{Delivered, NotDelivered, Outbox, OutboxKey, Waiting};
pub use records::{
    Found, RecordStore, RunFilter, RunOutcome, RunOutcomeError, RunSummary, Unsettled,
};
use seal::StationKey;
pub use shares::Share;

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder cannot be read or written.
    #[error(
        "cannot use {path}: {source}; check its permissions and the free space, or name another folder with --state"
    )]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others can read or change a folder or file.
    #[error(
        "{path} is open to others (mode {mode:03o}): others may have read or replaced what is in it; run chmod {wanted:03o} on it if it is still this station's"
    )]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        wanted: u32,
    },
    /// A folder or file is another user's.
    #[error(
        "{path} belongs to user {owner}, and this program runs as user {own}: run chown {own} on it if it is this station's, or name another folder with --state"
    )]
    Foreign {
        /// Which.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
        /// User id of this process.
        own: u32,
    },
    /// No home to put the folder under.
    #[error("no state directory: set GOLDLINE_STATE or HOME, or give --state DIR")]
    NoHome,
    /// The stored CA cannot be used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A stored file is not what this program wrote.
    #[error(
        "{path} is damaged: {reason}; restore it from a backup, or name another folder with --state to start anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What the database has of a run is not what was written.
    #[error(
        "what {path} has of the run {run} was changed since it was written; move that file away: the next command makes it again from journal.jsonl"
    )]
    Altered {
        /// The database.
        path: PathBuf,
        /// The run's id.
        run: String,
    },
    /// What cannot be made again is lost or changed.
    #[error(
        "{path} {found}, and {means}: restore it from a backup, or make a new one on purpose with {command}"
    )]
    Irreplaceable {
        /// The file.
        path: PathBuf,
        /// What is the matter with it.
        found: &'static str,
        /// What is lost with it.
        means: &'static str,
        /// The command that makes a new one.
        command: &'static str,
    },
    /// The directory is not the one that was last used in this place.
    #[error(
        "{path} may be an older copy of the station's state, or another station's: {found} ({beside}). Numbers that it does not know may be given already; take it into use with goldline station adopt --first NUMBER, where NUMBER is above every number that was ever given"
    )]
    Displaced {
        /// The directory.
        path: PathBuf,
        /// What is the matter with it.
        found: String,
        /// What tells so.
        beside: PathBuf,
    },
    /// A run goes on.
    #[error("a run goes on in {path}: wait until it has ended")]
    UnderWay {
        /// The directory.
        path: PathBuf,
    },
    /// The database cannot be read or written.
    #[error(
        "cannot use {path}: {source}; check its permissions and the free space, and end programs that hold it"
    )]
    Database {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: sqlx::Error,
    },
    /// The database was made by a newer version of this program.
    #[error(
        "{path} has version {version} of its tables, this program knows {known}: use the newer goldline, or name another folder with --state"
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// What was found.
        version: usize,
        /// The newest version that is known.
        known: usize,
    },
    /// The database was made by an earlier version of this program.
    #[error(
        "{path} has version {version} of its tables, this program has {known}: run goldline station migrate, which makes a backup first"
    )]
    OlderSchema {
        /// The file.
        path: PathBuf,
        /// What was found.
        version: usize,
        /// The version of this program.
        known: usize,
    },
    /// The operating system's generator failed.
    #[error("the operating system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// An open state directory.
#[derive(Clone, Debug)]
pub struct StateDirectory {
    root: PathBuf,
    key: StationKey,
}

impl StateDirectory {
    /// Opens the directory and makes what is missing, readable by the owner only.
    ///
    /// # Errors
    /// [`StoreError::Open`] and [`StoreError::Foreign`] when others could read or change it or its key,
    /// [`StoreError::Irreplaceable`] when its key is lost or changed, [`StoreError::Io`] when it cannot be made.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        make_private_folder(root)?;
        private::require(root, &fs::metadata(root).map_err(at(root))?)?;
        let key = StationKey::load_or_create(root)?;
        Ok(Self { root: root.to_owned(), key })
    }

    /// Where the directory is unless told otherwise: `GOLDLINE_STATE`, else under XDG's state home.
    ///
    /// # Errors
    /// [`StoreError::NoHome`] when the environment names no home.
    pub fn default_path() -> Result<PathBuf, StoreError> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(path) = variable("GOLDLINE_STATE") {
            return Ok(path.into());
        }
        let home = variable("XDG_STATE_HOME").map(PathBuf::from).or_else(|| {
            variable("HOME").map(|home| PathBuf::from(home).join(".local").join("state"))
        });
        Ok(home.ok_or(StoreError::NoHome)?.join("goldline"))
    }

    /// Makes a new station's key on purpose; the earlier one is set aside.
    ///
    /// # Errors
    /// As [`StateDirectory::open`].
    pub fn renew_key(root: &Path) -> Result<(), StoreError> {
        make_private_folder(root)?;
        private::require(root, &fs::metadata(root).map_err(at(root))?)?;
        StationKey::renew(root)
    }

    /// Refuses a disk that has no room for what a run leaves, before the run is begun.
    ///
    /// # Errors
    /// [`StoreError::Io`] says what the system does not let be written.
    pub fn require_room(&self) -> Result<(), StoreError> {
        let mut probe = tempfile::tempfile_in(&self.root).map_err(at(&self.root))?;
        let written = probe.write_all(&vec![0xA5; ROOM]).and_then(|()| probe.sync_all());
        written.map_err(at(&self.root))
    }

    /// `state` has `state.ENDING` beside it.
    fn beside(&self, ending: &str) -> PathBuf {
        let root = std::path::absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        let mut name = root.into_os_string();
        name.push(format!(".{ending}"));
        name.into()
    }

    /// The key of the fingerprints in this station's records.
    pub fn fingerprint_key(&self) -> FingerprintKey {
        self.key.fingerprints()
    }
}

/// More than a run's lines of the journal, its record and the files that SQLite needs for it.
const ROOM: usize = 2 << 20;
fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    |source| StoreError::Io { path, source }
}

fn make_private_folder(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

/// Writes a file whole or not at all, readable by the owner only.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // A temporary file of this crate has mode 0600 and a name that nobody can guess.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(at(path))?;
    file.write_all(bytes).map_err(at(path))?;
    file.as_file().sync_all().map_err(at(path))?;
    file.persist(path)
        .map_err(|error| StoreError::Io { path: path.to_owned(), source: error.error })?;
    Ok(())
}

/// Holds a lock until dropped; another process waits for it.
fn lock(path: &Path) -> Result<fs::File, StoreError> {
    let file = lock_file(path)?;
    file.lock().map_err(at(path))?;
    Ok(file)
}

/// The same, unless somebody has it: then what it says, unlocked.
fn try_lock(path: &Path) -> Result<Result<fs::File, fs::File>, StoreError> {
    let file = lock_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Ok(file)),
        Err(TryLockError::WouldBlock) => Ok(Err(file)),
        Err(TryLockError::Error(error)) => Err(at(path)(error)),
    }
}

fn lock_file(path: &Path) -> Result<fs::File, StoreError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600);
    options.open(path).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    use rustix::process::geteuid;

    use crate::{clock::Clock, testbed::authority::Authority};

    fn private() -> (tempfile::TempDir, StateDirectory) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDirectory::open(&folder.path().join("state")).expect("it opens");
        (folder, state)
    }

    #[test]
    fn nobody_else_can_read_it() {
        let (_folder, state) = private();
        state.authority(&Clock::system()).expect("a CA is made");
        for path in ["", "station.key", "ca", "ca/root.key", "ca/intermediate.key"] {
            let mode = fs::metadata(state.root.join(path)).expect("it exists").mode();
            assert_eq!(mode & 0o077, 0, "{path} has mode {mode:o}");
        }
    }

    #[test]
    fn a_folder_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        let refused = StateDirectory::open(folder.path());
        assert!(matches!(refused, Err(StoreError::Open { mode: 0o755, .. })), "{refused:?}");
    }

    const PRIVATE: [&str; 7] = [
        "",
        "station.key",
        "ca",
        "ca/root.key",
        "ca/intermediate.key",
        "ca/root.pem",
        "ca/intermediate.pem",
    ];

    fn reopened(state: &StateDirectory) -> Result<Authority, StoreError> {
        StateDirectory::open(&state.root)?.authority(&Clock::system())
    }

    #[test]
    fn a_key_that_others_can_read_or_change_is_refused_with_chmods_words() {
        let (_folder, state) = private();
        state.authority(&Clock::system()).expect("a CA is made");
        for name in PRIVATE {
            // Without the slash that an empty name leaves.
            let path: PathBuf = state.root.join(name).components().collect();
            let right = fs::metadata(&path).expect("it exists").mode() & 0o777;
            for others in [0o040, 0o020, 0o004, 0o002] {
                let wrong = fs::Permissions::from_mode(right | others);
                fs::set_permissions(&path, wrong).expect("chmod");
                let refusal = reopened(&state).map(|_| ()).expect_err(name).to_string();
                assert!(refusal.contains(&format!("chmod {right:03o}")), "{name}: {refusal}");
                assert!(refusal.contains(&path.display().to_string()), "{name}: {refusal}");
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(right)).expect("chmod");
        }
        reopened(&state).expect("mended as it was said");
    }

    #[test]
    fn a_key_of_another_user_is_refused_with_chowns_words() {
        let own = geteuid();
        if !own.is_root() {
            println!("skipped: only root can give a file away");
            return;
        }
        let (_folder, state) = private();
        state.authority(&Clock::system()).expect("a CA is made");
        for name in PRIVATE {
            let path = state.root.join(name);
            chown(&path, Some(65_534), None).expect("chown");
            let refusal = reopened(&state).map(|_| ()).expect_err(name).to_string();
            assert!(refusal.contains("chown 0") && refusal.contains("65534"), "{name}: {refusal}");
            chown(&path, Some(0), None).expect("chown");
        }
        reopened(&state).expect("mended as it was said");
    }

    #[test]
    fn the_ca_is_the_same_the_next_time() {
        let (_folder, state) = private();
        let first = state.authority(&Clock::system()).expect("made");
        let again = StateDirectory::open(&state.root).expect("it opens again");
        let second = again.authority(&Clock::system()).expect("loaded");
        assert_eq!(first.root_pem(), second.root_pem());
    }
}
