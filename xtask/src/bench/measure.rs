//! Measures one process from start to end: wall time, CPU time, peak memory.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use wait4::Wait4;

use crate::workspace;

/// What one process took.
#[derive(Clone, Debug)]
pub struct Sample {
    /// From before its start until after its end, in seconds.
    pub wall_s: f64,
    /// User and system time together, in seconds.
    pub cpu_s: f64,
    /// Largest resident set, in bytes; never below this program's own few MB.
    pub peak_bytes: f64,
    /// What it printed on stdout.
    pub stdout: String,
}

/// Starts the command and waits for its end. Its state goes below `folder`, never into the user's own.
///
/// # Errors
/// When it cannot be started, or did not end well: then with the first line of its stderr.
pub fn measure(command: &[String], folder: &Path) -> Result<Sample, String> {
    let [name, words @ ..] = command else {
        return Err("there is no command to measure".to_owned());
    };
    let (stdout, stderr) = (folder.join("stdout"), folder.join("stderr"));
    let mut child = Command::new(name);
    child.args(words).current_dir(workspace::root()).env("GOLDLINE_STATE", folder.join("state"));
    // Files and no pipes: nobody has to read while the clock runs.
    child.stdin(Stdio::null()).stdout(created(&stdout)?).stderr(created(&stderr)?);
    let started = Instant::now();
    let child = child.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
    let ended = child.wait4().map_err(|error| format!("cannot wait for {name}: {error}"))?;
    let wall_s = started.elapsed().as_secs_f64();
    let printed = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    if !ended.status.success() {
        let stderr = printed(&stderr);
        return Err(stderr.lines().next().unwrap_or("it failed without a word").to_owned());
    }
    Ok(Sample {
        wall_s,
        cpu_s: (ended.rusage.utime + ended.rusage.stime).as_secs_f64(),
        peak_bytes: ended.rusage.maxrss as f64,
        stdout: printed(&stdout),
    })
}

fn created(path: &Path) -> Result<fs::File, String> {
    fs::File::create(path).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Sample, String> {
        let folder = tempfile::tempdir().expect("a folder");
        measure(&["/bin/sh", "-c", script].map(str::to_owned), folder.path())
    }

    #[test]
    fn each_process_is_measured_by_itself() {
        let busy =
            shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done").expect("busy");
        assert_eq!(busy.stdout, "done\n");
        assert!(busy.cpu_s > 0.02 && busy.wall_s > 0.02, "{busy:?}");
        // A sum over all children would count the busy one here too.
        let idle = shell("echo done").expect("idle");
        assert!(idle.cpu_s < busy.cpu_s, "{idle:?}, {busy:?}");
        assert!(idle.peak_bytes > 100e3, "{idle:?}");
    }

    #[test]
    fn a_process_that_failed_gives_the_first_line_of_its_stderr() {
        let refused = shell("echo why >&2; echo more >&2; exit 3").expect_err("it failed");
        assert_eq!(refused, "why");
    }
}
