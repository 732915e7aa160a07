//! `goldline golden …`: the goldens of a profile of one's own, kept beside it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{exit, output, overwrite::OverwriteArgument, problem::of_station};
use crate::{output_file::Existing, station::Goldens};

#[derive(Subcommand)]
pub(super) enum GoldenCommand {
    /// Write what the profile's sample unit is given: nvs.txt, nvs.bin and plan.txt
    Make {
        #[command(flatten)]
        place: PlaceArguments,
        #[command(flatten)]
        overwrite: OverwriteArgument,
    },
    /// Show what differs from what was accepted, entry by entry; exit code 1 when something does
    Review(PlaceArguments),
    /// Take over what differs
    Accept(PlaceArguments),
}

#[derive(Args)]
pub(super) struct PlaceArguments {
    /// Path of a profile, or a name
    profile: String,
    /// Where they lie; golden/NAME beside the profile unless given
    #[arg(short = 'o', long = "out", value_name = "DIR")]
    out: Option<PathBuf>,
    /// Profiles of one's own
    #[arg(long, value_name = "DIR", env = "GOLDLINE_PROFILES")]
    profiles: Option<PathBuf>,
}

pub(super) fn run(command: &GoldenCommand) -> miette::Result<u8> {
    match command {
        GoldenCommand::Make { place, overwrite } => {
            write(&goldens(place)?, overwrite.existing())?;
        }
        GoldenCommand::Review(place) => {
            let found = goldens(place)?.differences().map_err(of_station)?;
            output::print(&lines(&found))?;
            return Ok(if found.is_empty() { exit::PASS } else { exit::FAIL });
        }
        GoldenCommand::Accept(place) => {
            let goldens = goldens(place)?;
            // What is taken over is told, and nothing is made where nothing was.
            let found = goldens.differences().map_err(of_station)?;
            output::print(&lines(&found))?;
            if !found.is_empty() {
                write(&goldens, Existing::Replace)?;
            }
        }
    }
    Ok(exit::PASS)
}

fn goldens(place: &PlaceArguments) -> miette::Result<Goldens> {
    let PlaceArguments { profile, out, profiles } = place;
    Goldens::of(profile, profiles.as_deref(), out.as_deref()).map_err(of_station)
}

fn write(goldens: &Goldens, existing: Existing) -> miette::Result<()> {
    let written = goldens.write(existing);
    let written = written.map_err(|error| of_station(crate::station::GoldenError::from(error)))?;
    output::print(&written.iter().map(|path| told(path)).collect::<String>())
}

fn told(path: &Path) -> String {
    format!("wrote {}\n", path.display())
}

fn lines(found: &[String]) -> String {
    found.iter().map(|line| format!("{line}\n")).collect()
}
