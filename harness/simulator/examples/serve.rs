//! Serves a simulated unit until the process ends: `serve CHIP [pty|tcp|rfc2217] [FAULT…]`.
//!
//! Prints the port that clients open. Try `esptool --port PORT flash-id`.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::{env, process, thread};

use goldline_simulator::chip::{self, Model};
use goldline_simulator::world::Silence;
use goldline_simulator::{Config, NetworkPort, Protocol, Simulator};

fn main() {
    if let Err(error) = serve() {
        eprintln!("{error}");
        process::exit(1);
    }
}

fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| chip::ESP32.name.to_owned());
    let model = Model::named(&name).ok_or_else(|| format!("unknown chip {name:?}"))?;
    let protocol = match arguments.next().as_deref() {
        None | Some("pty") => None,
        Some("tcp") => Some(Protocol::Raw),
        Some("rfc2217") => Some(Protocol::Rfc2217),
        Some(other) => return Err(format!("unknown kind of port {other:?}").into()),
    };
    let mut config = Config::new(model);
    config.sync_resets = protocol.is_none();
    config.faults = arguments.map(|name| name.parse()).collect::<Result<_, _>>()?;
    let simulator = Simulator::start(config, Arc::new(Silence))?;
    let Some(protocol) = protocol else {
        println!("{}", simulator.port_path().display());
        loop {
            thread::park();
        }
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = NetworkPort::serve(&simulator, listener, protocol)?;
    println!("{}", port.url());
    loop {
        thread::park();
    }
}
