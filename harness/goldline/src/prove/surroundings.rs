//! The mutants that every product can have: the simulator's faults, each by what it is a defect of.
//!
//! What a fault means for the verdict stands here, product by product only where a product cannot show it.

use goldline_simulator::Fault;

use super::{
    catalogue::{Catalogue, Family},
    mutant::{Change, Kind, Must, Mutant},
};
use crate::{profile::Profile, station::shows_fault};

/// Of a fault: what it is a defect of, what a run must say, what it means for a customer, and what would catch it.
struct Entry {
    kind: Kind,
    /// Texts of a right diagnosis; none where the unit is good.
    naming: &'static [&'static str],
    means: &'static str,
    remedy: &'static str,
    /// Whether it shows in another place or at another moment with each seed.
    varies: bool,
}

/// Adds the faults that a product can show.
pub(super) fn add(catalogue: &mut Catalogue, profile: &Profile) {
    for fault in Fault::ALL.iter().copied().filter(|fault| shows_fault(*fault, profile)) {
        let Some(entry) = entry(fault) else { continue };
        match entry.varies {
            true => catalogue.draw(entry.kind, Family::new(move |seed| mutant(fault, seed))),
            false => catalogue.count([mutant(fault, 0)]),
        }
    }
}

/// The codes of which a unit with that fault must get one; none where the unit is good, `None` where nothing can be said
/// of every product.
pub fn codes_of(fault: Fault) -> Option<&'static [&'static str]> {
    entry(fault).map(|entry| entry.naming)
}

fn mutant(fault: Fault, seed: u64) -> Mutant {
    let entry = entry(fault).expect("only faults with an entry are mutants");
    let name = fault.name();
    let id = match entry.varies {
        true => format!("{}.{name}@{seed:x}", entry.kind),
        false => format!("{}.{name}", entry.kind),
    };
    let must = match entry.naming {
        [] => Must::NotBlame,
        naming => Must::Fail { naming: naming.iter().map(|it| (*it).to_owned()).collect() },
    };
    Mutant {
        kind: entry.kind,
        id,
        what: fault.what().trim_end_matches('.').to_owned(),
        means: entry.means.to_owned(),
        remedy: entry.remedy.to_owned(),
        must,
        change: Change::Fault { fault, seed },
    }
}

const FLASH: &[&str] = &[
    "flash.region_differs",
    "flash.not_erased",
    "flash.write_failed",
    "nvs.damaged",
    "nvs.value_differs",
    "nvs.key_missing",
    "nvs.leftover_secret",
    "nvs.unexpected_entry",
];
const WEAK: &[&str] = &["flash.region_differs", "flash.write_failed", "boot.image_refused"];
const STARTS: &[&str] =
    &["boot.loop", "boot.image_refused", "boot.unexpected_reset", "boot.silent"];
/// Each product learns of its settings at another place.
const SETTINGS: &[&str] = &[
    "firmware.configuration",
    "nvs.key_missing",
    "nvs.value_differs",
    "config.not_fetched",
    "console.not_provisioned",
    "console.refused",
    "console.unexpected_answer",
    "portal.unreachable",
    "wifi.not_joined",
    "wifi.access_point_not_found",
    "mqtt.not_connected",
    "ca.not_registered",
];
const NETWORK: &[&str] = &[
    "wifi.wrong_password",
    "wifi.access_point_not_found",
    "wifi.not_joined",
    "wifi.out_of_limits",
    // A product that joins on its console's word says so there.
    "console.refused",
    "console.no_answer",
    "console.unexpected_answer",
];
const BROKER: &[&str] = &[
    "mqtt.not_connected",
    "mqtt.bad_credentials",
    "mqtt.server_untrusted",
    "mqtt.identity_differs",
    "mqtt.command_unanswered",
    "console.refused",
    "console.no_answer",
    "console.unexpected_answer",
    "alert.missing",
    "config.not_fetched",
];
const TRUST: &[&str] = &[
    "mqtt.server_untrusted",
    "mqtt.not_connected",
    "time.not_synchronized",
    "config.not_fetched",
    "ca.not_registered",
    "console.refused",
    "console.unexpected_answer",
];
const STUCK: &[&str] = &[
    "mqtt.not_connected",
    "config.not_fetched",
    "time.not_synchronized",
    "ca.not_registered",
    "console.no_answer",
    "console.unexpected_answer",
];
const ANSWERS: &[&str] = &[
    "console.no_answer",
    "console.unexpected_answer",
    "console.refused",
    "console.not_provisioned",
];
const NOT_BLAMED: &[&str] = &[];

