//! `goldline nvs check IMAGE`: findings, capacity and wear, as text or as one JSON document.
//!
//! ```text
//! { "schema": 1, "image", "verdict": "sound|interrupted|damaged|unreadable",
//!   "answer": {"code","message","action"} of an unreadable image, else null,
//!   "findings": [{"code","severity","page","entry","offset","message","consequence","repair"}],
//!   "usage": {…} of a readable image, "leftover_secrets": 0 }
//! ```

use std::{fmt::Write, path::PathBuf};

use clap::{Args, ValueEnum};
use goldline_nvs::{Finding, Image, usage::Usage};
use miette::Diagnostic;
use serde::Serialize;

use super::{
    keys::KeyArguments, opened::OpenedImage, problem::NvsProblem, secrets::SecretArguments,
    verdict::Verdict,
};

use crate::cli::output::{print, print_json};

#[derive(Args)]
pub(super) struct CheckArguments {
    /// The image, a whole NVS partition
    image: PathBuf,
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
    let opened = keys.and_then(|keys| OpenedImage::open(&arguments.image, keys.as_ref()));
    let opened = match opened {
        Ok(opened) => opened,
        Err(problem) => {
            if arguments.format == Format::Json {
                print_json(&Document::unreadable(&arguments.image, &problem))?;
            }
            return Err(problem.into());
        }
    };
    let image = opened.image();
    let findings = image.findings();
    let verdict = Verdict::of(&findings);
    let leftovers = secrets.leftovers(&image).len();
    match arguments.format {
        Format::Text => print(&text(&image, &findings, leftovers, verdict))?,
        Format::Json => print_json(&Document::of(&opened, &findings, leftovers, verdict))?,
    }
    Ok(verdict.exit_code())
}

fn text(image: &Image<'_>, findings: &[Finding], leftovers: usize, verdict: Verdict) -> String {
    let mut text = String::new();
    for finding in findings {
        write_finding(&mut text, finding);
    }
    write_usage(&mut text, &Usage::of(image));
    if leftovers > 0 {
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
    line(&mut text, format_args!("{verdict}: {count}"));
    text
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

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("a string takes all writes");
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    image: PathBuf,
    verdict: Answered,
    answer: Option<Answer>,
    findings: Vec<JsonFinding>,
    usage: Option<JsonUsage>,
    leftover_secrets: usize,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answered {
    Judged(Verdict),
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
}

impl Document {
    fn of(opened: &OpenedImage, findings: &[Finding], leftovers: usize, verdict: Verdict) -> Self {
        Self {
            schema: 1,
            image: opened.path().to_owned(),
            verdict: Answered::Judged(verdict),
            answer: None,
            findings: findings.iter().map(JsonFinding::of).collect(),
            usage: Some(JsonUsage::of(&Usage::of(&opened.image()))),
            leftover_secrets: leftovers,
        }
    }

    fn unreadable(image: &std::path::Path, problem: &NvsProblem) -> Self {
        let text = |shown: Box<dyn std::fmt::Display + '_>| shown.to_string();
        Self {
            schema: 1,
            image: image.to_owned(),
            verdict: Answered::Unreadable("unreadable"),
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
    fn of(usage: &Usage) -> Self {
        Self {
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
