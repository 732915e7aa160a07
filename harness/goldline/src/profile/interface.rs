//! The addresses of a chip's interfaces, all made of its base MAC.
//!
//! As ESP-IDF's `esp_read_mac` makes them with the settings that it has by default; a firmware that was built
//! with fewer universal addresses has others. Must not know who asks.

use super::Chip;
use crate::identity::Mac;

/// An interface with an address of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interface {
    /// The WiFi client's: the base MAC.
    Station,
    /// The unit's own network's.
    AccessPoint,
    /// Bluetooth's.
    Bluetooth,
    /// Ethernet's, also of a chip that needs a part of its own for it.
    Ethernet,
}

/// The first and the last of the ESP32-S2s whose next address is another chip's, and how far behind theirs
/// lies, in the last three octets.
const MISTAKEN_S2: (u64, u64, u64) = (0x7CDF_A100_3000, 0x7CDF_A100_5FFF, 0x0001_D000);

impl Interface {
    /// Every interface.
    pub const ALL: [Self; 4] = [Self::Station, Self::AccessPoint, Self::Bluetooth, Self::Ethernet];

    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Station => "station",
            Self::AccessPoint => "access_point",
            Self::Bluetooth => "bluetooth",
            Self::Ethernet => "ethernet",
        }
    }

    /// What templates call its address, with colons.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Station => "unit.mac",
            Self::AccessPoint => "unit.mac_ap",
            Self::Bluetooth => "unit.mac_bt",
            Self::Ethernet => "unit.mac_eth",
        }
    }
}

impl Chip {
    /// The address of an interface; `None` where the chip has no such interface.
    pub fn mac_of(self, interface: Interface, base: Mac) -> Option<Mac> {
        match (self, interface) {
            (Self::Esp32H2 | Self::Esp32P4, Interface::Station | Interface::AccessPoint) => None,
            // It has no radio at all, and one universal address.
            (Self::Esp32P4, Interface::Bluetooth) => None,
            (Self::Esp32P4, Interface::Ethernet) => Some(base),
            (_, Interface::Station) => Some(base),
            (Self::Esp32S2, Interface::AccessPoint) => Some(next_of_s2(base)),
            (_, Interface::AccessPoint) => Some(base.behind(1)),
            (Self::Esp32S2, Interface::Bluetooth) => None,
            // It has no WiFi, whose addresses would come before.
            (Self::Esp32H2, Interface::Bluetooth) => Some(base),
            (_, Interface::Bluetooth) => Some(base.behind(2)),
            // Only two addresses are theirs: the third is one for local use.
            (Self::Esp32S2 | Self::Esp32H2, Interface::Ethernet) => Some(base.behind(1).local()),
            (_, Interface::Ethernet) => Some(base.behind(3)),
        }
    }

    /// The addresses of all its interfaces.
    pub fn macs(self, base: Mac) -> impl Iterator<Item = (Interface, Mac)> {
        Interface::ALL
            .into_iter()
            .filter_map(move |interface| self.mac_of(interface, base).map(|mac| (interface, mac)))
    }
}

fn next_of_s2(base: Mac) -> Mac {
    let [a, b, c, d, e, f] = base.0;
    let number = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let (first, last, distance) = MISTAKEN_S2;
    if !(first..=last).contains(&number) {
        return base.behind(1);
    }
    let [_, _, bytes @ ..] = (number + distance).to_be_bytes();
    Mac(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn macs(chip: Chip, base: &str) -> Vec<String> {
        let base = base.parse().expect("a MAC");
        chip.macs(base).map(|(interface, mac)| format!("{} {mac}", interface.name())).collect()
    }

    #[test]
    fn a_chip_of_four_addresses_counts_on_from_its_base() {
        let four = [
            Chip::Esp32,
            Chip::Esp32S3,
            Chip::Esp32C2,
            Chip::Esp32C3,
            Chip::Esp32C5,
            Chip::Esp32C6,
            Chip::Esp32C61,
        ];
        for chip in four {
            assert_eq!(
                macs(chip, "24:0a:c4:00:01:10"),
                [
                    "station 24:0a:c4:00:01:10",
                    "access_point 24:0a:c4:00:01:11",
                    "bluetooth 24:0a:c4:00:01:12",
                    "ethernet 24:0a:c4:00:01:13",
                ],
                "{chip}"
            );
        }
    }

    #[test]
    fn only_the_last_octet_counts() {
        assert_eq!(macs(Chip::Esp32, "24:0a:c4:00:01:fe")[2], "bluetooth 24:0a:c4:00:01:00");
    }

    #[test]
    fn a_chip_has_no_address_for_what_it_lacks() {
        assert_eq!(
            macs(Chip::Esp32S2, "7c:df:a1:00:01:10"),
            [
                "station 7c:df:a1:00:01:10",
                "access_point 7c:df:a1:00:01:11",
                // The U/L bit is set in 7c; it was not, so it is 7e.
                "ethernet 7e:df:a1:00:01:11",
            ]
        );
        assert_eq!(
            macs(Chip::Esp32H2, "60:55:f9:00:01:10"),
            ["bluetooth 60:55:f9:00:01:10", "ethernet 62:55:f9:00:01:11"]
        );
        assert_eq!(macs(Chip::Esp32P4, "60:55:f9:00:01:10"), ["ethernet 60:55:f9:00:01:10"]);
    }

    /// ESP-IDF sets these apart: their neighbours were given away.
    #[test]
    fn some_s2_have_their_second_address_elsewhere() {
        for (base, next) in [
            ("7c:df:a1:00:2f:ff", "7c:df:a1:00:2f:00"),
            ("7c:df:a1:00:30:00", "7c:df:a1:02:00:00"),
            ("7c:df:a1:00:5f:ff", "7c:df:a1:02:2f:ff"),
            ("7c:df:a1:00:60:00", "7c:df:a1:00:60:01"),
        ] {
            assert_eq!(macs(Chip::Esp32S2, base)[1], format!("access_point {next}"), "{base}");
        }
    }

    #[test]
    fn an_address_that_is_local_already_becomes_another() {
        let base: Mac = "7e:df:a1:00:01:10".parse().expect("a MAC");
        assert_eq!(base.local().to_string(), "7a:df:a1:00:01:10");
    }
}
