//! Stands in for Wokwi's simulation service, which no test can reach.
//!
//! Speaks version 1 of the simulation API as Wokwi's own clients do (`@wokwi/client`, `wokwi-client`), which tests
//! hold it to, and runs the simulator behind it: its chip does not execute machine code. What those clients do not
//! send, or the simulator has not, is refused with an error. The token that it takes stands in the variable
//! `WOKWI_STAND_IN_TOKEN`; the address is printed on the first line. Ends with standard input.

#![forbid(unsafe_code)]

mod board;
mod conduct;
mod connection;
mod pause_points;
mod simulation;

use std::{
    env,
    io::{self, Read},
    net::TcpListener,
    process::ExitCode,
    sync::Arc,
    thread,
};

use conduct::Conduct;
use connection::serve;

const TOKEN: &str = "WOKWI_STAND_IN_TOKEN";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("wokwi_stand_in: {words}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let token = env::var(TOKEN).map_err(|_| format!("{TOKEN} names no token"))?;
    let conduct = Arc::new(Conduct::parse(env::args().skip(1))?);
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    println!("ws://{address}/api/ws/beta");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (token, conduct) = (token.clone(), Arc::clone(&conduct));
            thread::spawn(move || serve(stream, &token, &conduct));
        }
    });
    // Whoever started it holds the other end.
    let _ended = io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}
