//! `goldline nvs check IMAGE`: findings, capacity and wear, as text or as one JSON document.
//!
//! ```text
//! { "schema": 1, "image", "verdict": "sound|interrupted|damaged|unreadable",
//!   "condition": "blank" and the like, else null,
//!   "answer": {"code","message","action"} of an unreadable image, else null,
//!   "findings": [{"code","severity","page","entry","offset","message","consequence","repair"}],
//!   "usage": {…} of a readable image, "leftover_secrets": 0 }
//! ```

use std::{fmt::Write, path::PathBuf};

use clap::{Args, ValueEnum};
use goldline_nvs::{Finding, Key, space::Space, usage::Usage};
use miette::Diagnostic;
use serde::Serialize;

use super::{
    input::PartArguments,
    keys::KeyArguments,
    opened::{Opened, OpenedImage},
    problem::NvsProblem,
    secrets::{SecretArguments, Secrets},
    soundness::Soundness,
};
use crate::cli::{
    exit,
    output::{print, print_json},
};

#[derive(Args)]
pub(super) struct CheckArguments {
    /// An NVS partition, a dump of the flash, or - for standard input
    image: PathBuf,
    #[command(flatten)]
    part: PartArguments,
    #[command(flatten)]
    keys: KeyArguments,
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

pub(super) fn run(arguments: &CheckArguments) -> miette::Result<u8> {
    let secrets = arguments.secrets.read()?;
    let keys = arguments.keys.read();
    let opened =
        keys.and_then(|keys| Opened::read(&arguments.image, &arguments.part, keys.as_ref()));
    let opened = match opened {
        Ok(opened) => opened,
        Err(problem) => {
            if arguments.format == Format::Json {
                print_json(&Document::unreadable(&arguments.image, &problem))?;
            }
            return Err(problem.into());
        }
    };
    let judged = opened.each(|image| Judged::of(image, &secrets));
    match arguments.format {
        Format::Text => print(&opened.sections(judged.iter().map(Judged::text).collect()))?,
        Format::Json => {
            let readable = judged.iter().map(Document::of);
            let unreadable = opened.unreadable.iter();
            let unreadable =
                unreadable.map(|problem| Document::unreadable(&arguments.image, problem));
            opened.print_documents(&readable.chain(unreadable).collect::<Vec<_>>())?;
        }
    }
    let code = exit::worst(judged.iter().map(|judged| judged.verdict.exit_code()));
    drop(judged);
    Ok(opened.finish(code))
}

/// One image with what is said of it.
struct Judged<'o> {
    opened: &'o OpenedImage,
    findings: Vec<Finding>,
    verdict: Soundness,
    usage: Usage,
    space: Space,
    leftovers: usize,
}

impl<'o> Judged<'o> {
    fn of(opened: &'o OpenedImage, secrets: &Secrets) -> Self {
        let image = opened.image();
        let findings = image.findings();
        Self {
            opened,
            verdict: Soundness::of(&findings),
            findings,
            usage: Usage::of(&image),
            space: Space::of(&image),
            leftovers: secrets.leftovers(&image).len(),
        }
    }

    fn text(&self) -> String {
        let Self { findings, verdict, leftovers, .. } = self;
        let mut text = String::new();
        for finding in findings {
            write_finding(&mut text, finding);
        }
        if let Some(condition) = self.space.condition {
            line(&mut text, format_args!("{condition}: {}", condition.meaning()));
        }
        write_usage(&mut text, &self.usage);
        write_space(&mut text, &self.space);
        if *leftovers > 0 {
            line(
                &mut text,
                format_args!(
                    "leftovers: {leftovers} secrets that no device reads any more; goldline nvs leftovers lists them"
                ),
            );
        }
        let count = match findings.len() {
            0 => "nothing found".to_owned(),
            1 => "1 finding".to_owned(),
            more => format!("{more} findings"),
        };
        let condition = self.space.condition.map_or(String::new(), |said| format!(", {said}"));
        line(&mut text, format_args!("{verdict}: {count}{condition}"));
        text
    }
}

fn write_finding(text: &mut String, finding: &Finding) {
    let mut place = String::new();
    if let Some(page) = finding.page {
        write!(place, "page {page}, ").expect("a string takes all writes");
    }
    if let Some(entry) = finding.entry {
        write!(place, "entry {entry}, ").expect("a string takes all writes");
    }
    let Finding { code, severity, offset, message, consequence, .. } = finding;
    line(text, format_args!("{severity} {code}: {place}byte {offset:#x}: {message}"));
    line(text, format_args!("  on the device: {consequence}"));
    if let Some(repair) = &finding.repair {
        line(text, format_args!("  repair: {repair}"));
    }
}

