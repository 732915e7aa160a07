//! Digests of what the database has of a run: a bit that changed there is no other verdict.

use sha2::{Digest, Sha256};

use super::{RunSummary, time_text};
use crate::hex::hex;

/// Of a record's text.
pub(super) fn of_record(json: &str) -> String {
    hex(&Sha256::digest(json))
}

/// Of what lists show of a run, and of its record.
pub(super) fn of_row(run: &RunSummary, record_sum: &str) -> String {
    let mac = run.mac.map(|mac| mac.to_string());
    // Named one by one: what a later version shows beside them does not change the digest.
    let columns = (
        (run.run_id, run.outcome.as_str(), &run.diagnosis, &run.profile, &run.device),
        (&run.lot, &run.operator, mac, &run.ids),
        (time_text(run.started_at), run.duration_ms, record_sum),
    );
    let json = serde_json::to_string(&columns).expect("texts and numbers become JSON");
    hex(&Sha256::digest(json))
}
