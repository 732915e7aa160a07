//! Digests of what the database has of a run: a bit that changed there is no other verdict.

use sha2::{Digest, Sha256};

use crate::hex::hex;

/// Of a text.
pub(super) fn of(text: &str) -> String {
    hex(&Sha256::digest(text))
}
