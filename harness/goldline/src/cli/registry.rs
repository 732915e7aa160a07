//! `goldline registry …`: rows that wait for the fleet's database, and their delivery.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    exit, output,
    problem::{of_station, of_store},
    station_state::{StateArgument, runtime},
    table::aligned,
    zone::shown,
};
use crate::{
    station::{self, Delivery},
    store::{Delivered, Waiting},
};

#[derive(Subcommand)]
pub(super) enum RegistryCommand {
    /// Send the rows that wait
    Deliver(DeliverArguments),
    /// List the rows that wait, without their secrets
    Pending(PendingArguments),
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
        }
    }
}

pub(super) fn run(command: &RegistryCommand) -> miette::Result<u8> {
    let runtime = runtime()?;
    match command {
        RegistryCommand::Deliver(arguments) => runtime.block_on(deliver(arguments)),
        RegistryCommand::Pending(arguments) => runtime.block_on(pending(arguments)),
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
    let header = ["queued", "registry", "profile", "unit", "attempts", "last error"];
    let row = |row: &Waiting| {
        vec![
            shown(row.queued_at),
            row.key.registry.clone().unwrap_or_else(|| "any".to_owned()),
            row.key.profile.clone(),
            row.key.unit.clone(),
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
    let delivery = station::deliver(&outbox, &url, arguments.all).await.map_err(of_store)?;
    if arguments.json {
        let Delivered { delivered, refused, waiting } = delivery.done;
        output::print_json(&json!({
            "registry": delivery.registry, "delivered": delivered, "refused": refused,
            "waiting": waiting, "for_others": delivery.elsewhere(),
        }))?;
    } else {
        output::print(&told(&delivery))?;
    }
    // The reasons are for whoever mends it, and no part of the counts.
    for row in delivery.pending.iter().filter(|row| arguments.all || delivery.concerns(row)) {
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
    if elsewhere > 0 {
        text += &format!("{elsewhere} wait for another registry; --all sends them here\n");
    }
    text
}
