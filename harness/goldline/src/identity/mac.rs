//! The MAC address of a unit, in the forms in which products, chips and people write it.
//!
//! Must not know who reads it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::hex::hex;

/// A 48-bit base MAC address, the unit's first identity. Printed as `a4:cf:12:34:56:78`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Mac(pub [u8; 6]);

/// A text is not a MAC address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "\"{text}\" is not a MAC address: expected six hexadecimal bytes such as a4:cf:12:34:56:78"
)]
pub struct MacError {
    text: String,
}

/// A text is not the EUI-64 of a chip.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Eui64Error {
    /// Not eight bytes.
    #[error(
        "\"{text}\" is not an EUI-64: expected eight hexadecimal bytes with ff:fe in the middle"
    )]
    Form {
        /// The text.
        text: String,
    },
    /// Eight bytes that no MAC was made into.
    #[error(
        "\"{text}\" has {found} in the middle, so no base MAC is in it: expected ff:fe; read the base MAC from the eFuses"
    )]
    NoBaseMac {
        /// The text.
        text: String,
        /// The two bytes.
        found: String,
    },
}

impl Mac {
    /// Whether a chip can have it: neither blank, nor all ones, nor a group's address.
    pub fn is_a_chips(self) -> bool {
        self.0 != [0; 6] && self.0[0] & 1 == 0
    }

    /// The base MAC in an EUI-64, which ESP32-C6 and H2 print before it: `24:0a:c4:ff:fe:00:01:10`.
    ///
    /// # Errors
    /// When the text is no EUI-64, or none that was made of a MAC.
    pub fn from_eui64(text: &str) -> Result<Self, Eui64Error> {
        // The parser of numbers would take "+4" and "4" for a byte, and a lost digit for none.
        let byte = |text: &str| {
            let two_digits = text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
            two_digits.then(|| u8::from_str_radix(text, 16).ok()).flatten()
        };
        let bytes: Option<Vec<u8>> = text.split([':', '-']).map(byte).collect();
        let form = || Eui64Error::Form { text: text.to_owned() };
        match *bytes.ok_or_else(form)?.as_slice() {
            [a, b, c, 0xFF, 0xFE, d, e, f] => Ok(Self([a, b, c, d, e, f])),
            [_, _, _, g, h, ..] if text.split([':', '-']).count() == 8 => {
                let found = format!("{g:02x}:{h:02x}");
                Err(Eui64Error::NoBaseMac { text: text.to_owned(), found })
            }
            _ => Err(form()),
        }
    }

    /// The address that many behind it in the last octet; what is beyond that is not carried on.
    pub fn behind(self, distance: u8) -> Self {
        let [a, b, c, d, e, f] = self.0;
        Self([a, b, c, d, e, f.wrapping_add(distance)])
    }

    /// The address for local use that ESP-IDF makes of it; another one of one that is local already.
    pub fn local(self) -> Self {
        const LOCAL: u8 = 0x02;
        let [a, b, c, d, e, f] = self.0;
        let first = if a & LOCAL == 0 { a | LOCAL } else { a ^ 0x04 };
        Self([first, b, c, d, e, f])
    }

    /// Twelve uppercase hexadecimal digits without separators.
    pub fn upper(self) -> String {
        self.compact().to_ascii_uppercase()
    }

    /// What a firmware prints that writes each byte without its leading zero, as one shipped product
    /// does: `E8:69:09:E9:0A:B4` becomes `E8699E9AB4`.
    pub fn with_dropped_zeros(self) -> String {
        self.0.iter().map(|byte| format!("{byte:X}")).collect()
    }

    /// Twelve lowercase hexadecimal digits without separators.
    pub fn compact(self) -> String {
        hex(&self.0)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = MacError;

    /// Accepts colons, dashes or no separator, in either case.
    fn from_str(text: &str) -> Result<Self, MacError> {
        let refuse = || MacError { text: text.to_owned() };
        let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
        let separators = text.len() - digits.len();
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if digits.len() != 12 || !hexadecimal || !matches!(separators, 0 | 5) {
            return Err(refuse());
        }
        let mut bytes = [0; 6];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| refuse())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| refuse())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_spellings_are_one_address() {
        let mac = Mac([0xA4, 0xCF, 0x12, 0x34, 0x56, 0x78]);
        for text in ["a4:cf:12:34:56:78", "A4-CF-12-34-56-78", "a4cf12345678"] {
            assert_eq!(text.parse(), Ok(mac));
        }
        assert_eq!(mac.to_string(), "a4:cf:12:34:56:78");
        assert_eq!(mac.compact(), "a4cf12345678");
    }

    #[test]
    fn the_base_mac_is_found_in_an_eui_64() {
        let mac = Mac([0x24, 0x0A, 0xC4, 0x00, 0x01, 0x10]);
        assert_eq!(Mac::from_eui64("24:0a:c4:ff:fe:00:01:10"), Ok(mac));
        assert!(matches!(
            Mac::from_eui64("24:0a:c4:00:00:00:01:10"),
            Err(Eui64Error::NoBaseMac { found, .. }) if found == "00:00"
        ));
        let lost_digit = "24:0a:c4:ff:fe:00:1:10";
        let sign = "24:0a:c4:ff:fe:00:+1:10";
        for text in ["", "24:0a:c4:ff:fe:00:01", "24:0a:c4:ff:fe:00:01:1g", lost_digit, sign] {
            assert!(matches!(Mac::from_eui64(text), Err(Eui64Error::Form { .. })), "{text}");
        }
    }

    #[test]
    fn a_firmware_that_drops_zeros_is_recognised() {
        let mac: Mac = "E8:69:09:E9:0A:B4".parse().expect("a MAC");
        assert_eq!(mac.with_dropped_zeros(), "E8699E9AB4");
        assert_eq!(mac.upper(), "E86909E90AB4");
    }

    #[test]
    fn a_blank_or_group_address_is_no_chips() {
        assert!(Mac([0x24, 0x0A, 0xC4, 0, 1, 0x10]).is_a_chips());
        for bytes in [[0; 6], [0xFF; 6], [0x01, 0, 0x5E, 0, 0, 1]] {
            assert!(!Mac(bytes).is_a_chips(), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_lost_digit_is_refused() {
        for text in ["", "a4:cf:12:34:56:7", "a4:cf:12:34:56:7g", "a4:cf:12345678", "+4cf12345678"]
        {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }
}
