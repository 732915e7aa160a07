//! A program of others: started with a deadline, ended with all that it started, heard to its last word.
//!
//! Must not know what the program does.

use std::{
    env,
    ffi::OsString,
    fmt,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::PermissionsExt, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{Environment, Given, Tied};

/// What a program may say in answer, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// How often a program that runs is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Characters of its last line on standard error that are told.
const WORDS_TOLD: usize = 300;
/// What a program finds of this process's environment, where the profile names nothing more.
const PASSED: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR"];

/// A program and its arguments.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Program {
    /// A path, or a name that is looked up in `PATH`.
    pub program: PathBuf,
    /// In order; none is a secret.
    pub arguments: Vec<String>,
    /// The variables of this process that it finds beside the usual ones.
    pub environment: Vec<String>,
}

/// A program cannot be run by whoever runs this one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum Unusable {
    #[error("there is no program {}", .program.display())]
    Missing { program: PathBuf },
    #[error("{} is not a file that may be executed: chmod +x makes it one", .program.display())]
    NotExecutable { program: PathBuf },
}

/// A program did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum ProgramError {
    #[error("cannot run {program}: {error}")]
    NotRun { program: String, error: io::Error },
    #[error("{program} ended with {status}{}", said(.words))]
    Failed { program: String, status: ExitStatus, words: String },
    #[error("{program} did not end within {} s{}", .limit.as_secs_f32(), said(.words))]
    TooSlow { program: String, limit: Duration, words: String },
    #[error("{program} said more than {LONGEST_ANSWER} bytes: expected one short answer")]
    TooMuch { program: String },
    #[error("the run was stopped meanwhile")]
    Stopped,
}

impl ProgramError {
    /// The same with its words as they may be shown: before they are cut, for half a secret is not recognised.
    pub fn shown(self, mask: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Failed { program, status, words } => {
                Self::Failed { program, status, words: mask(&words) }
            }
            Self::TooSlow { program, limit, words } => {
                Self::TooSlow { program, limit, words: mask(&words) }
            }
            other => other,
        }
    }
}

impl Program {
    /// Whether it is there and may be executed.
    ///
    /// # Errors
    /// [`Unusable`] says which of the two it is not.
    pub fn refuse_unusable(&self) -> Result<(), Unusable> {
        let program = self.program.clone();
        if self.program.components().count() > 1 || self.program.is_absolute() {
            return match is_executable(&program) {
                Some(true) => Ok(()),
                Some(false) => Err(Unusable::NotExecutable { program }),
                None => Err(Unusable::Missing { program }),
            };
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let found = env::split_paths(&path)
            .any(|folder| is_executable(&folder.join(&self.program)) == Some(true));
        if found { Ok(()) } else { Err(Unusable::Missing { program }) }
    }

    /// Runs it to its end and gives what it said on standard output. Blocks.
    ///
    /// # Errors
    /// [`ProgramError`], with the last line of its standard error.
    pub fn run(
        &self,
        input: &[u8],
        limit: Duration,
        given_up: impl Fn() -> bool,
    ) -> Result<String, ProgramError> {
        let not_run = |error| ProgramError::NotRun { program: self.to_string(), error };
        let began = Instant::now();
        let (mut tied, mut answers) = self.start(input).map_err(not_run)?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            // Looked at before reading: what an ended program said is all there then.
            let ended = tied.ended().map_err(not_run)?;
            let is_closed = match answers.read(&mut buffer) {
                Ok(0) => true,
                Ok(count) => {
                    answer.extend_from_slice(&buffer[..count]);
                    if answer.len() > LONGEST_ANSWER {
                        return Err(ProgramError::TooMuch { program: self.to_string() });
                    }
                    false
                }
                // Something that it started may hold its output open.
                Err(error) if is_silence(&error) => ended.is_some(),
                Err(error) => return Err(not_run(error)),
            };
            if let Some(status) = ended.filter(|_| is_closed) {
                return self.answered(status, answer, &tied);
            }
            if given_up() {
                return Err(ProgramError::Stopped);
            }
            if began.elapsed() >= limit {
                let (program, words) = (self.to_string(), tied.last_words());
                return Err(ProgramError::TooSlow { program, limit, words });
            }
            if is_closed {
                tied.wait_within(LOOK_EVERY).map_err(not_run)?;
            }
        }
    }

