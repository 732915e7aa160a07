//! A child process that never outlives its owner.
//!
//! Must not know what the child does (QEMU, a broker, a hook).

use std::{
    io,
    process::{Child, Command},
};

/// Ends and reaps the child when dropped, whatever path the owner leaves on.
#[derive(Debug)]
pub struct ChildGuard(Child);

impl ChildGuard {
    /// Starts the command.
    ///
    /// # Errors
    /// The operating system's, when the program is missing or cannot be started.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    /// The process, to read its pipes or wait for it.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        // Both fail only when the child has ended already, which is what is wanted.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
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
