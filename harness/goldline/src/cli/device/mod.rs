//! `goldline device …`: the serial ports of this machine, and the unit at one, without a profile.

mod erase;
mod flash;
mod info;
mod list;
mod monitor;
mod number;
mod read;
mod reset;
pub(super) mod unit;

use clap::Subcommand;

use unit::Failure;

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 the unit failed (or monitor did not see its text), 2 usage (nothing written), 3 the port or the \
bench failed.";

#[derive(Subcommand)]
#[command(after_help = EXIT_CODES)]
pub(super) enum DeviceCommand {
    /// List the serial ports: what each is, where it is plugged in, and who has it
    List(list::ListArguments),
    /// Say which chip a unit has, its MAC and the size of its flash
    Info(info::InfoArguments),
    /// Write files, or a whole build, into the flash, and compare them with the unit's own digests
    Flash(flash::FlashArguments),
    /// Read a region of the flash into a file
    Read(read::ReadArguments),
    /// Erase the flash, or a region of it
    Erase(erase::EraseArguments),
    /// Reset a unit into its application, or into its download mode
    Reset(reset::ResetArguments),
    /// Print what a unit says, with the time of each line
    Monitor(monitor::MonitorArguments),
}

pub(super) fn run(command: &DeviceCommand) -> miette::Result<u8> {
    let outcome = match command {
        DeviceCommand::List(arguments) => return list::list(arguments),
        DeviceCommand::Info(arguments) => info::info(arguments),
        DeviceCommand::Flash(arguments) => flash::flash(arguments),
        DeviceCommand::Read(arguments) => read::read(arguments),
        DeviceCommand::Erase(arguments) => erase::erase(arguments),
        DeviceCommand::Reset(arguments) => reset::reset(arguments),
        DeviceCommand::Monitor(arguments) => monitor::monitor(arguments),
    };
    outcome.or_else(Failure::end)
}
