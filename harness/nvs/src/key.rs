//! Names of keys and namespaces as the format holds them: 16 bytes, NUL-padded.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::limits::KEY_MAX_BYTES;

/// A key or a namespace name.
///
/// [`Key::new`] makes only names that every tool and device agrees on; a key
/// read from an image may hold any 16 bytes and is shown with escapes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key([u8; KEY_MAX_BYTES + 1]);

/// Why a name cannot be a key or a namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No name at all.
    #[error("the name is empty; give it 1 to 15 characters")]
    Empty,
    /// Longer than the field.
    #[error("`{name}` has {bytes} bytes, NVS allows 15; shorten it by {}", bytes - KEY_MAX_BYTES)]
    TooLong {
        /// The name, or its beginning.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// A character that tools treat differently.
    #[error("`{}` has the character {character:?}; use printable ASCII", name.escape_debug())]
    NotAscii {
        /// The name as given.
        name: String,
        /// The first such character.
        character: char,
    },
    /// A space at an end, which is nearly always a slip of a CSV file.
    #[error(
        "`{name}` begins or ends with a space, which would become part of it; remove the space"
    )]
    OuterSpace {
        /// The name as given.
        name: String,
    },
}

impl KeyError {
    /// Shows no more than a key's beginning: what is too long may be a line of
    /// a private key that lost its quotes.
    pub(crate) fn too_long(name: &str) -> Self {
        const SHOWN: usize = 24;
        let mut shown: String = name.chars().take(SHOWN).collect();
        if shown.len() < name.len() {
            shown.push('…');
        }
        KeyError::TooLong { name: shown, bytes: name.len() }
    }
}

impl Key {
    /// A name of 1 to 15 printable ASCII characters.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with the name.
    pub fn new(name: &str) -> Result<Self, KeyError> {
        if name.is_empty() {
            return Err(KeyError::Empty);
        }
        if let Some(character) = name.chars().find(|c| !matches!(c, ' '..='~')) {
            let name = name.to_owned();
            return Err(KeyError::NotAscii { name, character });
        }
        if name.len() > KEY_MAX_BYTES {
            return Err(KeyError::too_long(name));
        }
        if name.trim() != name {
            let name = name.to_owned();
            return Err(KeyError::OuterSpace { name });
        }
        Ok(Self::padded(name.as_bytes()))
    }

    /// A key as an image holds it, whatever its bytes.
    pub(crate) const fn from_field(field: [u8; KEY_MAX_BYTES + 1]) -> Self {
        Self(field)
    }

    /// Up to 15 bytes, padded with NUL.
    pub(crate) fn padded(name: &[u8]) -> Self {
        let mut field = [0; KEY_MAX_BYTES + 1];
        field[..name.len()].copy_from_slice(name);
        Self(field)
    }

    /// The 16 bytes of the field.
    pub(crate) const fn field(&self) -> &[u8; KEY_MAX_BYTES + 1] {
        &self.0
    }

    /// The bytes before the first NUL.
    pub fn as_bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|&byte| byte == 0);
        &self.0[..end.unwrap_or(self.0.len())]
    }

    /// The name as text, when it is text.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }

    /// Whether a device can have written it: a name, a NUL and only NULs after.
    pub(crate) fn is_well_formed(&self) -> bool {
        let name = self.as_bytes();
        (1..=KEY_MAX_BYTES).contains(&name.len())
            && self.0[name.len()..].iter().all(|&byte| byte == 0)
            && self.as_str().is_some()
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // One number: an image of 1 MB has thousands of keys to tell apart.
        state.write_u128(u128::from_le_bytes(self.0));
    }
}

impl PartialEq<str> for Key {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.as_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    ' '..='~' => write!(f, "{character}")?,
                    other if other.is_alphanumeric() => write!(f, "{other}")?,
                    other => write!(f, "{}", other.escape_default())?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_15_characters_fits_and_one_of_16_does_not() {
        assert!(Key::new("k23456789012345").is_ok());
        let error = Key::new("deviceprovisioning").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`deviceprovisioning` has 18 bytes, NVS allows 15; shorten it by 3"
        );
    }

    #[test]
    fn names_that_tools_disagree_on_are_refused() {
        assert_eq!(Key::new(""), Err(KeyError::Empty));
        assert!(matches!(Key::new("é"), Err(KeyError::NotAscii { .. })));
        assert!(matches!(Key::new("a\0b"), Err(KeyError::NotAscii { .. })));
        assert!(matches!(Key::new(" a"), Err(KeyError::OuterSpace { .. })));
    }

    #[test]
    fn a_key_from_an_image_is_shown_with_escapes() {
        let key = Key::from_field(*b"a\x01\xffb\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(key.to_string(), "a\\u{1}\\xffb");
        assert!(!key.is_well_formed());
    }
}
