//! Files that a user named for output: looked at before anything is touched, then written whole or not
//! at all.
//!
//! Only regular files are written. What is no regular file (a device, a pipe, a folder) stays what it is
//! whoever runs the program, and what somebody had in a file stays unless replacing it was asked for.
//! Must not know what a file holds, nor anything of the state directory, whose files nobody names.

mod folder;
mod staged;

use std::{
    fmt,
    fs::{self, FileType, Metadata},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, PermissionsExt},
    },
    path::{Path, PathBuf, absolute},
};

use zeroize::Zeroizing;

pub use folder::OutputFolder;
use staged::Staged;

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the output is refused. Links are not followed.
    Refuse,
    /// It is replaced. A link that leads to a regular file is followed.
    Replace,
}

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Whoever could read the file before; of a new file, whoever the umask lets.
    AsBefore,
    /// Its owner only, from the first byte on, also when an earlier file was open to others.
    Owner,
}

/// Why a place cannot be written. It is as it was then.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Something stands there that a file must not take the place of.
    #[error("{path} is {found}, and only regular files are written: name a file")]
    NotRegular {
        /// As it was named.
        path: PathBuf,
        /// What it is.
        found: Found,
    },
    /// A link to a regular file, which nobody asked to follow.
    #[error("{path} is a link to a file: name that file, or overwrite it with --force")]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// An earlier file, which nobody asked to replace.
    #[error("{path} exists and stays as it is: name another place, or overwrite it with --force")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The name is that of a folder, such as `reports/`.
    #[error("\"{path}\" is no name of a file: name a file")]
    NoName {
        /// As it was named.
        path: PathBuf,
    },
    /// The folder is not there.
    #[error(
        "{path} cannot be made, for the folder {folder} is not there: make it, or name another place"
    )]
    NoFolder {
        /// As it was named.
        path: PathBuf,
        /// The folder that it would lie in.
        folder: PathBuf,
    },
    /// The folder takes no files.
    #[error("{path} cannot be made in {folder}: {source}; name another place")]
    Unwritable {
        /// As it was named.
        path: PathBuf,
        /// The folder that it would lie in.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something that should be a folder is none.
    #[error("{path} is {found}, and a folder is expected: name a folder, or a place where none is")]
    NotFolder {
        /// What is in the folder's place.
        path: PathBuf,
        /// What it is.
        found: Found,
    },
    /// The system does not write it.
    #[error("cannot write {path}, which is as it was: {source}")]
    Write {
        /// As it was named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What stands in the place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A block or character device.
    Device,
    /// A FIFO.
    NamedPipe,
    /// A socket.
    Socket,
    /// A link to something else than a regular file.
    Link,
    /// A link whose target is not there.
    DanglingLink,
}

impl Found {
    fn of(kind: FileType) -> Self {
        match () {
            () if kind.is_file() => Self::File,
            () if kind.is_dir() => Self::Folder,
            () if kind.is_fifo() => Self::NamedPipe,
            () if kind.is_socket() => Self::Socket,
            () if kind.is_symlink() => Self::Link,
            () => Self::Device,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a file",
            Self::Folder => "a folder",
            Self::Device => "a device",
            Self::NamedPipe => "a named pipe",
            Self::Socket => "a socket",
            Self::Link => "a link to what is no regular file",
            Self::DanglingLink => "a link that leads nowhere",
        })
    }
}

/// A place that was looked at and may be written.
#[derive(Clone, Debug)]
pub struct OutputFile {
    path: PathBuf,
    existing: Existing,
    readers: Readers,
}

/// Where the bytes go, with links followed.
enum Target {
    /// Nothing is there, and nothing that comes there in the meantime is replaced.
    Free(PathBuf),
    /// A regular file with these permission bits, to be replaced.
    Taken { path: PathBuf, mode: u32 },
}

impl Target {
    fn path(&self) -> &Path {
        match self {
            Self::Free(path) | Self::Taken { path, .. } => path,
        }
    }
}

impl OutputFile {
    /// Looks at a place. Makes and changes nothing.
    ///
    /// # Errors
    /// [`OutputError`] when it must not or cannot be written.
    pub fn at(path: &Path, existing: Existing, readers: Readers) -> Result<Self, OutputError> {
        let file = Self { path: path.to_owned(), existing, readers };
        let target = file.look()?;
        let folder = folder_of(target.path());
        refuse_unwritable(folder)
            .map_err(|source| Self::no_place_in(path, folder.to_owned(), source))?;
        Ok(file)
    }

