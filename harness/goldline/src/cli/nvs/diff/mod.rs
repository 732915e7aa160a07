//! `goldline nvs diff A B`: what a device would read differently, key by key; on request also
//! where the bytes lie.
//!
//! Secrets are compared by value. What stands for one is a fingerprint under a key made for this
//! run and thrown away, so that a report tells equal from different and nothing else.

mod json;
mod layout;

use std::{fmt::Write, path::PathBuf};

use clap::{Args, ValueEnum};
use goldline_nvs::{
    Value,
    crypt::Keys,
    diff::{Change, ChangeKind, diff},
    fingerprint::Fingerprinter,
    snapshot,
};

use super::{
    keys::{self, KeyArguments},
    opened::OpenedImage,
    problem::{NvsProblem, Unreadable},
    secrets::{SecretArguments, Secrets},
    verdict::Verdict,
};
use crate::cli::{
    exit,
    output::{print, print_json},
};
use layout::LayoutChange;

#[derive(Args)]
pub(super) struct DiffArguments {
    /// The image before
    a: PathBuf,
    /// The image after
    b: PathBuf,
    /// Compare also pages and where each key lies
    #[arg(long)]
    layout: bool,
    #[command(flatten)]
    keys: KeyArguments,
    /// The keys of B, where they are others than those of A
    #[arg(long, value_name = "FILE", conflicts_with = "hmac_key_b")]
    keys_b: Option<PathBuf>,
    /// The HMAC key of B, where it is another than that of A
    #[arg(long, value_name = "FILE")]
    hmac_key_b: Option<PathBuf>,
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

pub(super) fn run(arguments: &DiffArguments) -> miette::Result<u8> {
    let [a, b] = open_both(arguments)?;
    let (before, after) = (a.device_view()?, b.device_view()?);
    let changes = diff(&before, &after);
    let layout = match arguments.layout {
        true => layout::compare(&a.image(), &before, &b.image(), &after),
        false => Vec::new(),
    };
    let shown = Shown::new(arguments.secrets.read()?)?;
    match arguments.format {
        Format::Text => print(&text(&changes, &layout, &shown))?,
        Format::Json => print_json(&json::Document::of(&a, &b, &changes, &layout, &shown))?,
    }
    for opened in [&a, &b] {
        remark(opened);
    }
    Ok(match changes.is_empty() && layout.is_empty() {
        true => exit::PASS,
        false => exit::FAIL,
    })
}

/// Keys serve whichever image is encrypted, so that a plain golden can be compared with a unit.
fn open_both(arguments: &DiffArguments) -> Result<[OpenedImage; 2], NvsProblem> {
    let keys = arguments.keys.read()?;
    let of_b = keys::read(arguments.keys_b.as_deref(), arguments.hmac_key_b.as_deref())?;
    let open = |path: &PathBuf, keys: Option<&Keys>| match OpenedImage::open(path, keys) {
        Err(NvsProblem::Unreadable { why: Unreadable::NotEncrypted, .. }) => {
            OpenedImage::open(path, None)
        }
        outcome => outcome,
    };
    let a = open(&arguments.a, keys.as_ref())?;
    let b = open(&arguments.b, of_b.as_ref().or(keys.as_ref()))?;
    let has_keys = keys.is_some() || of_b.is_some();
    match has_keys && !a.is_encrypted() && !b.is_encrypted() {
        true => Err(NvsProblem::KeysUnused),
        false => Ok([a, b]),
    }
}

/// A damaged image compares as what a device makes of it; whoever reads the outcome must know.
fn remark(opened: &OpenedImage) {
    let verdict = Verdict::of(&opened.image().findings());
    if verdict != Verdict::Sound {
        let path = opened.path().display();
        eprintln!("{path}: the image is {verdict}; goldline nvs check says what and where");
    }
}

/// What may be shown of a value.
struct Shown {
    secrets: Secrets,
    fingerprinter: Fingerprinter,
}

impl Shown {
    fn new(secrets: Secrets) -> Result<Self, NvsProblem> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(NvsProblem::Random)?;
        Ok(Self { secrets, fingerprinter: Fingerprinter::new(key) })
    }

    /// Whether either value of a change is secret: a change must not show half of it.
    fn is_secret(&self, change: &Change) -> bool {
        let (before, after) = sides(&change.kind);
        let is_secret =
            |value: &Value| self.secrets.is_secret(&change.namespace, &change.key, value);
        before.is_some_and(is_secret) || after.is_some_and(is_secret)
    }

    fn fingerprint(&self, value: &Value) -> String {
        self.fingerprinter.fingerprint(value).to_string()
    }

    fn value(&self, value: &Value, is_secret: bool) -> String {
        let content = match is_secret {
            true => format!("<secret {}>", self.fingerprint(value)),
            false => snapshot::shown(value),
        };
        format!("{} {}  {content}", value.type_name(), value.len())
    }
}

/// The values before and after.
fn sides(kind: &ChangeKind) -> (Option<&Value>, Option<&Value>) {
    match kind {
        ChangeKind::Added(after) => (None, Some(after)),
        ChangeKind::Removed(before) => (Some(before), None),
        ChangeKind::Type { before, after } | ChangeKind::Value { before, after } => {
            (Some(before), Some(after))
        }
    }
}

/// A line for each side: `-` before, `+` after.
fn text(changes: &[Change], layout: &[LayoutChange], shown: &Shown) -> String {
    let mut text = String::new();
    for change in changes {
        let is_secret = shown.is_secret(change);
        let name = format!("{}/{}", change.namespace, change.key);
        let (before, after) = sides(&change.kind);
        for (sign, value) in [("-", before), ("+", after)] {
            if let Some(value) = value {
                writeln!(text, "{sign} {name}  {}", shown.value(value, is_secret))
                    .expect("a string takes all writes");
            }
        }
    }
    for change in layout {
        writeln!(text, "layout: {change}").expect("a string takes all writes");
    }
    text
}
