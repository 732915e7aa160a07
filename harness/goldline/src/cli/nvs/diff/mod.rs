//! `goldline nvs diff A B`: what a device would read differently, key by key; on request also
//! where the bytes lie.
//!
//! Secrets are compared by value. What stands for one is a fingerprint under a key made for this
//! run and thrown away, so that a report tells equal from different and nothing else.

mod json;
mod layout;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use goldline_nvs::{
    Value,
    crypt::Keys,
    diff::{Change, ChangeKind, diff},
    fingerprint::Fingerprinter,
    record::Record,
    snapshot,
};

use super::{
    input::{Input, PartArguments},
    keys::{self, KeyArguments},
    opened::{Opened, OpenedImage},
    problem::{NvsProblem, Unreadable},
    secrets::{SecretArguments, Secrets},
    soundness::Soundness,
};
use crate::cli::{
    exit,
    output::{complain, print},
};
use layout::LayoutChange;

#[derive(Args)]
pub(super) struct DiffArguments {
    /// The image before: an NVS partition, a dump of the flash, or - for standard input
    a: PathBuf,
    /// The image after
    b: PathBuf,
    #[command(flatten)]
    part: PartArguments,
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
    let (a, b) = open_both(arguments)?;
    let pairs = paired(&arguments.a, &a, &arguments.b, &b)?;
    let shown = Shown::new(arguments.secrets.read()?)?;
    let compared: Vec<Compared<'_>> = pairs
        .into_iter()
        .map(|(a, b)| Compared::of(a, b, arguments.layout))
        .collect::<Result<_, NvsProblem>>()?;
    match arguments.format {
        Format::Text => {
            let texts = compared.iter().map(|compared| compared.text(&shown)).collect();
            print(&a.sections(texts))?;
        }
        Format::Json => {
            let documents = compared.iter().map(|compared| json::Document::of(compared, &shown));
            a.print_documents(&documents.collect::<Vec<_>>())?;
        }
    }
    for opened in a.images.iter().chain(&b.images) {
        remark(opened);
    }
    Ok(match compared.iter().all(Compared::is_same) {
        true => exit::PASS,
        false => exit::FAIL,
    })
}

/// Keys serve whichever image is encrypted, so that a plain golden can be compared with a unit.
fn open_both(arguments: &DiffArguments) -> Result<(Opened, Opened), NvsProblem> {
    let keys = arguments.keys.read()?;
    let of_b = keys::read(arguments.keys_b.as_deref(), arguments.hmac_key_b.as_deref())?;
    let read = |path: &PathBuf| Input::read(path, &arguments.part);
    let (input_a, input_b) = (read(&arguments.a)?, read(&arguments.b)?);
    let is_any_dump = input_a.dump().is_some() || input_b.dump().is_some();
    let open = |input: &Input, keys: Option<&Keys>| {
        input.remark();
        // An image by itself beside a dump has no partitions to name.
        let part = match is_any_dump && input.dump().is_none() {
            true => &arguments.part.of_a_single_image(),
            false => &arguments.part,
        };
        let opened = match Opened::of(input, part, keys) {
            Err(NvsProblem::Unreadable { why: Unreadable::NotEncrypted, .. }) => {
                Opened::of(input, part, None)
            }
            outcome => outcome,
        };
        opened.and_then(|opened| opened.whole(input.path()))
    };
    let a = open(&input_a, keys.as_ref())?;
    let b = open(&input_b, of_b.as_ref().or(keys.as_ref()))?;
    let has_keys = keys.is_some() || of_b.is_some();
    let mut all = a.images.iter().chain(&b.images);
    match has_keys && !all.any(OpenedImage::is_encrypted) {
        true => Err(NvsProblem::KeysUnused),
        false => Ok((a, b)),
    }
}

/// Which image is compared with which: the two that there are, or those of the same label.
fn paired<'o>(
    path_a: &Path,
    a: &'o Opened,
    path_b: &Path,
    b: &'o Opened,
) -> Result<Vec<(&'o OpenedImage, &'o OpenedImage)>, NvsProblem> {
    if !a.is_dump || !b.is_dump || a.images.len() == 1 && b.images.len() == 1 {
        return Ok(vec![(a.the_only(path_a)?, b.the_only(path_b)?)]);
    }
    let label = |image: &OpenedImage| image.part().map(|part| part.label.clone());
    let labels = |opened: &Opened| opened.each(label);
    if labels(a) != labels(b) {
        let listed =
            |opened: &Opened| labels(opened).into_iter().flatten().collect::<Vec<_>>().join(", ");
        return Err(NvsProblem::OtherPartitions {
            a: path_a.to_owned(),
            of_a: listed(a),
            b: path_b.to_owned(),
            of_b: listed(b),
        });
    }
    Ok(a.images.iter().zip(&b.images).collect())
}

/// Two images and what differs.
struct Compared<'o> {
    a: &'o OpenedImage,
    b: &'o OpenedImage,
    changes: Vec<Change>,
    layout: Vec<LayoutChange>,
}

impl<'o> Compared<'o> {
    fn of(a: &'o OpenedImage, b: &'o OpenedImage, with_layout: bool) -> Result<Self, NvsProblem> {
        let (before, after) = (a.device_view()?, b.device_view()?);
        let layout = match with_layout {
            true => layout::compare(&a.image(), &before, &b.image(), &after),
            false => Vec::new(),
        };
        Ok(Self { a, b, changes: diff(&before, &after), layout })
    }

    fn is_same(&self) -> bool {
        self.changes.is_empty() && self.layout.is_empty()
    }

    fn text(&self, shown: &Shown) -> String {
        text(&self.changes, &self.layout, shown)
    }
}

/// A damaged image compares as what a device makes of it; whoever reads the outcome must know.
fn remark(opened: &OpenedImage) {
    let verdict = Soundness::of(&opened.image().findings());
    if verdict != Soundness::Sound {
        let path = opened.path().display();
        complain(&format!(
            "{path}: the image is {verdict}; goldline nvs check says what and where"
        ));
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

    fn value(&self, change: &Change, value: &Value, is_secret: bool) -> String {
        let record = Record::read(&change.namespace, &change.key, value);
        let content = match (is_secret, record) {
            (true, Some(record)) => format!("{record}  <secret {}>", self.fingerprint(value)),
            (true, None) => format!("<secret {}>", self.fingerprint(value)),
            (false, Some(record)) => record.to_string(),
            (false, None) => snapshot::shown(value),
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
                writeln!(text, "{sign} {name}  {}", shown.value(change, value, is_secret))
                    .expect("a string takes all writes");
            }
        }
    }
    for change in layout {
        writeln!(text, "layout: {change}").expect("a string takes all writes");
    }
    text
}
