//! `goldline registry …`: rows that wait for the fleet's database, their delivery, and units that are written off.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    exit, output,
    problem::{of_station, of_store, usage_with_help},
    station_state::{StateArgument, runtime},
    table::aligned,
    zone::shown,
};
use crate::{
    clock::Clock,
    registry::{RegistryUrl, UnitName},
    station::{self, DeliveredRow, Delivery, Fate},
    store::{Delivered, Outbox, RunFilter, StateDirectory, Waiting},
};

#[derive(Subcommand)]
pub(super) enum RegistryCommand {
    /// Send the rows that wait
    Deliver(DeliverArguments),
    /// List the rows that wait, without their secrets
    Pending(PendingArguments),
    /// Write a unit off, for ever: its row stays, with the status "scrapped"
    Scrap(ScrapArguments),
}

#[derive(Args)]
pub(super) struct ScrapArguments {
    /// Its MAC, its UUID, or another identifier that this station's records have
    unit: String,
    /// Where the database's URL is: '$VARIABLE' or @FILE; without one it waits for goldline registry deliver
    #[arg(long, value_name = "SOURCE")]
    registry: Option<String>,
    /// Services of this station, with [services.registry]
    #[arg(long, value_name = "FILE")]
    station: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: StateArgument,
}

#[derive(Args)]
pub(super) struct DeliverArguments {
    /// Where the database's URL is: '$VARIABLE' or @FILE; it holds a password and never stands here
    #[arg(long, value_name = "SOURCE")]
    registry: Option<String>,
    /// Services of this station, with [services.registry]
    #[arg(long, value_name = "FILE")]
    station: Option<PathBuf>,
    /// Rows too that were queued for another database, which this one replaces
    #[arg(long)]
    all: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: StateArgument,
}

#[derive(Args)]
pub(super) struct PendingArguments {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: StateArgument,
}

impl RegistryCommand {
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::Deliver(arguments) => arguments.json,
            Self::Pending(arguments) => arguments.json,
            Self::Scrap(arguments) => arguments.json,
        }
    }
}

pub(super) fn run(command: &RegistryCommand) -> miette::Result<u8> {
    let runtime = runtime()?;
    match command {
        RegistryCommand::Deliver(arguments) => runtime.block_on(deliver(arguments)),
        RegistryCommand::Pending(arguments) => runtime.block_on(pending(arguments)),
        RegistryCommand::Scrap(arguments) => runtime.block_on(scrap(arguments)),
    }
}

async fn pending(arguments: &PendingArguments) -> miette::Result<u8> {
    let outbox = arguments.state.open()?.outbox().await.map_err(of_store)?;
    let waiting = outbox.pending(None).await.map_err(of_store)?;
    if arguments.json {
        output::print_json(&waiting)?;
    } else {
        output::print(&table(&waiting))?;
    }
    Ok(exit::PASS)
}

