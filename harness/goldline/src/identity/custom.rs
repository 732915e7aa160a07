//! Identities that another system gave: accepted when a unit can carry them, with a warning when they
//! are not what their name promises.

use uuid::Uuid;

use super::has_rfc_variant;
use crate::secret::Secret;

/// A UUID of someone else's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CustomUuid {
    /// As it was given: 8-4-4-4-12 hexadecimal digits.
    pub text: String,
    /// Why it is no UUID of RFC 9562's, though it can be used.
    pub warning: Option<String>,
}

/// A pre-shared key of someone else's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CustomPsk(pub Secret);

/// A given identity cannot be used; secrets are not repeated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentityError {
    /// No UUID.
    #[error("\"{text}\" is no UUID: expected 8-4-4-4-12 hexadecimal digits")]
    Uuid {
        /// What was given.
        text: String,
    },
    /// No pre-shared key of that length.
    #[error("the key has {length} characters: expected {expected} hexadecimal digits")]
    PskLength {
        /// Characters that were given.
        length: usize,
        /// Digits of a key.
        expected: usize,
    },
    /// No hexadecimal text.
    #[error("the key holds a character that is no hexadecimal digit: expected 0 to 9 and a to f")]
    PskDigit,
}

impl CustomUuid {
    /// Reads a UUID; version and variant may be any.
    ///
    /// # Errors
    /// [`IdentityError::Uuid`].
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let refuse = || IdentityError::Uuid { text: text.to_owned() };
        let dashed = text.len() == 36;
        let uuid = text.parse::<Uuid>().ok().filter(|_| dashed).ok_or_else(refuse)?;
        let version = uuid.get_version_num();
        let warning = if !has_rfc_variant(text) {
            Some(format!("the UUID {text} has a variant that RFC 9562 does not know"))
        } else if !(1..=8).contains(&version) {
            Some(format!("the UUID {text} has the version {version}, which RFC 9562 does not know"))
        } else {
            None
        };
        Ok(Self { text: text.to_owned(), warning })
    }
}

impl CustomPsk {
    /// Takes a key of so many bytes, as hexadecimal text.
    ///
    /// # Errors
    /// [`IdentityError::PskLength`], [`IdentityError::PskDigit`].
    pub fn parse(text: Secret, bytes: usize) -> Result<Self, IdentityError> {
        let length = text.expose().chars().count();
        if length != 2 * bytes {
            return Err(IdentityError::PskLength { length, expected: 2 * bytes });
        }
        if !text.expose().bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(IdentityError::PskDigit);
        }
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_uuid_is_taken_with_a_warning() {
        let given = CustomUuid::parse("12345678-1234-1234-1234-123456789012").expect("a UUID");
        assert!(given.warning.expect("it has none of RFC 9562's variants").contains("variant"));
        let given = CustomUuid::parse("110e3dc9-fa05-568f-a05a-98d00891029d").expect("a UUID");
        assert_eq!(given.warning, None);
        for text in ["", "110e3dc9fa05568fa05a98d00891029d", "110e3dc9-fa05-568f-a05a-98d00891029"]
        {
            assert!(CustomUuid::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_foreign_key_needs_its_length_and_is_not_shown() {
        let text = "0123456789abcdef".repeat(4);
        let psk = CustomPsk::parse(Secret::new(text.clone()), 32).expect("64 digits");
        assert!(!format!("{psk:?}").contains("0123"));
        let short = CustomPsk::parse(Secret::new(text.clone()), 16);
        assert_eq!(short, Err(IdentityError::PskLength { length: 64, expected: 32 }));
        let letters = CustomPsk::parse(Secret::new(text.replace('a', "g")), 32);
        assert_eq!(letters, Err(IdentityError::PskDigit));
    }
}
