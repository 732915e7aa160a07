//! What may be typed after `goldline records`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use time::OffsetDateTime;

use crate::{
    cli::{
        overwrite::OverwriteArgument,
        problem::{usage, usage_with_help},
        station_state::StateArgument,
        zone,
    },
    store::RunFilter,
};

#[derive(Subcommand)]
pub(in crate::cli) enum RecordsCommand {
    /// List runs, the newest first
    List(ListArguments),
    /// Show one run's record, or the newest of a unit
    Show(ShowArguments),
    /// Write runs as JSON (whole records) or CSV (a row a run, a column a measurement)
    Export(ExportArguments),
}

#[derive(Args)]
pub(in crate::cli) struct ListArguments {
    #[command(flatten)]
    pub(super) filter: FilterArguments,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) state: StateArgument,
}

#[derive(Args)]
pub(in crate::cli) struct ShowArguments {
    /// A run's id, or a unit's MAC address or identifier
    #[arg(value_name = "RUN_ID|MAC|ID")]
    pub(super) run: String,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
    /// What the unit printed, instead of the record
    #[arg(long, conflicts_with = "json")]
    pub(super) log: bool,
    #[command(flatten)]
    pub(super) state: StateArgument,
}

#[derive(Args)]
pub(in crate::cli) struct ExportArguments {
    /// The form
    #[arg(long, value_enum)]
    pub(super) format: Format,
    /// Into a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) overwrite: OverwriteArgument,
    #[command(flatten)]
    pub(super) filter: FilterArguments,
    #[command(flatten)]
    pub(super) state: StateArgument,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    Json,
    Csv,
}

#[derive(Args)]
pub(in crate::cli) struct FilterArguments {
    /// Runs of this profile only
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Runs of this batch of units only
    #[arg(long)]
    lot: Option<String>,
    /// PASS, FAIL, ERROR, ABORTED, NONE (provision), RUNNING or INTERRUPTED
    #[arg(long)]
    verdict: Option<String>,
    /// Runs of this unit only
    #[arg(long)]
    mac: Option<String>,
    /// Runs of the unit with this identifier only, such as VAULT-00001
    #[arg(long)]
    id: Option<String>,
    /// Runs since a day or a moment of the station's zone, such as 2026-11-26 or 2026-11-26T06:00
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Runs before a day or a moment of the station's zone
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// So many at most
    #[arg(long, value_name = "COUNT")]
    limit: Option<u32>,
}

impl FilterArguments {
    pub(in crate::cli) fn parse(&self) -> miette::Result<RunFilter> {
        Ok(RunFilter {
            profile: self.profile.clone(),
            lot: self.lot.clone(),
            mac: self.mac.as_deref().map(str::parse).transpose().map_err(usage)?,
            id: self.id.clone(),
            outcome: self.verdict.as_deref().map(str::parse).transpose().map_err(usage)?,
            since: self.since.as_deref().map(moment).transpose()?,
            until: self.until.as_deref().map(moment).transpose()?,
            limit: self.limit,
        })
    }
}

/// A moment as people write it.
pub(in crate::cli) fn moment(text: &str) -> miette::Result<OffsetDateTime> {
    zone::asked(text).ok_or_else(|| {
        usage_with_help(
            format!("\"{text}\" is no time"),
            "write a day (2026-11-26), a moment of the station's zone (2026-11-26T06:00), or one of another \
             (2026-11-26T06:00:00Z)",
        )
    })
}
