//! Folders that a user named for output.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::{Existing, Found, OutputError, OutputFile, Readers, refuse_unwritable};

/// A folder that was looked at: it is there, or can be made.
#[derive(Clone, Debug)]
pub struct OutputFolder(PathBuf);

impl OutputFolder {
    /// Looks at a folder, or at the one that it would be made in. Makes and changes nothing.
    ///
    /// # Errors
    /// [`OutputError`] when something else has its name or takes its place, or no file can be made there.
    pub fn at(path: &Path) -> Result<Self, OutputError> {
        let standing = nearest(path);
        match fs::metadata(&standing) {
            Ok(found) if found.is_dir() => {}
            Ok(found) => {
                let found = Found::of(found.file_type());
                return Err(OutputError::NotFolder { path: standing, found });
            }
            Err(_) => {
                let found = Found::DanglingLink;
                return Err(OutputError::NotFolder { path: standing, found });
            }
        }
        refuse_unwritable(&standing).map_err(|source| OutputError::Unwritable {
            path: path.to_owned(),
            folder: standing,
            source,
        })?;
        Ok(Self(path.to_owned()))
    }

    /// Looks at a file in the folder. Makes and changes nothing.
    ///
    /// # Errors
    /// As [`OutputFile::at`].
    pub fn file(
        &self,
        name: &str,
        existing: Existing,
        readers: Readers,
    ) -> Result<OutputFile, OutputError> {
        let path = self.0.join(name);
        match self.0.is_dir() {
            true => OutputFile::at(&path, existing, readers),
            // A folder that is still to be made has nothing in it.
            false => Ok(OutputFile { path, existing, readers }),
        }
    }

    /// Makes the folder when it is missing, and all that it lies in; `readers` is for what is made.
    ///
    /// # Errors
    /// [`OutputError::Write`] names it.
    pub fn make(&self, readers: Readers) -> Result<(), OutputError> {
        let mode = match readers {
            Readers::AsBefore => 0o777,
            Readers::Owner => 0o700,
        };
        let made = DirBuilder::new().recursive(true).mode(mode).create(&self.0);
        made.map_err(|source| OutputError::Write { path: self.0.clone(), source })
    }
}

/// The path itself if anything is there, or the nearest thing above it.
fn nearest(path: &Path) -> PathBuf {
    let is_there = |path: &&Path| path.symlink_metadata().is_ok();
    let above = path.ancestors().filter(|path| !path.as_os_str().is_empty()).find(is_there);
    above.map_or_else(|| PathBuf::from("."), Path::to_owned)
}
