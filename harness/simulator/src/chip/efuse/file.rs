//! The fuses of a chip in a file that a kill cannot tear, so that what was burnt outlives a process.
//!
//! The words of each block, block by block, little-endian: one write replaces them all, after each burning. A
//! regular file of the chip's length is taken, or one is made where nothing is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why a file cannot keep a chip's fuses.
#[derive(Debug, thiserror::Error)]
pub enum EfuseFileError {
    /// The file cannot be opened, made or read.
    #[error(
        "cannot use the eFuse file {path}: {source}; name another one, in a folder that is there"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It holds something else than this chip's fuses.
    #[error(
        "the eFuse file {path} has {actual} bytes, but the fuses of this chip have {expected}: name its own file, or one that is not there yet"
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Size of the file.
        actual: u64,
        /// Size of the chip's fuses.
        expected: usize,
    },
    /// It holds the fuses of another chip.
    #[error(
        "the eFuse file {path} is of the chip {found}, and this one is {expected}: name its own file, or that address"
    )]
    OtherChip {
        /// The file.
        path: PathBuf,
        /// The MAC address in the file.
        found: String,
        /// The MAC address of the chip.
        expected: String,
    },
    /// Another simulator holds the file.
    #[error("the eFuse file {path} belongs to another running simulator: end that one first")]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

/// An open eFuse file, locked for as long as it lives.
#[derive(Debug)]
pub(super) struct EfuseFile {
    file: File,
    path: PathBuf,
}

impl EfuseFile {
    /// Opens or makes the file, and gives the words in it; none of a new one.
    pub(super) fn open(
        path: &Path,
        words: usize,
    ) -> Result<(Self, Option<Vec<u32>>), EfuseFileError> {
        let failed = |source| EfuseFileError::Io { path: path.to_owned(), source };
        refuse_what_is_no_file(path)?;
        let mut options = OpenOptions::new();
        // It will hold keys.
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(EfuseFileError::InUse { path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let held = (!bytes.is_empty()).then(|| {
            bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
        });
        if held.is_some() && bytes.len() != words * 4 {
            let (path, actual) = (path.to_owned(), bytes.len() as u64);
            return Err(EfuseFileError::WrongSize { path, actual, expected: words * 4 });
        }
        Ok((Self { file, path: path.to_owned() }, held))
    }

    /// Keeps the words.
    pub(super) fn store(&self, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        if let Err(error) = self.file.write_all_at(&bytes, 0) {
            tracing::error!(path = %self.path.display(), %error, "eFuse file not written");
        }
    }
}

/// A device is not even opened, for that alone can have effects.
fn refuse_what_is_no_file(path: &Path) -> Result<(), EfuseFileError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(EfuseFileError::Io {
            path: path.to_owned(),
            source: io::Error::other("it is no regular file"),
        }),
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(EfuseFileError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
