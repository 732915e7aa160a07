//! A child process that never outlives its owner, and inherits no secret from its environment.
//!
//! Must not know what the child does (QEMU, a broker, a hook).

mod program;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, ioctl_fionread},
    process::{Pid, Signal, kill_process_group},
};

pub use program::{Program, ProgramError, Unusable};

/// How often a child that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Bytes of what a tied program says that are kept: the last ones tell why it ended.
const WORDS_KEPT: usize = 16 * 1024;

/// What was said is kept within so long, unless somebody says more and more.
const WORDS_WITHIN: Duration = Duration::from_secs(1);

/// Becomes the program, and leaves a watcher behind that ends it, with all that it started in its group, when the line to its owner breaks: a killed
/// owner can end nobody. A line of text is the owner's farewell.
const TIE: &str =
    r#"( exec 3<&2 </dev/null >/dev/null 2>&1; read -r _ <&3 || kill -9 -$$ ) & exec "$@""#;

/// Variables that hold secrets; of the process, as the environment is.
static HELD_BACK: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// No child that is started from now on sees this variable.
pub fn hold_back(variable: &str) {
    HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner).insert(variable.to_owned());
}

fn without_secrets(command: &mut Command) -> &mut Command {
    for variable in &*HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner) {
        command.env_remove(variable);
    }
    command
}

/// Ends and reaps the child when dropped, whatever path the owner leaves on.
#[derive(Debug)]
pub struct ChildGuard {
    child: Child,
    /// Whether it leads a process group of its own.
    leads: bool,
}

