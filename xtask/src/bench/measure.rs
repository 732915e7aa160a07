//! Measures one process from start to end: wall time, CPU time, peak memory.
//!
//! The system tells the usage of all ended children together, and their peak as a maximum. So each
//! process gets a parent of its own: this program again, under a hidden subcommand.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use crate::{Outcome, workspace};

/// The hidden subcommand.
pub const MEASURE_ONE: &str = "measure-one";

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

/// Starts the command below a measuring parent. Its state goes below `folder`, never into the
/// user's own.
///
/// # Errors
/// When it cannot be started, or did not end well: then with the first line of its stderr.
pub fn measure(command: &[String], folder: &Path) -> Result<Sample, String> {
    let this = std::env::current_exe().map_err(|error| format!("no path to xtask: {error}"))?;
    let parent = Command::new(this)
        .arg(MEASURE_ONE)
        .args(command)
        .current_dir(workspace::root())
        .env("GOLDLINE_STATE", folder.join("state"))
        .env("MEASURED_STDOUT", folder.join("stdout"))
        .env("MEASURED_STDERR", folder.join("stderr"))
        .output()
        .map_err(|error| format!("cannot start the measuring process: {error}"))?;
    let usage: Value = serde_json::from_slice(&parent.stdout)
        .map_err(|_| String::from_utf8_lossy(&parent.stderr).trim().to_owned())?;
    let printed = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    if usage["success"] != true {
        let stderr = printed("stderr");
        return Err(stderr.lines().next().unwrap_or("it failed without a word").to_owned());
    }
    let number = |name: &str| usage[name].as_f64().ok_or_else(|| format!("no {name} was measured"));
    Ok(Sample {
        wall_s: number("wall_s")?,
        cpu_s: number("cpu_s")?,
        peak_bytes: number("peak_bytes")?,
        stdout: printed("stdout"),
    })
}

/// The measuring parent: runs the command and prints what it took as JSON.
pub fn measure_one(command: &[&str]) -> Outcome {
    let [name, words @ ..] = command else {
        return Err(format!("{MEASURE_ONE}: expected a command"));
    };
    let mut child = Command::new(name);
    child.args(words).stdin(Stdio::null());
    child.stdout(file_named_by("MEASURED_STDOUT")?).stderr(file_named_by("MEASURED_STDERR")?);
    let started = Instant::now();
    let status = child.status().map_err(|error| format!("cannot start {name}: {error}"))?;
    let wall_s = started.elapsed().as_secs_f64();
    let usage =
        getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| format!("getrusage: {error}"))?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    println!(
        "{}",
        json!({
            "success": status.success(),
            "wall_s": wall_s,
            "cpu_s": seconds(usage.user_time()) + seconds(usage.system_time()),
            "peak_bytes": usage.max_rss() * 1024,
        })
    );
    Ok(())
}

fn file_named_by(variable: &str) -> Result<fs::File, String> {
    let path = std::env::var_os(variable).ok_or_else(|| format!("{variable} is not set"))?;
    fs::File::create(&path).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
