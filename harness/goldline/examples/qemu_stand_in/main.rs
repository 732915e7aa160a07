//! Stands in for Espressif's QEMU where there is none: in a CI.
//!
//! Takes the arguments, sockets, control commands and signals that `fixtures/emulators/qemu` shows of a real
//! one, and runs the simulator behind them: its chip does not execute machine code. What a transcript does not
//! show is refused, so that the harness cannot come to rely on it. Called by the name of the program that it
//! stands in for.

#![forbid(unsafe_code)]

mod arguments;
mod control;
mod guest;
#[path = "../stand_ins/unit.rs"]
mod unit;

use std::{
    env,
    ffi::OsString,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::signal::unix::{SignalKind, signal};

use arguments::{Arguments, Asked};
use control::Control;
use guest::Guest;

fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let program = arguments.next().unwrap_or_default();
    let program =
        Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments: Vec<OsString> = arguments.collect();
    match Arguments::parse(&program, &arguments) {
        Ok(Asked::Text(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Asked::Machine(arguments)) => {
            run(&program, *arguments).unwrap_or_else(|words| fail(&program, &words))
        }
        Err(words) => fail(&program, &words),
    }
}

fn fail(program: &str, words: &str) -> ExitCode {
    eprintln!("{program}: {words}");
    ExitCode::FAILURE
}

fn run(program: &str, mut arguments: Arguments) -> Result<ExitCode, String> {
    let console = arguments.take_chardev("console")?;
    let control = arguments.take_chardev("qmp")?;
    eprintln!("Adding SPI flash device");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let _entered = runtime.enter();
    let guest = Guest::new(&mut arguments, console)?;
    let terminated = Arc::new(AtomicBool::new(false));
    let (control, hang_up) = Control::new(control, arguments, guest)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    runtime.spawn({
        let (terminated, program) = (Arc::clone(&terminated), program.to_owned());
        async move {
            terminate.recv().await;
            eprintln!("{program}: terminating on signal 15 from pid 0 (a stand-in)");
            terminated.store(true, Ordering::Release);
            hang_up.now();
        }
    });
    control.serve(&terminated)?;
    Ok(ExitCode::SUCCESS)
}
