//! The `goldline` program, run to its end.
//!
//! Must not know what its arguments mean: all but the form of the answer is the program's.

use std::{
    error::Error,
    ffi::{OsStr, OsString},
    fmt, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde::Deserialize;
use serde_json::Value;

use crate::record::{Record, SCHEMA};

/// Where the program is.
#[derive(Clone, Debug)]
pub struct Goldline {
    program: PathBuf,
}

impl Goldline {
    /// The program at a path, or by a name that is looked for in `PATH`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// The program that the variable `GOLDLINE_PROGRAM` names, and without it `goldline` of `PATH`.
    pub fn from_env() -> Self {
        Self::new(std::env::var_os("GOLDLINE_PROGRAM").unwrap_or_else(|| "goldline".into()))
    }

    /// `goldline run`: provisions a unit, then runs its QC list. The profile is a name or a path.
    pub fn run(&self, profile: impl AsRef<OsStr>) -> Run {
        self.command("run", profile)
    }

    /// `goldline provision`, which has no verdict.
    pub fn provision(&self, profile: impl AsRef<OsStr>) -> Run {
        self.command("provision", profile)
    }

    /// `goldline check`: the QC list of a unit that was provisioned before.
    pub fn check(&self, profile: impl AsRef<OsStr>) -> Run {
        self.command("check", profile)
    }

    fn command(&self, command: &str, profile: impl AsRef<OsStr>) -> Run {
        let mut run = Command::new(&self.program);
        run.arg(command).arg(profile).arg("--json");
        Run { program: self.program.clone().into_os_string(), command: run }
    }
}

/// A command of the program, to be completed and run.
#[derive(Debug)]
pub struct Run {
    program: OsString,
    command: Command,
}

impl Run {
    /// Where a unit is, such as `qemu:?chip=esp32c3`; several run in parallel.
    #[must_use]
    pub fn device(self, url: impl AsRef<OsStr>) -> Self {
        self.arg("--device").arg(url)
    }

    /// What the station remembers: a folder of the test's own keeps its units apart from all others.
    #[must_use]
    pub fn state(self, folder: impl AsRef<Path>) -> Self {
        self.arg("--state").arg(folder.as_ref())
    }

    /// Any other argument. Every user of the machine can read it: a secret is given as `KEY=$VARIABLE`.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Any other arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// A variable of the program's environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs the program and reads the record of its only unit.
    ///
    /// # Errors
    /// [`RunError`] when there is none; a FAIL is a record like any other.
    pub fn record(self) -> Result<Record, RunError> {
        let mut records = self.records()?;
        match (records.pop(), records.is_empty()) {
            (Some(record), true) => Ok(record),
            (_, _) => Err(RunError::Several),
        }
    }

    /// Runs the program and reads the records of all units, in the order of the devices.
    ///
    /// # Errors
    /// As [`Run::record`].
    pub fn records(mut self) -> Result<Vec<Record>, RunError> {
        let program = self.program;
        let output = self.command.output();
        read(&output.map_err(|source| RunError::NotStarted { program, source })?)
    }
}

fn read(output: &Output) -> Result<Vec<Record>, RunError> {
    let no_record = || RunError::NoRecord {
        code: output.status.code(),
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    let document: Value = serde_json::from_slice(&output.stdout).map_err(|_| no_record())?;
    let documents = match document {
        Value::Array(documents) => documents,
        document => vec![document],
    };
    let record = |document: Value| {
        let schema = document.get("schema").and_then(Value::as_u64).ok_or_else(no_record)?;
        if schema != u64::from(SCHEMA) {
            return Err(RunError::OtherSchema { found: schema });
        }
        Record::deserialize(document).map_err(RunError::NotUnderstood)
    };
    documents.into_iter().map(record).collect()
}

/// There is no record to read.
#[derive(Debug)]
pub enum RunError {
    /// The program could not be started.
    NotStarted {
        /// As it was named.
        program: OsString,
        /// What the system said.
        source: io::Error,
    },
    /// The program made no run: its arguments, profile or station are not right.
    NoRecord {
        /// 2 for arguments and profile, 3 for the station; `None` when a signal ended it.
        code: Option<i32>,
        /// What it said on standard error.
        said: String,
    },
    /// The record is of another form.
    OtherSchema {
        /// Its number.
        found: u64,
    },
    /// What the program printed is no record.
    NotUnderstood(serde_json::Error),
    /// There are several units, or none.
    Several,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted { program, source } => write!(
                f,
                "{} does not start: {source}; install Goldline, or name it with GOLDLINE_PROGRAM",
                program.display()
            ),
            Self::NoRecord { code: Some(code), said } => {
                write!(f, "goldline made no run (exit code {code}): {said}")
            }
            Self::NoRecord { code: None, said } => write!(f, "goldline was killed: {said}"),
            Self::OtherSchema { found } => write!(
                f,
                "the record has schema {found}, expected {SCHEMA}: take the goldline-record of that Goldline"
            ),
            Self::NotUnderstood(error) => write!(f, "goldline printed no record: {error}"),
            Self::Several => f.write_str("expected the record of one unit: ask for records()"),
        }
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotStarted { source, .. } => Some(source),
            Self::NotUnderstood(error) => Some(error),
            Self::NoRecord { .. } | Self::OtherSchema { .. } | Self::Several => None,
        }
    }
}
