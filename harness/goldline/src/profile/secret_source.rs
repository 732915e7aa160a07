//! Where a secret is kept outside of profiles, arguments and station files.
//!
//! Must not know what the secret is for, and repeats nothing of it in an error.

use std::{
    env, fs,
    io::{self, Read},
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use crate::{
    process::{ChildGuard, hold_back},
    secret::Secret,
};

/// Long enough for a vault to ask over the network, in all.
const COMMAND_DEADLINE: Duration = Duration::from_secs(30);
/// No secret of a unit is larger; a larger file is the wrong one.
const LARGEST: u64 = 64 * 1024;

/// A place that a secret is read from when it is needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretSource {
    /// A variable of the environment.
    Environment(String),
    /// A file.
    File(PathBuf),
    /// What a program prints; it must end with success within 30 seconds.
    Command {
        /// The program.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// A secret cannot be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum SecretError {
    #[error("the environment has no variable {variable}")]
    NoVariable { variable: String },
    #[error("the variable {variable} is not UTF-8 text")]
    VariableNotText { variable: String },
    #[error("cannot read {}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("cannot run {program}: {error}")]
    Command { program: String, error: io::Error },
    #[error("{program} ended with {status}: expected success")]
    CommandFailed { program: String, status: std::process::ExitStatus },
    #[error("{program} did not end within {} s", COMMAND_DEADLINE.as_secs())]
    CommandTooSlow { program: String },
    #[error("{place} is empty, is not UTF-8 text, or holds more than {LARGEST} bytes")]
    Content { place: String },
}

impl SecretSource {
    /// A variable of the environment, which no child of this process sees any more.
    pub fn environment(variable: impl Into<String>) -> Self {
        let variable = variable.into();
        hold_back(&variable);
        Self::Environment(variable)
    }

    /// Reads the secret. One line's end at its end does not count.
    ///
    /// # Errors
    /// When the place does not exist, cannot be read, or holds no text.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let text = self.read_text()?;
        if text.expose().is_empty() {
            return Err(SecretError::Content { place: self.place() });
        }
        Ok(text)
    }

    fn place(&self) -> String {
        match self {
            Self::Environment(place) | Self::Command { program: place, .. } => place.clone(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// As [`SecretSource::read`], of a value that may be empty.
    ///
    /// # Errors
    /// When the place does not exist, cannot be read, or holds something else than text.
    pub fn read_text(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Environment(variable) => read_variable(variable),
            Self::File(path) => {
                let file = fs::File::open(path).and_then(read_limited);
                let bytes =
                    file.map_err(|error| SecretError::File { path: path.clone(), error })?;
                text_of(&bytes, &path.display().to_string())
            }
            Self::Command { program, arguments } => run(program, arguments),
        }
    }
}

fn read_variable(variable: &str) -> Result<Secret, SecretError> {
    match env::var(variable) {
        Ok(text) => text_of(Zeroizing::new(text).as_bytes(), variable),
        Err(env::VarError::NotPresent) => {
            Err(SecretError::NoVariable { variable: variable.to_owned() })
        }
        Err(env::VarError::NotUnicode(_)) => {
            Err(SecretError::VariableNotText { variable: variable.to_owned() })
        }
    }
}

/// The program's errors go to the terminal; only its standard output is the secret.
fn run(program: &str, arguments: &[String]) -> Result<Secret, SecretError> {
    let failed = |error| SecretError::Command { program: program.to_owned(), error };
    let too_slow = || SecretError::CommandTooSlow { program: program.to_owned() };
    let started = Instant::now();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut guard = ChildGuard::spawn(&mut command).map_err(failed)?;
    let output = guard.child().stdout.take();
    let (sender, receiver) = mpsc::channel();
    // The thread outlives a program that is too slow, until the last holder closes the pipe.
    thread::spawn(move || {
        sender.send(output.map_or_else(|| Ok(Zeroizing::default()), read_limited))
    });
    let bytes = receiver.recv_timeout(COMMAND_DEADLINE).map_err(|_| too_slow())?;
    let bytes = bytes.map_err(failed)?;
    let status = loop {
        match guard.child().try_wait().map_err(failed)? {
            Some(status) => break status,
            None if started.elapsed() > COMMAND_DEADLINE => return Err(too_slow()),
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    if !status.success() {
        return Err(SecretError::CommandFailed { program: program.to_owned(), status });
    }
    text_of(&bytes, program)
}

/// At most one byte more than the largest secret, so that a larger one shows.
fn read_limited(source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    source.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text_of(bytes: &[u8], place: &str) -> Result<Secret, SecretError> {
    let refused = || SecretError::Content { place: place.to_owned() };
    let text = std::str::from_utf8(bytes).map_err(|_| refused())?;
    // Editors on Windows put a byte order mark before a text; it is none of it.
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if bytes.len() as u64 > LARGEST {
        return Err(refused());
    }
    Ok(Secret::new(text))
}
