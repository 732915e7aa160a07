//! A nest: whether a unit lies in it, its lid, its supply and its lamp, by the jig's programs.
//!
//! What was begun is taken back whatever comes of the run: [`take_back`] tries all of it, however much fails. Must
//! not know what a run does.

use std::{thread::sleep, time::Duration};

use crate::{
    process::{Program, ProgramError},
    profile::Nest,
    record::{Code, Diagnosis},
};

/// Exit code of `present` where there is no unit, or the lid is open.
const ABSENT: i32 = 1;
/// How often a wait is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What the lamp of a nest shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lamp {
    /// A run goes on.
    Running,
    /// The unit is good.
    Pass,
    /// The unit is bad.
    Fail,
    /// Nothing is said of the unit.
    Error,
}

/// A nest cannot be made ready.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum NestError {
    #[error("no unit lies in the nest {nest}, or its lid is open")]
    Absent { nest: String },
    #[error("the nest {nest} cannot {action}: {error}")]
    Program { nest: String, action: &'static str, error: ProgramError },
    #[error("the run was stopped meanwhile")]
    Stopped,
}

impl NestError {
    /// What is said of the run.
    pub fn diagnosis(&self) -> Diagnosis {
        let code = match self {
            Self::Absent { .. } => Code::NestEmpty,
            Self::Program { .. } => Code::NestFailed,
            Self::Stopped => Code::Aborted,
        };
        Diagnosis::new(code, self.to_string())
    }
}

impl Lamp {
    fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
        }
    }
}

/// Makes a nest ready for a run: looks for the unit, shuts the lid, and switches the supply on, after it was off.
/// Blocks.
///
/// # Errors
/// [`NestError`]; what was done until then is to be taken back.
pub fn make_ready(nest: &Nest, given_up: &dyn Fn() -> bool) -> Result<(), NestError> {
    let run = |action, program: &Program| run(nest, action, program, given_up);
    if let Some(present) = &nest.present {
        match run("tell whether a unit lies in it", present) {
            Err(NestError::Program { error: ProgramError::Failed { status, .. }, .. })
                if status.code() == Some(ABSENT) =>
            {
                return Err(NestError::Absent { nest: nest.name.clone() });
            }
            looked => looked?,
        }
    }
    if let Some(lock) = &nest.lock {
        run("shut its lid", &lock.shut)?;
    }
    if let Some(lamp) = &nest.lamp {
        run("switch its lamp", &showing(lamp, Lamp::Running))?;
    }
    if let Some(power) = &nest.power {
        run("switch its supply off", &power.off)?;
        wait(power.off_time, given_up)?;
        run("switch its supply on", &power.on)?;
    }
    Ok(())
}

/// What takes back all that [`make_ready`] does, in order; it says what came of the run.
pub fn taking_back(nest: &Nest, lamp: Lamp) -> Vec<Program> {
    let off = nest.power.as_ref().map(|power| power.off.clone());
    let open = nest.lock.as_ref().map(|lock| lock.open.clone());
    let lamp = nest.lamp.as_ref().map(|program| showing(program, lamp));
    [off, open, lamp].into_iter().flatten().collect()
}

/// Runs all of it, whatever fails of it. Blocks.
///
/// # Errors
/// What failed, in one sentence.
pub fn take_back(nest: &str, programs: &[Program], within: Duration) -> Result<(), String> {
    let failed = programs.iter().filter_map(|program| program.run(b"", within, || false).err());
    let failed: Vec<String> = failed.map(|error| error.to_string()).collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("the nest {nest} is not as it must be left: {}", failed.join("; "))),
    }
}

/// Asks the witness of a nest whether contacts and supply are sound; `None` where there is none. Blocks.
pub fn bear_witness(nest: &Nest, given_up: &dyn Fn() -> bool) -> Option<Result<String, String>> {
    let said = nest.witness.as_ref()?.run(b"", nest.within, given_up);
    let said = said.map_err(|error| error.to_string());
    Some(said.map(|words| words.lines().next().unwrap_or_default().trim().to_owned()))
}

fn showing(lamp: &Program, shown: Lamp) -> Program {
    let mut lamp = lamp.clone();
    lamp.arguments.push(shown.word().to_owned());
    lamp
}

fn run(
    nest: &Nest,
    action: &'static str,
    program: &Program,
    given_up: &dyn Fn() -> bool,
) -> Result<(), NestError> {
    match program.run(b"", nest.within, given_up) {
        Ok(_) => Ok(()),
        Err(ProgramError::Stopped) => Err(NestError::Stopped),
        Err(error) => Err(NestError::Program { nest: nest.name.clone(), action, error }),
    }
}

