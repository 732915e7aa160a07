//! Finds an emulator's program and asks it what it is, and says what was found on the way.

use std::{
    env,
    ffi::OsStr,
    fmt, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{process::ChildGuard, profile::Chip};

/// How long it may take to say what it is; it is milliseconds where nothing is wrong.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// An emulator that has the chip.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Emulator {
    /// Its program.
    pub path: PathBuf,
    /// What it says of its version.
    pub version: String,
    /// Whether it was found for the radio that it emulates.
    pub with_radio: bool,
}

/// No emulator for a chip.
#[derive(Debug, thiserror::Error)]
pub enum NoEmulator {
    /// It has no such chip.
    #[error("{emulator} emulates no {chip}: it has {has}")]
    Chip {
        /// Its name.
        emulator: &'static str,
        /// Which chip.
        chip: Chip,
        /// Those that it has.
        has: &'static str,
        /// What to do about it.
        action: &'static str,
    },
    /// None was found.
    #[error("no {emulator} that {can}: {}", Looked(.looked))]
    NotFound {
        /// Its name.
        emulator: &'static str,
        /// What it should be able to, such as "emulates esp32c3".
        can: String,
        /// Where was looked, and why it is not there.
        looked: Vec<(PathBuf, String)>,
        /// What to do about it.
        action: &'static str,
    },
}

impl NoEmulator {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Chip { action, .. } | Self::NotFound { action, .. } => action,
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

/// Where a program may lie.
pub(in crate::device) struct Places<'a> {
    /// Its name.
    pub(in crate::device) program: &'a str,
    /// The variable that names the program, or the folder that it lies in.
    pub(in crate::device) variable: &'a str,
    /// Where an installer of its own puts it, below the user's home.
    pub(in crate::device) at_home: Option<&'a str>,
    /// The folder of ESP-IDF's tools with its versions, and where it lies within one.
    pub(in crate::device) tool: (&'a str, &'a [&'a str]),
}

impl Places<'_> {
    /// The programs to try, in this order. One that was named is the only candidate.
    pub(in crate::device) fn candidates(&self, named: Option<&Path>) -> Vec<PathBuf> {
        if let Some(path) = named {
            return vec![path.to_owned()];
        }
        if let Some(path) = env::var_os(self.variable).filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            return vec![if path.is_dir() { path.join(self.program) } else { path }];
        }
        let on_path = env::var_os("PATH").unwrap_or_default();
        let on_path = env::split_paths(&on_path).map(|folder| folder.join(self.program));
        let at_home = self.at_home.and_then(|folder| Some(home()?.join(folder).join(self.program)));
        on_path.chain(at_home).chain(self.of_esp_idf()).filter(|path| path.is_file()).collect()
    }

    /// `~/.espressif/tools/qemu-riscv32/VERSION/qemu/bin/qemu-system-riscv32`, the newest name first.
    fn of_esp_idf(&self) -> Vec<PathBuf> {
        let tools = env::var_os("IDF_TOOLS_PATH").map(PathBuf::from);
        let at_home = || home().map(|home| home.join(".espressif"));
        let Some(tools) = tools.or_else(at_home) else { return Vec::new() };
        let (tool, within) = self.tool;
        let Ok(versions) = fs::read_dir(tools.join("tools").join(tool)) else {
            return Vec::new();
        };
        let mut versions: Vec<PathBuf> = versions.flatten().map(|entry| entry.path()).collect();
        versions.sort_unstable_by(|one, other| other.cmp(one));
        let programs = versions.iter().flat_map(|version| {
            within.iter().map(|within| version.join(within).join(self.program))
        });
        programs.collect()
    }
}

fn home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from)
}

/// What a program prints on its standard output.
pub(in crate::device) fn say(path: &Path, arguments: &[&str]) -> Result<String, String> {
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
