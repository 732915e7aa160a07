//! The firmware that only provisions: it stores constants of its own image, says so, and idles.
//!
//! Knows no network. What it stores are secrets, which it never prints.

use super::description::{self, Description};
use super::nvs_error::NvsError;
use super::storage::Storage;
use crate::flash::Nor;
use crate::layout::partitions::PartitionTable;

/// Stores everything or, when one value does not go in, nothing.
pub(super) fn provision(
    wanted: &description::Factory,
    description: &Description,
    table: &PartitionTable,
    flash: &mut Nor,
) -> Result<(), NvsError> {
    let settings = &description.settings;
    let partition = table
        .labelled(&settings.partition)
        .filter(|partition| partition.is_nvs())
        .ok_or(NvsError::PartitionNotFound)?;
    let mut storage = Storage::open(partition, flash, None)?;
    for (key, constant) in &wanted.strings {
        let value = description.constants.get(constant);
        let value = value.expect("the description's references were checked when it was parsed");
        storage.set_string(&settings.namespace, key, value)?;
    }
    for key in &wanted.flags {
        storage.set_byte(&settings.namespace, key, 1)?;
    }
    storage.close(flash);
    Ok(())
}
