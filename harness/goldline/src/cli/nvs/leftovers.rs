//! `goldline nvs leftovers IMAGE`: secrets in erased entries, on given-up pages and in slack.
//!
//! Shows names and places, never a value.

use std::{fmt::Write, path::PathBuf};

use clap::{Args, ValueEnum};
use goldline_nvs::leftover::{Leftover, LeftoverItem, leftover_bytes};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    edit::source::Source,
    input::PartArguments,
    keys::KeyArguments,
    opened::{Opened, OpenedImage, PartOfDump},
    problem::NvsProblem,
    secrets::SecretArguments,
};
use crate::cli::{exit, output::print};

/// Bytes to look for, by the name under which they were given.
type Needle<'n> = (&'n str, Zeroizing<Vec<u8>>);

/// Fewer bytes turn up by chance.
const NEEDLE_MIN: usize = 6;

#[derive(Args)]
pub(super) struct LeftoversArguments {
    /// An NVS partition, a dump of the flash, or - for standard input
    image: PathBuf,
    #[command(flatten)]
    part: PartArguments,
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

/// What was found in one image.
struct Found<'n> {
    secrets: Vec<Leftover>,
    hits: Vec<Hit<'n>>,
}

/// A needle that was found, by the name under which it was given.
struct Hit<'n> {
    needle: &'n str,
    offsets: Vec<usize>,
}

pub(super) fn run(arguments: &LeftoversArguments) -> miette::Result<u8> {
    let keys = arguments.keys.read()?;
    let needles = arguments.needles.iter().map(|given| Ok((given.as_str(), needle(given)?)));
    let needles: Vec<_> = needles.collect::<Result<_, NvsProblem>>()?;
    let opened = Opened::read_with_stray(&arguments.image, &arguments.part, keys.as_ref())?;
    let rule = arguments.secrets.read()?;
    let found = opened.each_and_stray(
        |image| Found::of(image, rule.leftovers(&image.image()), &needles),
        |image| Found::of(image, rule.of_lost_pages(&image.image()), &needles),
    );
    match arguments.format {
        Format::Text => print(&opened.sections(found.iter().map(Found::text).collect()))?,
        Format::Json => {
            let documents = opened.images.iter().chain(&opened.stray).zip(&found);
            let documents = documents.map(|(image, found)| Document::of(image, found));
            opened.print_documents(&documents.collect::<Vec<_>>())?;
        }
    }
    let code = match found.iter().all(Found::is_nothing) {
        true => exit::PASS,
        false => exit::FAIL,
    };
    Ok(opened.finish(code))
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

impl<'n> Found<'n> {
    fn of(opened: &OpenedImage, secrets: Vec<Leftover>, needles: &'n [Needle<'n>]) -> Self {
        let image = opened.image();
        let hits = needles
            .iter()
            .map(|(needle, bytes)| Hit { needle, offsets: leftover_bytes(&image, bytes) })
            .filter(|hit| !hit.offsets.is_empty());
        Self { secrets, hits: hits.collect() }
    }

    fn is_nothing(&self) -> bool {
        self.secrets.is_empty() && self.hits.is_empty()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for Leftover { offset, reason, item } in &self.secrets {
            match item {
                Some(item) => {
                    let (name, kind, place) = (name(item), item.item_type, item.location);
                    writeln!(text, "{name}  {kind}  {place}  {reason}")
                }
                None => writeln!(text, "byte {offset:#x}  in no item  {reason}"),
            }
            .expect("a string takes all writes");
        }
        for Hit { needle, offsets } in &self.hits {
            for offset in offsets {
                writeln!(text, "{needle}  byte {offset:#x}").expect("a string takes all writes");
            }
        }
        text
    }
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
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<PartOfDump<'a>>,
    secrets: Vec<Secret>,
    found: Vec<NeedleFound<'a>>,
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
struct NeedleFound<'a> {
    needle: &'a str,
    offsets: &'a [usize],
}

impl<'a> Document<'a> {
    fn of(opened: &'a OpenedImage, found: &'a Found<'a>) -> Self {
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
        let needle = |hit: &'a Hit<'a>| NeedleFound { needle: hit.needle, offsets: &hit.offsets };
        Self {
            schema: 1,
            image: opened.path(),
            partition: opened.part().map(PartOfDump::of),
            secrets: found.secrets.iter().map(secret).collect(),
            found: found.hits.iter().map(needle).collect(),
        }
    }
}
