//! A name for a pseudo-terminal that stays while terminals come and go.
//!
//! A link that was left behind could lead to the next terminal that anybody opens, so a lock beside
//! it tells a living link from a dead one, and the link goes when its unit does. Nothing but such links
//! and locks is ever replaced or removed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Where this system keeps its pseudo-terminals.
const TERMINALS: &str = "/dev/pts";

/// Why a name cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The system refuses.
    #[error("cannot make the link {path}: {source}; choose another name for the port")]
    Io {
        /// The link.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else has that name.
    #[error(
        "{path} exists and is no simulator's link that was left behind: choose another name for the port"
    )]
    Occupied {
        /// The name.
        path: PathBuf,
    },
    /// Something else has the name of the lock.
    #[error(
        "{lock} exists and is no simulator's lock, and the port {path} needs one of that name: choose another name for the port"
    )]
    LockOccupied {
        /// The name.
        path: PathBuf,
        /// The lock beside it.
        lock: PathBuf,
    },
    /// Another unit has that name.
    #[error("the link {path} belongs to another running simulator: end that one first")]
    InUse {
        /// The link.
        path: PathBuf,
    },
}

/// A name that belongs to this unit for as long as it lives.
#[derive(Debug)]
pub(crate) struct Link {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Link {
    /// Says whether the name is free or was left behind. Makes and changes nothing.
    pub(crate) fn look(path: &Path) -> Result<(), LinkError> {
        let failed = |source| LinkError::Io { path: path.to_owned(), source };
        let lock = lock_beside(path);
        let has_lock = match fs::symlink_metadata(&lock) {
            Ok(found) if found.is_file() && found.len() == 0 => {
                take(&open_lock(&lock).map_err(failed)?, path)?;
                true
            }
            Ok(_) => return Err(LinkError::LockOccupied { path: path.to_owned(), lock }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(error)),
        };
        match fs::symlink_metadata(path) {
            // A living terminal's link is somebody's, unless the lock shows that a simulator made it.
            Ok(_) if leads_to_terminal(path) && (has_lock || !path.exists()) => Ok(()),
            Ok(_) => Err(LinkError::Occupied { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tempfile::tempfile_in(folder_of(path)).map(drop).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Takes a name that is free, or was left behind.
    pub(crate) fn claim(path: &Path) -> Result<Self, LinkError> {
        Self::look(path)?;
        let failed = |source| LinkError::Io { path: path.to_owned(), source };
        let lock_path = lock_beside(path);
        let lock = open_lock(&lock_path).map_err(failed)?;
        take(&lock, path)?;
        Ok(Self { path: path.to_owned(), lock_path, _lock: lock })
    }

    /// Leads the name to a device, in one step.
    pub(crate) fn point_to(&self, device: &Path) -> Result<(), LinkError> {
        let failed = |source| LinkError::Io { path: self.path.clone(), source };
        let fresh = tempfile::Builder::new()
            .make_in(folder_of(&self.path), |fresh| symlink(device, fresh))
            .map_err(failed)?;
        let named = match leads_to_terminal(&self.path) {
            true => fresh.persist(&self.path),
            // What came there since it was looked at stays.
            false => fresh.persist_noclobber(&self.path),
        };
        named.map(drop).map_err(|failure| failed(failure.error))
    }

    /// Takes the name away until the next [`Link::point_to`].
    pub(crate) fn hide(&self) {
        if leads_to_terminal(&self.path) {
            // Somebody may have removed it already, which is what was wanted.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.hide();
        let _ = fs::remove_file(&self.lock_path);
    }
}

fn lock_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Opens the lock, or makes it; what it holds, if it is none after all, stays.
fn open_lock(lock: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
        .open(lock)
}

fn take(lock: &File, path: &Path) -> Result<(), LinkError> {
    let path = path.to_owned();
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => LinkError::InUse { path },
        TryLockError::Error(source) => LinkError::Io { path, source },
    })
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Whether it is a link to a pseudo-terminal, be it one of long ago.
fn leads_to_terminal(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|device| device.starts_with(TERMINALS))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that no terminal has: the kernel counts up to 2^20.
    const LONG_GONE: &str = "/dev/pts/4294967295";

    struct Named(tempfile::TempDir);

    impl Named {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn names(&self) -> usize {
            fs::read_dir(self.0.path()).unwrap().count()
        }
    }

    #[test]
    fn a_name_lasts_as_long_as_its_unit() {
        let folder = Named::new();
        let link = Link::claim(&folder.path("unit")).unwrap();
        link.point_to(Path::new(LONG_GONE)).unwrap();
        assert_eq!(fs::read_link(folder.path("unit")).unwrap(), Path::new(LONG_GONE));
        assert!(matches!(Link::claim(&folder.path("unit")), Err(LinkError::InUse { .. })));
        drop(link);
        assert_eq!(folder.names(), 0);
    }

    #[test]
    fn a_link_that_was_left_behind_is_taken() {
        let folder = Named::new();
        symlink(LONG_GONE, folder.path("unit")).unwrap();
        fs::write(folder.path("unit.lock"), "").unwrap();
        let link = Link::claim(&folder.path("unit")).unwrap();
        let device = Path::new("/dev/pts/4294967294");
        link.point_to(device).unwrap();
        assert_eq!(fs::read_link(folder.path("unit")).unwrap(), device);
    }

    /// `--pty Cargo` emptied and removed `Cargo.lock`, `--pty unit` removed a file `unit.new`, and a
    /// link to anything was replaced.
    #[test]
    fn what_is_not_a_simulators_stays() {
        let folder = Named::new();
        fs::write(folder.path("file"), "somebody's").unwrap();
        fs::write(folder.path("unit.new"), "somebody's").unwrap();
        fs::write(folder.path("Cargo.lock"), "somebody's").unwrap();
        symlink(folder.path("file"), folder.path("link")).unwrap();
        symlink(folder.path("nowhere"), folder.path("dangling")).unwrap();
        fs::create_dir(folder.path("folder")).unwrap();
        for name in ["file", "link", "dangling", "folder"] {
            let refused = Link::claim(&folder.path(name));
            assert!(matches!(refused, Err(LinkError::Occupied { .. })), "{name}");
        }
        let refused = Link::claim(&folder.path("Cargo"));
        assert!(matches!(refused, Err(LinkError::LockOccupied { .. })));
        let link = Link::claim(&folder.path("unit")).unwrap();
        link.point_to(Path::new(LONG_GONE)).unwrap();
        drop(link);
        assert_eq!(folder.names(), 6);
        for name in ["file", "unit.new", "Cargo.lock", "link"] {
            assert_eq!(fs::read(folder.path(name)).unwrap(), b"somebody's", "{name}");
        }
    }

    #[test]
    fn what_took_the_links_place_stays() {
        let folder = Named::new();
        let link = Link::claim(&folder.path("unit")).unwrap();
        fs::write(folder.path("unit"), "somebody's").unwrap();
        assert!(link.point_to(Path::new(LONG_GONE)).is_err());
        drop(link);
        assert_eq!(fs::read(folder.path("unit")).unwrap(), b"somebody's");
        assert_eq!(folder.names(), 1);
    }
}
