//! `goldline testbed …`: what a service of one's own needs to stand on the bench.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use time::Duration;

use super::{exit, output, overwrite::OverwriteArgument, problem::usage};
use crate::{
    clock::Clock,
    output_file::{Existing, OutputError, OutputFile, OutputFolder, Readers},
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
    #[command(flatten)]
    overwrite: OverwriteArgument,
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
    let files = IssuedFiles::at(&arguments.out, arguments.overwrite.existing()).map_err(usage)?;
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
    files.write(&authority, &issued.map_err(usage)?).map_err(usage)?;
    output::print(&format!(
        "issued for {} days in {}\n",
        VALIDITY.whole_days(),
        arguments.out.display()
    ))?;
    Ok(exit::PASS)
}

/// The places of the three files. A service may use an earlier one: it stays unless replacing is asked for.
struct IssuedFiles {
    folder: OutputFolder,
    ca: OutputFile,
    certificate: OutputFile,
    key: OutputFile,
}

impl IssuedFiles {
    fn at(folder: &Path, existing: Existing) -> Result<Self, OutputError> {
        let folder = OutputFolder::at(folder)?;
        let file = |name, readers| folder.file(name, existing, readers);
        Ok(Self {
            ca: file("ca.pem", Readers::AsBefore)?,
            certificate: file("certificate.pem", Readers::AsBefore)?,
            key: file("key.pem", Readers::Owner)?,
            folder,
        })
    }

    fn write(&self, authority: &Authority, issued: &Issued) -> Result<(), OutputError> {
        self.folder.make(Readers::Owner)?;
        // A unit shows its own certificate and not its issuer's, so its peer must know both.
        let ca = [authority.root_pem(), authority.intermediate_pem()].concat();
        OutputFile::write_all([
            (&self.ca, ca.as_bytes()),
            (&self.certificate, issued.signed.chain.as_bytes()),
            (&self.key, issued.key.expose().as_bytes()),
        ])
    }
}