fn wait(how_long: Duration, given_up: &dyn Fn() -> bool) -> Result<(), NestError> {
    let began = std::time::Instant::now();
    while began.elapsed() < how_long {
        if given_up() {
            return Err(NestError::Stopped);
        }
        sleep(LOOK_EVERY.min(how_long.saturating_sub(began.elapsed())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::profile::{Lock, Power};

    /// A nest whose programs write down what they were told.
    struct Jig {
        folder: TempDir,
        nest: Nest,
    }

    impl Jig {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let log = folder.path().join("log");
            let program = |words: &str| Program {
                program: "/bin/sh".into(),
                arguments: vec![
                    "-c".to_owned(),
                    format!(
                        "echo \"{words} $*\" >> '{}'; [ ! -e '{}.{words}' ]",
                        log.display(),
                        log.display()
                    ),
                    "jig".to_owned(),
                ],
                environment: Vec::new(),
            };
            let off_time = Duration::from_millis(20);
            let power = Power { on: program("on"), off: program("off"), off_time };
            let nest = Nest {
                name: "3".to_owned(),
                device: "/dev/ttyUSB0".to_owned(),
                power: Some(power),
                present: Some(program("present")),
                lock: Some(Lock { shut: program("shut"), open: program("open") }),
                lamp: Some(program("lamp")),
                witness: Some(program("witness")),
                vouches: Duration::from_secs(60),
                within: Duration::from_secs(60),
                uses: Vec::new(),
                path: None,
            };
            Self { folder, nest }
        }

        /// From now on that program ends badly.
        fn break_down(&self, words: &str) {
            fs::write(self.folder.path().join(format!("log.{words}")), "").expect("a file");
        }

        fn log(&self) -> Vec<String> {
            let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            text.lines().map(|line| line.trim().to_owned()).collect()
        }
    }

    #[test]
    fn a_nest_is_off_before_it_is_on_and_is_left_off_open_and_lit() {
        let jig = Jig::new();
        make_ready(&jig.nest, &|| false).expect("all goes well");
        assert_eq!(jig.log(), ["present", "shut", "lamp running", "off", "on"]);
        let programs = taking_back(&jig.nest, Lamp::Fail);
        take_back("3", &programs, Duration::from_secs(60)).expect("all goes well");
        assert_eq!(jig.log()[5..], ["off", "open", "lamp fail"]);
    }

    #[test]
    fn an_empty_nest_is_neither_shut_nor_switched_on() {
        let jig = Jig::new();
        jig.break_down("present");
        let error = make_ready(&jig.nest, &|| false).expect_err("nobody is there");
        assert_eq!(error.diagnosis().code, Code::NestEmpty);
        assert_eq!(jig.log(), ["present"]);
    }

    #[test]
    fn a_relay_that_fails_is_named() {
        let jig = Jig::new();
        jig.break_down("on");
        let error = make_ready(&jig.nest, &|| false).expect_err("it stays dark");
        assert_eq!(error.diagnosis().code, Code::NestFailed);
        let said = error.to_string();
        assert!(said.starts_with("the nest 3 cannot switch its supply on: /bin/sh"), "{said}");
    }

    #[test]
    fn all_is_taken_back_whatever_fails_of_it() {
        let jig = Jig::new();
        jig.break_down("off");
        let programs = taking_back(&jig.nest, Lamp::Error);
        let error = take_back("3", &programs, Duration::from_secs(60)).expect_err("still on");
        assert!(error.starts_with("the nest 3 is not as it must be left: /bin/sh"), "{error}");
        assert_eq!(jig.log(), ["off", "open", "lamp error"]);
    }

    #[test]
    fn a_run_that_is_stopped_waits_for_no_supply() {
        let mut jig = Jig::new();
        jig.nest.power.as_mut().expect("a supply").off_time = Duration::from_secs(600);
        let log = jig.folder.path().join("log");
        let is_off = || fs::read_to_string(&log).is_ok_and(|text| text.contains("off"));
        let error = make_ready(&jig.nest, &is_off).expect_err("stopped");
        assert_eq!(error.diagnosis().code, Code::Aborted);
    }

    #[test]
    fn a_witness_is_heard_where_there_is_one() {
        let mut jig = Jig::new();
        assert_eq!(bear_witness(&jig.nest, &|| false), Some(Ok(String::new())));
        jig.break_down("witness");
        assert!(bear_witness(&jig.nest, &|| false).expect("there is one").is_err());
        jig.nest.witness = None;
        assert_eq!(bear_witness(&jig.nest, &|| false), None);
    }
}
