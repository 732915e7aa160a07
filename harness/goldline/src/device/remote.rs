//! A unit on a serial port that a server offers on the network.

use super::{
    Device, DeviceError, RemotePort, RemoteProtocol, ResetMethod,
    line::Line,
    loader::{LoaderDevice, ROM_BAUD},
    reset::Unit,
    serial::DEFAULT_BAUD,
    transport::Transport,
};

/// Connects to a unit's port. Unless given the rate of transfers is that of a serial port; a raw port keeps the
/// one it has.
///
/// # Errors
/// [`DeviceError::Line`] when nobody listens there, or whoever does speaks another protocol.
pub fn open_remote(remote: RemotePort) -> Result<Box<dyn Device>, DeviceError> {
    let name = remote.name();
    let reset = remote.reset.settled(None)?;
    let (transport, baud) = match remote.protocol {
        RemoteProtocol::Raw => (Transport::raw(&remote.address, &name)?, None),
        RemoteProtocol::Rfc2217 => {
            let by_default = (reset != ResetMethod::None).then_some(DEFAULT_BAUD);
            let transport = Transport::rfc2217(&remote.address, ROM_BAUD, &name)?;
            (transport, remote.baud.or(by_default))
        }
    };
    let line = Line::over(name.clone(), transport)?;
    let unit = Unit::new(name, line, reset.into());
    Ok(Box::new(LoaderDevice::new(unit, baud)))
}
