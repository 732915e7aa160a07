//! Where Linux tells of ports and processes; elsewhere than at the root in a container, and in tests.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Names another root: a container's mount of its host, or a tree made by a test.
const VARIABLE: &str = "GOLDLINE_MACHINE";

/// The folder in which `sys`, `dev`, `proc`, `etc` and `run` lie.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    /// This one, or the one that `GOLDLINE_MACHINE` names.
    pub fn of_environment() -> Self {
        Self::at(env::var_os(VARIABLE).filter(|root| !root.is_empty()).unwrap_or("/".into()))
    }

    /// The one below a folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(super) fn sys(&self) -> PathBuf {
        self.root.join("sys")
    }

    pub(super) fn dev(&self) -> PathBuf {
        self.root.join("dev")
    }

    pub(super) fn proc(&self) -> PathBuf {
        self.root.join("proc")
    }

    pub(super) fn etc(&self) -> PathBuf {
        self.root.join("etc")
    }

    /// Where programs of Unix's UUCP family leave the files that lock a port.
    pub(super) fn lock_folders(&self) -> [PathBuf; 2] {
        ["run/lock", "var/lock"].map(|folder| self.root.join(Path::new(folder)))
    }
}
