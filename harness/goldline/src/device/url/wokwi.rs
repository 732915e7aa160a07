//! `wokwi:?chip=esp32c3&…`: which unit is to be simulated by Wokwi.
//!
//! Must not open or connect anything. Neither token nor address stands here: a URL is in the record.

use std::path::PathBuf;

use super::error::{DeviceUrlError, chip, unknown, wrong};
use crate::{identity::Mac, profile::Chip};

/// The names of the options, for people.
const EXPECTED: &str = "chip, mac, diagram";

/// What may be asked of a unit that Wokwi simulates.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WokwiOptions {
    /// The profile's chip unless given.
    pub chip: Option<Chip>,
    /// Its base MAC, where no diagram says it; Wokwi's own unless given.
    pub mac: Option<Mac>,
    /// The board and what hangs on it; the chip's development board alone unless given.
    pub diagram: Option<PathBuf>,
}

impl WokwiOptions {
    /// Of the options of a device URL.
    ///
    /// # Errors
    /// [`DeviceUrlError`] names the option that is wrong.
    pub(super) fn parse(url: &str, options: &[(&str, &str)]) -> Result<Self, DeviceUrlError> {
        let mut parsed = Self::default();
        for &(option, value) in options {
            match option {
                "chip" => parsed.chip = Some(chip(url, option, value)?),
                "mac" => {
                    parsed.mac = Some(value.parse().map_err(|_| {
                        wrong(url, option, value, "a MAC address such as 24:0a:c4:12:45:56")
                    })?)
                }
                "diagram" if !value.is_empty() => parsed.diagram = Some(PathBuf::from(value)),
                "diagram" => return Err(wrong(url, option, value, "the path of a diagram.json")),
                _ => return Err(unknown(url, option, EXPECTED)),
            }
        }
        if let (Some(mac), Some(_)) = (parsed.mac, &parsed.diagram) {
            let expected = "none beside a diagram, whose board has macAddress among its attrs";
            return Err(wrong(url, "mac", &mac.to_string(), expected));
        }
        Ok(parsed)
    }
}
