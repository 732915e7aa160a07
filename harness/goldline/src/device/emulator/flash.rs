//! The file that stands for an emulated unit's flash chip.
//!
//! One owner at a time: a second run on the same file would write into the first one's unit. Addresses and
//! sizes are bytes.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// What erased flash reads.
const ERASED: u8 = 0xFF;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FlashFileError {
    /// The operating system's reason.
    #[error("cannot use the flash file {}: {source}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no plain file.
    #[error("the flash file {} is no plain file", .path.display())]
    NoFile {
        /// Which one.
        path: PathBuf,
    },
    /// Its size is not the unit's.
    #[error("the flash file {} has {found} bytes: the profile's flash has {expected}", .path.display())]
    Size {
        /// Which file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The profile's.
        expected: u32,
    },
    /// The emulator's flash chips have other sizes.
    #[error(
        "{emulator} has no flash chip of {size} bytes: expected {expected} MB in [chip] flash_size"
    )]
    NoSuchChip {
        /// Its name.
        emulator: &'static str,
        /// The profile's.
        size: u32,
        /// The sizes that it has, in MB.
        expected: &'static str,
    },
    /// Another run has it.
    #[error("the flash file {} is another run's unit", .path.display())]
    Held {
        /// Which file.
        path: PathBuf,
    },
}

/// An open flash: what the emulator runs on is a private copy, which is kept in the named file each time that
/// the unit stands still.
pub(in crate::device) struct FlashFile {
    path: PathBuf,
    file: File,
    size: u32,
    kept: Option<Kept>,
}

/// Which file there was, and when it was written last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::device) struct Mark {
    inode: u64,
    written: (i64, i64),
}

/// The named file, locked for as long as it lives.
struct Kept {
    path: PathBuf,
    file: File,
}

impl FlashFile {
    /// Opens the named file; what is not there yet is erased flash, as is that of a unit without a name.
    pub(in crate::device) fn open(
        named: Option<&Path>,
        private: &TempDir,
        size: u32,
    ) -> Result<Self, FlashFileError> {
        let kept = named.map(Kept::open).transpose()?;
        let content = kept.as_ref().map(Kept::content).transpose()?.unwrap_or_default();
        let path = private.path().join("flash.bin");
        let file =
            open(&path).map_err(|source| FlashFileError::File { path: path.clone(), source })?;
        let flash = Self { path, file, size, kept };
        match (content.len(), &flash.kept) {
            (0, _) => flash.erase()?,
            (found, Some(kept)) if found != size as usize => {
                let path = kept.path.clone();
                return Err(FlashFileError::Size { path, found: found as u64, expected: size });
            }
            _ => flash.restore(&content)?,
        }
        Ok(flash)
    }

    /// Keeps what there is now in the named file.
    pub(in crate::device) fn keep(&self) -> Result<(), FlashFileError> {
        let Some(Kept { path, file }) = &self.kept else { return Ok(()) };
        let written = file.write_all_at(&self.copy()?, 0);
        written.map_err(|source| FlashFileError::File { path: path.clone(), source })
    }

    /// Which file there is now, to see later whether it was written.
    pub(in crate::device) fn mark(&self) -> Result<Mark, FlashFileError> {
        let there = self.path.metadata().map_err(|source| self.failed(source))?;
        Ok(Mark { inode: there.ino(), written: (there.mtime(), there.mtime_nsec()) })
    }

    /// Takes up the file that is there now: an emulator may have put a new one in its place.
    pub(in crate::device) fn reopen(&mut self) -> Result<(), FlashFileError> {
        let file = open(&self.path).map_err(|source| self.failed(source))?;
        let found = file.metadata().map_err(|source| self.failed(source))?.len();
        if found != u64::from(self.size) {
            let path = self.path.clone();
            return Err(FlashFileError::Size { path, found, expected: self.size });
        }
        self.file = file;
        Ok(())
    }

    /// Where the emulator finds it.
    pub(in crate::device) fn path(&self) -> &Path {
        &self.path
    }

    /// Its size.
    pub(in crate::device) fn size(&self) -> u32 {
        self.size
    }

    /// Erases all of it.
    pub(in crate::device) fn erase(&self) -> Result<(), FlashFileError> {
        self.fill(0, self.size)
    }

    /// Writes as a loader does: the sectors that the bytes touch are erased first. `None` past the end.
    pub(in crate::device) fn write(
        &self,
        offset: u32,
        bytes: &[u8],
    ) -> Result<Option<()>, FlashFileError> {
        const SECTOR: u32 = 0x1000;
        let Some(size) = self.within(offset, bytes.len()) else { return Ok(None) };
        let first = offset - offset % SECTOR;
        let end = (offset + size).next_multiple_of(SECTOR).min(self.size);
        self.fill(first, end - first)?;
        self.file.write_all_at(bytes, offset.into()).map_err(|source| self.failed(source))?;
        Ok(Some(()))
    }

    /// Reads; `None` past the end.
    pub(in crate::device) fn read(
        &self,
        offset: u32,
        size: u32,
    ) -> Result<Option<Vec<u8>>, FlashFileError> {
        let mut bytes = vec![0; size as usize];
        if self.within(offset, bytes.len()).is_none() {
            return Ok(None);
        }
        self.file.read_exact_at(&mut bytes, offset.into()).map_err(|source| self.failed(source))?;
        Ok(Some(bytes))
    }

