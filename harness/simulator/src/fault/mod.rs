//! Every defect that a unit can be given, by its dotted name.
//!
//! A fault changes what the unit does, never what it says about itself: clients see it only through
//! behaviour. The first word of its name is the layer that misbehaves.

pub(crate) mod chance;
pub(crate) mod flip;
pub(crate) mod lateness;
pub(crate) mod noise;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One defect of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `wire.silent`
    WireSilent,
    /// `wire.vanish`
    WireVanish,
    /// `wire.drop`
    WireDrop,
    /// `wire.duplicate`
    WireDuplicate,
    /// `wire.corrupt`
    WireCorrupt,
    /// `wire.delay`
    WireDelay,
    /// `wire.late_once`
    WireLateOnce,
    /// `wire.late`
    WireLate,
    /// `wire.bit`
    WireBit,
    /// `wire.bit_digest`
    WireBitDigest,
    /// `wire.bit_mac`
    WireBitMac,
    /// `wire.bit_console`
    WireBitConsole,
    /// `wire.bit_request`
    WireBitRequest,
    /// `wire.bit_typed`
    WireBitTyped,
    /// `wire.fast_rate`
    WireFastRate,
    /// `wire.deaf_rate`
    WireDeafRate,
    /// `flash.app_bit`
    FlashAppBit,
    /// `flash.nvs_bit`
    FlashNvsBit,
    /// `flash.nvs_key_missing`
    FlashNvsKeyMissing,
    /// `flash.stuck_bit`
    FlashStuckBit,
    /// `flash.weak_sector`
    FlashWeakSector,
    /// `flash.erase_failed`
    FlashEraseFailed,
    /// `flash.worn_out`
    FlashWornOut,
    /// `flash.wrong_size`
    FlashWrongSize,
    /// `chip.wrong_chip`
    ChipWrongChip,
    /// `chip.wrong_mac`
    ChipWrongMac,
    /// `chip.encrypted`
    ChipEncrypted,
    /// `chip.brown_out`
    ChipBrownOut,
    /// `chip.watchdog`
    ChipWatchdog,
    /// `chip.usb_vanishes`
    ChipUsbVanishes,
    /// `chip.stub_refused`
    ChipStubRefused,
    /// `chip.other_hmac_key`
    ChipOtherHmacKey,
    /// `firmware.boot_loop`
    FirmwareBootLoop,
    /// `firmware.key_ignored`
    FirmwareKeyIgnored,
    /// `firmware.setting_ignored`
    FirmwareSettingIgnored,
    /// `firmware.secret_in_log`
    FirmwareSecretInLog,
    /// `firmware.any_certificate`
    FirmwareAnyCertificate,
    /// `firmware.wrong_client_id`
    FirmwareWrongClientId,
    /// `firmware.id_drops_zeros`
    FirmwareIdDropsZeros,
    /// `firmware.ca_call_missing`
    FirmwareCaCallMissing,
    /// `firmware.ca_call_wrong_psk`
    FirmwareCaCallWrongPsk,
    /// `firmware.slow_boot`
    FirmwareSlowBoot,
    /// `firmware.stuck`
    FirmwareStuck,
    /// `firmware.wifi_password`
    FirmwareWifiPassword,
    /// `firmware.mqtt_password`
    FirmwareMqttPassword,
    /// `firmware.wrong_ca`
    FirmwareWrongCa,
    /// `firmware.console_silent`
    FirmwareConsoleSilent,
    /// `firmware.console_late`
    FirmwareConsoleLate,
    /// `firmware.console_garbled`
    FirmwareConsoleGarbled,
    /// `firmware.console_interleaved`
    FirmwareConsoleInterleaved,
    /// `firmware.reset_leaves_credentials`
    FirmwareResetLeavesCredentials,
    /// `firmware.save_failed`
    FirmwareSaveFailed,
    /// `firmware.portal_save_failed`
    FirmwarePortalSaveFailed,
    /// `firmware.portal_forgets`
    FirmwarePortalForgets,
    /// `firmware.portal_silent`
    FirmwarePortalSilent,
    /// `firmware.portal_stays_open`
    FirmwarePortalStaysOpen,
    /// `firmware.ota_ignored`
    FirmwareOtaIgnored,
    /// `firmware.ota_no_switch`
    FirmwareOtaNoSwitch,
    /// `firmware.ota_erases_nvs`
    FirmwareOtaErasesNvs,
    /// `firmware.ota_takes_tampered`
    FirmwareOtaTakesTampered,
    /// `firmware.ota_takes_unsigned`
    FirmwareOtaTakesUnsigned,
    /// `firmware.ota_takes_wrong_chip`
    FirmwareOtaTakesWrongChip,
    /// `firmware.ota_takes_older`
    FirmwareOtaTakesOlder,
    /// `radio.deaf`
    RadioDeaf,
    /// `radio.weak`
    RadioWeak,
    /// `radio.drops`
    RadioDrops,
    /// `radio.no_ip`
    RadioNoIp,
    /// `time.not_set`
    TimeNotSet,
}

