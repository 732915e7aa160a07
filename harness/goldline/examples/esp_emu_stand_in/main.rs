//! Stands in for esp-emu, Espressif's own emulator, where there is none: everywhere but at its users', for no
//! package registry has it.
//!
//! **No real one was ever run beside it.** It does what esp-emu's README says (0.49 and before) and what
//! pytest-embedded's service for it wants, and runs the simulator behind that: its chip does not execute machine
//! code. Arguments that are documented and that it has no part of are refused like unknown ones, so that the
//! harness cannot come to rely on them. What is not documented is chosen so that nobody can rely on it either: it
//! ends with another code for each way out.

#![forbid(unsafe_code)]

mod arguments;
mod console;
mod control;
mod flash;
mod network;
#[path = "../stand_ins/unit.rs"]
mod unit;

use std::{
    os::unix::net::UnixStream,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        mpsc::{Sender, channel},
    },
    thread,
};

use clap::Parser;
use goldline_simulator::chip::Model;
use tokio::signal::unix::{SignalKind, signal};

use arguments::Arguments;
use flash::Flash;
use network::AccessPointAndNat;
use unit::{Parts, Unit, mac_in};

/// The base MAC where no eFuses say otherwise.
const MAC: [u8; 6] = [0x24, 0x0A, 0xC4, 0x00, 0x00, 0x01];

/// Why it ends in order.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// The console said what `--exit-on` names.
    ExitOn,
    /// `--timeout` is over.
    Timeout,
    /// Ctrl-C.
    Interrupted,
}

impl End {
    /// Only that of `--exit-on` is documented.
    fn code(self) -> u8 {
        match self {
            Self::ExitOn => 0,
            Self::Timeout => 86,
            Self::Interrupted => 87,
        }
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(end) => ExitCode::from(end.code()),
        Err(words) => {
            eprintln!("Error: {words}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<End, String> {
    let (ends, ended) = channel();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let _entered = runtime.enter();
    end_on_interrupt(&runtime, ends.clone())?;
    let model = Model::named(&arguments.chip)
        .filter(|model| arguments::CHIPS.contains(&model.name))
        .ok_or_else(|| format!("the stand-in has no {}", arguments.chip))?;
    let flash = Flash::load(&arguments.firmware, model.name)?;
    let mac = match arguments.efuse.as_ref().map(mac_in).transpose()? {
        Some(mac) if mac != [0; 6] => mac,
        _ => MAC,
    };
    let world = Arc::new(AccessPointAndNat::new(&arguments)?);
    let parts =
        Parts { model, mac, flash: flash.path().to_owned(), flash_size: flash.size(), world };
    let (ours, theirs) = UnixStream::pair().map_err(|error| error.to_string())?;
    console::serve(theirs, &arguments, ends.clone())?;
    let mode = arguments.mode()?;
    let unit = Arc::new(Mutex::new(Unit::new(parts, ours)?));
    if let Some(address) = &arguments.control_tcp {
        control::serve(address, Arc::clone(&unit), mode)?;
    }
    unit.lock().expect("nobody panics with it").on(mode)?;
    if let Some(limit) = arguments.timeout {
        thread::spawn(move || {
            thread::sleep(limit);
            let _late = ends.send(End::Timeout);
        });
    }
    let end = ended.recv().map_err(|error| error.to_string())?;
    unit.lock().expect("nobody panics with it").off();
    if arguments.save_state {
        flash.save(&arguments.firmware)?;
    }
    Ok(end)
}

/// Another signal ends it as it ends any program: what is in memory is lost.
fn end_on_interrupt(runtime: &tokio::runtime::Runtime, ends: Sender<End>) -> Result<(), String> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    runtime.spawn(async move {
        interrupt.recv().await;
        let _late = ends.send(End::Interrupted);
    });
    Ok(())
}
