//! A file and where its NVS partitions lie: all of it, or parts of a flash dump.
//!
//! Every file is looked at before anything is made of it. Must not know of keys, nor what a
//! partition holds.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use clap::Args;
use goldline_nvs::dump::{self, Contents, Dump, Kind, Md5, Partition, TABLE_ADDRESS, Table};
use zeroize::Zeroizing;

use super::{files, generate::parse_size, problem::NvsProblem};
use crate::cli::output::complain;

/// Which part of a file is meant.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct PartArguments {
    /// The NVS partition of a flash dump, by its label
    #[arg(long, value_name = "LABEL", conflicts_with = "offset")]
    partition: Option<String>,
    /// Where in the file the NVS partition begins, decimal or 0x…
    #[arg(long, value_name = "BYTES", requires = "size", value_parser = parse_size)]
    offset: Option<usize>,
    /// Bytes of the NVS partition at --offset
    #[arg(long, value_name = "BYTES", requires = "offset", value_parser = parse_size)]
    size: Option<usize>,
    /// Flash address of a dump's partition table, where it is not 0x8000
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    table_offset: Option<usize>,
}

impl PartArguments {
    /// Whether they say where in the file the partition is.
    pub(super) fn gives_a_place(&self) -> bool {
        self.offset.is_some()
    }

    /// The same for a file that is one partition by itself.
    pub(super) fn of_a_single_image(&self) -> Self {
        Self { partition: None, ..self.clone() }
    }
}

/// A file that was read and looked at.
pub(super) struct Input {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    contents: Contents,
}

/// One NVS partition within a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) label: String,
    /// Flash address of its first byte.
    pub(super) flash_offset: usize,
    /// Its bytes in the file.
    pub(super) range: Range<usize>,
    /// Bytes that the partition table promises.
    pub(super) size: usize,
    /// Whether no table speaks of it: it was found by its pages.
    pub(super) is_guess: bool,
}

/// What a command is to work on.
pub(super) enum Chosen {
    /// The file as it is.
    Whole,
    /// One part of it, by name or by place.
    One(Part),
    /// Every NVS partition of a dump.
    Every(Vec<Part>),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:#x}, {:#x} bytes", self.label, self.flash_offset, self.size)
    }
}

impl Part {
    fn of(partition: &Partition) -> Self {
        let Partition { label, flash_offset, range, size, .. } = partition;
        Self {
            label: label.clone(),
            flash_offset: *flash_offset,
            range: range.clone(),
            size: *size,
            // A row without a label is named so as well, and is none the worse for being asked.
            is_guess: label.starts_with("@0x"),
        }
    }

    /// Whether the file holds less of it than the table promises.
    pub(super) fn is_cut_short(&self) -> bool {
        self.range.len() < self.size
    }
}

