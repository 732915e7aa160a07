//! What a build system left behind: which file is flashed where, for which chip, with which partition table.
//!
//! Reads the folders of ESP-IDF, PlatformIO, Arduino and `cargo`, a release's images, a merged binary and an ELF. Says what such a
//! build says, and judges only whether it is whole: what a profile makes of it is the profile's affair.
//! Offsets and sizes are bytes.

mod arduino;
mod assembly;
mod cargo;
mod error;
mod esp_idf;
mod header;
mod image_file;
mod merged;
mod platformio;
mod released;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub use error::BuildError;
pub use header::bootloader_offset;
pub use image_file::ImageFile;
pub use table::{Row, Table, TableError};

/// First bytes of an ELF file.
pub const ELF_MAGIC: [u8; 4] = *b"\x7FELF";

/// One build.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Build {
    /// Which build system made it.
    pub maker: Maker,
    /// The folder or file that it was read from.
    pub place: PathBuf,
    /// For which chip, where it says so.
    pub chip: Option<ChipName>,
    /// How the flash is read.
    pub settings: Settings,
    /// The partition table; an ELF alone has none.
    pub table: Option<Table>,
    /// The second-stage bootloader, where the build has one.
    pub bootloader: Option<Placed>,
    /// What is started.
    pub app: App,
    /// Whatever else it flashes, by offset.
    pub others: Vec<Placed>,
    /// The application with its names, beside the image.
    pub elf: Option<PathBuf>,
    /// What is in a merged binary and is not flashed, by offset.
    pub left_out: Vec<LeftOut>,
}

/// A build system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each name is the build system's own")]
pub enum Maker {
    EspIdf,
    PlatformIo,
    Arduino,
    Cargo,
    /// Images without a list of where they go.
    Released,
    /// One file that holds a whole flash.
    Merged,
    /// One file with symbols, that any of them may have made.
    Elf,
}

impl Maker {
    /// What people call it.
    pub fn words(self) -> &'static str {
        match self {
            Self::EspIdf => "ESP-IDF",
            Self::PlatformIo => "PlatformIO",
            Self::Arduino => "Arduino",
            Self::Cargo => "cargo",
            Self::Released => "images as a release has them",
            Self::Merged => "a merged binary",
            Self::Elf => "an ELF file",
        }
    }
}

/// How a build names its chip.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChipName {
    /// As esptool does: `esp32c3`.
    Name(String),
    /// As the header of an image does: ESP-IDF's `esp_chip_id_t`.
    Id(u16),
}

/// How the flash is read, as far as the build says so.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Such as `dio`.
    pub mode: Option<String>,
    /// Such as `4MB`; `detect` and `keep` are no statement and left out.
    pub size: Option<String>,
}

/// What is started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum App {
    /// As it lies in flash.
    Image(Placed),
    /// To be laid out.
    Elf(PathBuf),
}

/// A file and where it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// From the start of the flash.
    pub offset: u32,
    /// Its bytes.
    pub file: ImageFile,
    /// Whether it is to be encrypted on its way into the flash.
    pub encrypted: bool,
}

/// What a profile's `except` calls data that no partition has.
pub const UNPARTITIONED: &str = "unpartitioned";

/// Bytes of a flash that no image and no partition has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// From the start of the flash.
    pub offset: u32,
    /// How many, from the first that is not erased to the last.
    pub bytes: u32,
    /// Where they are.
    pub place: LeftOutPlace,
}

/// Where in a flash something is that is not flashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeftOutPlace {
    /// Behind an image, in its place: of an earlier and longer one, as in the dump of a used chip.
    BehindImage,
    /// In no partition.
    Unpartitioned,
}

impl Build {
    /// Reads the build in a folder, or in one file.
    ///
    /// # Errors
    /// [`BuildError`] names the file that is missing or wrong, and what to do.
    pub fn read(path: &Path) -> Result<Self, BuildError> {
        let metadata = fs::metadata(path)
            .map_err(|source| BuildError::File { path: path.to_owned(), source })?;
        if metadata.is_file() {
            return of_file(path);
        }
        let readers = [esp_idf::read, platformio::read, arduino::read, cargo::read, released::read];
        for read in readers {
            if let Some(build) = read(path)? {
                return Ok(build);
            }
        }
        Err(BuildError::NoBuild { path: path.to_owned() })
    }
}

fn of_file(path: &Path) -> Result<Build, BuildError> {
    if path.file_name().is_some_and(|name| name == esp_idf::ARGUMENTS) {
        let folder = path.parent().unwrap_or(Path::new(""));
        return esp_idf::read(folder)?
            .ok_or_else(|| BuildError::NoBuild { path: folder.to_owned() });
    }
    match header::is_elf(path)? {
        true => Ok(cargo::of_elf(Maker::Elf, path, path)),
        false => merged::read(path),
    }
}
