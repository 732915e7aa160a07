//! `goldline nvs encrypt` and `decrypt`: a whole image from one form into the other.

use std::path::PathBuf;

use clap::Args;
use goldline_nvs::crypt;

use super::{
    files::{self, Readers},
    keys::KeyArguments,
    opened::OpenedImage,
    problem::{NvsProblem, Unreadable},
};
use crate::cli::exit;

#[derive(Args)]
pub(super) struct ConvertArguments {
    /// The image, a whole NVS partition
    image: PathBuf,
    /// The image to write; a decrypted one is readable by its owner only
    out: PathBuf,
    #[command(flatten)]
    keys: KeyArguments,
}

impl ConvertArguments {
    fn refuse_input_as_output(&self) -> Result<(), NvsProblem> {
        let inputs: Vec<_> =
            [Some(self.image.as_path()), self.keys.path()].into_iter().flatten().collect();
        files::refuse_input_as_output(&self.out, &inputs)
    }
}

pub(super) fn encrypt(arguments: &ConvertArguments) -> miette::Result<u8> {
    arguments.refuse_input_as_output()?;
    let keys = arguments.keys.read_required()?;
    let plain = match OpenedImage::open(&arguments.image, None) {
        Err(NvsProblem::Unreadable { path, why: Unreadable::LooksEncrypted }) => {
            return Err(NvsProblem::AlreadyEncrypted { path }.into());
        }
        outcome => outcome?,
    };
    files::write(&arguments.out, &crypt::encrypt(plain.plain(), &keys), Readers::AsBefore)?;
    Ok(exit::PASS)
}

pub(super) fn decrypt(arguments: &ConvertArguments) -> miette::Result<u8> {
    arguments.refuse_input_as_output()?;
    let keys = arguments.keys.read_required()?;
    let opened = OpenedImage::open(&arguments.image, Some(&keys))?;
    files::write(&arguments.out, opened.plain(), Readers::Owner)?;
    Ok(exit::PASS)
}
