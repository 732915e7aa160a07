//! Why a build cannot be taken: each says which file, what was expected, and what to do.

use std::{io, path::PathBuf};

use super::table::TableError;

/// A build cannot be taken.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum BuildError {
    #[error("cannot read {path}: {source}; build the firmware first, or correct the path")]
    File { path: PathBuf, source: io::Error },
    #[error("{file} names {path}, which cannot be read: {source}; build the firmware again")]
    NamedFile { file: PathBuf, path: PathBuf, source: io::Error },
    #[error(
        "{path} holds no build: expected flasher_args.json (ESP-IDF), firmware.bin (PlatformIO), *.ino.bin (Arduino), bootloader.bin with partition-table.bin and an application, an ELF, or the path of a merged binary"
    )]
    NoBuild { path: PathBuf },
    #[error("{path} holds several builds: {}; name one of them", .found.join(", "))]
    Several { path: PathBuf, found: Vec<String> },
    #[error("{path} is no flasher_args.json: {reason}; build the firmware again")]
    Arguments { path: PathBuf, reason: String },
    #[error("{path}:{line}: expected an offset and a file, or flags; build the firmware again")]
    FlashArguments { path: PathBuf, line: usize },
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(
        "{place} flashes no partition table: name one, with `partitions = \"partitions.csv\"` in [images] or as [[partition]]"
    )]
    NoTable { place: PathBuf },
    #[error(
        "{place} puts its partition table at {found:#x}, and 0x8000 is the only place that is served: set CONFIG_PARTITION_TABLE_OFFSET to 0x8000"
    )]
    TablePlace { place: PathBuf, found: u32 },
    #[error(
        "{place} flashes nothing into {partition} at {offset:#x}, which its own partition table and OTA data start: build the firmware again"
    )]
    NothingStarts { place: PathBuf, partition: String, offset: u32 },
    #[error("the partition table of {place} has no application")]
    NoApplication { place: PathBuf },
    #[error(
        "{path} is no merged binary: {reason}; expected a bootloader, a partition table at 0x8000 and an application, as esptool's merge_bin or `idf.py merge-bin` makes one"
    )]
    NotMerged { path: PathBuf, reason: String },
    #[error("{path} is no ESP image: build the firmware again")]
    NoImage { path: PathBuf },
}
