//! A value as it goes to the unit, which tells by itself whether an output may show it.
//!
//! Must not know where the value came from.

use std::fmt;

use crate::secret::Secret;

/// A bound or rendered text, which shows its length only when a secret is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    text: Secret,
    secret: bool,
}

impl Text {
    pub(super) fn new(text: impl Into<String>, secret: bool) -> Self {
        Self { text: Secret::new(text), secret }
    }

    /// A text that anyone may see.
    pub fn public(text: impl Into<String>) -> Self {
        Self { text: Secret::new(text), secret: false }
    }

    /// A text that no output may show.
    pub fn secret(text: Secret) -> Self {
        Self { text, secret: true }
    }

    /// The text itself, for the wire or the flash only.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// Whether a secret is in it.
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    /// The text as a secret, to take its fingerprint.
    pub fn as_secret(&self) -> &Secret {
        &self.text
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret {
            write!(f, "‹secret, {} bytes›", self.expose().len())
        } else {
            f.write_str(self.expose())
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({self})")
    }
}
