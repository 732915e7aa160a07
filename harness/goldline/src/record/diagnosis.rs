//! Why something is not good, as a stable code, a sentence, and what to do.

use serde::{Deserialize, Serialize};

use super::Code;

/// One reason for a FAIL, an ERROR or an ABORTED.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Stable; see [`Code`].
    pub code: Code,
    /// What was seen, with the actual and the expected value; no secrets.
    pub message: String,
    /// What to do next.
    pub action: String,
}

impl Diagnosis {
    /// A diagnosis with the code's own advice.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), action: code.action().to_owned() }
    }

    /// Whether somebody stopped the run, and nothing went wrong.
    pub fn is_abort(&self) -> bool {
        self.code == Code::Aborted
    }
}
