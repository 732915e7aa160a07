//! A real unit on a serial port: reset through DTR and RTS.
//!
//! The usual circuit of two transistors: RTS alone pulls EN low, DTR alone pulls GPIO0 low.

use std::{path::Path, thread::sleep, time::Duration};

use serialport::SerialPort;

use super::{
    BootMode, Device, DeviceError,
    line::Line,
    loader::{LoaderDevice, Port, ROM_BAUD},
};

/// How long EN is held low, and GPIO0 after it: the circuit's own capacitor sets these times.
const RESET_HOLD: Duration = Duration::from_millis(100);
const STRAP_HOLD: Duration = Duration::from_millis(50);
/// Faster than the ROM's rate and taken by every common USB bridge.
const DEFAULT_BAUD: u32 = 460_800;

/// Opens a unit on a serial port; `baud` is the rate of transfers, 460800 unless given.
///
/// # Errors
/// [`DeviceError::Line`] when the port cannot be opened.
pub fn open_serial(path: &Path, baud: Option<u32>) -> Result<Box<dyn Device>, DeviceError> {
    let port = SerialUnit { path: path.display().to_string(), line: Line::open(path, ROM_BAUD)? };
    Ok(Box::new(LoaderDevice::new(port, Some(baud.unwrap_or(DEFAULT_BAUD)))))
}

struct SerialUnit {
    path: String,
    line: Line,
}

impl SerialUnit {
    fn set_lines(&mut self, dtr: bool, rts: bool) -> Result<(), DeviceError> {
        let port = self.line.port();
        port.write_data_terminal_ready(dtr).and_then(|()| port.write_request_to_send(rts)).map_err(
            |error| DeviceError::Reset { port: self.path.clone(), detail: error.to_string() },
        )
    }
}

impl Port for SerialUnit {
    fn line(&mut self) -> &mut Line {
        &mut self.line
    }

    fn line_ref(&self) -> &Line {
        &self.line
    }

    fn name(&self) -> String {
        self.path.clone()
    }

    fn reset_into(&mut self, mode: BootMode) -> Result<(), DeviceError> {
        self.set_lines(false, true)?;
        sleep(RESET_HOLD);
        if mode == BootMode::Download {
            self.set_lines(true, false)?;
            sleep(STRAP_HOLD);
        }
        self.set_lines(false, false)
    }
}
