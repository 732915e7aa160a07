//! `goldline station …`: what a station does with its own state, on purpose.

use clap::{Args, Subcommand, ValueEnum};

use super::{exit, output, problem::of_store, station_state::StateArgument};
use crate::{clock::Clock, store::StateDirectory};

#[derive(Subcommand)]
pub(super) enum StationCommand {
    /// Make a new CA or key in the place of one that is lost or must not be used any more
    Renew(RenewArguments),
}

#[derive(Args)]
pub(super) struct RenewArguments {
    /// Which
    what: Renewed,
    #[command(flatten)]
    state: StateArgument,
}

#[derive(Clone, Copy, ValueEnum)]
enum Renewed {
    /// The bench's CA: units that were provisioned before do not trust the new one
    Ca,
    /// The station's key: what was sealed with the old one cannot be read any more
    Key,
}

pub(super) fn run(command: &StationCommand) -> miette::Result<u8> {
    match command {
        StationCommand::Renew(arguments) => renew(arguments)?,
    }
    Ok(exit::PASS)
}

fn renew(arguments: &RenewArguments) -> miette::Result<()> {
    let state = &arguments.state;
    match arguments.what {
        Renewed::Ca => {
            state.open()?.renew_authority(&Clock::system()).map_err(of_store)?;
            output::print("a new CA was made; provision units again that were given the old one\n")
        }
        Renewed::Key => {
            StateDirectory::renew_key(&state.folder()?).map_err(of_store)?;
            output::print(
                "a new key was made; what this station remembered of units, and rows for the registry, are lost\n",
            )
        }
    }
}
