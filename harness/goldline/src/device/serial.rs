//! A real unit on a serial port, or on a terminal that stands for one.

use std::{
    io,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use serialport::ErrorKind;

use super::{
    Absence, ChoiceError, Chosen, Device, DeviceError, DeviceUrl, ResetMethod, SoughtPort, choose,
    line::Line,
    loader::LoaderDevice,
    port::LineError,
    ports::{Machine, claim, socket::Socket},
    presence::{RETURN_LIMIT, Reopen},
    rate::ROM_BAUD,
    reset::Unit,
    transport::{Allowance, Source, Transport},
};

/// How long a port is waited for that is not there.
const PORT_LIMIT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);
/// Faster than the ROM's rate and taken by every common USB bridge.
pub(super) const DEFAULT_BAUD: u32 = 460_800;

/// Opens a unit on a serial port; `baud` is the rate of transfers. Unless given it is 460800, but the
/// ROM's own rate where nothing resets the unit: the next SYNC comes at that rate.
///
/// # Errors
/// [`DeviceError::Line`] when the port cannot be opened, or somebody else has it.
pub fn open_serial(
    path: &Path,
    baud: Option<u32>,
    reset: ResetMethod,
) -> Result<Box<dyn Device>, DeviceError> {
    let reset = reset.settled(Some(path))?;
    let by_default = (!reset.is_by_hand()).then_some(DEFAULT_BAUD);
    claim::refuse_held(path)?;
    let opened = await_port(path).map_err(|error| claim::explained(path, error))?;
    let reopen = reopening(Machine::of_environment(), path);
    let line = Line::that_returns(path.display().to_string(), opened, ROM_BAUD, reopen)?;
    let unit = Unit::new(path.display().to_string(), line, reset.into());
    Ok(Box::new(LoaderDevice::new(unit, baud.or(by_default))))
}

/// Opens a unit on the port that is where the name says, which may have come with its supply just now: it is waited for as
/// one that went.
///
/// # Errors
/// [`DeviceError::NotThere`] when there is none, or more than one; else as [`open_serial`].
pub fn open_sought(
    sought: &SoughtPort,
    given_up: &dyn Fn() -> bool,
) -> Result<Box<dyn Device>, DeviceError> {
    let (machine, began) = (Machine::of_environment(), Instant::now());
    loop {
        let source = match choose(&machine, &sought.choice) {
            Ok(Chosen::Port(path)) => match sought.at(&path) {
                DeviceUrl::Serial { path, baud, reset } => return open_serial(&path, baud, reset),
                _ => unreachable!("only a serial port is sought"),
            },
            Ok(Chosen::OfUnit(mac)) => {
                let asked = " Linux alone does not tell, and no unit was asked".to_owned();
                ChoiceError::NoUnit { mac, asked }
            }
            Err(source) => source,
        };
        if began.elapsed() >= RETURN_LIMIT || given_up() {
            return Err(DeviceError::NotThere { waited_s: began.elapsed().as_secs(), source });
        }
        sleep(LOOK);
    }
}

/// Opens the port. One that is not there may be a native USB whose chip resets again and again, or was plugged in
/// just now.
fn await_port(path: &Path) -> Result<(Transport, Source), LineError> {
    let began = Instant::now();
    loop {
        match Transport::serial(path, ROM_BAUD) {
            Err(LineError::Open { source, .. })
                if source.kind() == ErrorKind::Io(io::ErrorKind::NotFound)
                    && began.elapsed() < PORT_LIMIT =>
            {
                sleep(LOOK);
            }
            opened => return opened,
        }
    }
}

/// Opens the port, also when it has returned under another number, and never the one that has its number now.
fn reopening(machine: Machine, path: &Path) -> Reopen {
    let socket = Socket::of(machine, path);
    let open = move |baud, _: &Allowance<'_>| {
        let gone = || LineError::Open {
            port: socket.to_string(),
            source: serialport::Error::new(ErrorKind::NoDevice, "nothing is plugged in there"),
        };
        let port = socket.port().ok_or_else(gone)?;
        let opened = Transport::serial(&port, baud)?;
        // While it is open nothing else gets its number; before, something may have.
        if socket.port().as_ref() == Some(&port) { Ok(opened) } else { Err(gone()) }
    };
    Reopen { open: Box::new(open), absence: Absence::Port }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::device::{line::terminal, ports::socket::tests::Bridges};

    /// Two nests on one hub, which blinks; udev's one link by id leads to the last that came, and so did the run of the
    /// first.
    #[test]
    fn a_port_returns_and_not_its_neighbour_with_the_same_serial_number() {
        let bridges = Bridges::new();
        let (mut one, first) = terminal().expect("a pseudo terminal");
        let (_two, second) = terminal().expect("a pseudo terminal");
        bridges.plug("ttyUSB1", "1-1.2", &second);
        bridges.plug("ttyUSB0", "1-1.1", &first);
        let reopen = reopening(bridges.machine(), &bridges.path("dev/ttyUSB0"));
        bridges.unplug("ttyUSB0");
        bridges.unplug("ttyUSB1");
        bridges.plug("ttyUSB0", "1-1.2", &second);
        let allowed = Allowance::new(PORT_LIMIT, &|| false);
        assert!((reopen.open)(ROM_BAUD, &allowed).is_err(), "its own is away");
        bridges.plug("ttyUSB1", "1-1.1", &first);
        bridges.unplug("ttyUSB0");
        bridges.plug("ttyUSB0", "1-1.2", &second);
        let (mut transport, _source) = (reopen.open)(ROM_BAUD, &allowed).expect("it is back");
        transport.write_all(b"x").expect("it takes a byte");
        let mut byte = [0];
        one.read_exact(&mut byte).expect("the unit hears it");
        assert_eq!(&byte, b"x");
    }
}
