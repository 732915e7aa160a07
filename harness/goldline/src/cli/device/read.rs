//! `goldline device read`: a region of the flash into a file, compared with the unit's own digest.

use std::path::PathBuf;

use clap::Args;
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::{
    number::number,
    unit::{DeviceArgument, Failure, Outcome, bar, refuse_past_the_end},
};
use crate::{
    cli::{
        exit, output,
        overwrite::OverwriteArgument,
        problem::{usage, usage_with_help},
    },
    hex::hex,
    output_file::{OutputFile, Readers},
};

/// What is read at a time, each with a digest of its own: a bar moves that often.
const PIECE: u32 = 256 << 10;

#[derive(Args)]
pub(in crate::cli) struct ReadArguments {
    /// Where the region begins: bytes, decimal, 0x… or with K or M behind
    #[arg(value_parser = number)]
    offset: u32,
    /// How many bytes, in the same forms
    #[arg(value_parser = number)]
    size: u32,
    /// The file, which only its owner can read: a flash holds secrets
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArgument,
    #[command(flatten)]
    device: DeviceArgument,
}

pub(super) fn read(arguments: &ReadArguments) -> Outcome {
    let ReadArguments { offset, size, out, overwrite, device } = arguments;
    let (offset, size) = (*offset, *size);
    if size == 0 {
        return Err(Failure::Usage(usage("no byte is to be read: name a size of at least 1")));
    }
    let place = OutputFile::at(out, overwrite.existing(), Readers::Owner).map_err(usage)?;
    let mut unit = device.open()?;
    let facts = unit.identify()?;
    refuse_past_the_end(offset, size, "what is to be read", &facts)?;
    let bar = bar(size.into(), "reading".to_owned());
    let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize));
    for at in (0..size).step_by(PIECE as usize) {
        let piece = unit.device.read(offset + at, PIECE.min(size - at))?;
        bytes.extend_from_slice(&piece);
        bar.set_position(bytes.len() as u64);
    }
    bar.finish_and_clear();
    let digest: [u8; 16] = Md5::digest(bytes.as_slice()).into();
    let own = unit.device.digest(offset, size)?;
    if digest != own {
        return Err(Failure::BadUnit(usage_with_help(
            format!(
                "what was read has the MD5 {}, and the unit's own of the same region is {}: nothing was written",
                hex(&digest),
                hex(&own)
            ),
            "read it once more; a unit that fails again has a flash that does not keep its bytes",
        )));
    }
    unit.leave();
    place.write(&bytes).map_err(usage)?;
    output::print(&format!(
        "{offset:#010x}  {size:>8} bytes  md5 {}  {}\n",
        hex(&digest),
        out.display()
    ))?;
    Ok(exit::PASS)
}
