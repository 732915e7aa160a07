//! `goldline device info`: which chip, which address, how much flash.

use clap::Args;
use serde::Serialize;

use super::unit::{DeviceArgument, Outcome};
use crate::{
    cli::{exit, output, table::aligned},
    device::ChipFacts,
};

#[derive(Args)]
pub(in crate::cli) struct InfoArguments {
    #[command(flatten)]
    device: DeviceArgument,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// A unit, in its own words.
#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Info {
    /// Such as `esp32c3`
    chip: String,
    /// Major and minor, such as `3.0`
    revision: Option<String>,
    /// Base MAC
    mac: String,
    /// Of the flash, in bytes
    flash_size: u32,
}

impl From<ChipFacts> for Info {
    fn from(ChipFacts { chip, revision, mac, flash_size }: ChipFacts) -> Self {
        Self {
            chip: chip.to_string(),
            revision: revision.map(|(major, minor)| format!("{major}.{minor}")),
            mac: mac.to_string(),
            flash_size,
        }
    }
}

impl Info {
    pub(super) fn in_short(&self) -> String {
        format!("{} {}", self.chip, self.mac)
    }
}

pub(super) fn info(arguments: &InfoArguments) -> Outcome {
    let mut unit = arguments.device.open()?;
    let info = Info::from(unit.identify()?);
    unit.leave();
    if arguments.json {
        output::print_json(&info)?;
        return Ok(exit::PASS);
    }
    let revision = info.revision.unwrap_or_else(|| "not told".to_owned());
    let flash = format!("{} bytes ({} MB)", info.flash_size, info.flash_size >> 20);
    let rows = [("chip", info.chip), ("revision", revision), ("MAC", info.mac), ("flash", flash)];
    output::print(&aligned(&rows.map(|(name, value)| vec![name.to_owned(), value])))?;
    Ok(exit::PASS)
}
