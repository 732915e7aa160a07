//! `goldline nvs encrypt` and `decrypt`: a whole image from one form into the other.

use std::path::PathBuf;

use clap::Args;
use goldline_nvs::crypt::{self, Keys};

use super::{
    files,
    input::PartArguments,
    keys::KeyArguments,
    problem::{NvsProblem, Unreadable},
    writable::{ForceArgument, Writable},
};
use crate::{
    cli::exit,
    output_file::{OutputFile, Readers},
};

#[derive(Args)]
pub(super) struct ConvertArguments {
    /// An NVS partition, a dump of the flash, or - for standard input
    image: PathBuf,
    /// The file to write, of a dump all of it; a decrypted one is readable by its owner only
    out: PathBuf,
    #[command(flatten)]
    part: PartArguments,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    force: ForceArgument,
}

impl ConvertArguments {
    fn open(&self, keys: Option<&Keys>) -> Result<Writable, NvsProblem> {
        Writable::open(&self.image, &self.part, keys, &self.force)
    }

    fn place(&self, readers: Readers) -> Result<OutputFile, NvsProblem> {
        let inputs: Vec<_> =
            [Some(self.image.as_path()), self.keys.path()].into_iter().flatten().collect();
        files::refuse_input_as_output(&self.out, &inputs)?;
        files::output(&self.out, self.force.existing(), readers)
    }
}

pub(super) fn encrypt(arguments: &ConvertArguments) -> miette::Result<u8> {
    let place = arguments.place(Readers::AsBefore)?;
    let keys = arguments.keys.read_required()?;
    let plain = match arguments.open(None) {
        Err(NvsProblem::Unreadable { path, why: Unreadable::LooksEncrypted }) => {
            return Err(NvsProblem::AlreadyEncrypted { path }.into());
        }
        outcome => outcome?,
    };
    if plain.image().is_encrypted() {
        let path = plain.image().path().to_owned();
        return Err(NvsProblem::AlreadyEncrypted { path }.into());
    }
    let file = plain.file_with_bytes(&crypt::encrypt(plain.image().plain(), &keys));
    // The rest of a dump is as plain as it was, its key partition too.
    let place = match plain.image().part() {
        None => place,
        Some(_) => arguments.place(Readers::Owner)?,
    };
    place.write(&file).map_err(NvsProblem::Output)?;
    Ok(exit::PASS)
}

pub(super) fn decrypt(arguments: &ConvertArguments) -> miette::Result<u8> {
    let place = arguments.place(Readers::Owner)?;
    let keys = arguments.keys.read()?;
    let opened = arguments.open(keys.as_ref())?;
    // Without keys of the user's it was decrypted with those of the dump, or it was plain.
    if !opened.image().is_encrypted() && keys.is_none() {
        return Err(NvsProblem::NoKeys.into());
    }
    let file = opened.file_with_bytes(opened.image().plain());
    place.write(&file).map_err(NvsProblem::Output)?;
    Ok(exit::PASS)
}
