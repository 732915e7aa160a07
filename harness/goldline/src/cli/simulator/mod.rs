//! `goldline simulator …`: the simulated unit by itself, for whoever has no hardware.

mod faults;
mod serve;

use clap::Subcommand;

use super::exit;
use serve::ServeArguments;

#[derive(Subcommand)]
pub(super) enum SimulatorCommand {
    /// List every fault that --fault takes, and what it does
    Faults {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Serve a simulated unit on a port of its own until interrupted
    Serve(Box<ServeArguments>),
}

pub(super) fn run(command: SimulatorCommand) -> miette::Result<u8> {
    match command {
        SimulatorCommand::Faults { json } => faults::list(json)?,
        SimulatorCommand::Serve(arguments) => serve::serve(&arguments)?,
    }
    Ok(exit::PASS)
}
