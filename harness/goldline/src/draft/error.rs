//! Why no profile can be drafted.

use std::path::PathBuf;

use goldline_nvs::csv::CsvErrors;

use crate::{
    build::{BuildError, TableError},
    profile::Chip,
};

/// No profile can be drafted.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum DraftError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("{place} has no partition table: name one with --partitions partitions.csv")]
    NoTable { place: PathBuf },
    #[error("{place} does not say its chip: name it with --chip, such as esp32c3")]
    UnknownChip { place: PathBuf },
    #[error("{place} is built for {told}, and --chip says {given}: leave --chip out")]
    OtherChip { place: PathBuf, told: Chip, given: Chip },
    #[error(
        "the partition table of {place} has no data/nvs partition, into which a unit's values go"
    )]
    NoNvs { place: PathBuf },
    #[error(
        "the dump ends at {found:#x}, and the partition {partition} of the build ends at {expected:#x}: read the whole flash of a unit that has this build"
    )]
    ShortDump { partition: String, found: usize, expected: usize },
    #[error(
        "the partition {partition} of the dump cannot be read: {reason}; it must be a unit with this build's partition table, and no encrypted NVS"
    )]
    Nvs { partition: String, reason: String },
    #[error(
        "no NVS partition of the dump holds a key of the firmware's own: read it from a unit that has its values"
    )]
    NoEntries,
    #[error("cannot read {path}: {source}")]
    Csv { path: PathBuf, source: std::io::Error },
    #[error("{path}:{}", first_of(.errors))]
    CsvForm { path: PathBuf, errors: CsvErrors },
}

fn first_of(errors: &CsvErrors) -> String {
    errors.listed().first().map_or_else(String::new, |error| {
        format!("{}:{}: {}", error.position.line, error.position.column, error.problem)
    })
}
