//! Runs one program in the repository's root and says so.
//!
//! Must not know what the program is for.

use std::{
    ffi::OsStr,
    io::{self, IsTerminal},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use crate::{Outcome, workspace};

/// `cargo` with these words; the one that runs us, so that `+toolchain` is kept.
pub fn cargo<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = program(cargo);
    command.args(words);
    command
}

/// A program that starts in the repository's root, and does not see that cargo started us: build scripts
/// that look at such variables would be run again, and a dozen crates be built twice in turn.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(workspace::root());
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(is_set_by_cargo_run) {
            command.env_remove(variable);
        }
    }
    command
}

/// What cargo tells a program that it runs, of that program's own package.
fn is_set_by_cargo_run(variable: &str) -> bool {
    let families = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CFG_"];
    families.iter().any(|family| variable.starts_with(family))
        || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&variable)
}

/// How long a log may stand still: one crate can take a compiler minutes.
const SIGN_OF_LIFE: Duration = Duration::from_secs(45);

/// Prints the command and runs it to its end; its output is the terminal's.
pub fn run(command: &mut Command) -> Outcome {
    println!("$ {}", shown(command));
    // On a terminal cargo shows its progress itself, and a line of ours would break it.
    let status = if io::stderr().is_terminal() { command.status() } else { not_silent(command) };
    let status = status.map_err(|error| format!("cannot start \"{}\": {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("\"{}\": {status}", shown(command))) }
}

/// Waits for the command's end, and says now and then that it still runs.
fn not_silent(command: &mut Command) -> io::Result<ExitStatus> {
    let started = Instant::now();
    thread::scope(|scope| {
        let (ended, waiting) = mpsc::channel::<()>();
        scope.spawn(move || {
            while waiting.recv_timeout(SIGN_OF_LIFE) == Err(RecvTimeoutError::Timeout) {
                println!("== still running after {} s", started.elapsed().as_secs());
            }
        });
        let status = command.status();
        drop(ended);
        status
    })
}

/// What the command prints on stdout; its stderr is the terminal's, for long builds show there.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start \"{}\": {error}", shown(command)))?;
    if !output.status.success() {
        return Err(format!("\"{}\": {}", shown(command), output.status));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| format!("\"{}\" printed bytes that are not UTF-8", shown(command)))
}

/// True when the program starts and ends well with these words, printing nothing here.
pub fn answers(name: impl AsRef<OsStr>, words: &[&str]) -> bool {
    program(name).args(words).output().is_ok_and(|output| output.status.success())
}

/// Runs one part under a header, and says how long it took.
pub fn section(title: &str, part: impl FnOnce() -> Outcome) -> Outcome {
    println!("\n== {title}");
    let started = Instant::now();
    let outcome = part();
    let word = if outcome.is_ok() { "done" } else { "FAILED" };
    println!("== {title}: {word} after {:.1} s", started.elapsed().as_secs_f64());
    outcome
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program());
    let name = if name.ends_with("cargo") { OsStr::new("cargo") } else { name.as_os_str() };
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ring's build script looks at them: a build from here and one from a shell undid each other's.
    #[test]
    fn a_cargo_of_ours_does_not_see_the_package_that_runs_it() {
        let command = cargo(["build"]);
        let removed = |name: &str| command.get_envs().any(|(key, to)| key == name && to.is_none());
        // A test is told of its package as a program is.
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
        for name in ["CARGO_PKG_NAME", "CARGO_PKG_VERSION_MAJOR", "CARGO_MANIFEST_DIR"] {
            assert!(removed(name), "{name}");
        }
        assert!(!removed("CARGO") && !removed("PATH"));
    }
}
