//! `goldline nvs generate CSV OUT SIZE`, with the positions of Espressif's generator.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use goldline_nvs::{Document, Image, SecretRule, Version, crypt, csv, generate, space::Condition};
use zeroize::Zeroizing;

use super::{files, keys::KeyArguments, problem::NvsProblem};
use crate::{
    cli::{exit, output::complain, overwrite::OverwriteArgument},
    output_file::{OutputError, Readers},
};

#[derive(Args)]
pub(super) struct GenerateArguments {
    /// Rows of key,type,encoding,value; file rows are relative to the current folder
    csv: PathBuf,
    /// The image to write
    out: PathBuf,
    /// Bytes of the partition, decimal or 0x…
    #[arg(value_parser = parse_size)]
    size: usize,
    /// Store what Espressif's generator stores, even where a device then reads something else
    #[arg(long)]
    compat: bool,
    /// Format of blobs: 1 for ESP-IDF before 4.0
    #[arg(long, value_name = "1|2", default_value = "2", value_parser = parse_version)]
    version: Version,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    overwrite: OverwriteArgument,
}

pub(super) fn run(arguments: &GenerateArguments) -> miette::Result<u8> {
    let GenerateArguments { csv: path, out, size, version, .. } = arguments;
    let inputs: Vec<_> =
        [Some(path.as_path()), arguments.keys.path()].into_iter().flatten().collect();
    files::refuse_input_as_output(out, &inputs)?;
    let keys = arguments.keys.read()?;
    let mode = if arguments.compat { csv::Mode::Compat } else { csv::Mode::Strict };
    let text = files::read(path)?;
    let mut files = |name: &str| Ok(files::read_limited(Path::new(name))?.to_vec());
    let document = csv::parse(&text, mode, &mut files).map_err(|errors| refused(path, &errors))?;
    let plain = generate(&document, *size, *version)
        .map_err(|error| NvsProblem::Generate { path: path.clone(), error })?;
    let condition = Condition::of(&Image::decode(&plain).expect("it was just made"));
    let readers = match keys.is_none() && holds_secret(&document) {
        true => Readers::Owner,
        false => Readers::AsBefore,
    };
    let image = Zeroizing::new(match keys {
        Some(keys) => crypt::encrypt(&Zeroizing::new(plain), &keys),
        None => plain,
    });
    match files::output(out, arguments.overwrite.existing(), readers) {
        // A build that runs again makes what is there already.
        Err(NvsProblem::Output(OutputError::Exists { .. }))
            if files::holds(out, &image, readers) => {}
        place => place?.write(&image).map_err(NvsProblem::Output)?,
    }
    if let Some(condition) = condition {
        complain(&format!("{}: {condition}: {}", out.display(), condition.meaning()));
    }
    Ok(exit::PASS)
}

/// Prints each error on a line of its own, as editors know it, without the frame of other messages.
fn refused(path: &Path, errors: &csv::CsvErrors) -> NvsProblem {
    let path_shown = path.display();
    let mut lines = String::new();
    for csv::CsvError { position, problem } in errors.listed() {
        lines += &format!("{path_shown}:{}:{}: {problem}\n", position.line, position.column);
    }
    if errors.omitted() > 0 {
        lines += &format!("{path_shown}: and {} more\n", errors.omitted());
    }
    // Where nobody listens, the exit code still tells.
    let _closed = io::stderr().write_all(lines.as_bytes());
    let errors = errors.listed().len() + errors.omitted();
    NvsProblem::Csv { path: path.to_owned(), errors }
}

fn holds_secret(document: &Document) -> bool {
    let rule = SecretRule::careful();
    document.entries().any(|(namespace, key, value)| rule.is_secret(&namespace, &key, value))
}

pub(super) fn parse_size(text: &str) -> Result<usize, String> {
    let number = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let number = number.map_err(|_| "expected bytes, decimal or 0x…".to_owned())?;
    if number > files::LARGEST_BYTES {
        return Err(format!("no flash is larger than {:#x}", files::LARGEST_BYTES));
    }
    usize::try_from(number).map_err(|error| error.to_string())
}

fn parse_version(text: &str) -> Result<Version, String> {
    match text {
        "1" => Ok(Version::V1),
        "2" => Ok(Version::V2),
        _ => Err("expected 1 or 2".to_owned()),
    }
}
