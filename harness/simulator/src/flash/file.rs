//! Flash contents in a file that a kill cannot tear.
//!
//! Changes are written through at once, each page of 4 KB by one write at its place: a process that
//! is killed leaves every change that it finished, and none by half.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const PAGE: usize = 0x1000;

/// Why a flash file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be opened, made or read.
    #[error("cannot use the flash file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has another size than the chip.
    #[error(
        "the flash file {path} has {actual} bytes, but the chip has {expected}: name the right flash size or another file"
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Size of the file.
        actual: u64,
        /// Size of the chip.
        expected: u32,
    },
    /// Another simulator holds the file.
    #[error("the flash file {path} belongs to another running simulator: end that one first")]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

/// An open flash file, locked for as long as it lives.
#[derive(Debug)]
pub(super) struct FlashFile {
    file: File,
    path: PathBuf,
}

impl FlashFile {
    /// Opens or makes the file, and gives its contents.
    pub(super) fn open(path: &Path, size: u32) -> Result<(Self, Vec<u8>), FileError> {
        let failed = |source| FileError::Io { path: path.to_owned(), source };
        if fs::metadata(path).map_or(0, |found| found.len()) == 0 {
            create_blank(path, size).map_err(failed)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FileError::InUse { path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut cells = Vec::new();
        file.read_to_end(&mut cells).map_err(failed)?;
        if cells.len() != size as usize {
            return Err(FileError::WrongSize {
                path: path.to_owned(),
                actual: cells.len() as u64,
                expected: size,
            });
        }
        let path = path.to_owned();
        Ok((Self { file, path }, cells))
    }

    /// Writes the pages that `changed` touches.
    pub(super) fn store(&mut self, cells: &[u8], changed: Range<usize>) {
        let first = changed.start / PAGE;
        let end = changed.end.div_ceil(PAGE);
        for page in first..end {
            let at = page * PAGE;
            let bytes = &cells[at..cells.len().min(at + PAGE)];
            if let Err(error) = self.file.write_all_at(bytes, at as u64) {
                tracing::error!(path = %self.path.display(), %error, "flash file not written");
            }
        }
    }
}

/// Makes a blank file that is there whole or not at all.
fn create_blank(path: &Path, size: u32) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    fs::write(&unfinished, vec![0xFF; size as usize])?;
    fs::rename(&unfinished, path)
}
