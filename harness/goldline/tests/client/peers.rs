//! Other people's programs: whether they are there, and running one.

use std::process::{Command, Output, Stdio};

/// Whether the program is there. A missing one skips the test by name, but not in CI.
pub fn has_peer(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    });
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{program} is missing, and CI must have it");
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// Runs it to its end without holding up the servers of the test.
pub async fn output(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().expect("the program runs"))
        .await
        .expect("the program ends")
}
