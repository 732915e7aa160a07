//! How a unit comes out of its reset, and why one does not start.

use std::io;
use std::path::PathBuf;

use crate::chip::efuse::{EfuseFileError, NoFuse};
use crate::flash::FileError;
use crate::port::LinkError;

/// What the chip does when it leaves reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The ROM loader waits for a client.
    Download,
    /// The application in flash runs.
    Boot,
}

impl Mode {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Boot => "boot",
        }
    }
}

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No flash chip has that size.
    #[error(
        "flash size {0:#x} is not a power of two from 0x100000 to 0x1000000: choose 1 to 16 MB"
    )]
    FlashSize(u32),
    /// The flash file cannot be used.
    #[error(transparent)]
    FlashFile(#[from] FileError),
    /// The eFuse file cannot be used.
    #[error(transparent)]
    EfuseFile(#[from] EfuseFileError),
    /// A fuse that was to be burnt beforehand is none of the chip's.
    #[error(transparent)]
    NoFuse(#[from] NoFuse),
    /// The journal cannot be begun.
    #[error("cannot begin the unit's journal {path}: {source}; choose a name that is free")]
    Journal {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The name for the port cannot be used.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A port that vanishes can return under a name of its own only.
    #[error("chip.usb_vanishes needs a link name for the port, under which it returns: give one")]
    NeedsLink,
    /// The system gives no pseudo-terminal, thread or event queue.
    #[error("cannot start a simulated unit: {0}")]
    System(#[from] io::Error),
}
