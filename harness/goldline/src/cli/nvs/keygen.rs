//! `goldline nvs keygen OUT`: new keys from the operating system's generator.

use std::path::PathBuf;

use clap::Args;
use goldline_nvs::crypt::Keys;
use zeroize::Zeroizing;

use super::{files, problem::NvsProblem};
use crate::cli::exit;

#[derive(Args)]
pub(super) struct KeygenArguments {
    /// The key file to write, readable by its owner only; an existing one is never overwritten
    out: PathBuf,
    /// Make an HMAC key for eFuse, 32 bytes, instead of an nvs_keys partition
    #[arg(long)]
    hmac: bool,
}

pub(super) fn run(arguments: &KeygenArguments) -> miette::Result<u8> {
    let place = files::new_key_file(&arguments.out)?;
    match arguments.hmac {
        true => place.write(random::<32>()?.as_slice()),
        false => place.write(&Keys::new(*random::<64>()?).to_partition()),
    }
    .map_err(NvsProblem::Output)?;
    Ok(exit::PASS)
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, NvsProblem> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(NvsProblem::Random)?;
    Ok(bytes)
}
