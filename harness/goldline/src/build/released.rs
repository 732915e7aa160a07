//! A folder of images as projects release them: a bootloader, a partition table, an application, and no list of
//! where they go. The places are the chip's and the table's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Build, BuildError, ChipName, Maker, Settings,
    arduino::by_chip,
    assembly::{Parts, assemble},
    header::chip_of,
};

const BOOTLOADER: &str = "bootloader.bin";
/// ESP-IDF's name and PlatformIO's.
const TABLES: [&str; 2] = ["partition-table.bin", "partitions.bin"];
/// ESP-IDF's name and the Arduino core's.
const OTA_DATA: [&str; 2] = ["ota_data_initial.bin", "boot_app0.bin"];

/// The build in a folder; `None` without a bootloader and a table by their usual names.
pub(super) fn read(folder: &Path) -> Result<Option<Build>, BuildError> {
    let there = |name: &&str| folder.join(name).is_file();
    let table = TABLES.iter().find(|name| there(name));
    let (Some(table), true) = (table, there(&BOOTLOADER)) else { return Ok(None) };
    let apps = applications(folder)?;
    let (app, chip) = match &apps[..] {
        [] => return Err(BuildError::NoApplication { place: folder.to_owned() }),
        [(app, chip)] => (app.clone(), *chip),
        several => {
            let found = several.iter().map(|(path, _)| path.display().to_string()).collect();
            return Err(BuildError::Several { path: folder.to_owned(), found });
        }
    };
    let ota_data = OTA_DATA.iter().find(|name| there(name)).unwrap_or(&OTA_DATA[0]);
    let (bootloader, table) = (folder.join(BOOTLOADER), folder.join(table));
    let files = by_chip(chip, bootloader, table, app, folder.join(ota_data))?;
    assemble(Parts {
        maker: Maker::Released,
        place: folder.to_owned(),
        chip: Some(ChipName::Id(chip)),
        settings: Settings::default(),
        files,
        elf: None,
    })
    .map(Some)
}

/// The ESP images of the folder that are no bootloader, each with its chip.
fn applications(folder: &Path) -> Result<Vec<(PathBuf, u16)>, BuildError> {
    let unreadable = |source| BuildError::File { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    let mut applications = Vec::new();
    for path in paths {
        let is_candidate = path.extension().is_some_and(|extension| extension == "bin")
            && path.file_name().is_some_and(|name| name != BOOTLOADER);
        if !is_candidate || !path.is_file() {
            continue;
        }
        if let Some(chip) = chip_of(&path)? {
            applications.push((path, chip));
        }
    }
    Ok(applications)
}
