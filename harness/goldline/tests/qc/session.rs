//! One run for all cases that ask for it, whichever process they are in.
//!
//! The first to get the folder's lock starts the run; the others wait for the lock and read what it
//! left. A start marker without an end says that the starter died with the unit in an unknown state:
//! the unit is not run again behind the back of whoever reads the result. Must not know what a run is.
//!
//! ```text
//! <target>/tmp/qc/espvault-1f0c…/   one session, mode 0700
//!   lock        held by the starter while the unit runs
//!   started     who started it
//!   ended.json  what came of it, written whole or not at all
//!   run/        whatever the run leaves
//! ```

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use goldline::record::Record;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How long a session's evidence stays.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// What came of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ended {
    /// It gave a record, good or bad.
    Record(Box<Record>),
    /// It gave none.
    NoRecord {
        /// Why, with what to do.
        reason: String,
    },
}

/// The result of a shared run cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("cannot use {}: {source}; check the permissions and free space of the target folder", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "ERROR: the run that {starter} started never ended, so nothing is known of the unit; what it left is in {}. Start the tests again to run the unit again",
        .folder.display()
    )]
    Abandoned { starter: String, folder: PathBuf },
    #[error("{} does not hold a result: {source}", .path.display())]
    Unreadable { path: PathBuf, source: serde_json::Error },
}

/// The folder of one shared run.
#[derive(Debug)]
pub struct Session {
    folder: PathBuf,
}

impl Session {
    /// The session of everyone who gives the same profile and key.
    ///
    /// # Errors
    /// [`SessionError::Io`] when the folder cannot be made.
    pub fn open(profile: &str, key: &str) -> Result<Self, SessionError> {
        Self::open_in(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("qc"), profile, key)
    }

    /// The same, in a folder of sessions.
    ///
    /// # Errors
    /// [`SessionError::Io`] when the folder cannot be made.
    pub fn open_in(sessions: &Path, profile: &str, key: &str) -> Result<Self, SessionError> {
        let folder = sessions.join(format!("{profile}-{}", short_digest(&[profile, key])));
        let run = folder.join("run");
        DirBuilder::new().recursive(true).mode(0o700).create(&run).map_err(at(&run))?;
        Ok(Self { folder })
    }

    /// What came of the run: starts it when nobody did, and waits for it when somebody else did.
    /// `start` gets the folder for what the run leaves.
    ///
    /// # Errors
    /// [`SessionError::Abandoned`] when a starter died in mid-run.
    pub fn ended(&self, start: impl FnOnce(&Path) -> Ended) -> Result<Ended, SessionError> {
        let lock_path = self.folder.join("lock");
        let lock = File::create(&lock_path).map_err(at(&lock_path))?;
        // Let go when the file is dropped, and by the system when the process dies.
        lock.lock().map_err(at(&lock_path))?;
        if let Some(ended) = self.read_end()? {
            return Ok(ended);
        }
        self.mark_start()?;
        remove_older(&self.folder, KEPT);
        let ended = start(&self.evidence());
        self.write_end(&ended)?;
        Ok(ended)
    }

    /// Where the run leaves its evidence.
    pub fn evidence(&self) -> PathBuf {
        self.folder.join("run")
    }

    fn read_end(&self) -> Result<Option<Ended>, SessionError> {
        let path = self.folder.join("ended.json");
        match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .map_err(|source| SessionError::Unreadable { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SessionError::Io { path, source }),
        }
    }

    fn mark_start(&self) -> Result<(), SessionError> {
        let path = self.folder.join("started");
        match fs::read_to_string(&path) {
            Ok(starter) => Err(SessionError::Abandoned { starter, folder: self.evidence() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::write(&path, format!("process {}", std::process::id())).map_err(at(&path))
            }
            Err(source) => Err(SessionError::Io { path, source }),
        }
    }

    fn write_end(&self, ended: &Ended) -> Result<(), SessionError> {
        let json = serde_json::to_vec_pretty(ended).expect("a record becomes JSON");
        let (path, part) = (self.folder.join("ended.json"), self.folder.join("ended.json.part"));
        fs::write(&part, json).map_err(at(&part))?;
        fs::rename(&part, &path).map_err(at(&path))
    }
}

/// Removes the sessions beside this one that are older than `age`. What cannot be removed does not
/// keep a unit from being tested.
fn remove_older(session: &Path, age: Duration) {
    let oldest = SystemTime::now().checked_sub(age);
    let others = session.parent().and_then(|sessions| fs::read_dir(sessions).ok());
    for other in others.into_iter().flatten().flatten() {
        let touched = other.metadata().and_then(|metadata| metadata.modified()).ok();
        if other.path() != session && touched.is_some() && touched < oldest {
            let _left_for_the_next = fs::remove_dir_all(other.path());
        }
    }
}

/// 16 hexadecimal characters that stand for texts of any length.
fn short_digest(texts: &[&str]) -> String {
    let digest = Sha256::digest(texts.join("\n"));
    digest.iter().take(8).fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes every text");
        hex
    })
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SessionError {
    let path = path.to_owned();
    |source| SessionError::Io { path, source }
}
