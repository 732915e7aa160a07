//! What units share, counted over all processes of the station: a lock for each piece there is.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
};

use uuid::Uuid;

use super::{StateDirectory, StoreError, at, make_private_folder, try_lock};
use crate::profile::Resource;

/// One piece of a resource, until it is dropped, or its process ends.
#[derive(Debug)]
pub struct Share {
    /// Locked.
    _lock: File,
}

/// All pieces are taken, and by whom: what each holder wrote into its lock, another text each time that it is taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holders(pub Vec<String>);

impl Holders {
    /// The numbers of their processes.
    pub fn processes(&self) -> String {
        let numbers = self.0.iter().filter_map(|note| note.split_whitespace().next());
        numbers.collect::<Vec<_>>().join(", ")
    }
}

impl StateDirectory {
    /// Takes one of so many pieces, or says who has them.
    ///
    /// # Errors
    /// [`StoreError`] when the locks cannot be used.
    pub fn try_share(
        &self,
        resource: &Resource,
        count: u32,
    ) -> Result<Result<Share, Holders>, StoreError> {
        let folder = self.root.join("shares");
        make_private_folder(&folder)?;
        let mut holders = Vec::new();
        for piece in 0..count {
            let path = folder.join(format!("{resource}.{piece}.lock"));
            match try_lock(&path)? {
                Ok(mut lock) => {
                    let note = format!("{} {}\n", std::process::id(), Uuid::new_v4());
                    let noted = lock
                        .set_len(0)
                        .and_then(|()| lock.seek(SeekFrom::Start(0)))
                        .and_then(|_| lock.write_all(note.as_bytes()));
                    noted.map_err(at(&path))?;
                    return Ok(Ok(Share { _lock: lock }));
                }
                Err(mut held) => {
                    let mut note = String::new();
                    let _unreadable = held.read_to_string(&mut note);
                    holders.push(note);
                }
            }
        }
        Ok(Err(Holders(holders)))
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
        let held = state.try_share(&meter, 2).expect("readable").expect_err("both are taken");
        assert_eq!(held.processes(), format!("{0}, {0}", std::process::id()));
        assert_ne!(held.0[0], held.0[1], "each time is told from every other");
        let other = "box".parse().expect("a name");
        assert!(state.try_share(&other, 1).expect("readable").is_ok());
        drop(first);
        assert!(state.try_share(&meter, 2).expect("readable").is_ok());
        drop(second);
    }
}
