//! Why a unit was not reset, and what to do about it. Must not know how one is.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

/// The ROM of every chip says why it was reset before it does anything else.
pub(super) const BOOT_LOG: &str = "rst:0x";

/// A unit was not reset.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum ResetError {
    #[error("its modem lines cannot be set: {0}")]
    Lines(#[from] serialport::Error),
    #[error("reset=none leaves the unit's buttons to somebody")]
    NoMeans,
    #[error("it was to come into its {mode} mode within {} s{}", .within.as_secs_f32(), seen_instead(.seen.as_deref()))]
    NotPressed { mode: &'static str, within: Duration, seen: Option<String> },
    #[error("cannot run {}: {error}", .program.display())]
    Program { program: PathBuf, error: io::Error },
    #[error("{} {mode} ended with {status}: expected success", .program.display())]
    ProgramFailed { program: PathBuf, mode: &'static str, status: ExitStatus },
    #[error("{} {mode} did not end within {} s", .program.display(), .limit.as_secs_f32())]
    ProgramTooSlow { program: PathBuf, mode: &'static str, limit: Duration },
    #[error("{0}")]
    Control(String),
    #[error("the run was stopped meanwhile")]
    Stopped,
    #[error(
        "{} application ended well, but no boot log (\"{BOOT_LOG}…\") came within {} s",
        .program.display(), .limit.as_secs_f32()
    )]
    Unproven { program: PathBuf, limit: Duration },
}

impl ResetError {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Lines(_) => {
                "for a port without DTR and RTS name another reset: ?reset=command:PROGRAM, or ?reset=none with the unit in its download mode"
            }
            Self::NoMeans | Self::NotPressed { .. } => {
                "press the unit's buttons when it is asked for, within the time of ?reset=none:SECONDS, or name a reset: ?reset=classic or ?reset=command:PROGRAM"
            }
            Self::Program { .. } => {
                "check the program's path and that it may be executed; it is called with download or application, and the port"
            }
            Self::ProgramFailed { .. } | Self::ProgramTooSlow { .. } => {
                "run the program by hand with the same arguments and the port, mend the jig, then test the unit again"
            }
            Self::Control(_) => "see in the message what failed, and whether it runs by hand",
            Self::Stopped => "test the unit again from the start",
            Self::Unproven { .. } => {
                "check that the program reaches this unit's EN pin or supply, and that the unit's TX reaches the port"
            }
        }
    }
}

fn seen_instead(seen: Option<&str>) -> String {
    seen.map(|seen| format!(", and {seen}")).unwrap_or_default()
}
