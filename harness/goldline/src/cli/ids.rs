//! `goldline ids …`: the numbers that this station gave, and what became of each.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    exit, output,
    problem::{of_station, of_store},
    station_state::StateArgument,
    table::aligned,
    zone::shown,
};
use crate::{
    clock::Clock,
    station,
    store::{Lease, Series},
};

#[derive(Subcommand)]
pub(super) enum IdsCommand {
    /// List every number of a profile: who holds it, and why there are gaps
    List(ListArguments),
    /// Write a number off, with its unit if it has one; for ever
    Scrap(ScrapArguments),
}

#[derive(Args)]
pub(super) struct ListArguments {
    /// Name of the profile
    profile: String,
    /// Numbers of this batch of units only
    #[arg(long)]
    lot: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: StateArgument,
}

#[derive(Args)]
pub(super) struct ScrapArguments {
    /// Name of the profile
    profile: String,
    /// The number
    number: u32,
    /// Why, for whoever counts the lot
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Which numbered value, when the profile has several
    #[arg(long, value_name = "NAME")]
    value: Option<String>,
    #[command(flatten)]
    state: StateArgument,
}

impl IdsCommand {
    pub(super) fn wants_json(&self) -> bool {
        matches!(self, Self::List(ListArguments { json: true, .. }))
    }
}

pub(super) fn run(command: &IdsCommand) -> miette::Result<u8> {
    match command {
        IdsCommand::List(arguments) => list(arguments)?,
        IdsCommand::Scrap(arguments) => scrap(arguments)?,
    }
    Ok(exit::PASS)
}

fn list(arguments: &ListArguments) -> miette::Result<()> {
    let state = arguments.state.open()?;
    let all = station::numbers_given(&state, &arguments.profile, arguments.lot.as_deref());
    let all = all.map_err(of_store)?;
    if arguments.json {
        let gaps: Vec<u32> = all.iter().flat_map(Series::gaps).map(|lease| lease.number).collect();
        let (profile, lot) = (&arguments.profile, &arguments.lot);
        return output::print_json(
            &json!({ "profile": profile, "lot": lot, "series": all, "gaps": gaps }),
        );
    }
    match all.as_slice() {
        [] => output::print(&format!("this station gave no number of {}\n", arguments.profile)),
        all => output::print(&all.iter().map(text).collect::<String>()),
    }
}

fn text(series: &Series) -> String {
    let header = ["number", "state", "unit", "lot", "run", "when"].map(str::to_owned).to_vec();
    let rows = series.leases.values().map(row);
    let mut text = format!("{}\n", series.value);
    text += &aligned(&std::iter::once(header).chain(rows).collect::<Vec<_>>());
    if series.accounted_from > 1 {
        let last = series.accounted_from - 1;
        text += &format!("1 to {last} were given before accounts were kept\n");
    }
    let gaps: Vec<String> = series.gaps().map(gap).collect();
    text += &match gaps.as_slice() {
        [] => "no gaps\n".to_owned(),
        gaps => format!("gaps: {}\n", gaps.join(", ")),
    };
    text
}

fn row(lease: &Lease) -> Vec<String> {
    let unit = lease.state.mac().map_or_else(|| "-".to_owned(), |mac| mac.to_string());
    vec![
        lease.number.to_string(),
        lease.state.word().to_owned(),
        unit,
        lease.lot.clone().unwrap_or_else(|| "-".to_owned()),
        lease.run_id.map_or_else(|| "-".to_owned(), |run| run.to_string()),
        shown(lease.settled_at.unwrap_or(lease.leased_at)),
    ]
}

/// A number that no good unit has, and why.
fn gap(lease: &Lease) -> String {
    format!("{} {}", lease.number, lease.state)
}

fn scrap(arguments: &ScrapArguments) -> miette::Result<()> {
    let state = arguments.state.open()?;
    let ScrapArguments { profile, number, reason, value, .. } = arguments;
    station::scrap(&state, profile, value.as_deref(), *number, reason, &Clock::system())
        .map_err(of_station)
}
