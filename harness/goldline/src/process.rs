//! A child process that never outlives its owner, and inherits no secret from its environment.
//!
//! Must not know what the child does (QEMU, a broker, a hook).

use std::{
    collections::BTreeSet,
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus},
    sync::{Mutex, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// How often a child that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

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
}
