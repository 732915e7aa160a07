//! Every diagnosis there is: what is seen, what causes it, and who does what about it.
//!
//! A code is written down once, in the file of its area, and everything that is said of it stands there;
//! `CODES.md` and `goldline codes` are made of it. Must not know what came of a run.

mod boot;
mod ca;
mod console;
mod flash;
mod mqtt;
mod network;
mod nvs;
mod port;
mod security;
mod services;
mod station;
mod testbed;

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A stable name for one reason, such as `wifi.wrong_password`; never used again for another one.
#[derive(Clone, Copy)]
pub struct Code(&'static Entry);

/// What is said of a code, whatever the run.
struct Entry {
    text: &'static str,
    meaning: &'static str,
    action: &'static str,
    causes: &'static [&'static str],
    operator: &'static str,
    engineer: &'static str,
}

/// Codes of one part of what can go wrong.
pub struct Area {
    /// For a heading.
    pub title: &'static str,
    /// In the order of their file.
    pub codes: &'static [Code],
}

/// Declares the codes of an area. The doc comment is the symptom, `action` what a record says, `causes` the
/// likeliest first, `operator` for whoever stands at the jig, `engineer` for whoever mends it.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal {
        action: $action:literal,
        causes: [$($cause:literal),+ $(,)?],
        operator: $operator:literal,
        engineer: $engineer:literal $(,)?
    })+) => {
        #[expect(non_upper_case_globals, reason = "they are the variants of an enum in several files")]
        impl super::Code {
            $($(#[doc = $doc])+ pub const $name: Self = Self(&super::Entry {
                text: $text,
                meaning: concat!($($doc),+).trim_ascii(),
                action: $action,
                causes: &[$($cause),+],
                operator: $operator,
                engineer: $engineer,
            });)+
        }

        /// The codes of this file, in its order.
        pub(super) const ALL: &[super::Code] = &[$(super::Code::$name),+];
    };
}
use codes;

/// A text is no code.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no diagnosis code: goldline codes lists all of them")]
pub struct UnknownCode {
    text: String,
}

impl Code {
    /// All codes by area, in the order in which a unit meets them.
    pub const AREAS: &'static [Area] = &[
        Area { title: "Port and loader", codes: port::ALL },
        Area { title: "Chip and flash", codes: flash::ALL },
        Area { title: "Security fuses", codes: security::ALL },
        Area { title: "NVS and what is left in it", codes: nvs::ALL },
        Area { title: "Start and serial log", codes: boot::ALL },
        Area { title: "Device id, console and portal", codes: console::ALL },
        Area { title: "WiFi and network", codes: network::ALL },
        Area { title: "MQTT and TLS", codes: mqtt::ALL },
        Area { title: "Certificate authority", codes: ca::ALL },
        Area { title: "Configuration, time, registry, alerts and updates", codes: services::ALL },
        Area { title: "The bench's own services", codes: testbed::ALL },
        Area { title: "Station", codes: station::ALL },
    ];

    /// All codes, in the order of their areas.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::AREAS.iter().flat_map(|area| area.codes).copied()
    }

    /// The stable text, such as `wifi.wrong_password`.
    pub fn as_str(self) -> &'static str {
        self.0.text
    }

    /// What is seen.
    pub fn meaning(self) -> &'static str {
        self.0.meaning
    }

    /// What to do about it, where a run knows nothing better.
    pub fn action(self) -> &'static str {
        self.0.action
    }

    /// What causes it, the likeliest first.
    pub fn causes(self) -> &'static [&'static str] {
        self.0.causes
    }

    /// What the person at the jig does next.
    pub fn operator(self) -> &'static str {
        self.0.operator
    }

    /// What a firmware or test engineer looks at.
    pub fn engineer(self) -> &'static str {
        self.0.engineer
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Code {}

impl Hash for Code {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let found = Self::all().find(|code| code.as_str() == text);
        found.ok_or_else(|| UnknownCode { text: text.to_owned() })
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
