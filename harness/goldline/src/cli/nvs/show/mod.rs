//! `goldline nvs show IMAGE`: what a device reads, as text for a review, as JSON, or as CSV for
//! `generate`; with `--raw` what lies in the flash, erased entries and all.
//!
//! Without `--secrets` no form shows a secret. Shows what is there and judges nothing: the exit
//! code and a remark on standard error only say when `nvs check` has more to say.

mod csv;
mod json;
mod raw;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use goldline_nvs::{
    DeviceView,
    snapshot::{masked, snapshot_with},
    space::Condition,
};

use super::{
    input::PartArguments,
    keys::KeyArguments,
    opened::{Opened, OpenedImage, why_closed},
    problem::NvsProblem,
    secrets::{SecretArguments, Secrets},
    soundness::Soundness,
};

use crate::cli::{
    exit,
    output::{complain, print},
};

#[derive(Args)]
pub(super) struct ShowArguments {
    /// An NVS partition, a dump of the flash, or - for standard input
    image: PathBuf,
    #[command(flatten)]
    part: PartArguments,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    secrets_of: SecretArguments,
    /// Text for a review, everything as JSON, or a CSV that generate takes
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Show the values of secrets too
    #[arg(long = "secrets")]
    shows_secrets: bool,
    /// Show what lies in the flash: pages, and every item, erased and damaged ones too
    #[arg(long)]
    raw: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Csv,
}

pub(super) fn run(arguments: &ShowArguments) -> miette::Result<u8> {
    let keys = arguments.keys.read()?;
    let secrets = arguments.secrets_of.read()?;
    let opened = Opened::read(&arguments.image, &arguments.part, keys.as_ref())?;
    match arguments.format {
        Format::Text => print(&text(&opened, &secrets, arguments))?,
        Format::Json => print_documents(&opened, &secrets, arguments)?,
        Format::Csv => print(&csv_text(&opened, &secrets, arguments)?)?,
    }
    let code = exit::worst(opened.each(|image| {
        let verdict = Soundness::of(&image.image().findings());
        remark(image, &image.image().device_view(), verdict);
        verdict.exit_code()
    }));
    Ok(opened.finish(code))
}

/// Every image, those of a dump each under its label.
fn text(opened: &Opened, secrets: &Secrets, arguments: &ShowArguments) -> String {
    let of_image = |opened: &OpenedImage| {
        let (image, view) = (opened.image(), opened.image().device_view());
        match arguments.raw {
            true => raw::text(&image, &view, arguments.shows_secrets),
            false => review_text(&view, secrets, arguments.shows_secrets),
        }
    };
    opened.sections(opened.each(of_image))
}

fn print_documents(
    opened: &Opened,
    secrets: &Secrets,
    arguments: &ShowArguments,
) -> miette::Result<()> {
    let shows_secrets = arguments.shows_secrets;
    let documents = opened.images.iter().map(|opened| {
        let (image, view) = (opened.image(), opened.image().device_view());
        let verdict = Soundness::of(&image.findings());
        let pages = arguments.raw.then(|| raw::pages(&image, &view, shows_secrets));
        json::Document::of(opened, &view, verdict, secrets, shows_secrets).with_pages(pages)
    });
    opened.print_documents(&documents.collect::<Vec<_>>())
}

fn csv_text(
    opened: &Opened,
    secrets: &Secrets,
    arguments: &ShowArguments,
) -> Result<String, NvsProblem> {
    if arguments.raw {
        return Err(NvsProblem::CsvOfRaw);
    }
    let image = opened.the_only(&arguments.image)?;
    csv::text(&image.device_view()?, secrets, arguments.shows_secrets)
}

/// The snapshot that goldens hold; a secret that was asked for stands there whole.
fn review_text(view: &DeviceView, secrets: &Secrets, shows_secrets: bool) -> String {
    snapshot_with(view, &secrets.rule_for(view), |entry| match shows_secrets {
        true => super::value::whole_entry(entry),
        false => masked(entry),
    })
}

/// Says on standard error what the view alone does not.
fn remark(opened: &OpenedImage, view: &DeviceView, verdict: Soundness) {
    let path = opened.path().display();
    if let Some(why) = why_closed(view.opening()) {
        complain(&format!("{path}: a device does not open it: {why}"));
    }
    if let Some(condition) = Condition::of(&opened.image()) {
        complain(&format!("{path}: {condition}: {}", condition.meaning()));
    }
    if verdict != Soundness::Sound {
        complain(&format!(
            "{path}: the image is {verdict}; goldline nvs check says what and where"
        ));
    }
}
