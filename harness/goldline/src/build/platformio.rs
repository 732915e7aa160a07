//! What `pio run` leaves in `.pio/build/ENV/`. It keeps no list of offsets: they are the chip's and the table's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Build, BuildError, ChipName, Maker, Placed, Settings,
    arduino::by_chip,
    assembly::{Parts, assemble},
    header::chip_of,
    table::Table,
};

const APP: &str = "firmware.bin";
const TABLE: &str = "partitions.bin";
/// What `pio run -t buildfs` makes, by the file system's name.
const FILE_SYSTEMS: [&str; 3] = ["littlefs.bin", "spiffs.bin", "fatfs.bin"];
/// Of a partition that PlatformIO puts such an image into.
const SUBTYPES: [&str; 3] = ["spiffs", "littlefs", "fat"];

/// The build in a folder: an environment's, or of the only environment of `.pio/build` or its project.
pub(super) fn read(folder: &Path) -> Result<Option<Build>, BuildError> {
    let places = [folder.to_owned(), folder.join("build"), folder.join(".pio/build")];
    for place in &places {
        if place.join(APP).is_file() {
            return of_environment(place).map(Some);
        }
        let mut environments: Vec<PathBuf> = fs::read_dir(place)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.join(APP).is_file())
            .collect();
        environments.sort();
        match &environments[..] {
            [] => {}
            [environment] => return of_environment(environment).map(Some),
            several => {
                let found = several.iter().map(|path| path.display().to_string()).collect();
                return Err(BuildError::Several { path: folder.to_owned(), found });
            }
        }
    }
    Ok(None)
}

fn of_environment(folder: &Path) -> Result<Build, BuildError> {
    let app = folder.join(APP);
    let chip = chip_of(&app)?.ok_or_else(|| BuildError::NoImage { path: app.clone() })?;
    let table = folder.join(TABLE);
    let mut files = by_chip(
        chip,
        folder.join("bootloader.bin"),
        table.clone(),
        app,
        folder.join("boot_app0.bin"),
    )?;
    files.extend(file_system(folder, &Table::read(&table)?));
    assemble(Parts {
        maker: Maker::PlatformIo,
        place: folder.to_owned(),
        chip: Some(ChipName::Id(chip)),
        settings: Settings::default(),
        files,
        elf: Some(folder.join("firmware.elf")).filter(|elf| elf.is_file()),
    })
}

/// The image of the file system, which `pio run -t uploadfs` flashes, where it was made.
fn file_system(folder: &Path, table: &Table) -> Option<Placed> {
    let path = FILE_SYSTEMS.iter().map(|name| folder.join(name)).find(|path| path.is_file())?;
    let row = table
        .rows
        .iter()
        .find(|row| row.kind == "data" && SUBTYPES.contains(&row.subtype.as_str()))?;
    Some(Placed { offset: row.offset, file: path.into(), encrypted: false })
}
