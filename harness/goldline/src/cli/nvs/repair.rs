//! `goldline nvs repair IMAGE OUT`: the image with every bit flipped back that `check` names.
//!
//! Nothing else is changed, and the image itself is left as it is.

use std::path::PathBuf;

use clap::Args;
use goldline_nvs::repair::{Applied, repair};

use super::{
    files, input::PartArguments, keys::KeyArguments, problem::NvsProblem, soundness::Soundness,
    writable::Writable,
};
use crate::{
    cli::{exit, output::print, overwrite::OverwriteArgument},
    output_file::Readers,
};

#[derive(Args)]
pub(super) struct RepairArguments {
    /// An NVS partition, a dump of the flash, or - for standard input
    image: PathBuf,
    /// The file to write: the same, repaired; of a dump all of it
    out: PathBuf,
    #[command(flatten)]
    part: PartArguments,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    overwrite: OverwriteArgument,
}

pub(super) fn run(arguments: &RepairArguments) -> miette::Result<u8> {
    let RepairArguments { image: path, out, part, keys, overwrite } = arguments;
    let inputs: Vec<_> = [Some(path.as_path()), keys.path()].into_iter().flatten().collect();
    files::refuse_input_as_output(out, &inputs)?;
    let place = files::output(out, overwrite.existing(), Readers::Owner)?;
    let keys = keys.read()?;
    let writable = Writable::open_unjudged(path, part, keys.as_ref())?;
    let name = || writable.image().path().to_owned();
    let repaired = repair(writable.image().plain()).expect("what was opened has a page");
    if repaired.applied.is_empty() {
        let is_sound = Soundness::of(&repaired.remaining) == Soundness::Sound;
        return Err(match is_sound {
            true => NvsProblem::NothingDamaged { path: name() },
            false => NvsProblem::NothingToRepair { path: name() },
        }
        .into());
    }
    place.write(&writable.file_with(&repaired.bytes)).map_err(NvsProblem::Output)?;
    let mut text: String = repaired.applied.iter().map(line).collect();
    let verdict = Soundness::of(&repaired.remaining);
    text += &format!("{verdict}: {} repaired, {} left\n", repaired.applied.len(), {
        repaired.remaining.iter().filter(|finding| finding.severity.is_damage()).count()
    });
    print(&text)?;
    Ok(match verdict {
        Soundness::Damaged => exit::FAIL,
        Soundness::Sound | Soundness::Interrupted => exit::PASS,
    })
}

fn line(applied: &Applied) -> String {
    let Applied { code, page, entry, repair } = applied;
    let page = page.map_or(String::new(), |page| format!(" page {page}"));
    let entry = entry.map_or(String::new(), |entry| format!(" entry {entry}"));
    format!("repaired {code}{page}{entry}: {repair}\n")
}
