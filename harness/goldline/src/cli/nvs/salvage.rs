//! `goldline nvs salvage IMAGE OUT [SIZE]`: a fresh image of what is readable, also of one that a
//! device does not open, with a report of what was not.

use std::path::PathBuf;

use clap::Args;
use goldline_nvs::{
    crypt, generate,
    salvage::{Rescued, salvage},
};
use zeroize::Zeroizing;

use super::{
    files, generate::parse_size, input::PartArguments, keys::KeyArguments, opened::Opened,
    problem::NvsProblem, writable::lost_item,
};
use crate::{
    cli::{exit, output::print, overwrite::OverwriteArgument},
    output_file::Readers,
};

#[derive(Args)]
pub(super) struct SalvageArguments {
    /// An NVS partition, a dump of the flash, or - for standard input
    image: PathBuf,
    /// The image to write: one NVS partition, readable by its owner only
    out: PathBuf,
    /// Bytes of the new image; else the old one's, or what is needed
    #[arg(value_name = "SIZE", value_parser = parse_size)]
    new_size: Option<usize>,
    #[command(flatten)]
    part: PartArguments,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    overwrite: OverwriteArgument,
}

pub(super) fn run(arguments: &SalvageArguments) -> miette::Result<u8> {
    let SalvageArguments { image: path, out, new_size, part, keys, overwrite } = arguments;
    let inputs: Vec<_> = [Some(path.as_path()), keys.path()].into_iter().flatten().collect();
    files::refuse_input_as_output(out, &inputs)?;
    let place = files::output(out, overwrite.existing(), Readers::Owner)?;
    let keys = keys.read()?;
    let opened = Opened::read(path, part, keys.as_ref())?;
    let image = opened.the_only(path)?;
    let salvage = salvage(&image.image());
    if salvage.kept + salvage.rescued.len() == 0 {
        return Err(NvsProblem::NothingToSalvage { path: image.path().to_owned() }.into());
    }
    let size = new_size.unwrap_or(salvage.size);
    let plain = generate(&salvage.document, size, salvage.version)
        .map_err(|error| NvsProblem::Generate { path: image.path().to_owned(), error })?;
    let plain = Zeroizing::new(plain);
    match image.keys() {
        Some(keys) => place.write(&crypt::encrypt(&plain, keys)),
        None => place.write(&plain),
    }
    .map_err(NvsProblem::Output)?;
    let mut text: String = salvage.rescued.iter().map(rescued_item).collect();
    text.extend(salvage.lost.iter().map(|lost| format!("lost: {}\n", lost_item(lost))));
    text += &format!(
        "{} kept, {} rescued, {} lost, {size:#x} bytes\n",
        salvage.kept,
        salvage.rescued.len(),
        salvage.lost.len()
    );
    print(&text)?;
    Ok(match salvage.lost.is_empty() {
        true => exit::PASS,
        false => exit::FAIL,
    })
}

fn rescued_item(rescued: &Rescued) -> String {
    let Rescued { namespace, key, location, why } = rescued;
    format!("rescued: {namespace}/{key} ({location}): {why}\n")
}
