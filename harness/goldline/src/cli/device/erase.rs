//! `goldline device erase`: the whole flash or a region of it, after a question.

use clap::Args;
use md5::{Digest, Md5};

use super::{
    number::number,
    unit::{DeviceArgument, Failure, Outcome, refuse_past_the_end},
};
use crate::cli::{
    exit, operator, output,
    problem::{usage, usage_with_help},
};

/// What the flash erases at a time.
const SECTOR: u32 = 0x1000;
const BLANK: u8 = 0xFF;

#[derive(Args)]
pub(in crate::cli) struct EraseArguments {
    /// Where the region begins, at a sector of 4096 bytes: bytes, decimal, 0x… or with K or M behind; the whole flash
    /// unless given
    #[arg(value_parser = number, requires = "size")]
    offset: Option<u32>,
    /// How many bytes, whole sectors, in the same forms
    #[arg(value_parser = number)]
    size: Option<u32>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    device: DeviceArgument,
}

pub(super) fn erase(arguments: &EraseArguments) -> Outcome {
    let region = arguments.offset.zip(arguments.size);
    if let Some((offset, size)) = region {
        refuse_parts_of_sectors(offset, size)?;
    }
    let mut unit = arguments.device.open()?;
    let facts = unit.identify()?;
    let (offset, size) = region.unwrap_or((0, facts.flash_size));
    refuse_past_the_end(offset, size, "what is to be erased", &facts)?;
    let what = match region {
        Some(_) => format!("{size:#x} bytes at {offset:#x}"),
        None => "the whole flash".to_owned(),
    };
    if !arguments.yes {
        let question = format!("erase {what} of the {} {}?", facts.chip, facts.mac);
        if operator::ask_on_terminal()(&question) != Some(true) {
            unit.leave();
            return Err(Failure::Usage(usage_with_help(
                "nothing was erased",
                "answer y, or give --yes where nobody can be asked",
            )));
        }
    }
    match region {
        None => unit.device.erase()?,
        Some(_) => unit.device.erase_sectors(offset, size)?,
    }
    let digest = unit.device.digest(offset, size)?;
    if digest[..] != Md5::digest(vec![BLANK; size as usize])[..] {
        return Err(Failure::BadUnit(usage_with_help(
            format!("{what} is not blank after it was erased"),
            "erase it once more; a unit that fails again has a bad or a locked flash",
        )));
    }
    unit.leave();
    output::print(&format!("erased {what}\n"))?;
    Ok(exit::PASS)
}

fn refuse_parts_of_sectors(offset: u32, size: u32) -> Result<(), Failure> {
    if size > 0 && offset.is_multiple_of(SECTOR) && size.is_multiple_of(SECTOR) {
        return Ok(());
    }
    Err(Failure::Usage(usage(format!(
        "{size:#x} bytes at {offset:#x} are not whole sectors of the flash: expected multiples of {SECTOR:#x}"
    ))))
}
