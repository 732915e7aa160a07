//! `goldline device reset`: starts the application, or leaves the unit in its loader.

use clap::Args;

use super::unit::{DeviceArgument, Outcome};
use crate::cli::{exit, output};

#[derive(Args)]
pub(in crate::cli) struct ResetArguments {
    /// Leave it in its download mode, where a loader's client finds it
    #[arg(long)]
    download: bool,
    #[command(flatten)]
    device: DeviceArgument,
}

pub(super) fn reset(arguments: &ResetArguments) -> Outcome {
    let mut unit = arguments.device.open()?;
    if !arguments.download {
        unit.device.boot()?;
        output::print("reset into its application\n")?;
        return Ok(exit::PASS);
    }
    // That it answers is the proof that it came there; then nothing of this session is left in it.
    let facts = unit.identify()?;
    unit.device.wait_in_loader()?;
    output::print(&format!("the {} {} waits in its download mode\n", facts.chip, facts.mac))?;
    Ok(exit::PASS)
}
