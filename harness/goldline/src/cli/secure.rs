//! `goldline secure`: what is missing of a unit's security fuses, as commands of espefuse. Burns nothing.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{
    device::unit::{DeviceArgument, Failure, Outcome},
    exit, output,
    problem::{of_catalog, usage, usage_with_help},
};
use crate::{
    device::{ChipFacts, DeviceUrl, RemoteProtocol},
    profile::{Profile, find},
    security::{Burnt, Commands, Finding, KeyFiles, Port, Step, commands, compare},
};

/// What stands for a port that espefuse cannot be told.
const SOME_PORT: &str = "PORT";

#[derive(Args)]
#[command(after_help = "\
Nothing is burnt: the commands are printed, in an order in which the unit survives that the power goes between any two of \
them. Once some are done, the same command prints the rest.

Exit codes: 0 it is as demanded, or the commands are printed; 1 a fuse is burnt that must not be, which nothing undoes; \
2 usage; 3 the port or the bench failed, or the unit is locked already.")]
pub(super) struct SecureArguments {
    /// Name of a shipped profile, a name under --profiles, or a path
    profile: String,
    #[command(flatten)]
    device: DeviceArgument,
    /// The file with the key of a block: BLOCK_KEY0=FILE; of chips without purposes flash_encryption=FILE and
    /// secure_boot=FILE. It is not opened; unless given, the commands say a name of their own
    #[arg(long = "key-file", value_name = "BLOCK=FILE")]
    key_files: Vec<String>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Profiles of one's own
    #[arg(long, value_name = "DIR", env = "GOLDLINE_PROFILES")]
    profiles: Option<PathBuf>,
}

/// What is left to do, for programs.
#[derive(Serialize)]
struct Report<'a> {
    /// Such as `esp32c3`
    chip: String,
    /// Base MAC
    mac: String,
    /// `as_demanded`, `incomplete`, or `irreversible` when a fuse is burnt that must not be
    state: &'static str,
    /// What is demanded, and what was found
    demands: Vec<Compared<'a>>,
    /// In the order in which they are to be done; none but of a unit that is `incomplete`
    commands: Vec<CommandLine>,
}

#[derive(Serialize)]
struct Compared<'a> {
    /// As in the profile, such as `jtag`
    what: &'a str,
    /// The profile's word
    demanded: &'a str,
    /// The unit's
    found: &'a str,
    /// What is not burnt yet
    missing: Vec<String>,
    /// What is burnt and must not be
    burnt: Vec<String>,
}

#[derive(Serialize)]
struct CommandLine {
    /// Program and arguments
    command: Vec<String>,
    /// The same for a shell
    shell: String,
    /// What it does
    what: String,
    /// Whether it burns fuses, which nothing undoes
    burns: bool,
}

pub(super) fn run(arguments: &SecureArguments) -> miette::Result<u8> {
    let folder = arguments.profiles.as_deref();
    let profile = find(&arguments.profile, folder).map_err(of_catalog)?;
    let files = KeyFiles::parse(&arguments.key_files).map_err(usage)?;
    ask(arguments, &profile, &files).or_else(Failure::end)
}

fn ask(arguments: &SecureArguments, profile: &Profile, files: &KeyFiles) -> Outcome {
    let Some(demand) = &profile.security else {
        let demands_nothing =
            format!("the profile {} demands nothing of security fuses", profile.name);
        let help =
            "write [security] into it: what its units must be is the product document's to say";
        return Err(usage_with_help(demands_nothing, help).into());
    };
    let mut unit = arguments.device.open()?;
    let facts = unit.identify()?;
    if facts.chip != profile.chip {
        let other =
            format!("the unit is an {}, and the profile's chip an {}", facts.chip, profile.chip);
        let help = "name the profile of the unit that lies there; nothing was burnt";
        return Err(Failure::BadUnit(usage_with_help(other, help)));
    }
    let Some(fuses) = unit.device.read_fuses()? else {
        let help = "name a real port or a simulated unit";
        let unasked = "this device does not let anyone ask for the unit's eFuses";
        return Err(usage_with_help(unasked, help).into());
    };
    let port = port_of(&unit.url);
    unit.leave();
    let found = compare(demand, &fuses);
    let left = commands(&found, (facts.chip, facts.mac), &port, files);
    let code = if matches!(left, Commands::Never(_)) { exit::FAIL } else { exit::PASS };
    if arguments.json {
        output::print_json(&report(&facts, &found, &left))?;
    } else {
        output::print(&text(profile, &facts, &left))?;
    }
    Ok(code)
}

/// As esptool takes it.
fn port_of(url: &DeviceUrl) -> Port {
    let resets = !url.is_reset_by_hand();
    let name = match url {
        DeviceUrl::Serial { path, .. } => path.display().to_string(),
        DeviceUrl::Remote(port) => match port.protocol {
            RemoteProtocol::Raw => format!("socket://{}", port.address),
            RemoteProtocol::Rfc2217 => format!("rfc2217://{}?ign_set_control", port.address),
            RemoteProtocol::Unix => SOME_PORT.to_owned(),
        },
        _ => SOME_PORT.to_owned(),
    };
    Port { name, resets }
}

fn report<'a>(facts: &ChipFacts, found: &'a [Finding], left: &Commands) -> Report<'a> {
    let words =
        |one: &Finding| -> Vec<String> { one.missing.iter().map(ToString::to_string).collect() };
    let compared = |one: &'a Finding| Compared {
        what: one.what,
        demanded: one.demanded,
        found: &one.found,
        missing: words(one),
        burnt: one.excess.iter().map(ToString::to_string).collect(),
    };
    let line = |step: &Step| CommandLine {
        command: step.command.clone(),
        shell: step.to_string(),
        what: step.what.clone(),
        burns: step.burns,
    };
    let (state, commands) = match left {
        Commands::AsDemanded => ("as_demanded", Vec::new()),
        Commands::Missing(steps) => ("incomplete", steps.iter().map(line).collect()),
        Commands::Never(_) => ("irreversible", Vec::new()),
    };
    let demands = found.iter().map(compared).collect();
    Report { chip: facts.chip.to_string(), mac: facts.mac.to_string(), state, demands, commands }
}

fn text(profile: &Profile, facts: &ChipFacts, left: &Commands) -> String {
    let unit = format!("{} {}", facts.chip, facts.mac);
    let name = &profile.name;
    match left {
        Commands::AsDemanded => format!("{unit} is as {name} demands: nothing is left to burn\n"),
        Commands::Never(burnt) => {
            let line = |one: &Burnt| format!("  {one}\n");
            let lines: String = burnt.iter().map(line).collect();
            format!("{unit} cannot become what {name} demands:\n{lines}")
        }
        Commands::Missing(steps) => {
            let line = |(index, step): (usize, &Step)| {
                format!("\n{:3}. {}\n     {step}\n", index + 1, step.what)
            };
            let lines: String = steps.iter().enumerate().map(line).collect();
            format!(
                "{unit} is not yet as {name} demands. What is burnt stays burnt: do these in this order, each to its \
                 end.\nGoldline runs none of them; espefuse asks before it burns.\n{lines}"
            )
        }
    }
}
