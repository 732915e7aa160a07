//! `goldline records …`: what came of every run of this station.

mod arguments;
mod text;

use miette::Report;
use serde_json::json;
use uuid::Uuid;

use super::{
    exit, output,
    problem::{of_store, usage, usage_with_help},
    station_state::runtime,
};
use crate::{
    identity::Mac,
    output_file::{OutputFile, Readers},
    store::{Found, RecordStore, RunFilter, RunOutcome, RunSummary},
};

use arguments::{ExportArguments, Format, ListArguments, ShowArguments};
pub(super) use arguments::{FilterArguments, RecordsCommand, moment};

impl RecordsCommand {
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::List(arguments) => arguments.json,
            Self::Show(arguments) => arguments.json,
            Self::Export(arguments) => {
                matches!(arguments.format, Format::Json) && arguments.out.is_none()
            }
        }
    }
}

pub(super) fn run(command: &RecordsCommand) -> miette::Result<u8> {
    let runtime = runtime()?;
    match command {
        RecordsCommand::List(arguments) => runtime.block_on(list(arguments))?,
        RecordsCommand::Show(arguments) => runtime.block_on(show(arguments))?,
        RecordsCommand::Export(arguments) => runtime.block_on(export(arguments))?,
    }
    Ok(exit::PASS)
}

async fn list(arguments: &ListArguments) -> miette::Result<()> {
    let store = arguments.state.open()?.records().await.map_err(of_store)?;
    let runs = store.list(&arguments.filter.parse()?).await.map_err(of_store)?;
    if arguments.json { output::print_json(&runs) } else { output::print(&text::list(&runs)) }
}

async fn show(arguments: &ShowArguments) -> miette::Result<()> {
    let state = arguments.state.open()?;
    let store = state.records().await.map_err(of_store)?;
    let run_id = run_of(&store, &arguments.run).await?;
    if arguments.log {
        let log = state.log(run_id).map_err(of_store)?;
        return output::print(&log.ok_or_else(|| no_log(run_id))?);
    }
    let found = store.find(run_id).await.map_err(of_store)?;
    match found.ok_or_else(|| no_record(&arguments.run))? {
        Found::Record(record) if arguments.json => output::print_json(&record),
        Found::Record(record) => output::print(&text::record(&record)),
        Found::Unended(run) if arguments.json => output::print_json(&run),
        Found::Unended(run) => output::print(&text::list(&[*run])),
    }
}

/// The run of that id, or the newest of that unit.
async fn run_of(store: &RecordStore, wanted: &str) -> miette::Result<Uuid> {
    let newest = RunFilter { limit: Some(1), ..RunFilter::default() };
    let id = || Some(wanted.to_owned());
    // A product may call its units by what looks like a run's id.
    let filters = match (wanted.parse::<Mac>(), wanted.parse::<Uuid>()) {
        (Ok(mac), _) => vec![RunFilter { mac: Some(mac), ..newest.clone() }],
        (_, Ok(run_id)) if store.find(run_id).await.map_err(of_store)?.is_some() => {
            return Ok(run_id);
        }
        _ => Vec::new(),
    };
    for filter in filters.into_iter().chain([RunFilter { id: id(), ..newest }]) {
        if let Some(run) = store.list(&filter).await.map_err(of_store)?.first() {
            return Ok(run.run_id);
        }
    }
    Err(no_record(wanted))
}

fn no_log(run_id: Uuid) -> Report {
    usage_with_help(
        format!("run {run_id} left no serial log"),
        "one that was interrupted leaves none, nor does one of an earlier version",
    )
}

fn no_record(wanted: &str) -> Report {
    usage_with_help(
        format!("this station has no run of {wanted}"),
        "goldline records list shows all; --state or GOLDLINE_STATE names the state directory",
    )
}

async fn export(arguments: &ExportArguments) -> miette::Result<()> {
    let existing = arguments.overwrite.existing();
    let place =
        arguments.out.as_deref().map(|path| OutputFile::at(path, existing, Readers::AsBefore));
    let place = place.transpose().map_err(usage)?;
    let store = arguments.state.open()?.records().await.map_err(of_store)?;
    let filter = arguments.filter.parse()?;
    let text = match arguments.format {
        Format::Csv => store.csv(&filter).await.map_err(of_store)?,
        Format::Json => json_document(&store, &filter).await?,
    };
    match place {
        None => output::print(&text),
        Some(place) => place.write(text.as_bytes()).map_err(usage),
    }
}

/// Whole records, and beside them the runs that have none.
async fn json_document(store: &RecordStore, filter: &RunFilter) -> miette::Result<String> {
    let unended =
        |run: &RunSummary| matches!(run.outcome, RunOutcome::Running | RunOutcome::Interrupted);
    let runs = store.list(filter).await.map_err(of_store)?;
    let (mut records, mut without) = (Vec::new(), Vec::new());
    for run in runs {
        match store.find(run.run_id).await.map_err(of_store)? {
            Some(Found::Record(record)) => records.push(record),
            _ if unended(&run) => without.push(run),
            _ => {}
        }
    }
    let document = json!({ "records": records, "without_record": without });
    Ok(serde_json::to_string_pretty(&document).expect("records become JSON") + "\n")
}
