//! Passwords that a server derives from a device id and one salt for all devices.
//!
//! Whoever knows the salt knows every password, so it has a type of its own that cannot be printed.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{digest, hmac};

use crate::{hex::hex, secret::Secret};

/// The shortest salt, in characters.
const SHORTEST_SALT: usize = 32;
/// How much of the HMAC is the password, in bytes.
const HMAC_BYTES: usize = 24;

/// A way to make a password of a device id and a salt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SaltedScheme {
    /// SHA-256 of id and salt, as 64 lowercase hexadecimal digits.
    Sha256Hex,
    /// The first 24 bytes of HMAC-SHA-256 with the salt as key, in Base64: 32 characters.
    HmacSha256Base64,
}

/// A salt that is long enough.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Salt(Secret);

/// A salt that could be guessed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the salt has {length} characters: expected {SHORTEST_SALT} or more; make a longer one")]
pub struct SaltTooShort {
    length: usize,
}

impl Salt {
    /// Takes a salt.
    ///
    /// # Errors
    /// [`SaltTooShort`].
    pub fn new(salt: Secret) -> Result<Self, SaltTooShort> {
        let length = salt.expose().chars().count();
        if length < SHORTEST_SALT { Err(SaltTooShort { length }) } else { Ok(Self(salt)) }
    }
}

impl SaltedScheme {
    /// Every scheme.
    pub const ALL: [Self; 2] = [Self::Sha256Hex, Self::HmacSha256Base64];

    /// The name in profiles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256Hex => "sha256_salted",
            Self::HmacSha256Base64 => "hmac_sha256_salted",
        }
    }

    /// Characters of every password.
    pub fn length(self) -> usize {
        match self {
            Self::Sha256Hex => 64,
            Self::HmacSha256Base64 => 32,
        }
    }

    /// The password of a device.
    pub fn derive(self, id: &str, salt: &Salt) -> Secret {
        let salt = salt.0.expose();
        match self {
            Self::Sha256Hex => {
                let mut context = digest::Context::new(&digest::SHA256);
                context.update(id.as_bytes());
                context.update(salt.as_bytes());
                let hash = context.finish();
                Secret::new(hex(hash.as_ref()))
            }
            Self::HmacSha256Base64 => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, salt.as_bytes());
                let tag = hmac::sign(&key, id.as_bytes());
                Secret::new(STANDARD.encode(&tag.as_ref()[..HMAC_BYTES]))
            }
        }
    }
}

impl fmt::Display for SaltedScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_give_their_vectors() {
        let salt = Salt::new(Secret::new("0123456789abcdef0123456789abcdef")).expect("long enough");
        for (scheme, password) in [
            (
                SaltedScheme::Sha256Hex,
                "10b2757146584c3f228737a2e7d6fd6476a04e913dec423eecb5bb66f32326d2",
            ),
            (SaltedScheme::HmacSha256Base64, "U63bHcS0PqqODUufIdccmRWT2WDP66Wx"),
        ] {
            assert_eq!(scheme.derive("A1B2C3D4E5F6", &salt).expose(), password, "{scheme}");
            assert_eq!(scheme.length(), password.len());
        }
    }

    #[test]
    fn a_short_salt_is_refused_and_none_is_printed() {
        let short = Salt::new(Secret::new("0123456789abcdef0123456789abcde"));
        assert_eq!(short, Err(SaltTooShort { length: 31 }));
        let salt = Salt::new(Secret::new("0123456789abcdef0123456789abcdef")).expect("long enough");
        assert_eq!(format!("{salt:?}"), "Salt(Secret(32 bytes))");
    }
}
