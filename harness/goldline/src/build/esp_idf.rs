//! The build folder of ESP-IDF: `flasher_args.json`, and `project_description.json` where it is.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use super::{
    Build, BuildError, ChipName, Maker, Placed, Settings,
    assembly::{Parts, assemble},
};

/// What ESP-IDF writes for whoever flashes.
pub(super) const ARGUMENTS: &str = "flasher_args.json";
const DESCRIPTION: &str = "project_description.json";

#[derive(Deserialize)]
struct Arguments {
    #[serde(default)]
    flash_settings: BTreeMap<String, String>,
    flash_files: BTreeMap<String, String>,
    extra_esptool_args: Option<ExtraArguments>,
    /// A section for each file, which says whether it is to be encrypted; and whatever else there is.
    #[serde(flatten)]
    sections: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct ExtraArguments {
    chip: Option<String>,
}

#[derive(Deserialize)]
struct Section {
    offset: String,
    #[serde(default)]
    encrypted: String,
}

#[derive(Deserialize)]
struct Description {
    app_elf: Option<String>,
}

/// The build in a folder; `None` when ESP-IDF made none there.
pub(super) fn read(folder: &Path) -> Result<Option<Build>, BuildError> {
    let path = folder.join(ARGUMENTS);
    if !path.is_file() {
        return Ok(None);
    }
    let refuse = |reason: String| BuildError::Arguments { path: path.clone(), reason };
    let text = fs::read_to_string(&path)
        .map_err(|source| BuildError::File { path: path.clone(), source })?;
    let arguments: Arguments =
        serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    let encrypted: Vec<u32> = arguments.sections.values().filter_map(encrypted_at).collect();
    let mut files = Vec::new();
    for (offset, name) in &arguments.flash_files {
        let offset = parse_offset(offset)
            .ok_or_else(|| refuse(format!("\"{offset}\" in flash_files is no offset")))?;
        files.push(placed(&path, folder, offset, name, encrypted.contains(&offset))?);
    }
    let setting = |name: &str| arguments.flash_settings.get(name).cloned();
    let chip = arguments.extra_esptool_args.and_then(|extra| extra.chip);
    assemble(Parts {
        maker: Maker::EspIdf,
        place: folder.to_owned(),
        chip: chip.map(ChipName::Name),
        settings: Settings {
            mode: stated(setting("flash_mode")),
            size: stated(setting("flash_size")),
        },
        files,
        elf: elf(folder)?,
    })
    .map(Some)
}

/// A file that some list of files names.
pub(super) fn placed(
    list: &Path,
    folder: &Path,
    offset: u32,
    name: &str,
    encrypted: bool,
) -> Result<Placed, BuildError> {
    let path = folder.join(name);
    match fs::metadata(&path) {
        Ok(_) => Ok(Placed { offset, file: path.into(), encrypted }),
        Err(source) => Err(BuildError::NamedFile { file: list.to_owned(), path, source }),
    }
}

/// What says nothing of the flash is no statement.
pub(super) fn stated(setting: Option<String>) -> Option<String> {
    setting.filter(|text| !matches!(text.as_str(), "detect" | "keep"))
}

/// As esptool reads one.
pub(super) fn parse_offset(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn encrypted_at(section: &serde_json::Value) -> Option<u32> {
    let section = Section::deserialize(section).ok()?;
    parse_offset(&section.offset).filter(|_| section.encrypted == "true")
}

/// The application with its names, where the folder says which file that is and has it.
fn elf(folder: &Path) -> Result<Option<std::path::PathBuf>, BuildError> {
    let path = folder.join(DESCRIPTION);
    let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
    let description: Description = serde_json::from_str(&text)
        .map_err(|error| BuildError::Arguments { path, reason: error.to_string() })?;
    let elf = description.app_elf.map(|name| folder.join(name));
    Ok(elf.filter(|elf| elf.is_file()))
}
