//! Files and their offsets become a build: which of them is what.

use std::path::{Path, PathBuf};

use super::{App, Build, BuildError, ChipName, Maker, Placed, Settings, table::Table};

/// Where ESP-IDF keeps the partition table unless told otherwise.
pub(super) const TABLE_OFFSET: u32 = 0x8000;
const TABLE_MAGIC: [u8; 2] = [0xAA, 0x50];
/// A table lies at a sector; nobody puts one further up.
const LAST_TABLE: u32 = 0x1_0000;

/// What a build system says of its files.
pub(super) struct Parts {
    pub(super) maker: Maker,
    pub(super) place: PathBuf,
    pub(super) chip: Option<ChipName>,
    pub(super) settings: Settings,
    pub(super) files: Vec<Placed>,
    pub(super) elf: Option<PathBuf>,
}

pub(super) fn assemble(parts: Parts) -> Result<Build, BuildError> {
    let Parts { maker, place, chip, settings, mut files, elf } = parts;
    files.sort_by_key(|placed| placed.offset);
    let (table_at, table) = table_among(&place, &files)?;
    files.remove(table_at);
    let ota_data = match table.ota_data() {
        Some(row) => files.iter().find(|placed| placed.offset == row.offset),
        None => None,
    };
    let ota_data = ota_data.map(read).transpose()?;
    let starts = table
        .starts(ota_data.as_deref())
        .ok_or_else(|| BuildError::NoApplication { place: place.clone() })?;
    let app = files.iter().position(|placed| placed.offset == starts.offset);
    let app = app.ok_or_else(|| BuildError::NothingStarts {
        place: place.clone(),
        partition: starts.name.clone(),
        offset: starts.offset,
    })?;
    let app = App::Image(files.remove(app));
    let bootloader = files.iter().position(|placed| placed.offset < TABLE_OFFSET);
    let bootloader = bootloader.map(|at| files.remove(at));
    Ok(Build {
        maker,
        place,
        chip,
        settings,
        table: Some(table),
        bootloader,
        app,
        others: files,
        elf,
        left_out: Vec::new(),
    })
}

fn table_among(place: &Path, files: &[Placed]) -> Result<(usize, Table), BuildError> {
    let below = files.iter().take_while(|placed| placed.offset < LAST_TABLE).enumerate();
    for (index, placed) in below {
        let bytes = read(placed)?;
        if !bytes.starts_with(&TABLE_MAGIC) {
            continue;
        }
        if placed.offset != TABLE_OFFSET {
            let found = placed.offset;
            return Err(BuildError::TablePlace { place: place.to_owned(), found });
        }
        return Ok((index, Table::parse(placed.file.path(), &bytes)?));
    }
    Err(BuildError::NoTable { place: place.to_owned() })
}

fn read(placed: &Placed) -> Result<Vec<u8>, BuildError> {
    let path = placed.file.path().to_owned();
    placed.file.read().map_err(|source| BuildError::File { path, source })
}
