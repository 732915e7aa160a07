//! Short marks that tell secrets apart without showing them.
//!
//! A mark is an HMAC-SHA-256 under a key of the caller: a station's own key
//! where marks must be comparable over time, a fresh random one where they must
//! not be. Without the key nobody can try out guesses. Must not know what is
//! secret.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::value::{Stored, Value};

/// Makes fingerprints under one key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Fingerprinter([u8; 32]);

/// 64 bits of a keyed digest, shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprinter {
    /// The key must be secret, and random unless marks are to be comparable.
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Mark of a value, type included: the same under any name, so that a
    /// secret used twice shows.
    pub fn fingerprint(&self, value: &Value) -> Fingerprint {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0)
            .expect("HMAC takes a key of any length");
        mac.update(value.type_name().as_bytes());
        mac.update(b"\0");
        match value.stored() {
            Stored::Field(mut field) => {
                mac.update(&field.bytes);
                field.bytes.zeroize();
            }
            Stored::Text(bytes) | Stored::Blob(bytes) => mac.update(bytes),
        }
        let digest = mac.finalize().into_bytes();
        let head = digest.first_chunk().expect("a digest has 32 bytes");
        Fingerprint(u64::from_be_bytes(*head))
    }
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprinter(…)")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_depend_on_key_type_and_value() {
        let (one, two) = (Fingerprinter::new([1; 32]), Fingerprinter::new([2; 32]));
        let text = Value::str("secret");
        let same_bytes = Value::Blob(b"secret".to_vec());
        assert_eq!(one.fingerprint(&text), one.fingerprint(&text.clone()));
        assert_ne!(one.fingerprint(&text), two.fingerprint(&text));
        assert_ne!(one.fingerprint(&text), one.fingerprint(&same_bytes));
        assert_ne!(one.fingerprint(&Value::U8(1)), one.fingerprint(&Value::U8(2)));
    }
}
