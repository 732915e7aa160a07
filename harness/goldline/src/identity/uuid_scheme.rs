//! UUIDs that products derive from a MAC address.
//!
//! One product's document can be read in three ways, and its shipped code reads it in the third; all
//! are selectable. The results that the documents print are made up and fit none.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Mac;
use crate::hex::hex;

/// A way to make a UUID of a MAC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MacScheme {
    /// UUIDv5 in the URL namespace; the name is the MAC as twelve lowercase digits (RFC 9562).
    Uuid5Mac,
    /// UUIDv5 in the URL namespace; the name is the MAC's six bytes.
    Uuid5MacBytes,
    /// UUIDv5 of the ASCII text of the namespace with its dashes, followed by the MAC's digits.
    Uuid5MacDashed,
    /// SHA-256 of the MAC as twelve uppercase digits, cut into the form of a UUIDv4.
    Sha256MacUpper,
    /// SHA-256 of the MAC as twelve lowercase digits, cut into the form of a UUIDv4.
    Sha256MacLower,
}

/// A text names no scheme.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown scheme \"{name}\": expected one of {}", MacScheme::ALL.map(MacScheme::name).join(", "))]
pub struct UnknownScheme {
    name: String,
}

impl MacScheme {
    /// Every scheme.
    pub const ALL: [Self; 5] = [
        Self::Uuid5Mac,
        Self::Uuid5MacBytes,
        Self::Uuid5MacDashed,
        Self::Sha256MacUpper,
        Self::Sha256MacLower,
    ];

    /// The name in profiles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uuid5Mac => "uuid5_mac",
            Self::Uuid5MacBytes => "uuid5_mac_bytes",
            Self::Uuid5MacDashed => "uuid5_mac_dashed",
            Self::Sha256MacUpper => "sha256_mac_upper",
            Self::Sha256MacLower => "sha256_mac_lower",
        }
    }

    /// The UUID of a unit: 8-4-4-4-12 lowercase hexadecimal digits.
    pub fn derive(self, mac: Mac) -> String {
        let name = match self {
            Self::Uuid5Mac => return uuid5(mac.compact().as_bytes()),
            Self::Uuid5MacBytes => return uuid5(&mac.0),
            Self::Uuid5MacDashed => return uuid5_of_text(&mac.compact()),
            Self::Sha256MacUpper => mac.upper(),
            Self::Sha256MacLower => mac.compact(),
        };
        in_the_form_of_v4(&Sha256::digest(name))
    }
}

/// Whether the variant nibble of a UUID is one of RFC 9562's; those of document 002 often are not.
pub fn has_rfc_variant(uuid: &str) -> bool {
    uuid.as_bytes().get(19).is_some_and(|nibble| b"89abAB".contains(nibble))
}

fn uuid5(name: &[u8]) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name).to_string()
}

/// As the shipped code does: it hashes the namespace's text where the RFC hashes its bytes.
fn uuid5_of_text(mac: &str) -> String {
    use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    let text = format!("{}{mac}", Uuid::NAMESPACE_URL);
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    uuid::Builder::from_sha1_bytes(bytes).into_uuid().to_string()
}

/// Sets the version's digit and leaves the variant as it falls.
fn in_the_form_of_v4(hash: &[u8]) -> String {
    let hex = hex(hash);
    [&hex[..8], &hex[8..12], &format!("4{}", &hex[13..16]), &hex[16..20], &hex[20..32]].join("-")
}

impl fmt::Display for MacScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for MacScheme {
    type Err = UnknownScheme;

    fn from_str(name: &str) -> Result<Self, UnknownScheme> {
        let found = Self::ALL.into_iter().find(|scheme| scheme.name() == name);
        found.ok_or_else(|| UnknownScheme { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(text: &str) -> Mac {
        text.parse().expect("a MAC")
    }

    #[test]
    fn the_three_readings_of_uuid_v5_give_their_vectors() {
        let mac = mac("a4:cf:12:34:56:78");
        for (scheme, uuid) in [
            (MacScheme::Uuid5Mac, "110e3dc9-fa05-568f-a05a-98d00891029d"),
            (MacScheme::Uuid5MacBytes, "d7a58fb9-efb4-54b3-bfbe-17d718a1fae0"),
            (MacScheme::Uuid5MacDashed, "7de0bb7f-ad16-5373-ad73-98729aad6086"),
        ] {
            assert_eq!(scheme.derive(mac), uuid, "{scheme}");
            assert!(has_rfc_variant(uuid));
        }
    }

    #[test]
    fn the_uuid_of_sha_256_depends_on_the_letters_case() {
        let mac = mac("A0B1C2D3E4F5");
        let upper = MacScheme::Sha256MacUpper.derive(mac);
        assert_eq!(upper, "04e4822c-719e-45b0-b360-7e2819faca53");
        let lower = MacScheme::Sha256MacLower.derive(mac);
        assert_eq!(lower, "f4412344-6648-48d1-ce02-2b80f35e5891");
        assert!(has_rfc_variant(&upper) && !has_rfc_variant(&lower));
    }

    #[test]
    fn every_scheme_is_found_by_its_name() {
        for scheme in MacScheme::ALL {
            assert_eq!(scheme.name().parse(), Ok(scheme));
        }
        assert!("uuid4".parse::<MacScheme>().is_err());
    }
}
