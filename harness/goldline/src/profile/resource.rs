//! What units share at a station: an instrument, a shield box, leave to join.

use std::{fmt, str::FromStr};

/// The name of something of which there are only so many.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Resource(String);

/// A text is no such name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name \"{found}\" cannot be one of a resource: expected lowercase letters, digits and `_`"
)]
pub struct NoResource {
    found: String,
}

impl Resource {
    /// Leave to join the network, one for each unit that does so at a time.
    pub fn joins() -> Self {
        Self("joins".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Resource {
    type Err = NoResource;

    fn from_str(text: &str) -> Result<Self, NoResource> {
        let good = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        match !text.is_empty() && text.bytes().all(good) {
            true => Ok(Self(text.to_owned())),
            false => Err(NoResource { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
