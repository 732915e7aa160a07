//! The program under test, in a folder of its own.
//!
//! Knows no command: it starts the binary with a clean environment and keeps what came of it.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// The shipped profile, to be edited.
pub const PROFILE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/espvault.toml"));

/// What the shipped profile's firmware does, to be edited.
pub const FIRMWARE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/firmware/espvault.toml"));

/// A shipped profile with the waits, by their key, that are given other seconds.
pub fn with_waits(product: &str, seconds: impl Fn(&str, u64) -> Option<u64>) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/profiles");
    let shipped = fs::read_to_string(folder.join(format!("{product}.toml"))).expect("it ships");
    let wait = |line: &str| -> Option<String> {
        let (key, found) = line.split_once(" = ")?;
        Some(format!("{key} = {}", seconds(key, found.parse().ok()?)?))
    };
    let lines = shipped.lines().map(|line| wait(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

/// A station without a past: its state directory does not exist yet.
pub struct Station(TempDir);

impl Station {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// Path of a file that belongs to this station alone.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file in the temporary folder");
        path
    }

    /// A program of this station's jig.
    pub fn executable(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.write(name, content);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("its mode");
        path
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The program with this station's folder as its only home.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_goldline"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["GOLDLINE_", "ESPPORT", "ESPBAUD", "ESPTOOL_"]
                .iter()
                .any(|ours| text.starts_with(ours))
            {
                command.env_remove(name);
            }
        }
        command
            .env_remove("XDG_STATE_HOME")
            .env("HOME", self.path("home"))
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command
    }

    /// The program on this station's state: `run`, `provision` or `check` comes first.
    pub fn unit_command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = self.command();
        command.args(arguments).arg("--state").arg(self.state());
        command
    }

    /// Runs `run`, `provision` or `check` on this station's state to its end.
    pub fn unit(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
        Ended::of(&mut self.unit_command(arguments))
    }

    /// Runs any other command to its end.
    pub fn goldline(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
        Ended::of(self.command().args(arguments))
    }

    /// Every file below a folder of the station.
    pub fn files(&self, below: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![below.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder of the station") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }
}

/// A program that came to its end.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().expect("the program starts"))
    }

    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("the program died of a signal: {self:?}"))
    }

    /// Standard error as one line, whatever its frames and line breaks.
    pub fn said(&self) -> String {
        let words = self.stderr.split_whitespace().filter(|word| !["│", "×"].contains(word));
        words.collect::<Vec<_>>().join(" ")
    }

    /// Standard output, which must be one JSON document and nothing else.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

impl From<std::process::Output> for Ended {
    fn from(output: std::process::Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
        Self { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// The check of a record by its name.
pub fn check<'a>(record: &'a Value, id: &str) -> &'a Value {
    let checks = record["checks"].as_array().expect("a record has checks");
    checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("no check {id}"))
}

/// The value of a check's measurement.
pub fn measured(record: &Value, id: &str, name: &str) -> i64 {
    let measurements = check(record, id)["measurements"].as_array().expect("measurements");
    let found = measurements.iter().find(|measurement| measurement["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no {name} of {id} in {record:#}"));
    found["value"].as_i64().unwrap_or_else(|| panic!("{found}"))
}
