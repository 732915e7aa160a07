//! Serves a simulated unit until the process ends: `serve CHIP [FAULT…]`.
//!
//! Prints the device file that clients open. Try `esptool --port FILE --before no-reset flash-id`.

use std::sync::Arc;
use std::{env, process, thread};

use goldline_simulator::chip::{self, Model};
use goldline_simulator::world::Silence;
use goldline_simulator::{Config, Simulator};

fn main() {
    let mut arguments = env::args().skip(1);
    let name = arguments
        .next()
        .unwrap_or_else(|| chip::ESP32.name.to_owned());
    let Some(model) = Model::named(&name) else {
        eprintln!("unknown chip {name:?}");
        process::exit(2);
    };
    let mut config = Config::new(model);
    config.sync_resets = true;
    for fault in arguments {
        match fault.parse() {
            Ok(fault) => config.faults.push(fault),
            Err(error) => {
                eprintln!("{error}");
                process::exit(2);
            }
        }
    }
    match Simulator::start(config, Arc::new(Silence)) {
        Ok(simulator) => {
            println!("{}", simulator.port_path().display());
            loop {
                thread::park();
            }
        }
        Err(error) => {
            eprintln!("{error}");
            process::exit(1);
        }
    }
}
