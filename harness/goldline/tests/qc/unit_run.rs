//! The run of one unit: `goldline run` as a child process, as a person would type it.
//!
//! Must not know who waits for the result.

use std::{
    env,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process::{ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use goldline::{process::ChildGuard, profile::Listed};

use super::{session::Ended, settings::Settings};

/// Longer than the deadlines of any profile together and the slowest transfer; shorter than nextest's
/// own, so that the reason is told here.
const DEADLINE: Duration = Duration::from_secs(240);

/// How one unit is run.
#[derive(Clone, Debug)]
pub struct UnitRun {
    /// Name of a profile, or its file.
    pub profile: PathBuf,
    /// URL of the unit.
    pub device: String,
    /// Whose state is used.
    pub state: State,
    /// The NVS image that a declared identity must give.
    pub golden: Option<PathBuf>,
    /// More arguments, such as `--fault`.
    pub more: Vec<String>,
    /// Where relative paths count from.
    pub folder: PathBuf,
    /// How long the run may take.
    pub deadline: Duration,
}

/// Which state directory the run uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// One of its own, beside the evidence: a simulated unit's numbers and CA are nobody's.
    OfTheRun,
    /// This one.
    Named(PathBuf),
    /// Where the station keeps it.
    OfTheStation,
}

impl UnitRun {
    /// The run of a profile with the settings of the environment.
    pub fn new(settings: &Settings, listed: &Listed) -> Self {
        let state = match (settings.is_real, &settings.state) {
            (false, _) => State::OfTheRun,
            (true, Some(folder)) => State::Named(folder.clone()),
            (true, None) => State::OfTheStation,
        };
        Self {
            profile: listed.path.clone().unwrap_or_else(|| PathBuf::from(&listed.name)),
            device: settings.device.clone(),
            state,
            golden: golden(settings, listed),
            more: Vec::new(),
            folder: settings.repository.clone(),
            deadline: DEADLINE,
        }
    }

    /// Runs the unit and waits for its end; record and serial log stay in `evidence`.
    pub fn start(&self, evidence: &Path) -> Ended {
        let errors = evidence.join("stderr.txt");
        match self.run(evidence, &errors) {
            Ok((status, record)) if record.is_empty() => {
                no_record(&format!("it gave no record ({status})"), &errors)
            }
            Ok((status, record)) => match serde_json::from_str(&record) {
                Ok(record) => Ended::Record(Box::new(record)),
                Err(error) => {
                    no_record(&format!("its record cannot be read ({status}): {error}"), &errors)
                }
            },
            Err(RunError::Io(error)) => {
                no_record(&format!("it could not be run: {error}"), &errors)
            }
            Err(RunError::TooLong) => {
                let seconds = self.deadline.as_secs_f64();
                no_record(&format!("it was ended after {seconds} s without a record"), &errors)
            }
        }
    }

    fn run(&self, evidence: &Path, errors: &Path) -> Result<(ExitStatus, String), RunError> {
        let mut command = self.command(evidence);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(errors)?);
        let mut guard = ChildGuard::spawn(&mut command)?;
        let output = guard.child().stdout.take().expect("standard output is piped");
        let record = read_within(output, self.deadline)?;
        Ok((guard.child().wait()?, record))
    }

    fn command(&self, evidence: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_goldline"));
        // Whatever counts is an argument; the variables were read where the cases are listed.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("GOLDLINE_") {
                command.env_remove(name);
            }
        }
        command.current_dir(&self.folder);
        command.arg("run").arg(&self.profile).args(["--device", &self.device, "--json"]);
        command.arg("--out").arg(evidence);
        match &self.state {
            State::OfTheRun => {
                command.arg("--state").arg(evidence.join("state"));
            }
            State::Named(folder) => {
                command.arg("--state").arg(folder);
            }
            State::OfTheStation => {}
        }
        if let Some(golden) = &self.golden {
            command.arg("--golden").arg(golden);
        }
        command.args(&self.more);
        command
    }
}

/// The reviewed image of a profile of the repository. A real unit has values of its own.
fn golden(settings: &Settings, listed: &Listed) -> Option<PathBuf> {
    let is_ours = listed.path.as_ref()?.starts_with(settings.repository.join("fixtures/profiles"));
    let image = settings.repository.join(format!("golden/nvs/{}_image.snap.bin", listed.name));
    (is_ours && !settings.is_real && image.exists()).then_some(image)
}

enum RunError {
    Io(io::Error),
    TooLong,
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Everything that the child prints until it closes its output, which it does at its end.
fn read_within(mut output: ChildStdout, deadline: Duration) -> Result<String, RunError> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = output.read_to_string(&mut text).map(|_| text);
        // Nobody listens after the deadline.
        let _sent = sender.send(read);
    });
    match receiver.recv_timeout(deadline) {
        Ok(read) => Ok(read?),
        Err(RecvTimeoutError::Timeout) => Err(RunError::TooLong),
        Err(RecvTimeoutError::Disconnected) => {
            unreachable!("the reader sends before it ends, and reading does not panic")
        }
    }
}

fn no_record(what: &str, errors: &Path) -> Ended {
    let said = fs::read_to_string(errors).unwrap_or_default();
    Ended::NoRecord {
        reason: format!(
            "ERROR: goldline run: {what}; nothing is known of the unit\n{}",
            said.trim_end()
        ),
    }
}
