//! `goldline testbed …`: what a service of one's own needs to stand on the bench.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    exit, output, overwrite::OverwriteArgument, problem::of_station, station_state::StateArgument,
};
use crate::{
    clock::Clock,
    station::{IssueRequest, Subject, issue_certificate},
};

#[derive(Subcommand)]
pub(super) enum TestbedCommand {
    /// Issue a certificate of the bench's own CA, which simulated units trust
    Issue(IssueArguments),
}

#[derive(Args)]
pub(super) struct IssueArguments {
    /// For a server: a name or an IP address that it has; several in one certificate
    #[arg(long = "server", value_name = "NAME", required_unless_present = "client")]
    servers: Vec<String>,
    /// For a client of this name
    #[arg(long, value_name = "NAME", conflicts_with = "servers")]
    client: Option<String>,
    /// Folder for ca.pem, certificate.pem and key.pem
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArgument,
    #[command(flatten)]
    state: StateArgument,
}

pub(super) fn run(command: &TestbedCommand) -> miette::Result<u8> {
    match command {
        TestbedCommand::Issue(arguments) => issue(arguments),
    }
}

fn issue(arguments: &IssueArguments) -> miette::Result<u8> {
    let request = IssueRequest {
        subject: match &arguments.client {
            Some(name) => Subject::Client(name.clone()),
            None => Subject::Server(arguments.servers.clone()),
        },
        out: arguments.out.clone(),
        existing: arguments.overwrite.existing(),
        state: arguments.state.path().map(Into::into),
    };
    let validity = issue_certificate(&request, &Clock::system()).map_err(of_station)?;
    let (days, out) = (validity.whole_days(), arguments.out.display());
    output::print(&format!("issued for {days} days in {out}\n"))?;
    Ok(exit::PASS)
}
