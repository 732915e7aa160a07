//! The devices of a command: which units are named, and that each is named once.
//!
//! Opens nothing.

use super::problem::{usage, usage_with_help};
use crate::{
    device::{DeviceUrl, SimulatorOptions},
    identity::Mac,
};

/// The first simulated unit's address, one of Espressif's; the others count up from it.
const SIMULATED_MAC: [u8; 6] = [0x24, 0x0A, 0xC4, 0x00, 0x01, 0x10];

/// Parses the devices; without any, one simulated unit.
pub(super) fn parse(urls: &[String]) -> miette::Result<Vec<(String, DeviceUrl)>> {
    if urls.is_empty() {
        return Ok(vec![("simulator:".to_owned(), DeviceUrl::default())]);
    }
    let mut devices: Vec<(String, DeviceUrl)> = Vec::with_capacity(urls.len());
    for url in urls {
        let parsed: DeviceUrl = url.parse().map_err(usage)?;
        let index = devices.len();
        let mut others = devices.iter().enumerate();
        if let Some((_, (other, _))) =
            others.find(|(other, (_, device))| is_same_unit((*other, device), (index, &parsed)))
        {
            return Err(usage_with_help(
                format!("the devices {other} and {url} are the same unit"),
                "name each unit once; simulated ones differ by mac and flash-file",
            ));
        }
        devices.push((url.clone(), parsed));
    }
    Ok(devices)
}

/// Whether two devices, each with its place in the arguments, are one unit.
fn is_same_unit(one: (usize, &DeviceUrl), other: (usize, &DeviceUrl)) -> bool {
    match (one, other) {
        ((_, DeviceUrl::Serial { path: one, .. }), (_, DeviceUrl::Serial { path: other, .. })) => {
            one == other
        }
        ((index, DeviceUrl::Simulator(one)), (other_index, DeviceUrl::Simulator(other))) => {
            let mac =
                |index, options: &SimulatorOptions| options.mac.unwrap_or(simulated_mac(index));
            mac(index, one) == mac(other_index, other)
                || one.flash_file.is_some() && one.flash_file == other.flash_file
        }
        _ => false,
    }
}

/// The address of the simulated unit in this place of the arguments.
pub(super) fn simulated_mac(index: usize) -> Mac {
    let mut mac = SIMULATED_MAC;
    let low = u16::from_be_bytes([mac[4], mac[5]]).wrapping_add(u16::try_from(index).unwrap_or(0));
    mac[4..].copy_from_slice(&low.to_be_bytes());
    Mac(mac)
}