fn table(waiting: &[Waiting]) -> String {
    if waiting.is_empty() {
        return "nothing waits\n".to_owned();
    }
    let header = ["queued", "registry", "profile", "unit", "status", "attempts", "last error"];
    let row = |row: &Waiting| {
        vec![
            shown(row.queued_at),
            row.key.registry.clone().unwrap_or_else(|| "any".to_owned()),
            row.key.profile.clone(),
            row.key.unit.clone(),
            row.key.status.clone().unwrap_or_else(|| "-".to_owned()),
            row.attempts.to_string(),
            row.last_error.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let header = header.map(str::to_owned).to_vec();
    aligned(&std::iter::once(header).chain(waiting.iter().map(row)).collect::<Vec<_>>())
}

async fn deliver(arguments: &DeliverArguments) -> miette::Result<u8> {
    let url = station::registry_url(arguments.registry.as_deref(), arguments.station.as_deref());
    let url = url.map_err(of_station)?;
    let outbox = arguments.state.open()?.outbox().await.map_err(of_store)?;
    send(&outbox, &url, arguments.all, arguments.json).await
}

/// Queued first, so that it is not forgotten whatever the database does.
async fn scrap(arguments: &ScrapArguments) -> miette::Result<u8> {
    let url = match (&arguments.registry, &arguments.station) {
        (None, None) => None,
        (registry, station) => Some(
            station::registry_url(registry.as_deref(), station.as_deref()).map_err(of_station)?,
        ),
    };
    let state = arguments.state.open()?;
    let unit = unit_named(&state, &arguments.unit).await?;
    let outbox = state.outbox().await.map_err(of_store)?;
    let clock = Clock::system();
    station::scrap_unit(&outbox, url.as_ref(), unit, &clock).await.map_err(of_store)?;
    match url {
        Some(url) => send(&outbox, &url, false, arguments.json).await,
        None if arguments.json => {
            output::print_json(&json!({ "unit": unit.to_string(), "status": "scrapped" }))?;
            Ok(exit::PASS)
        }
        None => {
            output::print(&format!("{unit} waits as scrapped for goldline registry deliver\n"))?;
            Ok(exit::PASS)
        }
    }
}

/// The unit of that MAC or UUID, else the one that the newest record with that identifier is of.
async fn unit_named(state: &StateDirectory, text: &str) -> miette::Result<UnitName> {
    if let Ok(mac) = text.parse() {
        return Ok(UnitName::Mac(mac));
    }
    if let Ok(uuid) = text.parse() {
        return Ok(UnitName::Uuid(uuid));
    }
    let newest = RunFilter { id: Some(text.to_owned()), limit: Some(1), ..RunFilter::default() };
    let runs = state.records().await.map_err(of_store)?.list(&newest).await.map_err(of_store)?;
    let mac = runs.first().and_then(|run| run.mac);
    mac.map(UnitName::Mac).ok_or_else(|| {
        usage_with_help(
            format!("{text} is no MAC and no UUID, and this station has no record of it"),
            "name the unit by its MAC: goldline registry scrap 24:0a:c4:00:01:10",
        )
    })
}

async fn send(outbox: &Outbox, url: &RegistryUrl, all: bool, as_json: bool) -> miette::Result<u8> {
    let delivery = station::deliver(outbox, url, all).await.map_err(of_store)?;
    if as_json {
        let Delivered { delivered, refused, waiting } = delivery.done;
        output::print_json(&json!({
            "registry": delivery.registry, "delivered": delivered, "refused": refused,
            "waiting": waiting, "for_others": delivery.elsewhere(), "rows": delivery.rows,
        }))?;
    } else {
        output::print(&told(&delivery))?;
    }
    // The reasons are for whoever mends it, and no part of the counts.
    for row in delivery.pending.iter().filter(|row| all || delivery.concerns(row)) {
        if let Some(error) = &row.last_error {
            output::complain(&format!("{} {}: {error}", row.key.profile, row.key.unit));
        }
    }
    let done = delivery.done;
    Ok(if done.refused + done.waiting == 0 { exit::PASS } else { exit::ERROR })
}

fn told(delivery: &Delivery) -> String {
    let (label, elsewhere) = (&delivery.registry, delivery.elsewhere());
    let Delivered { delivered, refused, waiting } = delivery.done;
    let mut text =
        format!("{label}: {delivered} delivered, {refused} refused, {waiting} waiting\n");
    for DeliveredRow { key, row, fate } in &delivery.rows {
        let status = key.status.as_ref().map(|status| format!(" {status}")).unwrap_or_default();
        let fate = match fate {
            Fate::Written => "",
            Fate::NewerKept => ", which is newer and was kept",
            Fate::StaysScrapped => ", which stays scrapped",
        };
        text += &format!("{} {}{status}: row {row}{fate}\n", key.profile, key.unit);
    }
    if elsewhere > 0 {
        text += &format!("{elsewhere} wait for another registry; --all sends them here\n");
    }
    text
}
