//! Why a unit in esp-emu cannot be run.

use std::{io, ops::RangeInclusive, path::PathBuf, process::ExitStatus, time::Duration};

use crate::device::emulator::flash::FlashFileError;

/// From Ctrl-C until the flash is written.
pub(super) const END_LIMIT: Duration = Duration::from_secs(20);
/// Characters of a WPA2 passphrase; an open network has none.
pub(super) const PASSPHRASE: RangeInclusive<usize> = 8..=63;

/// The unit could not be switched.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum EspEmuError {
    #[error("{program} cannot be started: {source}")]
    Start { program: String, source: io::Error },
    #[error("{program} ended by itself with {status}: {}", .words.lines().last().unwrap_or("it said nothing"))]
    Ended { program: String, status: ExitStatus, words: String },
    #[error("{program} did not end within {} s of Ctrl-C", END_LIMIT.as_secs())]
    Endless { program: String },
    #[error("{program} ended with {status} and did not write the flash back, so nobody knows what the unit wrote: {}", .words.lines().last().unwrap_or("it said nothing"))]
    NotSaved { program: String, status: ExitStatus, words: String },
    #[error("cannot use the eFuses {}: {reason}", .path.display())]
    Efuse { path: PathBuf, reason: String },
    #[error(
        "the network's passphrase has {length} characters: esp-emu's access point takes {} to {}, or none",
        PASSPHRASE.start(),
        PASSPHRASE.end()
    )]
    Passphrase { length: usize },
    #[error("the guest cannot be given a network: {0}")]
    Network(io::Error),
    #[error(transparent)]
    Flash(#[from] FlashFileError),
}
