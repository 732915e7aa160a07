//! Standard output. Whoever reads it may stop early, which is no error.

use std::io::{self, Write};

use super::problem::NvsProblem;

/// Prints a text or a document as it is.
pub(super) fn print(text: &str) -> Result<(), NvsProblem> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(NvsProblem::Print { error }),
        _ => Ok(()),
    }
}

/// Prints one JSON document.
pub(super) fn print_json(document: &impl serde::Serialize) -> Result<(), NvsProblem> {
    let mut text = serde_json::to_string_pretty(document)
        .expect("strings, numbers and lists of them become JSON");
    text.push('\n');
    print(&text)
}
