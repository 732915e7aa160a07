//! `goldline nvs get IMAGE NAMESPACE/KEY`: one value, for a script.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use goldline_nvs::Value;

use super::{
    input::PartArguments,
    keys::KeyArguments,
    name,
    opened::Opened,
    problem::NvsProblem,
    secrets::SecretArguments,
    value::{Content, hex},
};
use crate::cli::{
    exit,
    output::{print, print_bytes, print_json},
};

#[derive(Args)]
pub(super) struct GetArguments {
    /// An NVS partition, a dump of the flash, or - for standard input
    image: PathBuf,
    /// The key
    #[arg(value_name = "NAMESPACE/KEY")]
    name: String,
    #[command(flatten)]
    part: PartArguments,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    secrets_of: SecretArguments,
    /// A line of text (a blob in hexadecimal digits), the bytes as they are, or JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Show the value of a secret too
    #[arg(long = "secrets")]
    shows_secrets: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Raw,
    Json,
}

pub(super) fn run(arguments: &GetArguments) -> miette::Result<u8> {
    let keys = arguments.keys.read()?;
    let secrets = arguments.secrets_of.read()?;
    let opened = Opened::read(&arguments.image, &arguments.part, keys.as_ref())?;
    let image = opened.the_only(&arguments.image)?;
    let view = image.device_view()?;
    let form = NvsProblem::Form { option: "the name", form: "NAMESPACE/KEY" };
    let (namespace, key) = name::split(&arguments.name, &view).ok_or(form)?;
    let Some(entry) = view.entry(namespace, key) else {
        let (path, name) = (image.path().to_owned(), arguments.name.clone());
        return Err(NvsProblem::NoSuchKey { path, name }.into());
    };
    let is_secret = secrets.is_secret(&entry.namespace, &entry.key, &entry.value);
    if is_secret && !arguments.shows_secrets {
        return Err(NvsProblem::IsSecret { name: arguments.name.clone() }.into());
    }
    match arguments.format {
        Format::Text => print(&(line(&entry.value) + "\n"))?,
        Format::Raw => print_bytes(&bytes(&entry.value))?,
        Format::Json => print_json(&Content::of(&entry.value))?,
    }
    Ok(exit::PASS)
}

/// As it is written, without quotes; what is no text in hexadecimal digits.
fn line(value: &Value) -> String {
    match (value, value.as_str()) {
        (_, Some(text)) => text.to_owned(),
        (Value::Str(bytes) | Value::Blob(bytes), _) => hex(bytes),
        (number, _) => goldline_nvs::snapshot::shown(number),
    }
}

/// The bytes that a device gives to its firmware: numbers little-endian, a string without its NUL.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::U8(number) => vec![*number],
        Value::I8(number) => number.to_le_bytes().to_vec(),
        Value::U16(number) => number.to_le_bytes().to_vec(),
        Value::I16(number) => number.to_le_bytes().to_vec(),
        Value::U32(number) => number.to_le_bytes().to_vec(),
        Value::I32(number) => number.to_le_bytes().to_vec(),
        Value::U64(number) => number.to_le_bytes().to_vec(),
        Value::I64(number) => number.to_le_bytes().to_vec(),
        Value::F32(number) => number.to_le_bytes().to_vec(),
        Value::F64(number) => number.to_le_bytes().to_vec(),
        Value::Str(bytes) | Value::Blob(bytes) => bytes.clone(),
    }
}
