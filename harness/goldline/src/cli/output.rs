//! Standard output and standard error, which may be closed or full.
//!
//! A reader of standard output that has seen enough, such as `head`, closes the pipe: no error. Anything
//! else is one. When standard error takes nothing there is nobody to tell, and the exit code still counts.

use std::io::{self, Write};

use super::problem::usage_with_help;

/// Prints a text.
///
/// # Errors
/// When it cannot be written.
pub(super) fn print(text: &str) -> miette::Result<()> {
    print_bytes(text.as_bytes())
}

/// Prints bytes as they are.
///
/// # Errors
/// As [`print`].
pub(super) fn print_bytes(bytes: &[u8]) -> miette::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(usage_with_help(
            format!("cannot write to standard output: {error}"),
            "free space where it leads, or send it elsewhere",
        )),
        _ => Ok(()),
    }
}

/// Tells a person what went wrong, or what to know beside the result: a line on standard error.
pub(super) fn complain(text: &str) {
    // Not `eprintln!`: that panics when nobody listens.
    let _written = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Asks a person for something: on standard error, with the cursor behind it.
pub(super) fn ask(text: &str) {
    let mut output = io::stderr().lock();
    let _written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// Prints a value as a JSON document.
///
/// # Errors
/// As [`print`].
pub(super) fn print_json(value: &impl serde::Serialize) -> miette::Result<()> {
    let text = serde_json::to_string_pretty(value).expect("what is printed becomes JSON");
    print(&(text + "\n"))
}
