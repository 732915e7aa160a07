//! What each fault means for the verdict, whatever the product.

use Meaning::{Bench, BreaksLine, Harmless, PerhapsUnseen, Unit};

/// Whose a fault is, and what must be said of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// The unit is bad: FAIL, with one of these codes; those of the steps at which products meet it first.
    Unit(&'static [&'static str]),
    /// As [`Meaning::Unit`], or it lies where it changes nothing: then the unit is good.
    PerhapsUnseen(&'static [&'static str]),
    /// The bench is bad: whatever is said, it is no FAIL.
    Bench,
    /// The wire is so bad that nothing need be said of the unit: no FAIL.
    BreaksLine,
    /// A sound unit on a sound bench.
    Harmless,
}

/// What becomes of a flash that does not hold what was written.
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
const ANSWERS: &[&str] = &[
    "console.no_answer",
    "console.unexpected_answer",
    "console.refused",
    "console.not_provisioned",
];

/// What a fault means.
///
/// # Panics
/// When it is one that nobody has thought about.
pub fn of(fault: &str) -> Meaning {
    match fault {
        "flash.app_bit" => Unit(&["flash.region_differs", "boot.image_refused"]),
        "flash.nvs_bit" | "flash.nvs_key_missing" => Unit(FLASH),
        "flash.weak_sector" | "flash.erase_failed" => Unit(FLASH),
        // Where a bit must be 0, one that always is does no harm. A firmware that only provisions is not
        // digested before it runs.
        "flash.stuck_bit" => PerhapsUnseen(&[
            "flash.region_differs",
            "flash.not_erased",
            "nvs.damaged",
            "nvs.value_differs",
            "nvs.key_missing",
            "boot.image_refused",
        ]),
        // Few products erase anything once an application ran.
        "flash.worn_out" => PerhapsUnseen(FLASH),
        "flash.wrong_size" | "chip.wrong_chip" => Unit(&["chip.mismatch"]),
        "chip.wrong_mac" => Unit(&["chip.mac_invalid"]),
        "chip.encrypted" | "chip.brown_out" | "chip.watchdog" | "firmware.boot_loop" => {
            Unit(STARTS)
        }
        "chip.other_hmac_key" => Unit(&["nvs.of_another_unit", "firmware.configuration"]),
        "firmware.key_ignored" => Unit(SETTINGS),
        "firmware.setting_ignored" | "firmware.wrong_client_id" | "firmware.mqtt_password" => {
            Unit(BROKER)
        }
        "firmware.wrong_ca" | "time.not_set" => Unit(&[
            "mqtt.server_untrusted",
            "mqtt.not_connected",
            "time.not_synchronized",
            "config.not_fetched",
            "ca.not_registered",
            "console.refused",
            "console.unexpected_answer",
        ]),
        "firmware.stuck" => Unit(&[
            "mqtt.not_connected",
            "config.not_fetched",
            "time.not_synchronized",
            "ca.not_registered",
            "console.no_answer",
            "console.unexpected_answer",
        ]),
        "firmware.secret_in_log" => Unit(&["secret.in_log"]),
        "firmware.any_certificate" => Unit(&["mqtt.trusts_anyone"]),
        "firmware.id_drops_zeros" => Unit(&["device_id.differs"]),
        "firmware.ca_call_missing" | "firmware.ca_call_wrong_psk" => Unit(&["ca.not_registered"]),
        "firmware.wifi_password" | "radio.deaf" | "radio.weak" | "radio.drops" | "radio.no_ip" => {
            Unit(NETWORK)
        }
        "firmware.console_silent" | "firmware.console_late" | "firmware.console_garbled" => {
            Unit(ANSWERS)
        }
        "firmware.save_failed" => Unit(SETTINGS),
        "firmware.reset_leaves_credentials" => Unit(&["factory_reset.leftover"]),
        "firmware.portal_save_failed" | "firmware.portal_silent" => {
            Unit(&["portal.refused", "portal.unreachable"])
        }
        "firmware.portal_stays_open" => Unit(&["interface.still_on"]),
        "firmware.portal_forgets" => Unit(SETTINGS),
        "firmware.ota_ignored" | "firmware.ota_no_switch" => Unit(&["ota.failed"]),
        "firmware.ota_takes_tampered"
        | "firmware.ota_takes_unsigned"
        | "firmware.ota_takes_wrong_chip"
        | "firmware.ota_takes_older" => Unit(&["ota.accepted_bad_image"]),
        "firmware.ota_erases_nvs" => {
            Unit(&["nvs.key_missing", "ota.failed", "ota.not_rolled_back"])
        }
        "firmware.slow_boot" | "firmware.console_interleaved" => Harmless,
        // A run that names no rate goes at the ROM's.
        "wire.delay" | "wire.late_once" | "wire.late" | "wire.fast_rate" | "wire.deaf_rate" => {
            Harmless
        }
        "wire.bit" | "wire.bit_digest" | "wire.bit_mac" | "wire.bit_console"
        | "wire.bit_request" => Harmless,
        // A value that arrived wrong may be stored over a secret, which stays in the flash then.
        "wire.bit_typed" => BreaksLine,
        "wire.silent" | "wire.vanish" | "wire.drop" | "wire.duplicate" | "wire.corrupt" => {
            BreaksLine
        }
        "chip.usb_vanishes" | "chip.stub_refused" => BreaksLine,
        fault
            if ["ap.", "broker.", "ca.", "config.", "time_server.", "update_server."]
                .iter()
                .any(|service| fault.starts_with(service)) =>
        {
            Bench
        }
        fault => panic!("what does {fault} mean?"),
    }
}

/// Whether a verdict is right, and how it is wrong if not.
pub fn wrong(meaning: Meaning, verdict: &str, code: &str) -> Option<&'static str> {
    match (meaning, verdict) {
        (Unit(_), "PASS") => Some("escape"),
        (Unit(codes) | PerhapsUnseen(codes), "FAIL") if !codes.contains(&code) => {
            Some("wrong cause")
        }
        (Unit(_) | PerhapsUnseen(_), "ERROR") => Some("blame"),
        (Bench | BreaksLine, "FAIL") => Some("blame"),
        (Harmless, "FAIL" | "ERROR") => Some("overkill"),
        _ => None,
    }
}
