//! `goldline init BUILD`: a commented profile from a build, on standard output or in a file.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use clap::Args;
use zeroize::Zeroizing;

use super::{exit, output, overwrite::OverwriteArgument, problem::usage};
use crate::{
    draft::{Request, draft},
    output_file::{OutputFile, Readers},
    profile::Chip,
};

#[derive(Args)]
pub(super) struct InitArguments {
    /// The build folder of ESP-IDF, PlatformIO, Arduino or cargo, a merged binary, or an ELF
    build: PathBuf,
    /// The profile to write; standard output unless given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The whole flash of a good unit: its NVS keys become the profile's
    #[arg(long, value_name = "FLASH")]
    from_dump: Option<PathBuf>,
    /// The partition table of a build that has none, as CSV or binary
    #[arg(long, value_name = "FILE")]
    partitions: Option<PathBuf>,
    /// The chip of a build that does not say it
    #[arg(long)]
    chip: Option<Chip>,
    #[command(flatten)]
    overwrite: OverwriteArgument,
}

pub(super) fn run(arguments: &InitArguments) -> miette::Result<u8> {
    let InitArguments { build, output: path, from_dump, partitions, chip, overwrite } = arguments;
    // Looked at before the build is read, and written whole or not at all.
    let place =
        path.as_ref().map(|path| OutputFile::at(path, overwrite.existing(), Readers::AsBefore));
    let place = place.transpose().map_err(usage)?;
    let dump = from_dump.as_ref().map(|path| {
        let unreadable = |error| usage(format!("cannot read {}: {error}", path.display()));
        fs::read(path).map(Zeroizing::new).map_err(unreadable)
    });
    let dump = dump.transpose()?;
    let folder = path.as_ref().and_then(|path| path.parent()).unwrap_or(Path::new(""));
    let partitions = partitions.as_ref().map(|file| (file.as_path(), seen_from(folder, file)));
    let text = draft(Request {
        build,
        shown_build: seen_from(folder, build),
        name: name(path.as_deref(), build),
        partitions,
        chip: *chip,
        dump: dump.as_ref().map(|dump| dump.as_slice()),
    });
    let text = text.map_err(usage)?;
    match place {
        None => output::print(&text)?,
        Some(place) => place.write(text.as_bytes()).map_err(usage)?,
    }
    Ok(exit::PASS)
}

/// A path as a profile in some folder names it: relative where both are, else absolute.
fn seen_from(folder: &Path, path: &Path) -> PathBuf {
    if path.is_absolute() || folder.as_os_str().is_empty() {
        return path.to_owned();
    }
    if let Ok(below) = path.strip_prefix(folder) {
        return below.to_owned();
    }
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if folder.components().all(is_plain) {
        let up: PathBuf = folder.components().map(|_| "..").collect();
        return up.join(path);
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The profile is named as its file is, for it is found by that; or else as the folder of the project.
fn name(file: Option<&Path>, build: &Path) -> String {
    let absolute = std::path::absolute(build).unwrap_or_else(|_| build.to_owned());
    let of_project = absolute.parent().and_then(Path::file_name).or(absolute.file_name());
    let stem = file.and_then(Path::file_stem).or(of_project).unwrap_or_default();
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let lower = stem.to_string_lossy().to_ascii_lowercase();
    let words: Vec<&str> = lower.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "product".to_owned() } else { words.join("-") }
}
