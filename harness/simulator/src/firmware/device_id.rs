//! The id that a firmware makes of its MAC address, and the banner that names it.
//!
//! Knows nothing of settings: the id is there before any of them is read.

use super::console::Console;
use super::description::DeviceId;

/// The twelve digits, or fewer from a firmware that prints each byte without its leading zero.
pub(super) fn derive(mac: [u8; 6], drops_zeros: bool) -> String {
    let digits = |byte: &u8| match drops_zeros {
        true => format!("{byte:X}"),
        false => format!("{byte:02X}"),
    };
    mac.iter().map(digits).collect()
}

impl DeviceId {
    /// Prints the banner, in raw lines as Arduino's `Serial.println` does.
    pub(super) fn print(&self, id: &str, version: &str, console: &Console) {
        for line in &self.banner {
            let line = line.replace("{device_id}", id).replace("{version}", version);
            console.raw(&format!("{line}\r\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::derive;

    const MAC: [u8; 6] = [0xE8, 0x69, 0x09, 0xE9, 0x0A, 0xB4];

    #[test]
    fn an_id_is_the_address_in_twelve_digits() {
        assert_eq!(derive(MAC, false), "E86909E90AB4");
    }

    #[test]
    fn a_careless_firmware_drops_the_leading_zero_of_each_byte() {
        assert_eq!(derive(MAC, true), "E8699E9AB4");
    }
}
