//! What the runs of one command share: the runtime, the signals that stop them, bars on the terminal.
//!
//! Must not know which command it is.

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
    exit, output,
    problem::{of_station, usage},
};
use crate::{
    clock::Clock,
    engine::Event,
    plan::{Plan, Scope},
    record::Record,
    report::Progress,
    station::{Ended, Order, Outputs, OutputsRequest, Request, Watcher, carry_out},
};

/// What can be carried out.
pub(super) struct Ready {
    began: Instant,
    order: Order,
    outputs: Outputs,
}

impl Ready {
    /// Reads all that a request names, and touches nothing.
    pub(super) fn new(
        request: &Request,
        outputs: &OutputsRequest,
        scope: Scope,
    ) -> miette::Result<Self> {
        let began = Instant::now();
        let order = Order::new(request, scope).map_err(of_station)?;
        let outputs = Outputs::look(outputs, &order).map_err(of_station)?;
        order.notes().for_each(|note| output::complain(&note));
        Ok(Self { began, order, outputs })
    }

    /// What will be done to each unit.
    pub(super) fn plan(&self) -> &Plan {
        self.order.plan()
    }
}

/// What the runs of one command share: what they run on, and what stops them.
pub(super) struct Session {
    runtime: Runtime,
    cancel: CancellationToken,
    signals: JoinHandle<()>,
}

/// What came of one round.
pub(super) struct Round {
    /// In the order of the devices.
    pub(super) records: Vec<Record>,
    /// The worst run's, or the station's own.
    pub(super) code: u8,
}

impl Session {
    /// From here on signals stop the runs, and do not kill the process.
    pub(super) fn start() -> miette::Result<Self> {
        let runtime = Runtime::new().map_err(usage)?;
        // Before the journal says that the runs begin: whoever reads that may stop them.
        let cancel = CancellationToken::new();
        let signals = runtime.block_on(async { stop_on_signal(cancel.clone()) }).map_err(usage)?;
        Ok(Self { runtime, cancel, signals })
    }

    /// Runs each device of an order once, and again where the order says so. What the station could not keep of it is told.
    pub(super) fn round(&self, ready: Ready, progress: Option<Progress>) -> miette::Result<Round> {
        let Ready { began, order, outputs } = ready;
        let watch = || watcher(progress.as_ref());
        let ended = carry_out(&order, &outputs, (Clock::system(), began), watch, &self.cancel);
        let Ended { records, troubles } = self.wait(ended).map_err(of_station)?;
        // The units were touched: what the station could not keep is its own error, not the user's.
        let station = if troubles.is_empty() { exit::PASS } else { exit::ERROR };
        for trouble in troubles {
            output::complain(&format!("{:?}", of_station(trouble)));
        }
        let code = exit::worst(records.iter().map(exit::of).chain([station]));
        Ok(Round { records, code })
    }

    /// Waits for what needs the runtime.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A line of standard input; `None` at its end, and when a signal came.
    pub(super) fn wait_for_line(&self) -> Option<String> {
        let read = || {
            let mut line = String::new();
            io::stdin().read_line(&mut line).ok().filter(|&read| read > 0).map(|_| line)
        };
        self.wait(async {
            tokio::select! {
                line = tokio::task::spawn_blocking(read) => line.ok()?,
                () = self.cancel.cancelled() => None,
            }
        })
    }

    /// Stops what runs when a signal comes.
    pub(super) fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Whether a signal came.
    pub(super) fn is_stopped(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// A call that still blocks on a dead port, or on a terminal, must not keep the process.
    pub(super) fn end(self) {
        self.signals.abort();
        self.runtime.shutdown_background();
    }
}

/// Bars are for people: only where they can be drawn, and never over a question. `wanted` unless the command is for a
/// program, or asks something itself.
pub(super) fn bars(wanted: bool, ready: &Ready) -> Option<Progress> {
    let asks = ready.order.is_reset_by_hand();
    (wanted && !asks && io::stderr().is_terminal()).then(Progress::default)
}

/// The bars of one run, where there are any.
fn watcher(progress: Option<&Progress>) -> Watcher {
    match progress.map(Progress::add) {
        Some(mut bars) => Box::new(move |event: &Event| bars.show(event)),
        None => Box::new(|_: &Event| {}),
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
