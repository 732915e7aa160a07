//! The command line: arguments, exit codes, and the only place that knows miette.
//!
//! A command here gathers what the layers below need, calls them, and prints. It decides nothing.

mod arguments;
mod ca;
mod codes;
mod device;
mod esp_environment;
mod exit;
mod golden;
mod ids;
mod init;
mod log;
mod nvs;
mod operator;
mod output;
mod overwrite;
mod problem;
pub mod profile;
mod prove;
mod records;
mod registry;
mod repeatability;
mod rounds;
mod run;
mod secure;
mod session;
mod simulator;
mod station;
mod station_state;
mod table;
mod testbed;
mod zone;

use std::{path::Path, process::ExitCode};

use clap::Parser;

use crate::plan::Scope;
use arguments::{Arguments, Command, ProfileCommand};
use problem::StateFault;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    problem::keep_lines_whole();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; clap knows which is which.
            let code = if error.use_stderr() { exit::USAGE } else { exit::PASS };
            // The terminal may be closed; there is nobody left to tell.
            let _printed = error.print();
            return ExitCode::from(code);
        }
    };
    log::start();
    let wants_json = arguments.command.wants_json();
    let outcome = match arguments.command {
        Command::Run(arguments) => run::run(&arguments, Scope::Run),
        Command::Provision(arguments) => run::run(&arguments, Scope::Provision),
        Command::Check(arguments) => run::run(&arguments, Scope::Check),
        Command::Reprovision(arguments) => {
            run::run(&arguments.run, Scope::Reprovision(arguments.only))
        }
        Command::FactoryReset(arguments) => run::run(&arguments, Scope::FactoryReset),
        Command::Prove(arguments) => prove::run(&arguments),
        Command::Repeatability(arguments) => repeatability::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Profile(command) => profile_command(command),
        Command::Nvs(arguments) => nvs::run(&arguments),
        Command::Ca(command) => ca::run(&command),
        Command::Codes(arguments) => codes::run(&arguments),
        Command::Golden(command) => golden::run(&command),
        Command::Ids(command) => ids::run(&command),
        Command::Records(command) => records::run(&command),
        Command::Registry(command) => registry::run(&command),
        Command::Testbed(command) => testbed::run(&command),
        Command::Station(command) => station::run(&command),
        Command::Simulator(command) => simulator::run(command),
        Command::Device(command) => device::run(&command),
        Command::Secure(arguments) => secure::run(&arguments),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(report) => {
            if let (true, Some(fault)) = (wants_json, report.downcast_ref::<StateFault>()) {
                // When standard output takes nothing, standard error and the exit code still say it.
                let _printed = output::print_json(&fault.json());
            }
            output::complain(&format!("{report:?}"));
            ExitCode::from(code_of(&report))
        }
    }
}

/// A state that cannot be used is the station's fault; all else is the user's.
fn code_of(report: &miette::Report) -> u8 {
    if report.is::<StateFault>() { exit::ERROR } else { exit::USAGE }
}

fn profile_command(command: ProfileCommand) -> miette::Result<u8> {
    let text = match command {
        ProfileCommand::List { profiles } => profile::list(folder(&profiles)),
        ProfileCommand::Check { file, profiles } => {
            match profile::check(&file, folder(&profiles)) {
                Ok(text) => Ok(text),
                Err(profile::CheckError::Profile(error)) => Err(error),
                Err(error) => return Err(problem::usage(error)),
            }
        }
        ProfileCommand::Schema => Ok(crate::profile::json_schema()),
        ProfileCommand::Explain { name, profiles } => profile::explain(&name, folder(&profiles)),
        ProfileCommand::Checklist { name, profiles } => {
            profile::checklist(&name, folder(&profiles))
        }
    };
    output::print(&text.map_err(problem::of_catalog)?)?;
    Ok(exit::PASS)
}

fn folder(path: &Option<std::path::PathBuf>) -> Option<&Path> {
    path.as_deref()
}
