//! Flash contents in a file that a kill cannot tear.
//!
//! Changes are written through at once, each page of 4 KB by one write at its place: a process that
//! is killed leaves every change that it finished, and none by half. A regular file of the chip's size
//! is taken, or one is made where nothing is; anything else that has the name is left as it is.

use std::fs::{self, File, FileType, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

const PAGE: usize = 0x1000;

/// Why a flash file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be opened, made or read.
    #[error(
        "cannot use the flash file {path}: {source}; name another one, in a folder that is there"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else than a regular file has the name: it would be destroyed.
    #[error(
        "{path} is {found}, and a flash file is a regular file: name another one, or one that is not there yet"
    )]
    NotRegular {
        /// The name.
        path: PathBuf,
        /// What it is.
        found: &'static str,
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
        let mut file = match existing(path)? {
            Some(file) => file,
            None => {
                create_blank(path, size).map_err(failed)?;
                existing(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?
            }
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FileError::InUse { path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        refuse_other_size(&file, path, size)?;
        let mut cells = Vec::with_capacity(size as usize);
        file.read_to_end(&mut cells).map_err(failed)?;
        let path = path.to_owned();
        Ok((Self { file, path }, cells))
    }

    /// Says whether the file can be opened or made. Makes and changes nothing.
    pub(super) fn look(path: &Path, size: u32) -> Result<(), FileError> {
        match existing(path)? {
            Some(file) => refuse_other_size(&file, path, size),
            None => tempfile::tempfile_in(folder_of(path))
                .map(drop)
                .map_err(|source| FileError::Io { path: path.to_owned(), source }),
        }
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

/// Opens the regular file of that name; `None` when nothing has it.
///
/// A device is not even opened, for that alone can have effects.
fn existing(path: &Path) -> Result<Option<File>, FileError> {
    let failed = |source| FileError::Io { path: path.to_owned(), source };
    let refuse_other = |kind: FileType| match kind.is_file() {
        true => Ok(()),
        false => Err(FileError::NotRegular { path: path.to_owned(), found: name_of(kind) }),
    };
    match fs::symlink_metadata(path) {
        Ok(found) => refuse_other(found.file_type())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    // Another process may have put something else there in the meantime.
    let careful = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).custom_flags(careful as i32).open(path);
    let file = file.map_err(failed)?;
    refuse_other(file.metadata().map_err(failed)?.file_type())?;
    Ok(Some(file))
}

fn refuse_other_size(file: &File, path: &Path, size: u32) -> Result<(), FileError> {
    let found = file.metadata();
    let actual = found.map_err(|source| FileError::Io { path: path.to_owned(), source })?.len();
    match actual == u64::from(size) {
        true => Ok(()),
        false => Err(FileError::WrongSize { path: path.to_owned(), actual, expected: size }),
    }
}

fn name_of(kind: FileType) -> &'static str {
    match () {
        () if kind.is_symlink() => "a link",
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Makes a blank file that is there whole or not at all, for its owner alone: it will hold secrets.
/// One that somebody else made first is left alone.
fn create_blank(path: &Path, size: u32) -> io::Result<()> {
    // A temporary file of this crate has mode 0600.
    let mut unfinished = tempfile::NamedTempFile::new_in(folder_of(path))?;
    unfinished.write_all(&vec![0xFF; size as usize])?;
    match unfinished.persist_noclobber(path) {
        Err(failure) if failure.error.kind() != io::ErrorKind::AlreadyExists => Err(failure.error),
        _ => Ok(()),
    }
}