    /// The same place, for whoever wrote there and has something newer to say.
    pub fn of_our_own(&self) -> Self {
        Self { existing: Existing::Replace, ..self.clone() }
    }

    /// As it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file whole, safe from a loss of power, or leaves what was there. The place is looked at
    /// again, so that nothing that came there in the meantime is lost. A file with the very same bytes, and
    /// no other readers than asked for, needs no writing.
    ///
    /// # Errors
    /// [`OutputError`] when something came there, or the system does not write it.
    pub fn write(&self, bytes: &[u8]) -> Result<(), OutputError> {
        Self::write_all([(self, bytes)])
    }

    /// Writes several files, as [`OutputFile::write`] does each: all of them are on the disk under other
    /// names before the first one takes its place, so that a full disk leaves none of them.
    ///
    /// # Errors
    /// As [`OutputFile::write`].
    pub fn write_all<'a>(
        files: impl IntoIterator<Item = (&'a Self, &'a [u8])>,
    ) -> Result<(), OutputError> {
        let staged: Result<Vec<Staged<'_>>, OutputError> = files
            .into_iter()
            .filter_map(|(file, bytes)| match Staged::new(file, bytes) {
                Err(OutputError::Exists { .. }) if file.holds(bytes) => None,
                staged => Some(staged),
            })
            .collect();
        staged?.into_iter().try_for_each(Staged::take_place)
    }

    /// What stands at the place now.
    fn look(&self) -> Result<Target, OutputError> {
        let path = &self.path;
        if path.file_name().is_none() || path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(OutputError::NoName { path: path.clone() });
        }
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => self.behind_link(),
            Ok(found) => self.taken(path.clone(), &found),
            Err(source) => match source.kind() {
                io::ErrorKind::NotFound if folder_of(path).is_dir() => {
                    Ok(Target::Free(path.clone()))
                }
                _ => Err(Self::no_place_in(path, folder_of(path).to_owned(), source)),
            },
        }
    }

    fn behind_link(&self) -> Result<Target, OutputError> {
        let path = self.path.clone();
        let target = path.canonicalize();
        match target.and_then(|target| Ok((fs::symlink_metadata(&target)?, target))) {
            Ok((found, _)) if !found.is_file() => {
                Err(OutputError::NotRegular { path, found: Found::Link })
            }
            Ok((found, target)) if self.existing == Existing::Replace => self.taken(target, &found),
            Ok(_) => Err(OutputError::Link { path }),
            Err(_) => Err(OutputError::NotRegular { path, found: Found::DanglingLink }),
        }
    }

    fn taken(&self, target: PathBuf, found: &Metadata) -> Result<Target, OutputError> {
        let path = self.path.clone();
        match self.existing {
            _ if !found.is_file() => {
                Err(OutputError::NotRegular { path, found: Found::of(found.file_type()) })
            }
            Existing::Refuse => Err(OutputError::Exists { path }),
            Existing::Replace => {
                Ok(Target::Taken { path: target, mode: found.permissions().mode() & 0o777 })
            }
        }
    }

    fn no_place_in(path: &Path, folder: PathBuf, source: io::Error) -> OutputError {
        let path = path.to_owned();
        match folder.is_dir() {
            true => OutputError::Unwritable { path, folder, source },
            false => OutputError::NoFolder { path, folder },
        }
    }

    /// Whether writing would change nothing.
    fn holds(&self, bytes: &[u8]) -> bool {
        let is_same = |found: Metadata| {
            let others = found.permissions().mode() & 0o077;
            found.is_file()
                && found.len() == bytes.len() as u64
                && (self.readers == Readers::AsBefore || others == 0)
        };
        fs::symlink_metadata(&self.path).is_ok_and(is_same)
            && fs::read(&self.path).is_ok_and(|held| Zeroizing::new(held).as_slice() == bytes)
    }
}

/// A path as one that two names of the same place share, whether or not a file is there.
pub fn place(path: &Path) -> PathBuf {
    let in_folder = || {
        let folder = folder_of(path).canonicalize().or_else(|_| absolute(folder_of(path)));
        folder.map(|folder| folder.join(path.file_name().unwrap_or_default()))
    };
    path.canonicalize().or_else(|_| in_folder()).unwrap_or_else(|_| path.to_owned())
}

/// Proves that a folder takes files. Leaves nothing in it.
fn refuse_unwritable(folder: &Path) -> io::Result<()> {
    // A file without a name, where the system has such: its permission bits alone do not tell.
    tempfile::tempfile_in(folder).map(drop)
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;
