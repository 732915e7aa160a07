//! Every defect that a unit can be given, by its dotted name.
//!
//! A fault changes what the unit does, never what it says about itself: clients see it only through
//! behaviour. The first word of its name is the layer that misbehaves.

pub(crate) mod damage;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One defect of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `flash.app_bit`
    FlashAppBit,
    /// `flash.nvs_bit`
    FlashNvsBit,
    /// `flash.nvs_key_missing`
    FlashNvsKeyMissing,
    /// `firmware.wifi_password`
    FirmwareWifiPassword,
    /// `firmware.mqtt_password`
    FirmwareMqttPassword,
    /// `firmware.wrong_ca`
    FirmwareWrongCa,
    /// `firmware.boot_loop`
    FirmwareBootLoop,
    /// `radio.deaf`
    RadioDeaf,
    /// `wire.silent`
    WireSilent,
    /// `wire.vanish`
    WireVanish,
}

impl Fault {
    /// Every fault, in the order of their layers.
    pub const ALL: &[Self] = &[
        Self::WireSilent,
        Self::WireVanish,
        Self::FlashAppBit,
        Self::FlashNvsBit,
        Self::FlashNvsKeyMissing,
        Self::FirmwareWifiPassword,
        Self::FirmwareMqttPassword,
        Self::FirmwareWrongCa,
        Self::FirmwareBootLoop,
        Self::RadioDeaf,
    ];

    /// The dotted name.
    pub fn name(self) -> &'static str {
        self.entry().0
    }

    /// What misbehaves: the first word of the name.
    pub fn layer(self) -> &'static str {
        let name = self.name();
        name.split_once('.').map_or(name, |(layer, _)| layer)
    }

    /// What the unit does, in one sentence.
    pub fn what(self) -> &'static str {
        self.entry().1
    }

    fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::FlashAppBit => (
                "flash.app_bit",
                "One bit of the application's partition flips after it was written.",
            ),
            Self::FlashNvsBit => (
                "flash.nvs_bit",
                "One bit of a used NVS entry flips after it was written, so that its CRC fails.",
            ),
            Self::FlashNvsKeyMissing => (
                "flash.nvs_key_missing",
                "One NVS key is marked erased after it was written; the structure stays sound.",
            ),
            Self::FirmwareWifiPassword => (
                "firmware.wifi_password",
                "The firmware joins with another passphrase than its NVS holds.",
            ),
            Self::FirmwareMqttPassword => (
                "firmware.mqtt_password",
                "The firmware logs in at the broker with another password than its NVS holds.",
            ),
            Self::FirmwareWrongCa => (
                "firmware.wrong_ca",
                "The firmware trusts another CA than the one it was built with.",
            ),
            Self::FirmwareBootLoop => (
                "firmware.boot_loop",
                "The firmware panics soon after it starts, and again after each reset.",
            ),
            Self::RadioDeaf => ("radio.deaf", "The radio hears no access point."),
            Self::WireSilent => ("wire.silent", "The unit never sends a byte."),
            Self::WireVanish => (
                "wire.vanish",
                "The serial port hangs up while flash is being written, and stays away.",
            ),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no fault of a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown fault {name:?}: expected one of {}", names())]
pub struct UnknownFault {
    /// What was asked for.
    pub name: String,
}

fn names() -> String {
    let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    names.join(", ")
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let found = Self::ALL.iter().copied().find(|fault| fault.name() == name);
        found.ok_or_else(|| UnknownFault { name: name.to_owned() })
    }
}

/// The faults of one unit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(BTreeSet<Fault>);

impl Faults {
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(faults.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name_and_begins_with_a_layer_of_the_unit() {
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(*fault));
            let layers = ["wire", "flash", "chip", "firmware", "radio", "time"];
            assert!(layers.contains(&fault.layer()), "{fault}");
            assert!(fault.what().ends_with('.'), "{fault}");
        }
    }

    #[test]
    fn an_unknown_name_says_what_is_known() {
        let error = "flash.app_bits".parse::<Fault>().unwrap_err().to_string();
        assert!(error.contains("flash.app_bits") && error.contains("flash.app_bit,"));
    }
}
