//! Standard output, which may be closed or full.
//!
//! A reader that has seen enough, such as `head`, closes the pipe: no error. Anything else is one.

use std::io::{self, Write};

use super::problem::usage_with_help;

/// Prints a text.
///
/// # Errors
/// When it cannot be written.
pub(super) fn print(text: &str) -> miette::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(usage_with_help(
            format!("cannot write to standard output: {error}"),
            "free space where it leads, or send it elsewhere",
        )),
        _ => Ok(()),
    }
}

/// Prints a value as a JSON document.
///
/// # Errors
/// As [`print`].
pub(super) fn print_json(value: &impl serde::Serialize) -> miette::Result<()> {
    let text = serde_json::to_string_pretty(value).expect("what is printed becomes JSON");
    print(&(text + "\n"))
}
