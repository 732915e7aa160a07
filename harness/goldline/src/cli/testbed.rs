//! `goldline testbed …`: what a service of one's own needs to stand on the bench.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use time::Duration;

use super::{exit, output, problem::usage, problem::usage_with_help};
use crate::{
    clock::Clock,
    store::StateDirectory,
    testbed::authority::{Authority, Issued},
};

/// As long as the certificates of the bench's own services.
const VALIDITY: Duration = Duration::days(90);

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
    /// What the station remembers, readable by its owner only
    #[arg(long, value_name = "DIR", env = "GOLDLINE_STATE")]
    state: Option<PathBuf>,
}

pub(super) fn run(command: &TestbedCommand) -> miette::Result<u8> {
    match command {
        TestbedCommand::Issue(arguments) => issue(arguments),
    }
}

fn issue(arguments: &IssueArguments) -> miette::Result<u8> {
    let state = match &arguments.state {
        Some(path) => path.clone(),
        None => StateDirectory::default_path().map_err(usage)?,
    };
    let authority = StateDirectory::open(&state).map_err(usage)?.authority(&Clock::system());
    let authority = authority.map_err(usage)?;
    let issued = match &arguments.client {
        Some(name) => authority.issue_device(name, VALIDITY),
        None => authority.issue_server(&arguments.servers, VALIDITY),
    };
    write(&arguments.out, &authority, &issued.map_err(usage)?)?;
    output::print(&format!(
        "issued for {} days in {}\n",
        VALIDITY.whole_days(),
        arguments.out.display()
    ))?;
    Ok(exit::PASS)
}

/// An earlier file is left alone: a service may use it.
fn write(folder: &Path, authority: &Authority, issued: &Issued) -> miette::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| usage(format!("cannot make {}: {error}", folder.display())))?;
    // A unit shows its own certificate and not its issuer's, so its peer must know both.
    let ca = [authority.root_pem(), authority.intermediate_pem()].concat();
    for (name, mode, text) in [
        ("ca.pem", 0o644, ca.as_str()),
        ("certificate.pem", 0o644, &issued.signed.chain),
        ("key.pem", 0o600, issued.key.expose()),
    ] {
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
            usage_with_help(
                format!("cannot write {}: {error}", path.display()),
                "name a folder that has no such file",
            )
        })?;
    }
    Ok(())
}
