//! A real unit on a serial port, or on a terminal that stands for one.

use std::path::Path;

use super::{
    Device, DeviceError, ResetMethod,
    line::Line,
    loader::{LoaderDevice, ROM_BAUD},
    reset::Unit,
};

/// Faster than the ROM's rate and taken by every common USB bridge.
pub(super) const DEFAULT_BAUD: u32 = 460_800;

/// Opens a unit on a serial port; `baud` is the rate of transfers. Unless given it is 460800, but the
/// ROM's own rate where nothing resets the unit: the next SYNC comes at that rate.
///
/// # Errors
/// [`DeviceError::Line`] when the port cannot be opened.
pub fn open_serial(
    path: &Path,
    baud: Option<u32>,
    reset: ResetMethod,
) -> Result<Box<dyn Device>, DeviceError> {
    let reset = reset.settled(Some(path))?;
    let by_default = (reset != ResetMethod::None).then_some(DEFAULT_BAUD);
    let line = Line::open(path, ROM_BAUD)?;
    let unit = Unit::new(path.display().to_string(), line, reset.into());
    Ok(Box::new(LoaderDevice::new(unit, baud.or(by_default))))
}
