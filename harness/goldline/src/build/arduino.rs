//! What `arduino-cli compile` leaves: `NAME.ino.bin` and its neighbours, in `build/FQBN/` or an output folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Build, BuildError, ChipName, Maker, Placed, Settings,
    assembly::{Parts, TABLE_OFFSET, assemble},
    bootloader_offset,
    esp_idf::{parse_offset, placed, stated},
    header::chip_of,
    merged,
    table::Table,
};

const FLASH_ARGUMENTS: &str = "flash_args";
const BOOT_APP0: &str = "boot_app0.bin";

/// The build in a folder, or in the only folder below it that has one; `None` when Arduino made none there.
pub(super) fn read(folder: &Path) -> Result<Option<Build>, BuildError> {
    let mut sketches = sketches(folder);
    if let [(folder, sketch)] = &sketches[..] {
        return of_sketch(folder, sketch).map(Some);
    }
    if sketches.is_empty() {
        let below = fs::read_dir(folder).into_iter().flatten().flatten();
        sketches = below.flat_map(|entry| self::sketches(&entry.path())).collect();
        sketches.sort();
    }
    match &sketches[..] {
        [] => Ok(None),
        [(folder, sketch)] => of_sketch(folder, sketch).map(Some),
        several => Err(BuildError::Several {
            path: folder.to_owned(),
            found: several.iter().map(|(at, name)| at.join(name).display().to_string()).collect(),
        }),
    }
}

/// The sketches that were built into a folder, such as `blink.ino`.
fn sketches(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| {
            let sketch = name.strip_suffix(".merged.bin").or_else(|| name.strip_suffix(".bin"))?;
            sketch.ends_with(".ino").then(|| sketch.to_owned())
        })
        .collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| (folder.to_owned(), name)).collect()
}

fn of_sketch(folder: &Path, sketch: &str) -> Result<Build, BuildError> {
    let file = |ending: &str| folder.join(format!("{sketch}{ending}"));
    let app = file(".bin");
    let elf = Some(file(".elf")).filter(|elf| elf.is_file());
    if !app.is_file() {
        return merged::read(&file(".merged.bin"));
    }
    let chip = chip_of(&app)?.ok_or_else(|| BuildError::NoImage { path: app.clone() })?;
    let arguments = folder.join(FLASH_ARGUMENTS);
    let (settings, files) = if arguments.is_file() {
        listed(&arguments, folder)?
    } else {
        let table = file(".partitions.bin");
        let bootloader = file(".bootloader.bin");
        (Settings::default(), by_chip(chip, bootloader, table, app, folder.join(BOOT_APP0))?)
    };
    let chip = Some(ChipName::Id(chip));
    let (maker, place) = (Maker::Arduino, folder.to_owned());
    assemble(Parts { maker, place, chip, settings, files, elf })
}

/// The four files in the places that the chip and the partition table have for them.
pub(super) fn by_chip(
    chip: u16,
    bootloader: PathBuf,
    table_path: PathBuf,
    app: PathBuf,
    ota_data: PathBuf,
) -> Result<Vec<Placed>, BuildError> {
    let at = |offset, path: PathBuf| match fs::metadata(&path) {
        Ok(_) => Ok(Placed { offset, file: path.into(), encrypted: false }),
        Err(source) => Err(BuildError::File { path, source }),
    };
    let table = Table::read(&table_path)?;
    let ota_bytes = fs::read(&ota_data).ok();
    let starts = table
        .starts(ota_bytes.as_deref())
        .ok_or_else(|| BuildError::NoApplication { place: table_path.clone() })?;
    let mut files = vec![
        at(bootloader_offset(chip), bootloader)?,
        at(TABLE_OFFSET, table_path)?,
        at(starts.offset, app)?,
    ];
    if let (Some(row), Some(_)) = (table.ota_data(), ota_bytes) {
        files.push(at(row.offset, ota_data)?);
    }
    Ok(files)
}

/// A list of files as esptool takes one: flags, and lines of an offset and a file.
fn listed(list: &Path, folder: &Path) -> Result<(Settings, Vec<Placed>), BuildError> {
    let text = fs::read_to_string(list)
        .map_err(|source| BuildError::File { path: list.to_owned(), source })?;
    let mut settings = Settings::default();
    let mut files = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] => {}
            [flag, ..] if flag.starts_with("--") => {
                for pair in words.windows(2) {
                    let value = || stated(Some(pair[1].to_owned()));
                    match pair[0].replace('_', "-").as_str() {
                        "--flash-mode" => settings.mode = value(),
                        "--flash-size" => settings.size = value(),
                        _ => {}
                    }
                }
            }
            [offset, name] if parse_offset(offset).is_some() => {
                let offset = parse_offset(offset).unwrap_or_default();
                files.push(placed(list, folder, offset, name, false)?);
            }
            _ => {
                let (path, line) = (list.to_owned(), index + 1);
                return Err(BuildError::FlashArguments { path, line });
            }
        }
    }
    Ok((settings, files))
}