/// What is to be said of a fault; `None` of one that is no defect of a unit, or that a mutant of another kind is.
fn entry(fault: Fault) -> Option<Entry> {
    let of =
        |kind, naming, means, remedy, varies| Some(Entry { kind, naming, means, remedy, varies });
    match fault {
        Fault::WireDrop
        | Fault::WireDuplicate
        | Fault::WireCorrupt
        | Fault::WireBit
        | Fault::WireBitDigest
        | Fault::WireBitMac
        | Fault::WireBitConsole
        | Fault::WireBitRequest
        | Fault::WireBitTyped
        | Fault::WireLateOnce
        | Fault::WireLate => of(
            Kind::Wire,
            NOT_BLAMED,
            "a good unit is thrown away",
            "ask again before a unit is blamed for what came over its wire",
            true,
        ),
        Fault::WireSilent
        | Fault::WireVanish
        | Fault::WireDelay
        | Fault::WireFastRate
        | Fault::WireDeafRate => of(
            Kind::Wire,
            NOT_BLAMED,
            "a good unit is thrown away",
            "ask again before a unit is blamed for what came over its wire",
            false,
        ),
        Fault::ChipBrownOut => of(
            Kind::Power,
            STARTS,
            "the unit restarts whenever its radio sends",
            "wifi_join, or start with a steady time",
            false,
        ),
        Fault::ChipWatchdog => of(
            Kind::Power,
            STARTS,
            "the unit restarts again and again",
            "start with a steady time",
            false,
        ),
        Fault::ChipWrongChip | Fault::FlashWrongSize => of(
            Kind::Identity,
            &["chip.mismatch"],
            "the unit carries other parts than were ordered",
            "flash_integrity",
            false,
        ),
        Fault::ChipWrongMac => of(
            Kind::Identity,
            &["chip.mac_invalid"],
            "the unit has the address of many others",
            "flash_integrity",
            false,
        ),
        Fault::ChipEncrypted => of(
            Kind::Security,
            STARTS,
            "the unit does not start",
            "start, wifi_join or network_join",
            false,
        ),
        Fault::ChipOtherHmacKey => of(
            Kind::Security,
            &["nvs.of_another_unit", "firmware.configuration"],
            "the unit cannot read its own NVS",
            "nvs_readback",
            false,
        ),
        // It is one of the application's: a boot loader may see it first.
        Fault::FlashWeakSector => {
            of(Kind::Region, WEAK, "the unit loses what it stores", "flash_integrity", true)
        }
        Fault::FlashEraseFailed => {
            of(Kind::Region, FLASH, "the unit loses what it stores", "flash_integrity", true)
        }
        Fault::RadioDeaf | Fault::RadioWeak | Fault::RadioDrops | Fault::RadioNoIp => of(
            Kind::Radio,
            NETWORK,
            "the unit does not stay in its owner's network",
            "wifi_join with limits on rssi and time, or mqtt_connect",
            false,
        ),
        Fault::TimeNotSet => of(
            Kind::Time,
            TRUST,
            "the unit's clock stands at 1970, and no certificate is valid yet",
            "time_sync, or mqtt_connect over TLS",
            false,
        ),
        Fault::FirmwareBootLoop => {
            of(Kind::Firmware, STARTS, "the unit restarts again and again", "start", false)
        }
        Fault::FirmwareKeyIgnored | Fault::FirmwareSaveFailed => of(
            Kind::Firmware,
            SETTINGS,
            "the unit does not do what its owner set",
            "a check that sees what the setting does",
            // Which key it is, a changed description tells one by one.
            false,
        ),
        Fault::FirmwareSettingIgnored
        | Fault::FirmwareWrongClientId
        | Fault::FirmwareMqttPassword => {
            of(Kind::Firmware, BROKER, "the unit does not reach its service", "mqtt_connect", false)
        }
        Fault::FirmwareStuck => {
            of(Kind::Firmware, STUCK, "the unit does nothing", "mqtt_connect", false)
        }
        Fault::FirmwareWifiPassword => of(
            Kind::Firmware,
            NETWORK,
            "the unit does not join its owner's network",
            "wifi_join",
            false,
        ),
        Fault::FirmwareSecretInLog => of(
            Kind::Firmware,
            &["secret.in_log"],
            "whoever opens the unit reads its secrets",
            "secret_hygiene",
            false,
        ),
        Fault::FirmwareIdDropsZeros => of(
            Kind::Identity,
            &["device_id.differs"],
            "two units can have one id",
            "device_id",
            false,
        ),
        Fault::FirmwareAnyCertificate => of(
            Kind::Certificate,
            &["mqtt.trusts_anyone"],
            "whoever is on the way to the broker reads and writes in its place",
            "server_trust",
            false,
        ),
        Fault::FirmwareWrongCa => of(
            Kind::Certificate,
            TRUST,
            "the unit refuses its own services",
            "mqtt_connect over TLS",
            false,
        ),
        Fault::FirmwareCaCallMissing | Fault::FirmwareCaCallWrongPsk => of(
            Kind::Certificate,
            &["ca.not_registered"],
            "the unit never gets its certificate",
            "ca_registration",
            false,
        ),
        Fault::FirmwareConsoleSilent
        | Fault::FirmwareConsoleLate
        | Fault::FirmwareConsoleGarbled => of(
            Kind::Console,
            ANSWERS,
            "nobody can set the unit up",
            "console_status, or provisioning by the console",
            true,
        ),
        Fault::FirmwareResetLeavesCredentials => of(
            Kind::Security,
            &["factory_reset.leftover"],
            "the next owner reads the last one's credentials",
            "factory_reset",
            false,
        ),
        Fault::FirmwarePortalSaveFailed | Fault::FirmwarePortalSilent => of(
            Kind::Firmware,
            &["portal.refused", "portal.unreachable"],
            "nobody can set the unit up",
            "provisioning by the portal",
            false,
        ),
        Fault::FirmwarePortalForgets => of(
            Kind::Firmware,
            SETTINGS,
            "the unit forgets what its owner set",
            "wifi_join or mqtt_connect",
            false,
        ),
        Fault::FirmwarePortalStaysOpen => of(
            Kind::Security,
            &["interface.still_on"],
            "whoever is near changes the unit's settings",
            "interface_off",
            false,
        ),
        Fault::FirmwareOtaIgnored | Fault::FirmwareOtaNoSwitch => of(
            Kind::Update,
            &["ota.failed"],
            "the unit stays as it is for ever",
            "ota_update",
            false,
        ),
        Fault::FirmwareOtaErasesNvs => of(
            Kind::Update,
            &["nvs.key_missing", "ota.failed", "ota.not_rolled_back"],
            "an update takes the unit out of its owner's network",
            "ota_update",
            false,
        ),
        Fault::FirmwareOtaTakesTampered
        | Fault::FirmwareOtaTakesUnsigned
        | Fault::FirmwareOtaTakesWrongChip
        | Fault::FirmwareOtaTakesOlder => of(
            Kind::Update,
            &["ota.accepted_bad_image"],
            "whoever gives the unit an update owns it",
            "ota_update with that image among [ota] refuses",
            false,
        ),
        // It lies in the flash what these do: `Kind::Region` and `Kind::Nvs` have such mutants of their own.
        Fault::FlashAppBit | Fault::FlashNvsBit | Fault::FlashNvsKeyMissing => None,
        // These show only where a bit must be 1, or where the flash is erased after the unit ran: often the unit is good.
        Fault::FlashStuckBit | Fault::FlashWornOut => None,
        // The unit is good, and so is its wire: what is late or mixed up is what real consoles do.
        Fault::FirmwareSlowBoot | Fault::FirmwareConsoleInterleaved => of(
            Kind::Console,
            NOT_BLAMED,
            "a good unit is thrown away",
            "wait as long as the product may take, and read whole lines",
            false,
        ),
        // What is beside a good chip.
        Fault::ChipUsbVanishes | Fault::ChipStubRefused => None,
    }
}
