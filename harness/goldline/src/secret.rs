//! A value that no output may show.
//!
//! Must not know who needs the value. There is no `Display` and no `Serialize`: whoever needs the
//! text says so with [`Secret::expose`], which is easy to search for.

use std::fmt;

use ring::hmac;
use zeroize::Zeroizing;

use crate::hex::hex;

/// Text that must not be printed, logged or stored in the clear; wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the wire or the flash only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What stands for the secret in a record: a keyed digest, so that two secrets can be told apart
    /// but not guessed without the station's key. 8 bytes as 16 lowercase hex characters.
    pub fn fingerprint(&self, key: &FingerprintKey) -> String {
        let tag = hmac::sign(&key.0, self.0.as_bytes());
        hex(&tag.as_ref()[..8])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// The key of [`Secret::fingerprint`]: a station's own for records, a fresh random one for a diff.
#[derive(Clone)]
pub struct FingerprintKey(hmac::Key);

impl FingerprintKey {
    /// Uses 32 bytes from the operating system's generator or from the state directory.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_length_only() {
        let secret = Secret::new("DeviceSecretKey");
        assert_eq!(format!("{secret:?}"), "Secret(15 bytes)");
    }

    #[test]
    fn a_fingerprint_depends_on_the_secret_and_on_the_key() {
        let (one, two) = (FingerprintKey::new(&[1; 32]), FingerprintKey::new(&[2; 32]));
        let secret = Secret::new("DeviceSecretKey");
        assert_eq!(secret.fingerprint(&one), secret.fingerprint(&one));
        assert_ne!(secret.fingerprint(&one), secret.fingerprint(&two));
        assert_ne!(secret.fingerprint(&one), Secret::new("other").fingerprint(&one));
    }
}
