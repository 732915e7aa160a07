//! `--save-credentials`: the units' values, secrets included, in a file that only its owner can read.
//!
//! What a user asks for by name; nothing else of the program writes a secret in the clear.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use miette::Report;
use serde_json::json;
use zeroize::Zeroizing;

use super::problem::usage;
use crate::engine::Finished;

/// One unit's entry: MAC, profile, run and values; `None` for a unit that was never identified.
pub(super) fn entry(finished: &Finished) -> Option<serde_json::Value> {
    let plan = finished.plan.as_ref()?;
    let values = plan.bindings().to_remember();
    let values: BTreeMap<&str, &str> =
        values.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    let record = &finished.record;
    Some(json!({
        "mac": record.unit.mac,
        "profile": record.profile,
        "run_id": record.run_id,
        "verdict": record.verdict,
        "values": values,
    }))
}

/// Makes the file before a unit is touched, so that a place that cannot be written is known then.
///
/// # Errors
/// When the file cannot be made or others could read it.
pub(super) fn prepare(path: &Path) -> Result<(), Report> {
    open(path).map(|_file| ())
}

/// Writes all entries as one JSON array; an earlier file is replaced.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn save(path: &Path, entries: &[serde_json::Value]) -> Result<(), Report> {
    let text = serde_json::to_string_pretty(entries).expect("entries are JSON");
    let text = Zeroizing::new(text + "\n");
    let mut file = open(path)?;
    file.set_len(0)
        .and_then(|()| file.write_all(text.as_bytes()))
        .map_err(|error| refuse(path, error))
}

fn open(path: &Path) -> Result<std::fs::File, Report> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| refuse(path, error))?;
    // A file that was there before may have been open to others.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
        .map_err(|error| refuse(path, error))?;
    Ok(file)
}

fn refuse(path: &Path, error: std::io::Error) -> Report {
    usage(format!("cannot write the credentials to {}: {error}", path.display()))
}
