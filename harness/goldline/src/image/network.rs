//! Which networks an application can reach, by the names that ESP-IDF's drivers leave in it.
//!
//! Must not know emulators.

use std::sync::LazyLock;

use regex::bytes::Regex;

/// ESP-IDF's WiFi says this of itself, whoever links it.
static RADIO: LazyLock<Regex> = LazyLock::new(|| Regex::new("net80211").expect("it is one"));
/// The names of ESP-IDF's driver for the Ethernet card that QEMU emulates, and of that card.
static ETHERNET: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("opencores|openeth|open_eth").expect("it is one"));

/// Whether an application has WiFi, and no driver of an emulator's Ethernet card.
pub fn knows_the_radio_only(app: &[u8]) -> bool {
    RADIO.is_match(app) && !ETHERNET.is_match(app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_names_tell() {
        assert!(knows_the_radio_only(b"\xE9\0\xFFnet80211 rom version: %x\0"));
        assert!(!knows_the_radio_only(b"\xE9\0\xFFnet80211\0opencores.emac\0"), "it has both");
        assert!(!knows_the_radio_only(b"\xE9\0\xFFblink\0"), "it has none");
    }
}
