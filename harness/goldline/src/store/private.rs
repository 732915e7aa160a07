//! Whether a file or folder of the state directory is this user's alone.
//!
//! A key that another user may have read is no secret, and one that another may have written is another's.

use std::{
    fs::{File, Metadata},
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::{StoreError, at};

const OTHERS: u32 = 0o077;

/// Reads a file that nobody else can read or change; judged is what is read, not what lies there later.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut file = File::open(path).map_err(at(path))?;
    let found = file.metadata().map_err(at(path))?;
    if !found.is_file() {
        let reason = "it is no regular file".to_owned();
        return Err(StoreError::Damaged { path: path.to_owned(), reason });
    }
    require(path, &found)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.read_to_end(&mut bytes).map_err(at(path))?;
    Ok(bytes)
}

/// Refuses what belongs to another user or is open to others.
pub(super) fn require(path: &Path, found: &Metadata) -> Result<(), StoreError> {
    let own = geteuid().as_raw();
    if found.uid() != own {
        return Err(StoreError::Foreign { path: path.to_owned(), owner: found.uid(), own });
    }
    let mode = found.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(StoreError::Open { path: path.to_owned(), mode, wanted: mode & !OTHERS });
    }
    Ok(())
}
