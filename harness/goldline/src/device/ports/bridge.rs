//! Which USB vendors and products bring a UART to an ESP32, or are one.
//!
//! The udev rule in `ci/jig/60-goldline.rules` names the same vendors; a test holds it to this table.

/// What hangs on USB, as far as its numbers tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// A bridge to a UART: any unit may be behind it.
    Bridge(&'static str),
    /// The USB Serial/JTAG of an ESP32, in its silicon: its serial number is the base MAC.
    UsbSerialJtag,
    /// Another USB function under Espressif's own number: a ROM's, or a firmware's.
    EspressifUsb,
}

impl Known {
    /// What people call it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Bridge(name) => name,
            Self::UsbSerialJtag => "ESP USB Serial/JTAG",
            Self::EspressifUsb => "Espressif USB",
        }
    }
}

const ESPRESSIF: u16 = 0x303A;
const SERIAL_JTAG: u16 = 0x1001;

/// Vendors whose serial ports a bench needs; their USB vendor ids are from the USB ID repository
/// (linux-usb.org) and the drivers of Linux.
pub const MAKERS: [(u16, &str); 5] = [
    (0x10C4, "Silicon Labs CP210x"),
    (0x1A86, "WCH CH34x"),
    (0x0403, "FTDI"),
    (0x067B, "Prolific PL2303"),
    (ESPRESSIF, "Espressif"),
];

/// Products that have a name of their own beside their maker's family.
const PRODUCTS: [(u16, u16, &str); 13] = [
    (0x10C4, 0xEA60, "CP210x"),
    (0x10C4, 0xEA70, "CP2105"),
    (0x10C4, 0xEA71, "CP2108"),
    (0x1A86, 0x5523, "CH341"),
    (0x1A86, 0x7523, "CH340"),
    (0x1A86, 0x55D2, "CH342"),
    (0x1A86, 0x55D3, "CH343"),
    (0x1A86, 0x55D4, "CH9102"),
    (0x1A86, 0x55D5, "CH344"),
    (0x0403, 0x6001, "FT232R"),
    (0x0403, 0x6010, "FT2232"),
    (0x0403, 0x6011, "FT4232"),
    (0x0403, 0x6015, "FT231X"),
];

/// What is known of a vendor's product.
pub fn known(vendor: u16, product: u16) -> Option<Known> {
    if vendor == ESPRESSIF {
        let jtag = product == SERIAL_JTAG;
        return Some(if jtag { Known::UsbSerialJtag } else { Known::EspressifUsb });
    }
    let (_, family) = MAKERS.iter().find(|(id, _)| *id == vendor)?;
    let named = PRODUCTS.iter().find(|(id, of, _)| (*id, *of) == (vendor, product));
    Some(Known::Bridge(named.map_or(family, |(_, _, name)| name)))
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn a_bridge_is_told_from_an_esp_s_own_usb_and_from_all_else() {
        assert_eq!(known(0x10C4, 0xEA60), Some(Known::Bridge("CP210x")));
        assert_eq!(known(0x1A86, 0x55D4), Some(Known::Bridge("CH9102")));
        assert_eq!(known(0x067B, 0x23A3), Some(Known::Bridge("Prolific PL2303")));
        assert_eq!(known(0x303A, 0x1001), Some(Known::UsbSerialJtag));
        assert_eq!(known(0x303A, 0x4001), Some(Known::EspressifUsb));
        assert_eq!(known(0x2341, 0x0043), None, "an Arduino Uno");
    }

    /// udev's own checker came with systemd 254, which not every machine has: this reads what the file uses of the
    /// language, and nothing else.
    #[test]
    fn the_udev_rule_opens_the_ports_of_every_maker_and_of_no_other() {
        let rules =
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../ci/jig/60-goldline.rules"));
        let rule = Regex::new(r#"^[A-Z]+(\{[A-Za-z_]+\})?(==|\+=|=)"[^"]+"$"#).expect("a pattern");
        let mut opened = Vec::new();
        for line in rules.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let parts: Vec<&str> = line.split(", ").collect();
            assert!(parts.iter().all(|part| rule.is_match(part)), "{line}");
            for part in
                ["SUBSYSTEM==\"tty\"", "GROUP=\"dialout\"", "MODE=\"0660\"", "TAG+=\"uaccess\""]
            {
                assert!(parts.contains(&part), "no {part} in {line}");
            }
            let vendor = parts.iter().find_map(|part| part.strip_prefix("ATTRS{idVendor}==\""));
            let vendor = vendor.expect("a vendor").trim_end_matches('"');
            // udev compares text: sysfs has four small digits.
            assert!(vendor.len() == 4 && vendor == vendor.to_lowercase(), "{line}");
            opened.push(u16::from_str_radix(vendor, 16).expect("hexadecimal"));
        }
        assert_eq!(opened, MAKERS.map(|(vendor, _)| vendor));
    }

    #[test]
    fn every_product_is_of_a_known_maker() {
        for (vendor, product, _) in PRODUCTS {
            assert!(known(vendor, product).is_some(), "{vendor:04x}:{product:04x}");
        }
    }
}
