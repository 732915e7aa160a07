//! Which state directory a station uses.

use std::path::Path;

use crate::store::{StateDirectory, StoreError};

/// Opens the directory that was named, else the usual one.
///
/// # Errors
/// [`StoreError`] when there is none, or it cannot be used.
pub fn open_state(named: Option<&Path>) -> Result<StateDirectory, StoreError> {
    match named {
        Some(path) => StateDirectory::open(path),
        None => StateDirectory::open(&StateDirectory::default_path()?),
    }
}
