//! What units share, counted over all processes of the station: a lock for each piece there is.

use std::fs::File;

use super::{StateDirectory, StoreError, make_private_folder, try_lock};
use crate::profile::Resource;

/// One piece of a resource, until it is dropped, or its process ends.
#[derive(Debug)]
pub struct Share {
    /// Locked.
    _lock: File,
}

impl StateDirectory {
    /// Takes one of so many pieces; `None` when all are taken.
    ///
    /// # Errors
    /// [`StoreError`] when the locks cannot be used.
    pub fn try_share(&self, resource: &Resource, count: u32) -> Result<Option<Share>, StoreError> {
        let folder = self.root.join("shares");
        make_private_folder(&folder)?;
        for piece in 0..count {
            let path = folder.join(format!("{resource}.{piece}.lock"));
            if let Ok(lock) = try_lock(&path)? {
                return Ok(Some(Share { _lock: lock }));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_only_so_many_and_a_piece_that_is_dropped_is_there_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDirectory::open(&folder.path().join("state")).expect("a state");
        let meter: Resource = "meter".parse().expect("a name");
        let first = state.try_share(&meter, 2).expect("readable").expect("one is free");
        let second = state.try_share(&meter, 2).expect("readable").expect("another is");
        assert!(state.try_share(&meter, 2).expect("readable").is_none());
        let other = "box".parse().expect("a name");
        assert!(state.try_share(&other, 1).expect("readable").is_some());
        drop(first);
        assert!(state.try_share(&meter, 2).expect("readable").is_some());
        drop(second);
    }
}
