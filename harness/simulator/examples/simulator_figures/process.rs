//! What this process takes, as Linux tells it in /proc.

use std::{fs, io};

/// A tick of /proc's CPU times, the same on every Linux.
const TICK_MS: f64 = 10.0;

/// Memory that is resident now, in MB of a million bytes.
pub fn resident_mb() -> io::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.map(|kib| kib * 1024.0 / 1e6).ok_or_else(|| unexpected("/proc/self/status", "VmRSS in kB"))
}

/// User and system time of all threads so far, in milliseconds, in steps of 10.
pub fn cpu_ms() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name before it may hold anything, a parenthesis too.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: Option<Vec<f64>> =
        fields.split_whitespace().skip(11).take(2).map(|field| field.parse().ok()).collect();
    match ticks.as_deref() {
        Some([user, system]) => Ok((user + system) * TICK_MS),
        _ => Err(unexpected("/proc/self/stat", "utime and stime")),
    }
}

fn unexpected(file: &str, what: &str) -> io::Error {
    io::Error::other(format!("{file} has no {what}: this figure needs Linux"))
}
