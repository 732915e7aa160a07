//! A unit on a serial port that a server offers on the network.

use std::{
    io::ErrorKind,
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    Device, DeviceError, RemotePort, RemoteProtocol,
    console::Absence,
    line::Line,
    loader::LoaderDevice,
    port::LineError,
    presence::{Open, Reopen},
    rate::ROM_BAUD,
    reset::Unit,
    serial::DEFAULT_BAUD,
    transport::{Allowance, Source, Transport},
};

/// How long a server is waited for that does not listen: one that is restarted is back by then.
const SERVER_LIMIT: Duration = Duration::from_secs(5);
/// How long one that listens may take for all that it has to agree to.
const OPEN_LIMIT: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(50);

/// Connects to a unit's port. Unless given the rate of transfers is that of a serial port; a raw port keeps the
/// one it has. Whoever gives it up is not kept by a server that does not answer.
///
/// # Errors
/// [`DeviceError::Line`] when nobody listens there, or whoever does speaks another protocol.
pub fn open_remote(
    remote: RemotePort,
    given_up: &dyn Fn() -> bool,
) -> Result<Box<dyn Device>, DeviceError> {
    let name = remote.name();
    let reset = remote.reset.settled(None)?;
    let baud = match remote.protocol {
        RemoteProtocol::Raw | RemoteProtocol::Unix => None,
        RemoteProtocol::Rfc2217 => {
            let by_default = (!reset.is_by_hand()).then_some(DEFAULT_BAUD);
            remote.baud.or(by_default)
        }
    };
    let (protocol, address, called) = (remote.protocol, remote.address, name.clone());
    let open: Open = Box::new(move |rate, allowed| match protocol {
        RemoteProtocol::Raw => Transport::raw(&address, &called, allowed),
        RemoteProtocol::Unix => Transport::unix(&address, &called, allowed),
        RemoteProtocol::Rfc2217 => Transport::rfc2217(&address, rate, &called, allowed),
    });
    let opened = await_server(&open, given_up)?;
    let reopen = Reopen { open, absence: Absence::Connection };
    let line = Line::that_returns(name.clone(), opened, ROM_BAUD, reopen)?;
    let unit = Unit::new(name, line, reset.into());
    Ok(Box::new(LoaderDevice::new(unit, baud)))
}

/// Opens the port; a connection that is refused may be taken when its server is back.
fn await_server(
    open: &Open,
    given_up: &dyn Fn() -> bool,
) -> Result<(Transport, Source), LineError> {
    let began = Instant::now();
    let mut is_told = false;
    loop {
        match open(ROM_BAUD, &Allowance::new(OPEN_LIMIT, given_up)) {
            Err(LineError::Connect { source, .. })
                if is_of_a_restart(source.kind())
                    && began.elapsed() < SERVER_LIMIT
                    && !given_up() =>
            {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(
                        "no server listens there: {source}; waiting for it up to {SERVER_LIMIT:?}"
                    );
                }
                sleep(LOOK);
            }
            opened => return opened,
        }
    }
}

fn is_of_a_restart(reason: ErrorKind) -> bool {
    use ErrorKind::{ConnectionRefused, ConnectionReset, NotFound};
    // A socket's path is not there while its server is not.
    matches!(reason, ConnectionRefused | ConnectionReset | NotFound)
}
