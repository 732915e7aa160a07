//! `goldline run`, `provision` and `check`.

use std::{
    io::{self, IsTerminal},
    time::Instant,
};

use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    arguments::RunArguments,
    exit, output,
    problem::{of_station, usage},
};
use crate::{
    clock::Clock,
    engine::Event,
    plan::Scope,
    record::Record,
    report::{Progress, verdict_text},
    station::{Batch, Ended, Order, Outputs, Watcher},
};

/// Runs every device of the arguments; the code is the worst unit's.
pub(super) fn run(arguments: &RunArguments, scope: Scope) -> miette::Result<u8> {
    let began = Instant::now();
    let order = Order::new(&arguments.request(), scope).map_err(of_station)?;
    let outputs = Outputs::look(&arguments.outputs(), &order).map_err(of_station)?;
    if arguments.dry_run {
        output::print(&order.plan().to_string())?;
        return Ok(exit::PASS);
    }
    let runtime = Runtime::new().map_err(usage)?;
    // Before the journal says that the runs begin: whoever reads that may stop them.
    let cancel = CancellationToken::new();
    let signals = runtime.block_on(async { stop_on_signal(cancel.clone()) }).map_err(usage)?;
    let prepared = Batch::prepare(&order, outputs, Clock::system(), began);
    let batch = runtime.block_on(prepared).map_err(of_station)?;
    let progress = bars(arguments);
    let ended = runtime.block_on(batch.run(|| watcher(progress.as_ref()), cancel));
    signals.abort();
    let Ended { records, troubles } = ended;
    let mut troubles: Vec<_> = troubles.into_iter().map(of_station).collect();
    troubles.extend(print_records(&records, arguments.json).err());
    // A call that still blocks on a dead port must not keep the process.
    runtime.shutdown_background();
    for trouble in &troubles {
        output::complain(&format!("{trouble:?}"));
    }
    // The units were touched: what the station could not keep is its own error, not the user's.
    let station = if troubles.is_empty() { exit::PASS } else { exit::ERROR };
    Ok(exit::worst(records.iter().map(exit::of).chain([station])))
}

/// Bars are for people: not with `--json`, only where they can be drawn, and never over a question.
fn bars(arguments: &RunArguments) -> Option<Progress> {
    (!arguments.json && !arguments.confirm_alert && io::stderr().is_terminal())
        .then(Progress::default)
}

/// The bars of one run, where there are any.
fn watcher(progress: Option<&Progress>) -> Watcher {
    match progress.map(Progress::add) {
        Some(mut bars) => Box::new(move |event: &Event| bars.show(event)),
        None => Box::new(|_: &Event| {}),
    }
}

fn print_records(records: &[Record], json: bool) -> miette::Result<()> {
    match (json, records) {
        (true, [record]) => output::print_json(record),
        (true, records) => output::print_json(&records),
        (false, records) => output::print(&records.iter().map(verdict_text).collect::<String>()),
    }
}

/// Ctrl-C, and what a supervisor or a closed terminal sends, stop the runs; they end as ABORTED.
///
/// # Errors
/// When the system does not let a process listen to its signals.
fn stop_on_signal(cancel: CancellationToken) -> io::Result<JoinHandle<()>> {
    // From here on, and not only when the task gets its turn, a signal does not kill the process.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
        cancel.cancel();
    }))
}