impl ChildGuard {
    /// Starts the command.
    ///
    /// # Errors
    /// The operating system's, when the program is missing or cannot be started.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        without_secrets(command).spawn().map(|child| Self { child, leads: false })
    }

    /// Starts the command as the head of a process group, which ends with it when it is cut short.
    ///
    /// # Errors
    /// The operating system's, when the program is missing or cannot be started.
    pub fn spawn_group(command: &mut Command) -> io::Result<Self> {
        without_secrets(command).process_group(0).spawn().map(|child| Self { child, leads: true })
    }

    /// Waits for the end of the process; `None` when it did not end within the limit, or whoever
    /// waits has given up.
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait_within(
        &mut self,
        limit: Duration,
        given_up: impl Fn() -> bool,
    ) -> io::Result<Option<ExitStatus>> {
        let began = Instant::now();
        loop {
            let ended = self.child.try_wait()?;
            if ended.is_some() || began.elapsed() >= limit || given_up() {
                return Ok(ended);
            }
            sleep(LOOK_EVERY);
        }
    }

    /// The process, to read its pipes or wait for it.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        // A group whose head was reaped may be another's by now.
        if self.leads && matches!(self.child.try_wait(), Ok(None)) {
            let _ended = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        // Both fail only when the child has ended already, which is what is wanted.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A program that serves until it is told to end, and ends with this process however that ends: after a
/// `kill -9` too.
#[derive(Debug)]
pub struct Tied {
    guard: ChildGuard,
    /// The program's standard error, and its output unless that goes elsewhere; while it is open, the owner
    /// lives.
    life_line: UnixStream,
    words: Arc<Mutex<Vec<u8>>>,
}

/// What a tied program is given besides its arguments.
#[derive(Debug, Default)]
pub struct Given {
    /// Its standard input; nothing is there to read without it.
    pub input: Option<OwnedFd>,
    /// Its standard output; its last words without it.
    pub output: Option<OwnedFd>,
    /// What it finds in its environment.
    pub environment: Environment,
}

/// The variables that a program finds. None is ever one that holds a secret.
#[derive(Debug)]
pub enum Environment {
    /// Those of this process, and these.
    And(&'static [(&'static str, &'static str)]),
    /// These alone.
    Only(Vec<(OsString, OsString)>),
}

impl Default for Environment {
    fn default() -> Self {
        Self::And(&[])
    }
}

impl Tied {
    /// Starts the program.
    ///
    /// # Errors
    /// The operating system's. A program that is missing ends at once, and its last words say so.
    pub fn spawn(program: &Path, arguments: &[OsString], given: Given) -> io::Result<Self> {
        let (life_line, theirs) = UnixStream::pair()?;
        let words = Arc::new(Mutex::new(Vec::new()));
        let mut heard = life_line.try_clone()?;
        std::thread::Builder::new().name("last-words".to_owned()).spawn({
            let words = Arc::clone(&words);
            move || keep_words(&mut heard, &words)
        })?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", TIE, "goldline"]).arg(program).args(arguments);
        match given.environment {
            Environment::And(more) => command.envs(more.iter().copied()),
            Environment::Only(variables) => command.env_clear().envs(variables),
        };
        command.stdin(given.input.map_or_else(Stdio::null, Stdio::from));
        let theirs = OwnedFd::from(theirs);
        command.stdout(given.output.map_or_else(|| theirs.try_clone(), Ok)?).stderr(theirs);
        let guard = ChildGuard::spawn_group(&mut command)?;
        Ok(Self { guard, life_line, words })
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// The operating system's.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.guard.child().try_wait()
    }

    /// Waits for its end, as [`ChildGuard::wait_within`].
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait_within(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        self.guard.wait_within(limit, || false)
    }

    /// The number of its process, which leads a group of its own.
    pub fn leader(&mut self) -> u32 {
        self.guard.child().id()
    }

    /// Ends it and what it started as Ctrl-C at a terminal does.
    ///
    /// # Errors
    /// The operating system's.
    pub fn interrupt(&mut self) -> io::Result<()> {
        // A group whose head was reaped may be another's by now.
        match self.ended()? {
            Some(_) => Ok(()),
            None => {
                let leader = Pid::from_child(self.guard.child());
                Ok(kill_process_group(leader, Signal::INT)?)
            }
        }
    }

    /// The last that it said, with all that it had said before it ended.
    pub fn last_words(&self) -> String {
        let began = Instant::now();
        loop {
            let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
            let is_all = ioctl_fionread(&self.life_line).is_ok_and(|left| left == 0);
            if is_all || began.elapsed() > WORDS_WITHIN {
                return String::from_utf8_lossy(&words).trim().to_owned();
            }
            drop(words);
            sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        // The watcher must not end another process that has this one's number by then. It ends with the group.
        let _heard = self.life_line.write_all(b"farewell\n");
    }
}

fn keep_words(heard: &mut UnixStream, words: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    let mut is_within_cut_line = false;
    loop {
        let mut fds = [PollFd::new(heard, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        // Read with the lock: what was said is either still to be read or kept.
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(count @ 1..) = heard.read(&mut buffer) else { return };
        words.extend_from_slice(&buffer[..count]);
        let excess = words.len().saturating_sub(WORDS_KEPT);
        words.drain(..excess);
        // The rest of a line that was cut may begin within a secret, which nobody would recognise.
        if excess > 0 || is_within_cut_line {
            let end = words.iter().position(|byte| *byte == b'\n');
            is_within_cut_line = end.is_none();
            let cut = end.map_or(words.len(), |end| end + 1);
            words.drain(..cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, test_kill_process};

    #[test]
    fn a_dropped_guard_leaves_no_process() {
        let mut guard = ChildGuard::spawn(Command::new("sleep").arg("600")).expect("sleep starts");
        let pid = Pid::from_child(guard.child());
        assert!(test_kill_process(pid).is_ok(), "the child runs");
        drop(guard);
        assert!(test_kill_process(pid).is_err(), "the child is gone and reaped");
    }

    /// Only a process that lives on for ever meets it.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn tied(script: &str, input: Option<OwnedFd>) -> Tied {
        let arguments = ["-c", script].map(OsString::from);
        let given = Given { input, ..Given::default() };
        Tied::spawn(Path::new("/bin/sh"), &arguments, given).expect("a shell starts")
    }

    #[test]
    fn what_a_tied_program_said_last_is_kept() {
        let mut program = tied("echo out; echo err >&2; exit 3", None);
        let status = program.wait_within(PATIENCE).expect("waited").expect("it ends");
        assert_eq!(status.code(), Some(3));
        assert_eq!(program.last_words(), "out\nerr");
    }

    /// It may begin within a secret.
    #[test]
    fn the_rest_of_a_line_that_was_cut_is_not_told() {
        let long = format!("head -c {} /dev/zero | tr '\\0' x", WORDS_KEPT * 3);
        let mut program = tied(&long, None);
        program.wait_within(PATIENCE).expect("waited").expect("it ends");
        assert_eq!(program.last_words(), "");
        let mut program = tied(&format!("{long}; echo; echo last"), None);
        program.wait_within(PATIENCE).expect("waited").expect("it ends");
        assert_eq!(program.last_words(), "last");
    }

    #[test]
    fn a_tied_program_reads_what_it_is_given() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let mut program = tied("read -r word; test \"$word\" = hello", Some(theirs.into()));
        (&ours).write_all(b"hello\n").expect("it is told");
        let status = program.wait_within(PATIENCE).expect("waited").expect("it ends");
        assert!(status.success(), "{status}");
    }

    #[test]
    fn what_a_tied_program_prints_may_go_elsewhere() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let environment = Environment::And(&[("GREETING", "hello")]);
        let given = Given { input: None, output: Some(theirs.into()), environment };
        let arguments = ["-c", "echo $GREETING; echo err >&2"].map(OsString::from);
        let mut program =
            Tied::spawn(Path::new("/bin/sh"), &arguments, given).expect("a shell starts");
        program.wait_within(PATIENCE).expect("waited").expect("it ends");
        let mut said = String::new();
        (&ours).read_to_string(&mut said).expect("nobody else has it open");
        assert_eq!(said, "hello\n");
        assert_eq!(program.last_words(), "err");
    }

    #[test]
    fn a_tied_program_hears_ctrl_c_and_its_watcher_lives_on() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let given = Given { output: Some(theirs.into()), ..Given::default() };
        let script = "trap 'echo ended; exit 7' INT; echo ready; while :; do sleep 0.01; done";
        let arguments = ["-c", script].map(OsString::from);
        let mut program =
            Tied::spawn(Path::new("/bin/sh"), &arguments, given).expect("a shell starts");
        let mut ready = [0; 6];
        (&ours).read_exact(&mut ready).expect("it says that it is ready");
        program.interrupt().expect("it runs");
        let status = program.wait_within(PATIENCE).expect("waited").expect("it ends");
        assert_eq!(status.code(), Some(7));
        let mut said = String::new();
        (&ours).read_to_string(&mut said).expect("nobody else has it open");
        assert_eq!(said, "ended\n");
        program.interrupt().expect("one that has ended hears nothing");
    }

    #[test]
    fn a_tied_program_ends_with_its_guard() {
        let mut program = tied("exec sleep 600", None);
        let pid = Pid::from_child(program.guard.child());
        drop(program);
        assert!(test_kill_process(pid).is_err(), "it is gone and reaped");
    }

    /// Runs only as the victim of the next test, in a process of its own.
    #[test]
    #[ignore = "started by a_tied_program_ends_with_an_owner_that_is_killed"]
    fn owner_that_waits_to_be_killed() {
        let mut program = tied("exec sleep 600", None);
        println!("\ntied: {}", program.guard.child().id());
        std::thread::sleep(PATIENCE);
    }

    #[test]
    fn a_tied_program_ends_with_an_owner_that_is_killed() {
        use std::io::{BufRead, BufReader};
        let victim = std::env::current_exe().expect("this program");
        let mut command = Command::new(victim);
        command.args(["--ignored", "--nocapture", "--exact"]);
        command.arg("process::tests::owner_that_waits_to_be_killed").stdout(Stdio::piped());
        let mut owner = ChildGuard::spawn(&mut command).expect("it starts");
        let said = BufReader::new(owner.child().stdout.take().expect("its words"));
        let pid = said
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("tied: ")?.to_owned()));
        let pid = pid.expect("it says what it started").parse().expect("a number");
        let pid = Pid::from_raw(pid).expect("a process");
        assert!(test_kill_process(pid).is_ok(), "the program runs");
        owner.child().kill().expect("the owner dies");
        let began = Instant::now();
        while test_kill_process(pid).is_ok() {
            assert!(began.elapsed() < PATIENCE, "{pid:?} outlives its owner");
            std::thread::yield_now();
        }
    }
}
