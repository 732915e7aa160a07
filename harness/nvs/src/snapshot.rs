//! A device view as text for a code review: one line a key, in a stable order,
//! with no secret in it.
//!
//! ```text
//! vault/device_id      str 11  "VAULT-00001"
//! vault/wifi_password  str 17  <secret>
//! ```
//!
//! The number is the value's length in bytes, of a string without its NUL. A
//! string is quoted and escaped; what is longer than a line shows its beginning
//! and its SHA-256. A record of ESP-IDF shows its fields, its secrets masked. The
//! layout of the image does not show.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::device::{DeviceEntry, DeviceView};
use crate::key::Key;
use crate::record::Record;
use crate::secret::SecretRule;
use crate::text::{hex, quoted};
use crate::value::Value;

/// Longest string shown whole, in bytes.
const STRING_SHOWN: usize = 100;
/// Longest blob shown whole, in bytes.
const BLOB_SHOWN: usize = 32;

/// The text, each line ended by LF.
pub fn snapshot(view: &DeviceView, secrets: &SecretRule) -> String {
    snapshot_with(view, secrets, masked)
}

/// What stands for a secret: `<secret>`, or the fields of a record with their secrets masked.
pub fn masked(entry: &DeviceEntry) -> String {
    let record = Record::read(&entry.namespace, &entry.key, &entry.value);
    match record.filter(Record::is_secret) {
        Some(record) => record.to_string(),
        None => "<secret>".to_owned(),
    }
}

/// The same with `placeholder` standing for each secret, for instance a keyed
/// fingerprint of it:
///
/// ```
/// use goldline_nvs::fingerprint::Fingerprinter;
/// use goldline_nvs::snapshot::snapshot_with;
/// # use goldline_nvs::{Document, Image, SecretRule, Value, Version, generate};
/// # let mut document = Document::new();
/// # document.insert("ns", "psk", Value::str("0123"))?;
/// # let bytes = generate(&document, 0x3000, Version::V2)?;
/// # let view = Image::decode(&bytes)?.device_view();
/// # let station_key = [7; 32];
/// let marks = Fingerprinter::new(station_key);
/// let text = snapshot_with(&view, &SecretRule::careful(), |entry| {
///     format!("<secret {}>", marks.fingerprint(&entry.value))
/// });
/// assert!(text.starts_with("ns/psk  str 4  <secret "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn snapshot_with(
    view: &DeviceView,
    secrets: &SecretRule,
    placeholder: impl Fn(&DeviceEntry) -> String,
) -> String {
    let mut lines: Vec<Line> = view
        .entries()
        .iter()
        .map(|entry| Line {
            name: format!("{}/{}", entry.namespace, entry.key),
            kind: format!("{} {}", entry.value.type_name(), entry.value.len()),
            value: value(entry, secrets, &placeholder),
        })
        .collect();
    let used: HashSet<Key> = view.entries().iter().map(|entry| entry.namespace).collect();
    for namespace in view.namespaces().iter().filter(|name| !used.contains(name)) {
        lines.push(Line {
            name: format!("{namespace}/"),
            kind: "empty".to_owned(),
            value: String::new(),
        });
    }
    lines.sort_by(|a, b| (&a.name, &a.kind).cmp(&(&b.name, &b.kind)));
    let name_width = lines.iter().map(|line| line.name.chars().count()).max();
    let kind_width = lines.iter().map(|line| line.kind.len()).max();
    let (name_width, kind_width) = (name_width.unwrap_or(0), kind_width.unwrap_or(0));
    let mut text = String::new();
    for Line { name, kind, value } in lines {
        let line = format!("{name:name_width$}  {kind:kind_width$}  {value}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What stands for a value: of a record of ESP-IDF its fields, of a secret the placeholder.
fn value(
    entry: &DeviceEntry,
    secrets: &SecretRule,
    placeholder: &impl Fn(&DeviceEntry) -> String,
) -> String {
    let DeviceEntry { namespace, key, value, .. } = entry;
    match (Record::read(namespace, key, value), secrets.is_secret(namespace, key, value)) {
        (_, true) => placeholder(entry),
        (Some(record), false) => record.to_string(),
        (None, false) => shown(value),
    }
}

struct Line {
    name: String,
    kind: String,
    value: String,
}

/// A value that is no secret, in one line and without type and length.
pub fn shown(value: &Value) -> String {
    match value {
        Value::U8(v) => v.to_string(),
        Value::I8(v) => v.to_string(),
        Value::U16(v) => v.to_string(),
        Value::I16(v) => v.to_string(),
        Value::U32(v) => v.to_string(),
        Value::I32(v) => v.to_string(),
        Value::U64(v) => v.to_string(),
        Value::I64(v) => v.to_string(),
        Value::F32(v) => v.to_string(),
        Value::F64(v) => v.to_string(),
        Value::Str(bytes) if bytes.len() <= STRING_SHOWN => quoted(bytes),
        Value::Str(bytes) => {
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let head = &bytes[..end.unwrap_or(STRING_SHOWN).min(STRING_SHOWN)];
            format!("{}… sha256:{}", quoted(head), sha256(bytes))
        }
        Value::Blob(bytes) if bytes.len() <= BLOB_SHOWN => hex(bytes),
        Value::Blob(bytes) => {
            format!("{}… sha256:{}", hex(&bytes[..8]), sha256(bytes))
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Image, Version, generate};

    #[test]
    fn a_snapshot_is_sorted_aligned_and_without_secrets() {
        let mut document = Document::new();
        document.insert("b", "wifi_password", Value::str("hunter2")).unwrap();
        document.insert("b", "name", Value::str("a\"\n")).unwrap();
        document.insert("a", "n", Value::I8(-1)).unwrap();
        document.insert("a", "raw", Value::Blob(vec![0xAB; 40])).unwrap();
        document.namespace("c").unwrap();
        let bytes = generate(&document, 0x3000, Version::V2).unwrap();
        let view = Image::decode(&bytes).unwrap().device_view();
        let expected = "\
a/n              i8 1     -1
a/raw            blob 40  abababababababab… sha256:d70074b47a5438c1144fe764c95958d0d9df61f2b2bb40cad2219b0fe0d465e8
b/name           str 3    \"a\\\"\\n\"
b/wifi_password  str 7    <secret>
c/               empty
";
        assert_eq!(snapshot(&view, &SecretRule::careful()), expected);
    }
}
