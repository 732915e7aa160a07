//! A name of one's own for a port whose path the system chose.
//!
//! A link that is left behind would lead to the next pseudo-terminal that anybody opens. So it goes
//! when its owner ends, and a lock beside it tells a left link from one in use.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// A link cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// Another simulator holds the name.
    #[error("{0} is another simulator's port; name another one")]
    InUse(PathBuf),
    /// Something else has the name.
    #[error("{0} exists and is no link; it is left as it is, name another one")]
    NotALink(PathBuf),
    /// The folder cannot be written.
    #[error("cannot make the link {path}: {source}")]
    Io {
        /// The link.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A link that goes when it is dropped.
pub(super) struct PortLink {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl PortLink {
    /// Makes the link; one that a dead process left is replaced.
    pub(super) fn create(path: &Path, target: &Path) -> Result<Self, LinkError> {
        let at = |source| LinkError::Io { path: path.to_owned(), source };
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        let lock = File::create(&lock_path).map_err(at)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LinkError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(at(source)),
        }
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => fs::remove_file(path).map_err(at)?,
            Ok(_) => return Err(LinkError::NotALink(path.to_owned())),
            Err(_) => {}
        }
        symlink(target, path).map_err(at)?;
        Ok(Self { path: path.to_owned(), lock_path, _lock: lock })
    }
}

impl Drop for PortLink {
    fn drop(&mut self) {
        // Whoever removed them already did what is wanted.
        let _link = fs::remove_file(&self.path);
        let _lock = fs::remove_file(&self.lock_path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_goes_with_its_owner_and_is_not_taken_from_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("unit");
        let link = PortLink::create(&path, Path::new("/dev/null")).expect("made");
        assert_eq!(fs::read_link(&path).expect("a link"), Path::new("/dev/null"));
        let second = PortLink::create(&path, Path::new("/dev/zero"));
        assert!(matches!(second, Err(LinkError::InUse(_))));
        drop(link);
        assert!(fs::symlink_metadata(&path).is_err());
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0);
    }

    #[test]
    fn a_link_that_a_dead_process_left_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("unit");
        symlink("/dev/pts/999999", &path).expect("left behind");
        let link = PortLink::create(&path, Path::new("/dev/null")).expect("replaced");
        drop(link);
        fs::write(&path, "precious").expect("a file");
        let refused = PortLink::create(&path, Path::new("/dev/null"));
        assert!(matches!(refused, Err(LinkError::NotALink(_))));
        assert_eq!(fs::read(&path).expect("still there"), b"precious");
    }
}
