//! A real unit on a serial port, or on a terminal that stands for one.

use std::{
    io,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use serialport::ErrorKind;

use super::{
    Absence, Device, DeviceError, ResetMethod,
    line::Line,
    loader::{LoaderDevice, ROM_BAUD},
    port::LineError,
    ports::claim,
    presence::Reopen,
    reset::Unit,
    transport::{Source, Transport},
    usb,
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
    let by_default = (reset != ResetMethod::None).then_some(DEFAULT_BAUD);
    claim::refuse_held(path)?;
    let opened = await_port(path).map_err(|error| claim::explained(path, error))?;
    let line = Line::that_returns(path.display().to_string(), opened, ROM_BAUD, reopening(path))?;
    let unit = Unit::new(path.display().to_string(), line, reset.into());
    Ok(Box::new(LoaderDevice::new(unit, baud.or(by_default))))
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

/// Opens the port, also when it has returned under another number: by the name that it has of what it is, where it
/// has one.
fn reopening(path: &Path) -> Reopen {
    let name = usb::name_by_id(path).unwrap_or_else(|| path.to_owned());
    Reopen { open: Box::new(move |baud| Transport::serial(&name, baud)), absence: Absence::Port }
}
