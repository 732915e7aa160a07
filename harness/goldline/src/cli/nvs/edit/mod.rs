//! `goldline nvs edit IMAGE`: keys changed as a device changes them, or written into a fresh image.
//!
//! All changes are made or none. What a change replaces stays in the flash, marked erased, unless
//! `--compact` makes the image anew.

mod assignment;
mod fresh;
pub(super) mod source;

use std::path::PathBuf;

use clap::Args;
use goldline_nvs::{crypt, edit::Editor};
use zeroize::Zeroizing;

use super::{
    files::{self, Readers},
    keys::KeyArguments,
    opened::OpenedImage,
    problem::NvsProblem,
};
use crate::cli::exit;
use assignment::Assignment;

#[derive(Args)]
pub(super) struct EditArguments {
    /// The image, a whole NVS partition
    image: PathBuf,
    /// Set a key; a secret goes as @FILE or $VARIABLE, one line's end at the end not counting
    #[arg(long = "set", value_name = "NAMESPACE/KEY:ENCODING=VALUE|@FILE|$VARIABLE")]
    settings: Vec<String>,
    /// Remove a key; removals come before settings
    #[arg(long = "remove", value_name = "NAMESPACE/KEY")]
    removals: Vec<String>,
    /// Make a fresh image: no erased entries, so no old secrets, and all pages new
    #[arg(long)]
    compact: bool,
    /// Write here and leave the image as it is
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArguments,
}

pub(super) fn run(arguments: &EditArguments) -> miette::Result<u8> {
    let EditArguments { image: path, settings, removals, compact, .. } = arguments;
    if settings.is_empty() && removals.is_empty() && !compact {
        return Err(NvsProblem::NothingToDo.into());
    }
    let output = arguments.output.as_ref().unwrap_or(path);
    let inputs: Vec<_> = arguments.keys.path().into_iter().collect();
    files::refuse_input_as_output(output, &inputs)?;
    let settings = settings.iter().map(|argument| Assignment::parse(argument));
    let settings: Vec<Assignment> = settings.collect::<Result<_, _>>()?;
    let keys = arguments.keys.read()?;
    let opened = OpenedImage::open(path, keys.as_ref())?;
    let mut plain = changed(&opened, removals, &settings)?;
    if *compact {
        plain = Zeroizing::new(fresh::image(&plain, path)?);
    }
    match keys {
        Some(keys) => files::write(output, &crypt::encrypt(&plain, &keys), Readers::AsBefore)?,
        None => files::write(output, &plain, Readers::AsBefore)?,
    }
    Ok(exit::PASS)
}

/// The plain image after all changes.
fn changed(
    opened: &OpenedImage,
    removals: &[String],
    settings: &[Assignment],
) -> Result<Zeroizing<Vec<u8>>, NvsProblem> {
    let path = || opened.path().to_owned();
    let failed = |error| NvsProblem::Edit { path: path(), error };
    let mut editor = Editor::open(opened.plain()).map_err(failed)?;
    for name in removals {
        let form = NvsProblem::Form { option: "--remove", form: "NAMESPACE/KEY" };
        let (namespace, key) = name.split_once('/').ok_or(form)?;
        if !editor.remove(namespace, key) {
            return Err(NvsProblem::NoSuchKey { path: path(), name: name.clone() });
        }
    }
    for Assignment { namespace, key, value } in settings {
        editor.set(namespace, key, value).map_err(failed)?;
    }
    Ok(Zeroizing::new(editor.finish()))
}
