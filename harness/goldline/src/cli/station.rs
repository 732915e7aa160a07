//! `goldline station …`: what a station does with its own state, on purpose.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{
    exit, output,
    problem::of_store,
    station_state::{StateArgument, runtime},
};
use crate::{
    clock::Clock,
    store::{Migrated, StateDirectory},
};

#[derive(Subcommand)]
pub(super) enum StationCommand {
    /// Make a new CA or key in the place of one that is lost or must not be used any more
    Renew(RenewArguments),
    /// Copy the state into a new folder; it holds keys, and is as secret as the state itself
    Backup(BackupArguments),
    /// Make the state of a backup, and take it into use
    Restore(RestoreArguments),
    /// Take a state into use that was restored or copied by other means
    Adopt(AdoptArguments),
    /// Bring the state of an earlier version into the form of this one, after a backup
    Migrate(MigrateArguments),
}

#[derive(Args)]
pub(super) struct BackupArguments {
    /// A folder that does not exist yet
    folder: PathBuf,
    #[command(flatten)]
    state: StateArgument,
}

#[derive(Args)]
pub(super) struct RestoreArguments {
    /// What `goldline station backup` made
    folder: PathBuf,
    #[command(flatten)]
    first: FirstArgument,
    #[command(flatten)]
    state: StateArgument,
}

#[derive(Args)]
pub(super) struct AdoptArguments {
    #[command(flatten)]
    first: FirstArgument,
    #[command(flatten)]
    state: StateArgument,
}

#[derive(Args)]
pub(super) struct MigrateArguments {
    /// Where the state is kept as it was: a folder that does not exist yet; one beside the state unless named
    #[arg(long, value_name = "FOLDER")]
    backup: Option<PathBuf>,
    #[command(flatten)]
    state: StateArgument,
}

#[derive(Args)]
struct FirstArgument {
    /// The first number that this station gives from now on: above every number that was given since the copy
    /// was made, by this station or another
    #[arg(long, value_name = "NUMBER")]
    first: u32,
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
        StationCommand::Backup(arguments) => backup(arguments)?,
        StationCommand::Restore(arguments) => {
            let (from, root) = (&arguments.folder, arguments.state.folder()?);
            let first = arguments.first.first;
            let copied = StateDirectory::restore(from, &root, first).map_err(of_store)?;
            output::print(&format!(
                "{} files of {} were restored to {}; numbers go on from {first}\n",
                copied.files,
                from.display(),
                root.display()
            ))?;
        }
        StationCommand::Adopt(arguments) => {
            let first = arguments.first.first;
            arguments.state.open()?.adopt(first).map_err(of_store)?;
            output::print(&format!("this state is in use; numbers go on from {first}\n"))?;
        }
        StationCommand::Migrate(arguments) => migrate(arguments)?,
    }
    Ok(exit::PASS)
}

fn migrate(arguments: &MigrateArguments) -> miette::Result<()> {
    let state = arguments.state.open()?;
    let done = runtime()?.block_on(state.migrate(arguments.backup.as_deref())).map_err(of_store)?;
    output::print(&match done {
        None => "this state is of this version already\n".to_owned(),
        Some(Migrated { from, to, backup }) => format!(
            "this state was of version {from} and is of version {to}; as it was it lies in {}\n",
            backup.display()
        ),
    })
}

fn backup(arguments: &BackupArguments) -> miette::Result<()> {
    let (state, folder) = (arguments.state.open()?, &arguments.folder);
    let copied = runtime()?.block_on(state.backup(folder)).map_err(of_store)?;
    output::print(&format!(
        "{} files with {} bytes are in {}; keep them as secret as the state itself\n",
        copied.files,
        copied.bytes,
        folder.display()
    ))
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
