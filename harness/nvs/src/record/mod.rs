//! Records that ESP-IDF itself keeps in NVS, by their layout: what they hold, field by field.
//!
//! The layouts are those of ESP-IDF's WiFi driver (`nvs.net80211`) and of its PHY calibration
//! (`phy`), as they lie in the flash of units. They are not documented by their makers: what does
//! not fit a layout is no error but a record of unknown fields. Must not know how a secret is
//! hidden; [`Display`](std::fmt::Display) shows none.

mod wifi;

use std::fmt;

#[cfg(test)]
pub(crate) use wifi::tests::network;

use crate::key::Key;
use crate::value::Value;

/// Namespace of ESP-IDF's PHY calibration.
const PHY_NAMESPACE: &str = "phy";

/// A record of ESP-IDF.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    fields: Vec<Field>,
}

/// One field of a record.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// What it is, such as `network 2 password`.
    pub name: String,
    /// What it holds.
    pub content: Content,
}

/// What a field holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// The name of a network, 1 to 32 bytes, or another text that everybody may read.
    Text(Vec<u8>),
    /// Six bytes of an address.
    Mac([u8; 6]),
    /// Bytes that say nothing of anybody, such as calibration.
    Harmless {
        /// Their number.
        bytes: usize,
    },
    /// A passphrase, a key derived from one, or what may be either.
    Secret(Vec<u8>),
    /// As an erase or a reset leaves it: nothing was ever kept here.
    Nothing,
}

impl Record {
    /// Reads an entry as one of ESP-IDF's own records, if it is one.
    pub fn read(namespace: &Key, key: &Key, value: &Value) -> Option<Self> {
        if *namespace == *PHY_NAMESPACE {
            return is_calibration(key, value).then(|| Self::of("calibration", harmless(value)));
        }
        let bytes = value.as_bytes()?;
        if *namespace != *wifi::NAMESPACE {
            return None;
        }
        Some(Self { fields: wifi::fields(key.as_str().unwrap_or_default(), bytes) })
    }

    /// The fields, in the order of the layout.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Whether nothing in it can be a secret, whatever it looks like.
    pub fn is_harmless(&self) -> bool {
        self.fields.iter().all(|field| match field.content {
            Content::Harmless { .. } | Content::Mac(_) | Content::Nothing => true,
            Content::Text(_) | Content::Secret(_) => false,
        })
    }

    /// Whether a field of it is secret. A record in which nothing was ever kept is not.
    pub fn is_secret(&self) -> bool {
        self.fields.iter().any(|field| matches!(field.content, Content::Secret(_)))
    }

    /// The fields as text, secrets in the clear: for those who asked for them.
    pub fn whole(&self) -> String {
        self.text(|content| match content {
            Content::Secret(bytes) if bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) => {
                crate::text::quoted(bytes)
            }
            Content::Secret(bytes) => crate::text::hex(bytes),
            other => other.to_string(),
        })
    }

    fn text(&self, content: impl Fn(&Content) -> String) -> String {
        let field = |field: &Field| format!("{} {}", field.name, content(&field.content));
        self.fields.iter().map(field).collect::<Vec<_>>().join(", ")
    }

    fn of(name: &str, content: Content) -> Self {
        Self { fields: vec![Field { name: name.to_owned(), content }] }
    }
}

/// What the PHY keeps: a table of numbers of the radio (1904 bytes on the ESP32), the unit's own MAC
/// and a version. Anything else under these names is somebody else's.
fn is_calibration(key: &Key, value: &Value) -> bool {
    const SMALLEST_TABLE: usize = 256;
    match (key.as_str(), value) {
        (Some("cal_data"), Value::Blob(bytes)) => bytes.len() >= SMALLEST_TABLE,
        (Some("cal_mac"), Value::Blob(bytes)) => bytes.len() == 6,
        (Some("cal_version"), Value::U32(_)) => true,
        _ => false,
    }
}

fn harmless(value: &Value) -> Content {
    match value.as_bytes().and_then(|bytes| bytes.try_into().ok()) {
        Some(mac) => Content::Mac(mac),
        None => Content::Harmless { bytes: value.len() },
    }
}

/// Whether nothing was ever written there: all bits of a byte as an erase or as a reset leaves them.
pub(crate) fn is_void(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0) || bytes.iter().all(|byte| *byte == 0xFF)
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Text(text) => f.write_str(&crate::text::quoted(text)),
            Content::Mac([a, b, c, d, e, g]) => {
                write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
            }
            Content::Harmless { bytes } => write!(f, "{bytes} bytes"),
            Content::Secret(_) => f.write_str("<secret>"),
            Content::Nothing => f.write_str("none"),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(ToString::to_string))
    }
}

/// As `Display`: never shows a secret.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({self})")
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({} {})", self.name, self.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(namespace: &str, key: &str, value: Value) -> Option<Record> {
        Record::read(&Key::new(namespace).unwrap(), &Key::new(key).unwrap(), &value)
    }

    #[test]
    fn calibration_is_harmless() {
        let record = read("phy", "cal_data", Value::Blob(vec![0x5A; 1904])).unwrap();
        assert!(!record.is_secret());
        assert_eq!(record.to_string(), "calibration 1904 bytes");
        let mac = Value::Blob(vec![0x24, 0x0a, 0xc4, 0, 1, 0x10]);
        let record = read("phy", "cal_mac", mac).unwrap();
        assert_eq!(record.to_string(), "calibration 24:0a:c4:00:01:10");
        assert_eq!(read("other", "cal_data", Value::Blob(vec![0; 8])), None);
    }

    #[test]
    fn debug_shows_no_secret() {
        let record = read("nvs.net80211", "sta.pswd", Value::str("Tulip-Ladder-77")).unwrap();
        assert!(record.is_secret());
        assert_eq!(format!("{record:?}"), "Record(password <secret>)");
        assert_eq!(format!("{:?}", record.fields()), "[Field(password <secret>)]");
    }
}
