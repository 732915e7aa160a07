//! UART0: on standard input and output, or a TCP server with one client at a time.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, mpsc::Sender},
    thread,
};

use crate::{End, arguments::Arguments, unit::pass};

/// Serves the console's end of a pair of sockets.
pub fn serve(console: UnixStream, arguments: &Arguments, ends: Sender<End>) -> Result<(), String> {
    let typed = console.try_clone().map_err(|error| error.to_string())?;
    let client = Arc::new(Mutex::new(None));
    match &arguments.uart_tcp {
        Some(address) => {
            let listener =
                TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
            let client = Arc::clone(&client);
            thread::spawn(move || take_clients(&listener, &client, typed));
        }
        None => {
            thread::spawn(move || type_lines(typed));
        }
    }
    let to_client = arguments.uart_tcp.is_some();
    let watched = arguments.exit_on.clone();
    thread::spawn(move || print(console, to_client.then_some(&*client), watched, &ends));
    Ok(())
}

/// Standard input is forwarded line by line.
fn type_lines(mut console: UnixStream) {
    for line in io::stdin().lines().map_while(Result::ok) {
        if console.write_all(format!("{line}\n").as_bytes()).is_err() {
            return;
        }
    }
}

/// The listener stays up across reconnects.
fn take_clients(
    listener: &TcpListener,
    client: &Mutex<Option<TcpStream>>,
    mut console: UnixStream,
) {
    while let Ok((mut stream, _)) = listener.accept() {
        let Ok(heard) = stream.try_clone() else { return };
        *client.lock().expect("nobody panics with it") = Some(heard);
        pass(&mut stream, &mut console);
        *client.lock().expect("nobody panics with it") = None;
    }
}

/// What is printed while no client is there is lost.
fn print(
    mut console: UnixStream,
    client: Option<&Mutex<Option<TcpStream>>>,
    watched: Option<String>,
    ends: &Sender<End>,
) {
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = console.read(&mut buffer) {
        let bytes = &buffer[..count];
        let printed = match client {
            None => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
            Some(client) => match &mut *client.lock().expect("nobody panics with it") {
                Some(client) => client.write_all(bytes),
                None => Ok(()),
            },
        };
        // Whoever listened may be gone.
        let _heard = printed;
        if let Some(text) = &watched {
            said.extend_from_slice(bytes);
            if String::from_utf8_lossy(&said).contains(text) {
                let _late = ends.send(End::ExitOn);
                return;
            }
        }
    }
}
