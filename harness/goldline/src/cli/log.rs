//! Goldline's own log, for whoever looks for a fault in Goldline: warnings on standard error.

use std::panic::{self, Location};

use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Starts the log of this process.
pub(super) fn start() {
    // rumqttd calls ordinary events, such as a client that connects anew, errors; the broker's front
    // records what matters.
    // What espflash thinks of a damaged answer is no news either: the run asks again, and says what came of it.
    let wanted = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("rumqttd", LevelFilter::OFF)
        .with_target("espflash", LevelFilter::ERROR);
    // A line that standard error does not take is lost; to say so there would be a panic.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .without_time()
        .log_internal_errors(false);
    tracing_subscriber::registry().with(lines).with(wanted).init();
    hush_espflash();
}

/// espflash panics over lengths that a damaged answer names. Each such panic is caught where espflash is called and
/// becomes a diagnosis; a backtrace of it would tell an operator of a fault in the program.
fn hush_espflash() {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let of_espflash = |place: &Location| place.file().contains("/espflash-");
        if panic.location().is_some_and(of_espflash) {
            tracing::info!(%panic, "espflash gave up");
        } else {
            loud(panic);
        }
    }));
}
