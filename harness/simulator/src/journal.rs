//! What a unit did, a line each: its starts, and the changes of its flash. For tests of who must not start it.
//!
//! Holds places and lengths, and never a byte of what was written.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Where it is written; nowhere unless it was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Option<Arc<File>>);

impl Journal {
    /// Begins a file; what is there already stays as it is.
    pub(crate) fn in_file(path: &Path) -> io::Result<Self> {
        Ok(Self(Some(Arc::new(File::create_new(path)?))))
    }

    /// Each line is written at once, so that whoever kills the unit still finds it.
    pub(crate) fn note(&self, line: fmt::Arguments<'_>) {
        let Some(file) = &self.0 else { return };
        if let Err(error) = file.as_ref().write_all(format!("{line}\n").as_bytes()) {
            tracing::error!(%error, "the unit's journal is not written");
        }
    }
}
