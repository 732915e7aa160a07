//! From what a user names a port by to the port: looked for when an order is taken, and asked for only where no
//! cheaper way tells.

use std::{path::Path, time::Duration};

use crate::{
    device::{
        Asked, ChipFacts, ChoiceError, Chosen, Device, DeviceError, DeviceUrl, Machine,
        ResetMethod, SoughtPort, choose, find_unit, open_serial,
    },
    identity::Mac,
};

/// A device whose port is not known before units are asked; its place among the devices of an order.
pub(super) struct Unfound {
    pub(super) index: usize,
    pub(super) mac: Mac,
    pub(super) sought: SoughtPort,
}

/// Which port is meant, as far as it can be told without touching a unit.
pub(super) fn without_asking(sought: &SoughtPort) -> Result<Chosen, ChoiceError> {
    choose(&Machine::of_environment(), &sought.choice)
}

/// The device; units are asked if they must be.
///
/// # Errors
/// [`ChoiceError`] lists what there is.
pub fn find_port(sought: &SoughtPort) -> Result<DeviceUrl, ChoiceError> {
    match without_asking(sought)? {
        Chosen::Port(path) => Ok(sought.at(&path)),
        Chosen::OfUnit(mac) => by_asking(sought, mac),
    }
}

/// The device whose unit says that it has this address.
pub(super) fn by_asking(sought: &SoughtPort, mac: Mac) -> Result<DeviceUrl, ChoiceError> {
    let ask_at = |path: &Path| -> Asked {
        let facts = match sought.at(path) {
            DeviceUrl::Serial { path, baud, reset } => ask(&path, baud, reset),
            _ => return Err("it is no serial port".to_owned()),
        };
        facts.map(|facts| facts.mac).map_err(|error| error.to_string())
    };
    let found = find_unit(&Machine::of_environment(), mac, |port| ask_at(&port.path))?;
    Ok(sought.at(&found))
}

/// Asks the unit at a serial port who it is, and starts its application again, if the bench has a way to.
///
/// # Errors
/// When nothing answers there as an ESP32 does, or the port cannot be used.
pub fn ask_unit(path: &Path) -> Result<ChipFacts, DeviceError> {
    ask(path, None, ResetMethod::default())
}

fn ask(path: &Path, baud: Option<u32>, reset: ResetMethod) -> Result<ChipFacts, DeviceError> {
    let by_hand = reset.is_by_hand();
    // Nobody is asked to press the buttons of units that may be others'.
    let reset = if by_hand { ResetMethod::None { within: Duration::ZERO } } else { reset };
    let mut device = open_serial(path, baud, reset)?;
    let facts = device.identify();
    if !by_hand {
        start_again(&mut *device);
    }
    facts
}

/// A unit that was asked runs on as before; that it said who it is counts all the same.
fn start_again(device: &mut dyn Device) {
    if let Err(error) = device.boot() {
        tracing::info!(%error, "the unit that was asked was not started again");
    }
}
