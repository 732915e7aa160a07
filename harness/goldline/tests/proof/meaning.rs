//! What each fault means for the verdict, whatever the product.

use goldline::prove::codes_of;

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
        // What a bad unit of that kind must be told as, `goldline prove` knows too.
        fault => match fault.parse().ok().and_then(codes_of) {
            Some(codes) if !codes.is_empty() => Unit(codes),
            _ => panic!("what does {fault} mean?"),
        },
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
