//! Values as text and as JSON. Whoever calls has decided that the value may be shown.

use goldline_nvs::{Value, device::DeviceEntry, record::Record, snapshot};
use serde::Serialize;

/// A value in one line, whole however long it is.
pub(super) fn whole(value: &Value) -> String {
    match value {
        Value::Str(text) => match std::str::from_utf8(text) {
            Ok(text) => format!("\"{}\"", text.escape_debug()),
            Err(_) => format!("\"{}\"", text.escape_ascii()),
        },
        Value::Blob(bytes) => hex(bytes),
        number => snapshot::shown(number),
    }
}

/// The same, of a record of ESP-IDF its fields.
pub(super) fn whole_entry(entry: &DeviceEntry) -> String {
    let record = Record::read(&entry.namespace, &entry.key, &entry.value);
    record.map_or_else(|| whole(&entry.value), |record| record.whole())
}

/// Bytes as lowercase hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// The content of a value: a JSON number or text as such, other bytes as `{"hex": …}`.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    Bytes { hex: String },
}

impl Content {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::U8(number) => Content::Unsigned(u64::from(*number)),
            Value::U16(number) => Content::Unsigned(u64::from(*number)),
            Value::U32(number) => Content::Unsigned(u64::from(*number)),
            Value::U64(number) => Content::Unsigned(*number),
            Value::I8(number) => Content::Signed(i64::from(*number)),
            Value::I16(number) => Content::Signed(i64::from(*number)),
            Value::I32(number) => Content::Signed(i64::from(*number)),
            Value::I64(number) => Content::Signed(*number),
            Value::F32(number) => Self::of_float(f64::from(*number), value),
            Value::F64(number) => Self::of_float(*number, value),
            Value::Str(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Content::Text(text.to_owned()),
                Err(_) => Content::Bytes { hex: hex(bytes) },
            },
            Value::Blob(bytes) => Content::Bytes { hex: hex(bytes) },
        }
    }

    /// JSON has no infinity and no NaN; they become their names.
    fn of_float(number: f64, value: &Value) -> Self {
        match number.is_finite() {
            true => Content::Float(number),
            false => Content::Text(snapshot::shown(value)),
        }
    }
}
