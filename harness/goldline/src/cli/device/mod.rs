//! `goldline device …`: the serial ports of this machine, and the unit at one, without a profile.

mod list;

use clap::Subcommand;

use list::ListArguments;

#[derive(Subcommand)]
pub(super) enum DeviceCommand {
    /// List the serial ports: what each is, where it is plugged in, and who has it
    List(ListArguments),
}

pub(super) fn run(command: &DeviceCommand) -> miette::Result<u8> {
    match command {
        DeviceCommand::List(arguments) => list::list(arguments),
    }
}
