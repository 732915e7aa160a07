//! Numbers that are given once and never again, whatever becomes of the unit.

use std::fs;

use super::{StateDirectory, StoreError, at, lock, make_private_folder, write_private};

/// The first number of every series.
const FIRST: u32 = 1;

impl StateDirectory {
    /// The next number of a profile's value. It counts as used from now on, even if the run fails.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the counter's file holds no number.
    pub fn lease(&self, profile: &str, value: &str) -> Result<u32, StoreError> {
        let folder = self.root.join("leases");
        make_private_folder(&folder)?;
        let path = folder.join(format!("{profile}.{value}"));
        let _lock = lock(&folder.join("lock"))?;
        let next = if path.exists() {
            let text = fs::read_to_string(&path).map_err(at(&path))?;
            text.trim().parse().map_err(|_| StoreError::Damaged {
                path: path.clone(),
                reason: format!("\"{}\" is no number", text.trim()),
            })?
        } else {
            FIRST
        };
        let after = u32::checked_add(next, 1).ok_or_else(|| StoreError::Damaged {
            path: path.clone(),
            reason: "the series is used up".to_owned(),
        })?;
        write_private(&path, after.to_string().as_bytes())?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_number_is_given_twice_to_stations_that_run_at_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("state");
        StateDirectory::open(&root).expect("it opens");
        let take = || {
            let state = StateDirectory::open(&root).expect("it opens");
            (0..10).map(|_| state.lease("espvault", "number").expect("leased")).collect::<Vec<_>>()
        };
        let numbers: Vec<u32> = std::thread::scope(|scope| {
            let stations: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            stations.into_iter().flat_map(|station| station.join().expect("it ends")).collect()
        });
        let distinct: BTreeSet<u32> = numbers.iter().copied().collect();
        assert_eq!(distinct, (1..=40).collect());
    }
}
