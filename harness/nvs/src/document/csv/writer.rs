//! Values → CSV that gives the same image again, in strict mode and by the
//! reference generator. It shows every value, secrets too: that is its purpose.

use std::collections::HashMap;
use std::fmt::Write;

use crate::device::{DeviceEntry, DeviceView};
use crate::document::wifi;
use crate::key::Key;
use crate::value::Value;

/// Why a value cannot be written as CSV.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The CSV has no encoding for it.
    #[error(
        "`{namespace}/{key}` is a {type_name}, for which the CSV has no encoding; leave it out"
    )]
    NoEncoding {
        /// Of the value.
        namespace: Key,
        /// Of the value.
        key: Key,
        /// Of the value.
        type_name: &'static str,
    },
    /// A string that a CSV cannot carry to the reference generator.
    #[error(
        "the string `{namespace}/{key}` has bytes that do not survive a CSV (not UTF-8, a carriage return, or a line beginning with `#`); use a file row"
    )]
    Text {
        /// Of the value.
        namespace: Key,
        /// Of the value.
        key: Key,
    },
}

/// The CSV of everything in a view, grouped by namespace in the order in which
/// these first appear.
///
/// Keys that the generator adds by itself beside WiFi credentials are left out.
///
/// # Errors
/// The first value that no CSV can hold.
pub fn write(view: &DeviceView) -> Result<String, WriteError> {
    let mut csv = String::from("key,type,encoding,value\n");
    let mut groups: HashMap<Key, Vec<&DeviceEntry>> = HashMap::new();
    for entry in view.entries() {
        groups.entry(entry.namespace).or_default().push(entry);
    }
    for namespace in view.namespaces() {
        writeln!(csv, "{},namespace,,", quoted(&namespace.to_string())).expect(NEVER_FAILS);
        for entry in groups.get(namespace).into_iter().flatten() {
            write_entry(&mut csv, entry)?;
        }
    }
    Ok(csv)
}

const NEVER_FAILS: &str = "a string takes all writes";

fn write_entry(csv: &mut String, entry: &DeviceEntry) -> Result<(), WriteError> {
    let &DeviceEntry { namespace, key, .. } = entry;
    if namespace == *wifi::NAMESPACE && wifi::is_added(key.as_str().unwrap_or_default()) {
        return Ok(());
    }
    let (encoding, text) = encoded(&entry.value).map_err(|kind| match kind {
        Unwritable::Type => {
            WriteError::NoEncoding { namespace, key, type_name: entry.value.type_name() }
        }
        Unwritable::Text => WriteError::Text { namespace, key },
    })?;
    let (key, text) = (quoted(&key.to_string()), quoted(&text));
    writeln!(csv, "{key},data,{encoding},{text}").expect(NEVER_FAILS);
    Ok(())
}

enum Unwritable {
    Type,
    Text,
}

fn encoded(value: &Value) -> Result<(&'static str, String), Unwritable> {
    let text = match value {
        Value::U8(v) => v.to_string(),
        Value::I8(v) => v.to_string(),
        Value::U16(v) => v.to_string(),
        Value::I16(v) => v.to_string(),
        Value::U32(v) => v.to_string(),
        Value::I32(v) => v.to_string(),
        Value::U64(v) => v.to_string(),
        Value::I64(v) => v.to_string(),
        Value::F32(_) | Value::F64(_) => return Err(Unwritable::Type),
        Value::Str(_) => {
            let text = value.as_str().ok_or(Unwritable::Text)?;
            if text.contains('\r') || text.contains("\n#") {
                return Err(Unwritable::Text);
            }
            return Ok(("string", text.to_owned()));
        }
        Value::Blob(bytes) => {
            let hex = bytes.iter().map(|byte| format!("{byte:02x}"));
            return Ok(("hex2bin", hex.collect()));
        }
    };
    Ok((value.type_name(), text))
}

/// In quotes where the reader needs them.
fn quoted(text: &str) -> String {
    let needs_quotes = text.contains(['"', ',', '\n']) || text.starts_with(['#', '-']);
    match needs_quotes {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::{Mode, NoFiles, parse};
    use crate::{Document, Image, Version, generate};

    fn image(document: &Document) -> Vec<u8> {
        generate(document, 0x3000, Version::V2).unwrap()
    }

    fn csv(document: &Document) -> Result<String, WriteError> {
        write(&Image::decode(&image(document)).unwrap().device_view())
    }

    #[test]
    fn what_is_written_gives_the_same_image() {
        let mut document = Document::new();
        for (key, value) in [
            ("plain", Value::str("a b")),
            ("#odd,\"key", Value::str("a,\"b\"\nc")),
            ("pem", Value::str("-----BEGIN X-----\nAA")),
            ("empty", Value::str("")),
            ("number", Value::I64(i64::MIN)),
            ("blob", Value::Blob(vec![0, 255])),
        ] {
            document.insert("ns", key, value).unwrap();
        }
        document.namespace("empty").unwrap();
        let csv = csv(&document).unwrap();
        let again = parse(csv.as_bytes(), Mode::Strict, &mut NoFiles).unwrap();
        assert_eq!(image(&again), image(&document), "{csv}");
    }

    #[test]
    fn what_would_not_survive_is_refused() {
        let refused = |value: Value| {
            let mut document = Document::new();
            document.insert("ns", "key", value).unwrap();
            csv(&document).is_err()
        };
        assert!(refused(Value::F32(1.0)));
        assert!(refused(Value::Str(vec![0xFF])));
        assert!(refused(Value::str("a\r")));
        assert!(refused(Value::str("a\n#b")));
    }
}
