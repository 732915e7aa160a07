//! `--save-credentials`: the units' values, secrets included, in a file that only its owner can read.
//!
//! What a user asks for by name; nothing else of the program writes a secret in the clear.

use std::collections::BTreeMap;

use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    engine::Finished,
    output_file::{OutputError, OutputFile},
};

/// One unit's entry: MAC, profile, run and values; `None` for a unit that was never identified.
pub(super) fn entry(finished: &Finished) -> Option<serde_json::Value> {
    let plan = finished.plan.as_ref()?.shipped();
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

/// Writes all entries as one JSON array.
pub(super) fn save(place: &OutputFile, entries: &[serde_json::Value]) -> Result<(), OutputError> {
    let text = serde_json::to_string_pretty(entries).expect("entries are JSON");
    let text = Zeroizing::new(text + "\n");
    place.write(text.as_bytes())
}
