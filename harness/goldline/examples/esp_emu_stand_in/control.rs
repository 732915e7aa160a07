//! The host control channel: commands in lines, an answer in a line.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use goldline_simulator::Mode;

use crate::unit::Unit;

/// Answers whoever connects.
pub fn serve(address: &str, unit: Arc<Mutex<Unit>>, mode: Mode) -> Result<(), String> {
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let unit = Arc::clone(&unit);
            thread::spawn(move || obey(stream, &unit, mode));
        }
    });
    Ok(())
}

fn obey(mut stream: TcpStream, unit: &Mutex<Unit>, mode: Mode) {
    let Ok(lines) = stream.try_clone() else { return };
    for line in BufReader::new(lines).lines().map_while(Result::ok) {
        let answer = match line.trim() {
            "ping" => "ok".to_owned(),
            "reset" | "reset --soft" => {
                unit.lock().expect("nobody panics with it").reset_into(mode);
                "ok".to_owned()
            }
            other => format!("err: the stand-in has no command {other}"),
        };
        if stream.write_all(format!("{answer}\n").as_bytes()).is_err() {
            return;
        }
    }
}