    /// All of it, to put back later.
    pub(in crate::device) fn copy(&self) -> Result<Vec<u8>, FlashFileError> {
        Ok(self.read(0, self.size)?.unwrap_or_default())
    }

    /// Puts back what was copied.
    pub(in crate::device) fn restore(&self, copy: &[u8]) -> Result<(), FlashFileError> {
        self.file.write_all_at(copy, 0).map_err(|source| self.failed(source))
    }

    fn fill(&self, offset: u32, size: u32) -> Result<(), FlashFileError> {
        let erased = vec![ERASED; size as usize];
        self.file.write_all_at(&erased, offset.into()).map_err(|source| self.failed(source))
    }

    fn within(&self, offset: u32, length: usize) -> Option<u32> {
        let size = u32::try_from(length).ok()?;
        offset.checked_add(size).filter(|end| *end <= self.size).map(|_| size)
    }

    fn failed(&self, source: io::Error) -> FlashFileError {
        FlashFileError::File { path: self.path.clone(), source }
    }
}

impl Kept {
    fn open(path: &Path) -> Result<Self, FlashFileError> {
        let refuse = |source| FlashFileError::File { path: path.to_owned(), source };
        // Asked first: opening a pipe waits for whoever writes into it.
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(FlashFileError::NoFile { path: path.to_owned() });
        }
        let file = open(path).map_err(refuse)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), file }),
            Err(TryLockError::WouldBlock) => Err(FlashFileError::Held { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(refuse(source)),
        }
    }

    fn content(&self) -> Result<Vec<u8>, FlashFileError> {
        let read = std::fs::read(&self.path);
        read.map_err(|source| FlashFileError::File { path: self.path.clone(), source })
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 2 << 20;

    #[test]
    fn a_write_erases_what_it_touches_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let flash = FlashFile::open(None, &folder, SIZE).expect("a flash");
        flash.write(0, &[0; 0x3000]).expect("it is a file").expect("it fits");
        flash.write(0x1010, b"new").expect("it is a file").expect("it fits");
        let all = flash.read(0, 0x3000).expect("it is a file").expect("it fits");
        assert_eq!(all[0xFFF], 0, "the sector before stays");
        assert_eq!(&all[0x100F..0x1014], b"\xFFnew\xFF");
        assert_eq!((all[0x1FFF], all[0x2000]), (ERASED, 0), "the sector after stays");
        assert_eq!(flash.write(SIZE - 1, b"ab").expect("it is a file"), None, "past the end");
    }

    #[test]
    fn one_file_is_one_run_s_unit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("unit.bin");
        let first = FlashFile::open(Some(&path), &folder, SIZE).expect("a flash");
        let second = FlashFile::open(Some(&path), &folder, SIZE);
        assert!(matches!(second, Err(FlashFileError::Held { .. })));
        first.keep().expect("it is a file");
        drop(first);
        let other = FlashFile::open(Some(&path), &folder, 2 * SIZE);
        assert!(matches!(other, Err(FlashFileError::Size { .. })), "nothing of it was lost");
        assert!(FlashFile::open(Some(&path), &folder, SIZE).is_ok());
    }

    #[test]
    fn a_named_flash_is_kept_when_the_unit_stands_still() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("unit.bin");
        let open = |private: &TempDir| FlashFile::open(Some(&path), private, SIZE);
        let private = tempfile::tempdir().expect("a folder");
        let flash = open(&private).expect("a flash");
        flash.write(0x9000, b"kept").expect("it is a file").expect("it fits");
        flash.keep().expect("it is a file");
        flash.write(0x9000, b"lost").expect("it is a file").expect("it fits");
        drop(flash);
        let private = tempfile::tempdir().expect("a folder");
        let flash = open(&private).expect("a flash");
        assert_eq!(flash.read(0x9000, 4).expect("it is a file").as_deref(), Some(&b"kept"[..]));
    }

    #[test]
    fn a_file_that_was_put_in_its_place_is_taken_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut flash = FlashFile::open(None, &folder, SIZE).expect("a flash");
        let before = flash.mark().expect("it is there");
        assert_eq!(flash.mark().expect("it is there"), before);
        let new = folder.path().join("new");
        std::fs::write(&new, vec![0xA5; SIZE as usize]).expect("a file");
        std::fs::rename(&new, flash.path()).expect("in its place");
        assert_ne!(flash.mark().expect("it is there"), before);
        flash.reopen().expect("it fits");
        assert_eq!(flash.read(0, 1).expect("it is a file").as_deref(), Some(&[0xA5][..]));
        std::fs::write(flash.path(), b"short").expect("a file");
        assert!(matches!(flash.reopen(), Err(FlashFileError::Size { found: 5, .. })));
    }

    #[test]
    fn what_is_no_flash_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path| FlashFile::open(Some(path), &folder, SIZE);
        assert!(matches!(at(folder.path()), Err(FlashFileError::NoFile { .. })));
    }
}