impl Fault {
    /// Every fault, in the order of their layers.
    pub const ALL: &[Self] = &[
        Self::WireSilent,
        Self::WireVanish,
        Self::WireDrop,
        Self::WireDuplicate,
        Self::WireCorrupt,
        Self::WireDelay,
        Self::WireLateOnce,
        Self::WireLate,
        Self::WireBit,
        Self::WireBitDigest,
        Self::WireBitMac,
        Self::WireBitConsole,
        Self::WireBitRequest,
        Self::WireBitTyped,
        Self::WireFastRate,
        Self::WireDeafRate,
        Self::FlashAppBit,
        Self::FlashNvsBit,
        Self::FlashNvsKeyMissing,
        Self::FlashStuckBit,
        Self::FlashWeakSector,
        Self::FlashEraseFailed,
        Self::FlashWornOut,
        Self::FlashWrongSize,
        Self::ChipWrongChip,
        Self::ChipWrongMac,
        Self::ChipEncrypted,
        Self::ChipBrownOut,
        Self::ChipWatchdog,
        Self::ChipUsbVanishes,
        Self::ChipStubRefused,
        Self::ChipOtherHmacKey,
        Self::FirmwareBootLoop,
        Self::FirmwareKeyIgnored,
        Self::FirmwareSettingIgnored,
        Self::FirmwareSecretInLog,
        Self::FirmwareAnyCertificate,
        Self::FirmwareWrongClientId,
        Self::FirmwareIdDropsZeros,
        Self::FirmwareCaCallMissing,
        Self::FirmwareCaCallWrongPsk,
        Self::FirmwareSlowBoot,
        Self::FirmwareStuck,
        Self::FirmwareWifiPassword,
        Self::FirmwareMqttPassword,
        Self::FirmwareWrongCa,
        Self::FirmwareConsoleSilent,
        Self::FirmwareConsoleLate,
        Self::FirmwareConsoleGarbled,
        Self::FirmwareConsoleInterleaved,
        Self::FirmwareResetLeavesCredentials,
        Self::FirmwareSaveFailed,
        Self::FirmwarePortalSaveFailed,
        Self::FirmwarePortalForgets,
        Self::FirmwarePortalSilent,
        Self::FirmwarePortalStaysOpen,
        Self::FirmwareOtaIgnored,
        Self::FirmwareOtaNoSwitch,
        Self::FirmwareOtaErasesNvs,
        Self::FirmwareOtaTakesTampered,
        Self::FirmwareOtaTakesUnsigned,
        Self::FirmwareOtaTakesWrongChip,
        Self::FirmwareOtaTakesOlder,
        Self::RadioDeaf,
        Self::RadioWeak,
        Self::RadioDrops,
        Self::RadioNoIp,
        Self::TimeNotSet,
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
            Self::WireSilent => ("wire.silent", "The unit never sends a byte."),
            Self::WireVanish => (
                "wire.vanish",
                "The serial port hangs up while flash is being written, and stays away.",
            ),
            Self::WireDrop => ("wire.drop", "Now and then, a byte on the wire is lost."),
            Self::WireDuplicate => {
                ("wire.duplicate", "Now and then, a byte on the wire arrives twice.")
            }
            Self::WireCorrupt => {
                ("wire.corrupt", "Now and then, a byte on the wire arrives with an inverted bit.")
            }
            Self::WireDelay => ("wire.delay", "Everything that the unit sends arrives late."),
            Self::WireLateOnce => (
                "wire.late_once",
                "One answer or one piece of a log arrives up to half a second late.",
            ),
            Self::WireLate => (
                "wire.late",
                "Each answer and each piece of a log arrives up to half a second late.",
            ),
            Self::WireBit => {
                ("wire.bit", "One bit is inverted on the wire, anywhere and in either direction.")
            }
            Self::WireBitDigest => (
                "wire.bit_digest",
                "One bit is inverted on the wire, in the first digest of flash that the unit sends.",
            ),
            Self::WireBitMac => (
                "wire.bit_mac",
                "One bit is inverted on the wire, in the first answer that holds the MAC address.",
            ),
            Self::WireBitConsole => (
                "wire.bit_console",
                "One bit is inverted on the wire, in a line that the firmware prints.",
            ),
            Self::WireBitRequest => {
                ("wire.bit_request", "One bit is inverted on the wire, in a request to the loader.")
            }
            Self::WireBitTyped => (
                "wire.bit_typed",
                "One bit is inverted on the wire, in what is typed to the firmware's console.",
            ),
            Self::WireFastRate => (
                "wire.fast_rate",
                "Above 230400 baud, bytes on the wire arrive with inverted bits.",
            ),
            Self::WireDeafRate => {
                ("wire.deaf_rate", "Above 230400 baud, nothing arrives on the wire at all.")
            }
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
            Self::FlashStuckBit => ("flash.stuck_bit", "One bit of the flash is always 0."),
            Self::FlashWeakSector => (
                "flash.weak_sector",
                "One sector of the flash reads back differently from time to time.",
            ),
            Self::FlashEraseFailed => (
                "flash.erase_failed",
                "One sector of the flash cannot be erased and keeps what an earlier test left in it.",
            ),
            Self::FlashWornOut => (
                "flash.worn_out",
                "After an application ran, the loader cannot erase one sector of the flash any more.",
            ),
            Self::FlashWrongSize => {
                ("flash.wrong_size", "The flash chip has half of the size that was ordered.")
            }
            Self::ChipWrongChip => {
                ("chip.wrong_chip", "The unit carries another chip than the one that was ordered.")
            }
            Self::ChipWrongMac => ("chip.wrong_mac", "The MAC address in the eFuses is blank."),
            Self::ChipEncrypted => (
                "chip.encrypted",
                "Flash encryption is already switched on in the eFuses, so that a plain image does not boot.",
            ),
            Self::ChipBrownOut => (
                "chip.brown_out",
                "The supply breaks down when the radio starts, again after each reset.",
            ),
            Self::ChipWatchdog => (
                "chip.watchdog",
                "The application hangs until the watchdog resets the chip, again after each reset.",
            ),
            Self::ChipUsbVanishes => (
                "chip.usb_vanishes",
                "The port, a native USB, vanishes at each reset and returns under its link name.",
            ),
            Self::ChipStubRefused => {
                ("chip.stub_refused", "The flasher stub is loaded but does not start.")
            }
            Self::ChipOtherHmacKey => (
                "chip.other_hmac_key",
                "The HMAC key in the eFuses is another unit's: each bit of it is inverted.",
            ),
            Self::FirmwareBootLoop => (
                "firmware.boot_loop",
                "The firmware panics soon after it starts, and again after each reset.",
            ),
            Self::FirmwareKeyIgnored => {
                ("firmware.key_ignored", "The firmware looks for one NVS key under another name.")
            }
            Self::FirmwareSettingIgnored => (
                "firmware.setting_ignored",
                "The firmware uses a broker of its own instead of the one in its NVS.",
            ),
            Self::FirmwareSecretInLog => {
                ("firmware.secret_in_log", "The firmware prints its WiFi passphrase in the log.")
            }
            Self::FirmwareAnyCertificate => {
                ("firmware.any_certificate", "The firmware accepts any certificate of a broker.")
            }
            Self::FirmwareWrongClientId => (
                "firmware.wrong_client_id",
                "The firmware connects to the broker under another client id.",
            ),
            Self::FirmwareIdDropsZeros => (
                "firmware.id_drops_zeros",
                "The firmware drops the leading zero of each byte of the id that it makes of its MAC address.",
            ),
            Self::FirmwareCaCallMissing => {
                ("firmware.ca_call_missing", "The firmware never calls its CA service.")
            }
            Self::FirmwareCaCallWrongPsk => (
                "firmware.ca_call_wrong_psk",
                "The firmware calls its CA service with another key than its NVS holds.",
            ),
            Self::FirmwareSlowBoot => {
                ("firmware.slow_boot", "The firmware takes some seconds before it does anything.")
            }
            Self::FirmwareStuck => {
                ("firmware.stuck", "The firmware joins its network and then does nothing more.")
            }
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
            Self::FirmwareConsoleSilent => (
                "firmware.console_silent",
                "The firmware's console takes what is typed and answers nothing.",
            ),
            Self::FirmwareConsoleLate => (
                "firmware.console_late",
                "The firmware's console answers seconds later than it should.",
            ),
            Self::FirmwareConsoleGarbled => {
                ("firmware.console_garbled", "Bytes of the console's answers are damaged.")
            }
            Self::FirmwareConsoleInterleaved => (
                "firmware.console_interleaved",
                "A log line stands in the middle of each answer of the console.",
            ),
            Self::FirmwareResetLeavesCredentials => (
                "firmware.reset_leaves_credentials",
                "A factory reset marks the NVS entries erased and leaves their bytes in the flash.",
            ),
            Self::FirmwareSaveFailed => (
                "firmware.save_failed",
                "The console says that it stored a value, and stores nothing.",
            ),
            Self::FirmwarePortalSaveFailed => {
                ("firmware.portal_save_failed", "The portal answers every form with status 500.")
            }
            Self::FirmwarePortalForgets => (
                "firmware.portal_forgets",
                "The portal says that it stored the values, and stores nothing.",
            ),
            Self::FirmwarePortalSilent => {
                ("firmware.portal_silent", "The portal accepts connections and never answers.")
            }
            Self::FirmwarePortalStaysOpen => (
                "firmware.portal_stays_open",
                "The firmware opens its portal at each start, whether it has its values or not.",
            ),
            Self::FirmwareOtaIgnored => {
                ("firmware.ota_ignored", "The firmware takes no notice of updates.")
            }
            Self::FirmwareOtaNoSwitch => (
                "firmware.ota_no_switch",
                "The firmware downloads an update and never switches to it.",
            ),
            Self::FirmwareOtaErasesNvs => {
                ("firmware.ota_erases_nvs", "An update erases the product's NVS.")
            }
            Self::FirmwareOtaTakesTampered => (
                "firmware.ota_takes_tampered",
                "The firmware takes an update whose bytes are not its author's.",
            ),
            Self::FirmwareOtaTakesUnsigned => {
                ("firmware.ota_takes_unsigned", "The firmware takes an update without a signature.")
            }
            Self::FirmwareOtaTakesWrongChip => {
                ("firmware.ota_takes_wrong_chip", "The firmware takes an update for another chip.")
            }
            Self::FirmwareOtaTakesOlder => (
                "firmware.ota_takes_older",
                "The firmware takes an update with a smaller secure version than its own.",
            ),
            Self::RadioDeaf => ("radio.deaf", "The radio hears no access point."),
            Self::RadioWeak => {
                ("radio.weak", "The radio receives a signal that is barely strong enough.")
            }
            Self::RadioDrops => {
                ("radio.drops", "The radio loses its link soon after each joining.")
            }
            Self::RadioNoIp => ("radio.no_ip", "The radio joins, but no IP address is obtained."),
            Self::TimeNotSet => {
                ("time.not_set", "The clock stays at 1970, so that no certificate is valid yet.")
            }
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
pub(crate) struct Faults {
    of_unit: BTreeSet<Fault>,
    /// Decides where and when they show.
    seed: u64,
}

impl Faults {
    pub(crate) fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.of_unit.contains(&fault)
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self { of_unit: faults.into_iter().collect(), seed: 0 }
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