    fn start(&self, input: &[u8]) -> io::Result<(Tied, UnixStream)> {
        let (mut asks, asked) = UnixStream::pair()?;
        let (answers, answered) = UnixStream::pair()?;
        answers.set_read_timeout(Some(LOOK_EVERY))?;
        let arguments: Vec<OsString> = self.arguments.iter().map(OsString::from).collect();
        let given = Given {
            input: Some(OwnedFd::from(asked)),
            output: Some(OwnedFd::from(answered)),
            environment: Environment::Only(self.variables()),
        };
        // One that reads nothing is none the worse for it: what fits into the socket's buffer blocks nobody.
        let _unread = asks.write_all(input);
        drop(asks);
        Ok((Tied::spawn(&self.program, &arguments, given)?, answers))
    }

    fn variables(&self) -> Vec<(OsString, OsString)> {
        let named = self.environment.iter().map(String::as_str);
        let passed = PASSED.into_iter().chain(named);
        passed.filter_map(|name| Some((name.into(), env::var_os(name)?))).collect()
    }

    fn answered(
        &self,
        status: ExitStatus,
        answer: Vec<u8>,
        tied: &Tied,
    ) -> Result<String, ProgramError> {
        match status.success() {
            true => Ok(String::from_utf8_lossy(&answer).into_owned()),
            false => {
                let (program, words) = (self.to_string(), tied.last_words());
                Err(ProgramError::Failed { program, status, words })
            }
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.display().fmt(f)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

/// `None` where nothing is.
fn is_executable(path: &Path) -> Option<bool> {
    let metadata = path.metadata().ok()?;
    Some(metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn is_silence(error: &io::Error) -> bool {
    [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut, io::ErrorKind::Interrupted]
        .contains(&error.kind())
}

/// Its last line, as the end of a sentence.
fn said(words: &str) -> String {
    match words.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        None => String::new(),
        Some(line) => {
            format!(", and said \"{}\"", line.chars().take(WORDS_TOLD).collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::process::{Pid, test_kill_process};
    use tempfile::TempDir;

    use super::*;

    /// Only a program that hangs meets it.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn script(text: &str) -> (TempDir, Program) {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("meter");
        fs::write(&program, format!("#!/bin/sh\n{text}\n")).expect("a script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("its mode");
        let (arguments, environment) = (vec!["--once".to_owned()], Vec::new());
        (folder, Program { program, arguments, environment })
    }

    fn run(text: &str) -> Result<String, ProgramError> {
        let (_folder, program) = script(text);
        program.run(b"{\"unit\":1}\n", PATIENCE, || false)
    }

    #[test]
    fn it_hears_its_question_and_arguments_and_is_heard() {
        let said = run("read -r asked; echo \"$1 $asked\"; echo talk >&2");
        assert_eq!(said.expect("it answers"), "--once {\"unit\":1}\n");
    }

    #[test]
    fn one_that_reads_nothing_is_heard_all_the_same() {
        assert_eq!(run("exec echo 5").expect("it answers"), "5\n");
    }

    #[test]
    fn a_failure_is_told_with_its_status_and_last_line() {
        let error =
            run("echo first >&2; echo 'no meter on bus 3' >&2; exit 4").expect_err("it fails");
        let said = error.to_string();
        assert!(
            said.ends_with("ended with exit status: 4, and said \"no meter on bus 3\""),
            "{said}"
        );
    }

    /// As it was: half of a secret across the cut was shown, since nobody knows it by its half.
    #[test]
    fn what_it_said_is_masked_before_it_is_cut() {
        let beginning = "x".repeat(WORDS_TOLD - 4);
        let error = run(&format!("echo {beginning}MarkerOfASecret >&2; exit 4"));
        let shown = error.expect_err("it fails").shown(|text| text.replace("MarkerOfASecret", "…"));
        let said = shown.to_string();
        assert!(said.ends_with("x…\"") && !said.contains("Mark"), "{said}");
    }

    #[test]
    fn one_that_hangs_is_ended_with_what_it_started() {
        let (folder, program) = script("sleep 600 & echo $! > \"$0.pid\"; wait");
        let limit = Duration::from_millis(500);
        let error = program.run(b"", limit, || false).expect_err("it hangs");
        assert!(error.to_string().contains("did not end within 0.5 s"), "{error}");
        let pid = fs::read_to_string(folder.path().join("meter.pid")).expect("it began");
        let pid = Pid::from_raw(pid.trim().parse().expect("a number")).expect("a process");
        let began = Instant::now();
        while test_kill_process(pid).is_ok() {
            assert!(began.elapsed() < PATIENCE, "{pid:?} lives on");
            std::thread::yield_now();
        }
    }

    /// A daemon that a program leaves behind holds its output open, and answers for nobody.
    #[test]
    fn an_output_that_stays_open_is_not_waited_for() {
        assert_eq!(run("sleep 600 & echo 7").expect("it answers"), "7\n");
    }

    #[test]
    fn one_that_closes_its_output_first_is_waited_for() {
        let error = run("echo 8; exec >&-; sleep 0.2; exit 3").expect_err("it fails");
        assert!(matches!(error, ProgramError::Failed { .. }), "{error}");
    }

    #[test]
    fn one_that_talks_without_end_is_ended() {
        let error = run("while :; do echo talk; done").expect_err("too much");
        assert!(matches!(error, ProgramError::TooMuch { .. }), "{error}");
    }

    /// A word now and then is no reason to wait longer.
    #[test]
    fn one_that_goes_on_talking_is_ended_in_time() {
        let (_folder, program) = script("while :; do echo .; sleep 0.01; done");
        let limit = Duration::from_millis(500);
        let began = Instant::now();
        let error = program.run(b"", limit, || false).expect_err("it goes on");
        assert!(matches!(error, ProgramError::TooSlow { .. }), "{error}");
        assert!(began.elapsed() < PATIENCE);
    }

    #[test]
    fn a_stopped_run_ends_it() {
        let (_folder, program) = script("sleep 600");
        let error = program.run(b"", PATIENCE, || true).expect_err("stopped");
        assert!(matches!(error, ProgramError::Stopped), "{error}");
    }

    #[test]
    fn it_finds_the_usual_variables_and_those_named_and_no_other() {
        let (_folder, mut program) = script("env");
        // What cargo sets for every test, and no shell does.
        let of_cargo = "CARGO_PKG_NAME";
        let has = |said: &str| said.lines().any(|line| line.starts_with(of_cargo));
        let said = program.run(b"", PATIENCE, || false).expect("it answers");
        assert!(said.contains("PATH=") && !has(&said), "{said}");
        program.environment.push(of_cargo.to_owned());
        let said = program.run(b"", PATIENCE, || false).expect("it answers");
        assert!(env::var_os(of_cargo).is_none() || has(&said), "{said}");
    }

    #[test]
    fn a_program_is_looked_for_before_it_is_needed() {
        let (folder, mut program) = script("true");
        assert_eq!(program.refuse_unusable(), Ok(()));
        fs::set_permissions(&program.program, fs::Permissions::from_mode(0o600)).expect("its mode");
        let not_executable = Unusable::NotExecutable { program: program.program.clone() };
        assert_eq!(program.refuse_unusable(), Err(not_executable));
        for missing in [folder.path().join("none"), PathBuf::from("no-such-meter")] {
            program.program.clone_from(&missing);
            assert_eq!(program.refuse_unusable(), Err(Unusable::Missing { program: missing }));
        }
        program.program = PathBuf::from("sh");
        assert_eq!(program.refuse_unusable(), Ok(()));
    }
}
