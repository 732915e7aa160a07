//! Finds an emulator that has the chip, and says what was found on the way.
//!
//! Runs each candidate twice: `--version` and `-M help`. Not `-nic model=help`: Espressif's does not end on it.

use std::{
    env,
    ffi::OsStr,
    fmt, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::machine::Machine;
use crate::{process::ChildGuard, profile::Chip};

/// The variable that names the program, or the folder that it lies in.
const VARIABLE: &str = "GOLDLINE_QEMU";
/// How long it may take to say what it is; it is milliseconds where nothing is wrong.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// An emulator that has the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Emulator {
    /// Its program.
    pub path: PathBuf,
    /// What it says of its version.
    pub version: String,
}

/// No emulator for a chip.
#[derive(Debug, thiserror::Error)]
pub enum NoEmulator {
    /// QEMU has no such chip.
    #[error("QEMU emulates no {chip}: it has {}", Machine::CHIPS)]
    Chip {
        /// Which one.
        chip: Chip,
    },
    /// None was found.
    #[error("no QEMU that emulates {machine}: {}", Looked(.looked))]
    NotFound {
        /// QEMU's name of the machine.
        machine: String,
        /// Where was looked, and why it is not there.
        looked: Vec<(PathBuf, String)>,
    },
}

impl NoEmulator {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Chip { .. } => "name one of those chips, or test on a real port",
            Self::NotFound { .. } => {
                "install Espressif's QEMU (with ESP-IDF: python tools/idf_tools.py install qemu-xtensa qemu-riscv32), put it on PATH, or name it with GOLDLINE_QEMU=PATH or ?binary=PATH"
            }
        }
    }
}

/// The places and what was there.
struct Looked<'a>(&'a [(PathBuf, String)]);

impl fmt::Display for Looked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("there is none on PATH nor among ESP-IDF's tools");
        }
        for (at, (path, reason)) in self.0.iter().enumerate() {
            let comma = if at > 0 { "; " } else { "" };
            write!(f, "{comma}{}: {reason}", path.display())?;
        }
        Ok(())
    }
}

/// The first program that has the machine. One that was named is the only candidate.
pub(super) fn find(
    machine: &Machine,
    machine_name: &str,
    named: Option<&Path>,
) -> Result<Emulator, NoEmulator> {
    let mut looked = Vec::new();
    for path in candidates(machine, named) {
        match inspect(&path, machine_name) {
            Ok(version) => return Ok(Emulator { path, version }),
            Err(reason) => looked.push((path, reason)),
        }
    }
    Err(NoEmulator::NotFound { machine: machine_name.to_owned(), looked })
}

fn candidates(machine: &Machine, named: Option<&Path>) -> Vec<PathBuf> {
    if let Some(path) = named {
        return vec![path.to_owned()];
    }
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return vec![if path.is_dir() { path.join(machine.program) } else { path }];
    }
    let on_path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&on_path).map(|folder| folder.join(machine.program));
    on_path.chain(of_esp_idf(machine)).filter(|path| path.is_file()).collect()
}

/// `~/.espressif/tools/qemu-riscv32/VERSION/qemu/bin/qemu-system-riscv32`, the newest name first.
fn of_esp_idf(machine: &Machine) -> Vec<PathBuf> {
    let tools = env::var_os("IDF_TOOLS_PATH").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".espressif"));
    let Some(tools) = tools.or_else(home) else { return Vec::new() };
    let Ok(versions) = fs::read_dir(tools.join("tools").join(machine.tool)) else {
        return Vec::new();
    };
    let mut versions: Vec<PathBuf> = versions.flatten().map(|entry| entry.path()).collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    versions.iter().map(|version| version.join("qemu/bin").join(machine.program)).collect()
}

/// Its version, if it has the machine; else why not.
fn inspect(path: &Path, machine_name: &str) -> Result<String, String> {
    let version = say(path, &["--version"])?;
    let version = version.lines().next().unwrap_or_default().trim().to_owned();
    let machines = say(path, &["-M", "help"])?;
    let is_there =
        machines.lines().any(|line| line.split_whitespace().next() == Some(machine_name));
    match is_there {
        true => Ok(version),
        false => Err(format!("{version} has no machine {machine_name}")),
    }
}

/// What a program prints.
fn say(path: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = tempfile::tempfile().and_then(|file| Ok((file.try_clone()?, file)));
    let (file, mut read) = output.map_err(|error| error.to_string())?;
    let mut command = Command::new(path);
    command.args(arguments.iter().map(OsStr::new));
    command.stdin(Stdio::null()).stdout(file).stderr(Stdio::null());
    let mut child = ChildGuard::spawn(&mut command).map_err(|error| error.to_string())?;
    match child.wait_within(ANSWER_LIMIT, || false).map_err(|error| error.to_string())? {
        Some(status) if status.success() => {}
        Some(status) => return Err(format!("{} ended with {status}", arguments.join(" "))),
        None => return Err(format!("{} does not end", arguments.join(" "))),
    }
    let mut text = Vec::new();
    io::Seek::rewind(&mut read)
        .and_then(|()| io::Read::read_to_end(&mut read, &mut text))
        .map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
