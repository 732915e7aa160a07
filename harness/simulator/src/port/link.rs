//! A name for a pseudo-terminal that stays while terminals come and go.
//!
//! A link that was left behind could lead to the next terminal that anybody opens, so a lock beside
//! it tells a living link from a dead one, and the link goes when its unit does.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Why a name cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The system refuses.
    #[error("cannot make the link {path}: {source}")]
    Io {
        /// The link.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else has that name.
    #[error("{path} exists and is no link: choose another name for the port")]
    Occupied {
        /// The name.
        path: PathBuf,
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
    /// Takes a name that is free, or was left behind.
    pub(crate) fn claim(path: &Path) -> Result<Self, LinkError> {
        let path = path.to_owned();
        let failed = |source| LinkError::Io { path: path.clone(), source };
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock_path = PathBuf::from(name);
        let lock = File::create(&lock_path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LinkError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.is_symlink() => return Err(LinkError::Occupied { path }),
            _ => {}
        }
        Ok(Self { path, lock_path, _lock: lock })
    }

    /// Leads the name to a device, in one step.
    pub(crate) fn point_to(&self, device: &Path) -> Result<(), LinkError> {
        let failed = |source| LinkError::Io { path: self.path.clone(), source };
        let mut fresh = self.path.as_os_str().to_owned();
        fresh.push(".new");
        // A crash between the two steps may have left it.
        let _ = fs::remove_file(&fresh);
        std::os::unix::fs::symlink(device, &fresh).map_err(failed)?;
        fs::rename(&fresh, &self.path).map_err(failed)
    }

    /// Takes the name away until the next [`Link::point_to`].
    pub(crate) fn hide(&self) {
        // Somebody may have removed it already, which is what was wanted.
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.hide();
        let _ = fs::remove_file(&self.lock_path);
    }
}
