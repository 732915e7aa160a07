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
use goldline_nvs::{DeviceView, snapshot::snapshot_with};

use super::{
    keys::KeyArguments,
    opened::{OpenedImage, why_closed},
    problem::NvsProblem,
    secrets::{SecretArguments, Secrets},
    verdict::Verdict,
};

use crate::cli::output::{print, print_json};

#[derive(Args)]
pub(super) struct ShowArguments {
    /// The image, a whole NVS partition
    image: PathBuf,
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
    let opened = OpenedImage::open(&arguments.image, keys.as_ref())?;
    let image = opened.image();
    let view = image.device_view();
    let verdict = Verdict::of(&image.findings());
    let shows_secrets = arguments.shows_secrets;
    match (arguments.format, arguments.raw) {
        (Format::Text, false) => print(&review_text(&view, &secrets, shows_secrets))?,
        (Format::Text, true) => print(&raw::text(&image, &view, shows_secrets))?,
        (Format::Json, is_raw) => {
            let pages = is_raw.then(|| raw::pages(&image, &view, shows_secrets));
            let document = json::Document::of(&opened, &view, verdict, &secrets, shows_secrets);
            print_json(&document.with_pages(pages))?;
        }
        (Format::Csv, true) => return Err(NvsProblem::CsvOfRaw.into()),
        (Format::Csv, false) => {
            print(&csv::text(&opened.device_view()?, &secrets, shows_secrets)?)?
        }
    }
    remark(&opened, &view, verdict);
    Ok(verdict.exit_code())
}

/// The snapshot that goldens hold; a secret that was asked for stands there whole.
fn review_text(view: &DeviceView, secrets: &Secrets, shows_secrets: bool) -> String {
    snapshot_with(view, &secrets.rule_for(view), |entry| match shows_secrets {
        true => super::value::whole(&entry.value),
        false => "<secret>".to_owned(),
    })
}

/// Says on standard error what the view alone does not.
fn remark(opened: &OpenedImage, view: &DeviceView, verdict: Verdict) {
    let path = opened.path().display();
    if let Some(why) = why_closed(view.opening()) {
        eprintln!("{path}: a device does not open it: {why}");
    }
    if verdict != Verdict::Sound {
        eprintln!("{path}: the image is {verdict}; goldline nvs check says what and where");
    }
}
