//! `goldline nvs leftovers IMAGE`: secrets in erased entries, on given-up pages and in slack.
//!
//! Shows names and places, never a value.

use std::{fmt::Write, path::PathBuf};

use clap::{Args, ValueEnum};
use goldline_nvs::leftover::{Leftover, LeftoverItem, leftover_bytes};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    edit::source::Source, keys::KeyArguments, opened::OpenedImage, problem::NvsProblem,
    secrets::SecretArguments,
};
use crate::cli::{
    exit,
    output::{print, print_json},
};

/// Fewer bytes turn up by chance.
const NEEDLE_MIN: usize = 6;

#[derive(Args)]
pub(super) struct LeftoversArguments {
    /// The image, a whole NVS partition
    image: PathBuf,
    #[command(flatten)]
    keys: KeyArguments,
    /// Look also for these bytes: @FILE, or $VARIABLE of the environment
    #[arg(long = "find", value_name = "@FILE|$VARIABLE")]
    needles: Vec<String>,
    #[command(flatten)]
    secrets: SecretArguments,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// A needle that was found, by the name under which it was given.
struct Hit<'a> {
    needle: &'a str,
    offsets: Vec<usize>,
}

pub(super) fn run(arguments: &LeftoversArguments) -> miette::Result<u8> {
    let keys = arguments.keys.read()?;
    let needles = arguments.needles.iter().map(|given| Ok((given.as_str(), needle(given)?)));
    let needles: Vec<_> = needles.collect::<Result<_, NvsProblem>>()?;
    let opened = OpenedImage::open(&arguments.image, keys.as_ref())?;
    let image = opened.image();
    let secrets = arguments.secrets.read()?.leftovers(&image);
    let hits: Vec<Hit<'_>> = needles
        .iter()
        .map(|(needle, bytes)| Hit { needle, offsets: leftover_bytes(&image, bytes) })
        .filter(|hit| !hit.offsets.is_empty())
        .collect();
    match arguments.format {
        Format::Text => print(&text(&secrets, &hits))?,
        Format::Json => print_json(&Document::of(&opened, &secrets, &hits))?,
    }
    Ok(match secrets.is_empty() && hits.is_empty() {
        true => exit::PASS,
        false => exit::FAIL,
    })
}

fn needle(given: &str) -> Result<Zeroizing<Vec<u8>>, NvsProblem> {
    const FORM: NvsProblem =
        NvsProblem::Form { option: "--find", form: "@FILE or $VARIABLE of the environment" };
    let source = match Source::parse(given) {
        Source::Inline(_) => return Err(FORM),
        source => source,
    };
    let bytes = source.read()?;
    match bytes.len() < NEEDLE_MIN {
        true => Err(NvsProblem::ShortNeedle { found: bytes.len() }),
        false => Ok(bytes),
    }
}

fn text(secrets: &[Leftover], hits: &[Hit<'_>]) -> String {
    let mut text = String::new();
    for Leftover { offset, reason, item } in secrets {
        match item {
            Some(item) => {
                writeln!(text, "{}  {}  {}  {reason}", name(item), item.item_type, item.location)
            }
            None => writeln!(text, "byte {offset:#x}  in no item  {reason}"),
        }
        .expect("a string takes all writes");
    }
    for Hit { needle, offsets } in hits {
        for offset in offsets {
            writeln!(text, "{needle}  byte {offset:#x}").expect("a string takes all writes");
        }
    }
    text
}

/// Namespace and key; `?` for a namespace without a definition anywhere.
fn name(item: &LeftoverItem) -> String {
    let namespace = item.namespace.map_or_else(|| "?".to_owned(), |name| name.to_string());
    format!("{namespace}/{}", item.key)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    image: &'a std::path::Path,
    secrets: Vec<Secret>,
    found: Vec<Found<'a>>,
}

#[derive(Serialize)]
struct Secret {
    what: String,
    namespace: Option<String>,
    /// Key, type, page and entry of the item; none in slack.
    key: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    page: Option<usize>,
    entry: Option<usize>,
    offset: usize,
}

#[derive(Serialize)]
struct Found<'a> {
    needle: &'a str,
    offsets: &'a [usize],
}

impl<'a> Document<'a> {
    fn of(opened: &'a OpenedImage, secrets: &[Leftover], hits: &'a [Hit<'a>]) -> Self {
        let secret = |leftover: &Leftover| {
            let item = leftover.item.as_ref();
            Secret {
                what: leftover.reason.to_string(),
                namespace: item.and_then(|item| Some(item.namespace?.to_string())),
                key: item.map(|item| item.key.to_string()),
                kind: item.map(|item| item.item_type.to_string()),
                page: item.map(|item| item.location.page),
                entry: item.map(|item| item.location.entry),
                offset: leftover.offset,
            }
        };
        let found = |hit: &'a Hit<'a>| Found { needle: hit.needle, offsets: &hit.offsets };
        Self {
            schema: 1,
            image: opened.path(),
            secrets: secrets.iter().map(secret).collect(),
            found: hits.iter().map(found).collect(),
        }
    }
}
