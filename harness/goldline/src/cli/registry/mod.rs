//! `goldline registry …`: rows that wait for the fleet's database, and their delivery.

pub(super) mod source;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::{
    exit, output,
    problem::{usage, usage_with_help},
    station_state::{StateArgument, runtime},
    table::aligned,
};
use crate::{
    clock::Deadline,
    registry::{DeviceRow, Registered, Registry, RegistryError, RegistryUrl},
    secret::Secret,
    store::{Delivered, NotDelivered, Outbox, Waiting},
};

/// For one connection, and for one row: a database that takes longer is at fault.
const DEADLINE: Duration = Duration::from_secs(10);

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

pub(super) fn run(command: &RegistryCommand) -> miette::Result<u8> {
    let runtime = runtime()?;
    match command {
        RegistryCommand::Deliver(arguments) => runtime.block_on(deliver(arguments)),
        RegistryCommand::Pending(arguments) => runtime.block_on(pending(arguments)),
    }
}

async fn pending(arguments: &PendingArguments) -> miette::Result<u8> {
    let outbox = arguments.state.open()?.outbox().await.map_err(usage)?;
    let waiting = outbox.pending(None).await.map_err(usage)?;
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
        let whole = row.queued_at.replace_nanosecond(0).unwrap_or(row.queued_at);
        vec![
            whole.format(&Rfc3339).unwrap_or_default(),
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
    let url = source::url(arguments.registry.as_deref(), arguments.station.as_deref())?;
    let outbox = arguments.state.open()?.outbox().await.map_err(usage)?;
    let only = (!arguments.all).then(|| url.label());
    let done = deliver_rows(&outbox, &url, only).await.map_err(usage)?;
    let pending = outbox.pending(None).await.map_err(usage)?;
    let here = |row: &&Waiting| row.key.registry.as_deref().is_none_or(|it| it == url.label());
    let elsewhere = pending.iter().filter(|row| !here(row)).count();
    if arguments.json {
        let Delivered { delivered, refused, waiting } = done;
        output::print_json(&json!({
            "registry": url.label(), "delivered": delivered, "refused": refused,
            "waiting": waiting, "for_others": elsewhere,
        }))?;
    } else {
        output::print(&told(&done, url.label(), elsewhere))?;
    }
    // The reasons are for whoever mends it, and no part of the counts.
    for row in pending.iter().filter(|row| arguments.all || here(row)) {
        if let Some(error) = &row.last_error {
            output::complain(&format!("{} {}: {error}", row.key.profile, row.key.unit));
        }
    }
    Ok(if done.refused + done.waiting == 0 { exit::PASS } else { exit::ERROR })
}

fn told(done: &Delivered, label: &str, elsewhere: usize) -> String {
    let Delivered { delivered, refused, waiting } = done;
    let mut text =
        format!("{label}: {delivered} delivered, {refused} refused, {waiting} waiting\n");
    if elsewhere > 0 {
        text += &format!("{elsewhere} wait for another registry; --all sends them here\n");
    }
    text
}

/// Sends what waits for a register, over one connection that is made for the first row.
async fn deliver_rows(
    outbox: &Outbox,
    url: &RegistryUrl,
    only: Option<&str>,
) -> Result<Delivered, crate::store::StoreError> {
    let mut registry = None;
    let done = outbox
        .deliver_with(only, async |_, text: Secret| {
            let row = DeviceRow::from_text(&text);
            let row = row.map_err(|error| NotDelivered::Refused(error.to_string()))?;
            let sent = send(&mut registry, url, &row).await;
            // The register's own, newer row stands: this one has been overtaken, and is done with.
            sent.map(drop).map_err(why_not)
        })
        .await;
    if let Some(registry) = registry {
        registry.close().await;
    }
    done
}

async fn send(
    registry: &mut Option<Registry>,
    url: &RegistryUrl,
    row: &DeviceRow,
) -> Result<Registered, RegistryError> {
    let registry = match registry {
        Some(registry) => registry,
        None => {
            let deadline = Deadline::after(DEADLINE);
            let mut opened = Registry::connect(url, deadline).await?;
            opened.ensure_schema(deadline).await?;
            registry.insert(opened)
        }
    };
    registry.upsert(row, Deadline::after(DEADLINE)).await
}

/// A table that does not fit fits no row, so that no further one is tried.
fn why_not(error: RegistryError) -> NotDelivered {
    match error {
        RegistryError::Rejected { .. } => NotDelivered::Refused(error.to_string()),
        _ => NotDelivered::Unavailable(error.to_string()),
    }
}

/// Neither an argument nor a station file names a register.
fn no_source() -> miette::Report {
    usage_with_help(
        "no registry is named",
        "give --registry '$VARIABLE' or --registry @FILE, or [services.registry] in a --station file",
    )
}
