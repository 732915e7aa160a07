//! Why an image cannot be made: each names the file and what to do.
//!
//! Must not know how one is made.

use std::{io, path::PathBuf};

use super::{fit::Unfit, spoilt::NotSpoilt};
use crate::{profile::Chip, simulated::NotSimulated};

/// An image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file of the profile cannot be read.
    #[error("cannot read {path}: {source}; correct the path in [images]")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A firmware model that does not exist.
    #[error(
        "no firmware model \"{name}\": shipped are {shipped}; or give the path of a description"
    )]
    UnknownModel {
        /// As the profile names it.
        name: String,
        /// The names there are.
        shipped: String,
    },
    /// The firmware description is wrong.
    #[error("the firmware model \"{name}\" does not compile: {detail}")]
    Model {
        /// As the profile names it.
        name: String,
        /// The compiler's words.
        detail: String,
    },
    /// A firmware model for a chip that the simulator has not.
    #[error("a firmware model cannot be compiled: {0}")]
    NotSimulated(#[from] NotSimulated),
    /// A ready image came without its bootloader.
    #[error(
        "{path} is a ready ESP image: name its bootloader's file in [images] too, or give the ELF"
    )]
    BootloaderNeeded {
        /// The image.
        path: PathBuf,
    },
    /// A file of the profile is nothing that its chip can run.
    #[error("{path} cannot be flashed: {reason}")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Unfit,
    },
    /// The image of a build was not made of the ELF beside it.
    #[error(
        "the application of {elf} is another one than the image that the build flashes, whose SHA-256 of its ELF is {found}: one of the two is older, so build the firmware again"
    )]
    OtherElf {
        /// The ELF.
        elf: PathBuf,
        /// What the image says, as lowercase hex.
        found: String,
    },
    /// The bootloader's header contradicts the build's own settings.
    #[error(
        "the bootloader of the build reads the flash as {found}, and the build's settings say {said}: build the firmware again"
    )]
    Settings {
        /// The header's mode or size.
        found: String,
        /// The settings'.
        said: String,
    },
    /// What is named as the application's ELF is none.
    #[error(
        "{path} is no ELF file, and [images] elf names the one that the application was made of"
    )]
    NoElf {
        /// The file.
        path: PathBuf,
    },
    /// An ELF file for another processor.
    #[error("{path} is an ELF file for {found}, and the profile's chip {chip} is a {expected}")]
    Machine {
        /// The file.
        path: PathBuf,
        /// Its processor.
        found: String,
        /// The profile's chip.
        chip: Chip,
        /// Its processor.
        expected: &'static str,
    },
    /// No bad image can be made of the update.
    #[error("{what} cannot be made of the update {version}: {reason}")]
    NotSpoilt {
        /// Which one.
        what: &'static str,
        /// Version of the update.
        version: String,
        /// Why not.
        reason: NotSpoilt,
    },
    /// The simulator was to run machine code.
    #[error(
        "{path} holds machine code, and the simulator runs firmware descriptions only: name a model, or a device that runs it: a chip on a serial port"
    )]
    NotForSimulator {
        /// The file.
        path: PathBuf,
    },
    /// A ready image was to carry the values of each unit.
    #[error(
        "{path} cannot carry the values of each unit: a provisioning firmware is compiled for each, from a model"
    )]
    NoConstants {
        /// The image.
        path: PathBuf,
    },
    /// The partition table cannot be encoded.
    #[error("cannot encode the partition table: {0}")]
    Table(#[from] esp_idf_part::Error),
    /// espflash cannot lay the images out.
    #[error("cannot lay out the application for {chip}: {detail}")]
    Layout {
        /// The chip.
        chip: Chip,
        /// espflash's own words.
        detail: String,
    },
    /// The flash size is none that a chip has.
    #[error(
        "{size} bytes is no flash size that the image header can name: expected 1, 2, 4, 8, 16 MB and up by powers of two"
    )]
    FlashSize {
        /// In bytes.
        size: u32,
    },
    /// A temporary file cannot be used.
    #[error("cannot hold the partition table in a temporary file: {0}")]
    Scratch(io::Error),
}