impl Input {
    pub(super) fn read(path: &Path, arguments: &PartArguments) -> Result<Self, NvsProblem> {
        let bytes = files::read(path)?;
        let contents = dump::look(&bytes, arguments.table_offset)
            .map_err(|error| NvsProblem::Dump { path: path.to_owned(), error })?;
        Ok(Self { path: path.to_owned(), bytes, contents })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn dump(&self) -> Option<&Dump> {
        match &self.contents {
            Contents::Single => None,
            Contents::Dump(dump) => Some(dump),
        }
    }

    /// How a message names the file or a part of it.
    pub(super) fn name_of(&self, part: Option<&Part>) -> PathBuf {
        match part {
            None => self.path.clone(),
            Some(Part { label, flash_offset, .. }) => {
                format!("{} ({label} at {flash_offset:#x})", self.path.display()).into()
            }
        }
    }

    /// What the arguments ask for; every NVS partition of a dump when they name none.
    pub(super) fn choose(&self, arguments: &PartArguments) -> Result<Chosen, NvsProblem> {
        match (&arguments.partition, arguments.offset, arguments.size) {
            (Some(label), _, _) => self.by_label(label).map(Chosen::One),
            (_, Some(offset), Some(size)) => self.by_place(offset, size).map(Chosen::One),
            _ => match self.dump() {
                None => Ok(Chosen::Whole),
                Some(dump) => Ok(Chosen::Every(self.every(dump))),
            },
        }
    }

    fn every(&self, dump: &Dump) -> Vec<Part> {
        dump.nvs().filter(|partition| !partition.range.is_empty()).map(Part::of).collect()
    }

    fn by_label(&self, label: &str) -> Result<Part, NvsProblem> {
        let path = || self.path.clone();
        let Some(dump) = self.dump() else {
            return Err(NvsProblem::NoDump { path: path(), label: label.to_owned() });
        };
        let named = || dump.partitions.iter().filter(|partition| partition.label == label);
        let nvs: Vec<&Partition> = named().filter(|named| named.kind == Kind::Nvs).collect();
        let (label, partitions) = (label.to_owned(), self.nvs_partitions());
        match (&nvs[..], named().next()) {
            ([], None) => Err(NvsProblem::NoSuchPartition { path: path(), label, partitions }),
            ([], Some(other)) => {
                let kind = other.kind;
                Err(NvsProblem::NotAnNvsPartition { path: path(), label, kind, partitions })
            }
            ([partition], _) if partition.range.is_empty() => Err(NvsProblem::BeyondTheFile {
                path: path(),
                part: Part::of(partition).to_string(),
                bytes: self.bytes.len(),
            }),
            ([partition], _) => Ok(Part::of(partition)),
            _ => Err(NvsProblem::AmbiguousLabel { path: path(), label, partitions }),
        }
    }

    fn by_place(&self, offset: usize, size: usize) -> Result<Part, NvsProblem> {
        let range = offset..offset.saturating_add(size);
        if size == 0 || range.end > self.bytes.len() {
            return Err(NvsProblem::BeyondTheFile {
                path: self.path.clone(),
                part: format!("{size:#x} bytes at {offset:#x}"),
                bytes: self.bytes.len(),
            });
        }
        let known = self.dump().and_then(|dump| dump.nvs().find(|known| known.range == range));
        let base = self.dump().map_or(0, |dump| dump.flash_base);
        let flash_offset = base + offset;
        Ok(known.map_or_else(
            || Part {
                label: format!("@{flash_offset:#x}"),
                flash_offset,
                range,
                size,
                is_guess: true,
            },
            Part::of,
        ))
    }

    /// The NVS partitions that can be named, as a message lists them.
    pub(super) fn nvs_partitions(&self) -> String {
        let parts = self.dump().into_iter().flat_map(Dump::nvs).map(Part::of);
        let listed: Vec<String> = parts.map(|part| part.to_string()).collect();
        match listed.is_empty() {
            true => "it has none".to_owned(),
            false => listed.join("; "),
        }
    }

    /// NVS pages of a dump that lie in none of its partitions, as parts of the file.
    pub(super) fn stray(&self) -> Vec<Part> {
        let found = |dump| dump::stray_nvs(&self.bytes, dump);
        let stray = self.dump().map(found).unwrap_or_default();
        let part = |found: &Partition| Part {
            label: "outside of every NVS partition".to_owned(),
            ..Part::of(found)
        };
        stray.iter().map(part).collect()
    }

    /// Says on standard error what a reader of a dump's partitions must know.
    pub(super) fn remark(&self) {
        let Some(dump) = self.dump() else { return };
        for remark in remarks(dump) {
            complain(&format!("{}: {remark}", self.path.display()));
        }
    }
}

fn remarks(dump: &Dump) -> Vec<String> {
    let mut remarks = Vec::new();
    match dump.table {
        Table::At { offset, md5: Md5::Wrong } => remarks.push(format!(
            "the partition table at {offset:#x} is damaged: its MD5 is wrong, so any row may be too"
        )),
        Table::At { offset, .. } if dump.flash_base + offset != TABLE_ADDRESS => {
            remarks.push(format!("the partition table is at {:#x}", dump.flash_base + offset));
        }
        Table::At { .. } => {}
        Table::NotReadable if dump.flash_encryption => remarks.push(
            "this flash is encrypted, its partition table too: NVS partitions were found by their \
             pages, their extents are guesses"
                .to_owned(),
        ),
        Table::NotReadable => remarks.push(
            "no partition table can be read: NVS partitions were found by their pages, their \
             extents are guesses"
                .to_owned(),
        ),
    }
    let cut_short = dump.nvs().map(Part::of).filter(Part::is_cut_short);
    remarks.extend(cut_short.map(|part| {
        format!("the file ends within {part}: it holds {:#x} of them", part.range.len())
    }));
    remarks
}
