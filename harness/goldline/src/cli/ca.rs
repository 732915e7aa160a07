//! `goldline ca …`: a product's CA, without a unit.

mod log;

use std::{fs, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use tokio::runtime::Runtime;

use super::{
    exit, output,
    problem::{usage, usage_with_help},
};
use crate::{
    client::{
        ca::{CaTest, test_ca},
        http::{HttpClient, Route},
    },
    clock::{Clock, Deadline},
    tls::Anchors,
};

/// Long enough for a slow network, short enough for someone who waits.
const PATIENCE: Duration = Duration::from_secs(10);
const EXIT_CODES: &str = "Exit codes: 0 reachable, 2 usage, 3 not reachable.";

#[derive(Subcommand)]
pub(super) enum CaCommand {
    /// Say whether units can be registered with a CA; nothing is registered
    #[command(after_help = EXIT_CODES)]
    Test(TestArguments),
    /// Every registration of this station's units with a CA, the newest first
    Log(log::LogArguments),
}

#[derive(Args)]
pub(super) struct TestArguments {
    /// Address of the CA, such as http://ca.example.test:8080
    url: String,
    /// Root certificates to trust for https, as PEM
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Print the result as JSON, and nothing else, on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &CaCommand) -> miette::Result<u8> {
    match command {
        CaCommand::Test(arguments) => test(arguments),
        CaCommand::Log(arguments) => log::run(arguments).map(|()| exit::PASS),
    }
}

fn test(arguments: &TestArguments) -> miette::Result<u8> {
    let roots = arguments.trust.as_ref().map(|path| {
        fs::read_to_string(path).map_err(|error| {
            let help = "give a readable file with CA certificates as PEM";
            usage_with_help(format!("cannot read {}: {error}", path.display()), help)
        })
    });
    let roots = roots.transpose()?;
    if let Some(pem) = &roots {
        Anchors::from_pem(pem)
            .and_then(|anchors| anchors.require_valid(Clock::system().now()))
            .map_err(|error| usage_with_help(error.to_string(), error.action()))?;
    }
    let client = HttpClient::new(Route::Resolved, roots.as_deref()).map_err(usage)?;
    let runtime = Runtime::new().map_err(usage)?;
    let result = runtime
        .block_on(async { test_ca(&client, &arguments.url, Deadline::after(PATIENCE)).await });
    // A look-up that hangs must not hold up the end of the program.
    runtime.shutdown_background();
    let result = result.map_err(usage)?;
    if arguments.json {
        output::print_json(&result)?;
    } else {
        output::print(&text(&result))?;
    }
    Ok(if result.reachable { exit::PASS } else { exit::ERROR })
}

fn text(result: &CaTest) -> String {
    let mut text = format!("{}\n", result.sentence);
    if result.reachable {
        let way = if result.tls { "https, certificate trusted" } else { "plain http" };
        text += &format!("  address: {} ({way})\n", result.url);
    }
    for note in &result.notes {
        text += &format!("  note: {note}\n");
    }
    if let Some(hint) = &result.hint {
        text += &format!("  help: {hint}\n");
    }
    text
}
