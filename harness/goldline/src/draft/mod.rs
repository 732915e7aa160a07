//! A profile drafted from a build, and from what a golden unit or a CSV has in its NVS: `goldline init`.
//!
//! What was seen stands in the profile as it is; what was guessed is marked, and no secret is written. Must not
//! know where the text goes. Offsets and sizes are bytes.

mod entries;
mod error;
mod services;
mod text;

use std::path::{Path, PathBuf};

use entries::Entries;
pub use error::DraftError;

use crate::{
    build::{App, Build, ChipName, LeftOut, LeftOutPlace, Row, Table, UNPARTITIONED},
    profile::Chip,
};

/// What is asked for.
pub struct Request<'a> {
    /// The build folder or file.
    pub build: &'a Path,
    /// What the profile calls it: as seen from the folder that the profile will lie in.
    pub shown_build: PathBuf,
    /// The profile's name.
    pub name: String,
    /// A partition table for a build that has none, and what the profile calls it.
    pub partitions: Option<(&'a Path, PathBuf)>,
    /// The chip, where the build does not say it.
    pub chip: Option<Chip>,
    /// The whole flash of a good unit.
    pub dump: Option<&'a [u8]>,
}

/// What the profile is written from.
struct Facts {
    name: String,
    shown_build: PathBuf,
    shown_partitions: Option<PathBuf>,
    build: Build,
    table: Table,
    chip: Chip,
    flash: FlashSize,
    /// The unit's own NVS partition.
    nvs: Row,
    entries: Entries,
    /// Partitions that the build flashes and the bench makes.
    except: Vec<String>,
}

/// The size of the flash, and where it is known from.
struct FlashSize {
    megabytes: usize,
    guessed: Option<&'static str>,
}

/// Drafts the text of a profile.
///
/// # Errors
/// [`DraftError`] says what cannot be read, or what the build does not tell.
pub fn draft(request: Request<'_>) -> Result<String, DraftError> {
    let build = Build::read(request.build)?;
    let table = match (&request.partitions, &build.table) {
        (Some((path, _)), _) => Table::read(path)?,
        (None, Some(table)) => table.clone(),
        (None, None) => return Err(DraftError::NoTable { place: build.place }),
    };
    let chip = chip(&build, request.chip)?;
    let entries = match request.dump {
        Some(dump) => entries::of_dump(dump, &table)?,
        None => entries::beside(request.build, &table)?,
    };
    let nvs = entries.partition.clone().or_else(|| own_partition(&table));
    let nvs = nvs.ok_or_else(|| DraftError::NoNvs { place: build.place.clone() })?;
    let flash = flash_size(&build, &table, request.dump);
    let others = build.others.iter().filter(|placed| placed.offset == nvs.offset);
    let mut except: Vec<String> = others.map(|_| nvs.name.clone()).collect();
    let stray = |left: &LeftOut| left.place == LeftOutPlace::Unpartitioned;
    except.extend(build.left_out.iter().any(stray).then(|| UNPARTITIONED.to_owned()));
    Ok(text::profile(&Facts {
        name: request.name,
        shown_build: request.shown_build,
        shown_partitions: request.partitions.map(|(_, shown)| shown),
        build,
        table,
        chip,
        flash,
        nvs,
        entries,
        except,
    }))
}

/// The partition that ESP-IDF opens by default, or else the first of its kind.
fn own_partition(table: &Table) -> Option<Row> {
    let mut rows = table.rows.iter().filter(|row| row.kind == "data" && row.subtype == "nvs");
    let first = rows.next()?;
    Some(std::iter::once(first).chain(rows).find(|row| row.name == "nvs").unwrap_or(first).clone())
}

fn chip(build: &Build, given: Option<Chip>) -> Result<Chip, DraftError> {
    let told = match &build.chip {
        Some(ChipName::Name(name)) => name.parse().ok(),
        Some(ChipName::Id(id)) => Chip::ALL.into_iter().find(|chip| chip.image_id() == *id),
        None => given,
    };
    match (told, given) {
        (Some(told), Some(given)) if told != given => {
            Err(DraftError::OtherChip { place: build.place.clone(), told, given })
        }
        (Some(told), _) => Ok(told),
        (None, _) => Err(DraftError::UnknownChip { place: build.place.clone() }),
    }
}

/// A dump is as long as the flash; a build says a size that the flash has at least.
fn flash_size(build: &Build, table: &Table, dump: Option<&[u8]>) -> FlashSize {
    const MEGABYTE: usize = 1 << 20;
    if let Some(dump) = dump.filter(|dump| dump.len().is_multiple_of(MEGABYTE)) {
        return FlashSize { megabytes: dump.len() / MEGABYTE, guessed: None };
    }
    let said = build.settings.size.as_ref().and_then(|text| text.strip_suffix("MB")?.parse().ok());
    if let Some(megabytes) = said.or_else(|| size_in_header(build)) {
        return FlashSize {
            megabytes,
            guessed: Some("the build says so, and the module may have more: write what it has"),
        };
    }
    let end = |row: &Row| row.offset as usize + row.size as usize;
    let end = table.rows.iter().map(end).max().unwrap_or(MEGABYTE);
    let megabytes = end.div_ceil(MEGABYTE).next_power_of_two();
    FlashSize {
        megabytes,
        guessed: Some("the partitions end there, and the module may have more: write what it has"),
    }
}

/// In MB, as the bootloader's own header has it: a smaller flash would be refused.
fn size_in_header(build: &Build) -> Option<usize> {
    // Of `esp_image_header_t`: the size's exponent in the upper half of the fourth byte.
    let header = build.bootloader.as_ref()?.file.read().ok()?;
    let exponent = header.get(3)? >> 4;
    (exponent < 8).then(|| 1 << exponent)
}

impl Facts {
    /// Whether Goldline lays the application out.
    fn is_elf(&self) -> bool {
        matches!(self.build.app, App::Elf(_))
    }
}