fn write_usage(text: &mut String, usage: &Usage) {
    let Usage { pages, pages_free, entries_used, entries_erased, pages_opened, .. } = usage;
    line(
        text,
        format_args!(
            "capacity: {entries_used} entries used, {} free, {entries_erased} erased; {pages_free} of {pages} pages free",
            usage.entries_available()
        ),
    );
    line(
        text,
        format_args!(
            "updates: {} writes of one entry fit before a page must be erased",
            usage.updates_before_compaction(1)
        ),
    );
    line(
        text,
        format_args!(
            "wear: pages opened since new: {pages_opened}, erases of a page: {:.1}",
            usage.erases_per_page()
        ),
    );
}

fn write_space(text: &mut String, space: &Space) {
    if let (Some(string), Some(blob)) = (space.largest_string, space.largest_blob) {
        line(
            text,
            format_args!("room: a string of up to {string} bytes, or a blob of up to {blob}"),
        );
    }
    for (name, keys, entries) in &space.namespaces {
        line(text, format_args!("namespace {name}: {keys} keys in {entries} entries"));
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("a string takes all writes");
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    image: PathBuf,
    verdict: Answered,
    condition: Option<String>,
    answer: Option<Answer>,
    findings: Vec<JsonFinding>,
    usage: Option<JsonUsage>,
    leftover_secrets: usize,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answered {
    Judged(Soundness),
    Unreadable(&'static str),
}

/// Why there is nothing to judge.
#[derive(Serialize)]
struct Answer {
    code: String,
    message: String,
    action: Option<String>,
}

#[derive(Serialize)]
struct JsonFinding {
    code: &'static str,
    severity: String,
    page: Option<usize>,
    entry: Option<usize>,
    offset: usize,
    message: String,
    consequence: String,
    repair: Option<String>,
}

#[derive(Serialize)]
struct JsonUsage {
    pages: usize,
    pages_free: usize,
    entries_used: usize,
    entries_erased: usize,
    entries_available: usize,
    updates_before_compaction: usize,
    pages_opened: u64,
    erases_per_page: f64,
    largest_string: Option<usize>,
    largest_blob: Option<usize>,
    namespaces: Vec<JsonNamespace>,
}

#[derive(Serialize)]
struct JsonNamespace {
    name: String,
    keys: usize,
    entries: usize,
}

impl Document {
    fn of(judged: &Judged<'_>) -> Self {
        let Judged { opened, findings, verdict, usage, space, leftovers } = judged;
        Self {
            schema: 1,
            image: opened.path().to_owned(),
            verdict: Answered::Judged(*verdict),
            condition: space.condition.map(|condition| condition.to_string()),
            answer: None,
            findings: findings.iter().map(JsonFinding::of).collect(),
            usage: Some(JsonUsage::of(usage, space)),
            leftover_secrets: *leftovers,
        }
    }

    fn unreadable(image: &std::path::Path, problem: &NvsProblem) -> Self {
        let text = |shown: Box<dyn std::fmt::Display + '_>| shown.to_string();
        Self {
            schema: 1,
            image: image.to_owned(),
            verdict: Answered::Unreadable("unreadable"),
            condition: None,
            answer: Some(Answer {
                code: problem.code().map_or_else(String::new, text),
                message: problem.to_string(),
                action: problem.help().map(text),
            }),
            findings: Vec::new(),
            usage: None,
            leftover_secrets: 0,
        }
    }
}

impl JsonFinding {
    fn of(finding: &Finding) -> Self {
        Self {
            code: finding.code.as_str(),
            severity: finding.severity.to_string(),
            page: finding.page,
            entry: finding.entry,
            offset: finding.offset,
            message: finding.message.clone(),
            consequence: finding.consequence.clone(),
            repair: finding.repair.as_ref().map(ToString::to_string),
        }
    }
}

impl JsonUsage {
    fn of(usage: &Usage, space: &Space) -> Self {
        let namespace = |(name, keys, entries): &(Key, usize, usize)| JsonNamespace {
            name: name.to_string(),
            keys: *keys,
            entries: *entries,
        };
        Self {
            largest_string: space.largest_string,
            largest_blob: space.largest_blob,
            namespaces: space.namespaces.iter().map(namespace).collect(),
            pages: usage.pages,
            pages_free: usage.pages_free,
            entries_used: usage.entries_used,
            entries_erased: usage.entries_erased,
            entries_available: usage.entries_available(),
            updates_before_compaction: usage.updates_before_compaction(1),
            pages_opened: usage.pages_opened,
            erases_per_page: usage.erases_per_page(),
        }
    }
}
