//! `goldline nvs edit IMAGE`: keys changed as a device changes them, or written into a fresh image.
//!
//! All changes are made or none. What a change replaces stays in the flash, marked erased, unless
//! `--compact` makes the image anew.

mod assignment;
mod fresh;
pub(super) mod source;

use std::path::PathBuf;

use clap::Args;
use goldline_nvs::{Image, SecretRule, edit::Editor};
use zeroize::Zeroizing;

use super::{
    files,
    input::PartArguments,
    keys::KeyArguments,
    name,
    opened::OpenedImage,
    problem::NvsProblem,
    writable::{ForceArgument, Writable},
};
use crate::{cli::exit, output_file::Readers};
use assignment::Assignment;

#[derive(Args)]
pub(super) struct EditArguments {
    /// An NVS partition, a dump of the flash, or - for standard input
    image: PathBuf,
    #[command(flatten)]
    part: PartArguments,
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
    #[command(flatten)]
    force: ForceArgument,
}

pub(super) fn run(arguments: &EditArguments) -> miette::Result<u8> {
    let EditArguments { image: path, settings, removals, compact, .. } = arguments;
    if settings.is_empty() && removals.is_empty() && !compact {
        return Err(NvsProblem::NothingToDo.into());
    }
    let output = match &arguments.output {
        Some(output) => output,
        None if files::is_standard_input(path) => return Err(NvsProblem::NoPlaceToWrite.into()),
        None => path,
    };
    let inputs: Vec<_> = arguments.keys.path().into_iter().collect();
    files::refuse_input_as_output(output, &inputs)?;
    let is_in_place = arguments.output.as_ref().is_none_or(|output| output == path);
    let place = |readers| match is_in_place {
        true => files::in_place(output, readers),
        false => files::output(output, arguments.force.existing(), readers),
    };
    place(Readers::AsBefore)?;
    let keys = arguments.keys.read()?;
    let writable = Writable::open(path, &arguments.part, keys.as_ref(), &arguments.force)?;
    let view = writable.image().image().device_view();
    let settings = settings.iter().map(|argument| Assignment::parse(argument, &view));
    let settings: Vec<Assignment> = settings.collect::<Result<_, _>>()?;
    let mut plain = changed(writable.image(), removals, &settings)?;
    if *compact {
        plain = Zeroizing::new(fresh::image(&plain, path)?);
    }
    let readers = match writable.image().is_encrypted() || !holds_secret(&plain) {
        true => Readers::AsBefore,
        false => Readers::Owner,
    };
    place(readers)?.write(&writable.file_with(&plain)).map_err(NvsProblem::Output)?;
    Ok(exit::PASS)
}

/// Whether a device reads a secret from it.
fn holds_secret(plain: &[u8]) -> bool {
    let view = Image::decode(plain).expect("the editor has made it").device_view();
    let rule = SecretRule::careful();
    view.entries().iter().any(|entry| rule.is_secret(&entry.namespace, &entry.key, &entry.value))
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
    let view = opened.image().device_view();
    for name in removals {
        let form = NvsProblem::Form { option: "--remove", form: "NAMESPACE/KEY" };
        let (namespace, key) = name::split(name, &view).ok_or(form)?;
        if !editor.remove(namespace, key) {
            return Err(NvsProblem::NoSuchKey { path: path(), name: name.clone() });
        }
    }
    for Assignment { namespace, key, value } in settings {
        editor.set(namespace, key, value).map_err(failed)?;
    }
    Ok(Zeroizing::new(editor.finish()))
}
