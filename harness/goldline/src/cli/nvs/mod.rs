//! `goldline nvs …`: NVS partitions on the desk, without a device.
//!
//! One file a subcommand, each with its arguments and its `run`; beside them what all share. The
//! codec does no I/O, so everything that reads, writes or prints is here; what an image means is
//! the codec's. Nothing here starts an async runtime.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `files` | reading whole files, writing whole files or none |
//! | `input` | a file that was looked at: one image, or a dump of the flash with its partitions |
//! | `keys`, `opened` | key files, and an image as plain bytes with the special answers |
//! | `writable` | what may be changed, and what is refused before it is |
//! | `name` | `NAMESPACE/KEY` in an argument |
//! | `value`, `soundness` | a value as text and JSON; findings as one word and exit code |
//! | `secrets` | which entries are secret: by a profile, or by what their names and their content tell |
//! | `problem` | what goes wrong, with its code and advice |

mod check;
mod convert;
mod diff;
mod edit;
mod files;
mod generate;
mod get;
mod input;
mod keygen;
mod keys;
mod leftovers;
mod name;
mod opened;
mod problem;
mod repair;
mod salvage;
mod secrets;
mod show;
mod soundness;
mod value;
mod writable;

use clap::{Args, Subcommand};

const CHECK_EXIT_CODES: &str = "\
Exit codes: 0 sound, 1 damaged or interrupted by a loss of power, 2 not readable, or usage.";
const DIFF_EXIT_CODES: &str = "Exit codes: 0 the same, 1 different, 2 trouble.";
const REPAIR_EXIT_CODES: &str = "\
Exit codes: 0 repaired, 1 repaired and still damaged, 2 nothing written.";
const SALVAGE_EXIT_CODES: &str = "\
Exit codes: 0 all of it, 1 some was lost, 2 nothing written.";
const LEFTOVERS_EXIT_CODES: &str = "Exit codes: 0 none found, 1 some found, 2 trouble.";

#[derive(Args)]
pub(super) struct NvsArguments {
    #[command(subcommand)]
    command: NvsCommand,
}

#[derive(Subcommand)]
enum NvsCommand {
    /// Make an image from a CSV
    Generate(generate::GenerateArguments),
    /// Show what a device reads from an image, secrets by type and length only
    #[command(after_help = CHECK_EXIT_CODES)]
    Show(show::ShowArguments),
    /// Print one value
    Get(get::GetArguments),
    /// Say what is wrong with an image, what a device makes of it, and how full and worn it is
    #[command(after_help = CHECK_EXIT_CODES)]
    Check(check::CheckArguments),
    /// Say what differs between two images, key by key
    #[command(after_help = DIFF_EXIT_CODES)]
    Diff(diff::DiffArguments),
    /// Make keys for an encrypted partition
    Keygen(keygen::KeygenArguments),
    /// Encrypt a plain image
    Encrypt(convert::ConvertArguments),
    /// Decrypt an encrypted image
    Decrypt(convert::ConvertArguments),
    /// Change keys of an image as a device would
    Edit(edit::EditArguments),
    /// Mend what one flipped bit explains, as check says it
    #[command(after_help = REPAIR_EXIT_CODES)]
    Repair(repair::RepairArguments),
    /// Make a fresh image of what is readable, also of one that a device does not open
    #[command(after_help = SALVAGE_EXIT_CODES)]
    Salvage(salvage::SalvageArguments),
    /// Find secrets that no device reads any more and the flash still holds
    #[command(after_help = LEFTOVERS_EXIT_CODES)]
    Leftovers(leftovers::LeftoversArguments),
}

pub(super) fn run(arguments: &NvsArguments) -> miette::Result<u8> {
    match &arguments.command {
        NvsCommand::Generate(arguments) => generate::run(arguments),
        NvsCommand::Show(arguments) => show::run(arguments),
        NvsCommand::Get(arguments) => get::run(arguments),
        NvsCommand::Check(arguments) => check::run(arguments),
        NvsCommand::Repair(arguments) => repair::run(arguments),
        NvsCommand::Salvage(arguments) => salvage::run(arguments),
        NvsCommand::Diff(arguments) => diff::run(arguments),
        NvsCommand::Keygen(arguments) => keygen::run(arguments),
        NvsCommand::Encrypt(arguments) => convert::encrypt(arguments),
        NvsCommand::Decrypt(arguments) => convert::decrypt(arguments),
        NvsCommand::Edit(arguments) => edit::run(arguments),
        NvsCommand::Leftovers(arguments) => leftovers::run(arguments),
    }
}
