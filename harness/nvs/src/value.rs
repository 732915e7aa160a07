//! What an item holds. Must not know where it lies or whether it is secret;
//! therefore `Debug` never prints the content.

use std::fmt;

/// Type code of an item as the format holds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names are those of the format")]
pub enum ItemType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    /// Since ESP-IDF 6.1.
    F32,
    /// Since ESP-IDF 6.1.
    F64,
    Str,
    /// A whole blob of format version 1.
    BlobV1,
    /// One chunk of a blob of format version 2.
    BlobData,
    /// The index of a blob of format version 2.
    BlobIndex,
    /// A code this format does not define.
    Unknown(u8),
}

impl ItemType {
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            0x01 => ItemType::U8,
            0x11 => ItemType::I8,
            0x02 => ItemType::U16,
            0x12 => ItemType::I16,
            0x04 => ItemType::U32,
            0x14 => ItemType::I32,
            0x08 => ItemType::U64,
            0x18 => ItemType::I64,
            0x24 => ItemType::F32,
            0x28 => ItemType::F64,
            0x21 => ItemType::Str,
            0x41 => ItemType::BlobV1,
            0x42 => ItemType::BlobData,
            0x48 => ItemType::BlobIndex,
            other => ItemType::Unknown(other),
        }
    }

    /// The byte in the item header.
    pub const fn code(self) -> u8 {
        match self {
            ItemType::U8 => 0x01,
            ItemType::I8 => 0x11,
            ItemType::U16 => 0x02,
            ItemType::I16 => 0x12,
            ItemType::U32 => 0x04,
            ItemType::I32 => 0x14,
            ItemType::U64 => 0x08,
            ItemType::I64 => 0x18,
            ItemType::F32 => 0x24,
            ItemType::F64 => 0x28,
            ItemType::Str => 0x21,
            ItemType::BlobV1 => 0x41,
            ItemType::BlobData => 0x42,
            ItemType::BlobIndex => 0x48,
            ItemType::Unknown(code) => code,
        }
    }

    /// Whether payload entries follow the header.
    pub const fn has_payload(self) -> bool {
        matches!(self, ItemType::Str | ItemType::BlobV1 | ItemType::BlobData)
    }
}

impl fmt::Display for ItemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ItemType::U8 => "u8",
            ItemType::I8 => "i8",
            ItemType::U16 => "u16",
            ItemType::I16 => "i16",
            ItemType::U32 => "u32",
            ItemType::I32 => "i32",
            ItemType::U64 => "u64",
            ItemType::I64 => "i64",
            ItemType::F32 => "f32",
            ItemType::F64 => "f64",
            ItemType::Str => "str",
            ItemType::BlobV1 => "blob-v1",
            ItemType::BlobData => "blob-data",
            ItemType::BlobIndex => "blob-index",
            ItemType::Unknown(code) => return f.pad(&format!("0x{code:02x}")),
        })
    }
}

/// A typed value, as a firmware's `nvs_get_…` would return it.
///
/// Floats are compared by their bits, so that equality means the same flash.
#[derive(Clone)]
#[expect(missing_docs, reason = "the names are those of the format")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    /// Text without its NUL. The format allows any bytes; see [`Value::as_str`].
    Str(Vec<u8>),
    /// Bytes, from whichever blob format.
    Blob(Vec<u8>),
}

impl Value {
    /// A string value.
    pub fn str(text: &str) -> Self {
        Value::Str(text.as_bytes().to_vec())
    }

    /// The text of a string value, when it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The bytes of a string (without NUL) or of a blob.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Str(bytes) | Value::Blob(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Name of the type as a firmware's author knows it: `u8` … `i64`, `f32`,
    /// `f64`, `str`, `blob`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Value::U8(_) => "u8",
            Value::I8(_) => "i8",
            Value::U16(_) => "u16",
            Value::I16(_) => "i16",
            Value::U32(_) => "u32",
            Value::I32(_) => "i32",
            Value::U64(_) => "u64",
            Value::I64(_) => "i64",
            Value::F32(_) => "f32",
            Value::F64(_) => "f64",
            Value::Str(_) => "str",
            Value::Blob(_) => "blob",
        }
    }

    /// Bytes of the value: of a string without its NUL.
    #[expect(clippy::len_without_is_empty, reason = "a number is never empty")]
    pub fn len(&self) -> usize {
        match self {
            Value::U8(_) | Value::I8(_) => 1,
            Value::U16(_) | Value::I16(_) => 2,
            Value::U32(_) | Value::I32(_) | Value::F32(_) => 4,
            Value::U64(_) | Value::I64(_) | Value::F64(_) => 8,
            Value::Str(bytes) | Value::Blob(bytes) => bytes.len(),
        }
    }

    /// The value as the format stores it.
    pub(crate) fn stored(&self) -> Stored<'_> {
        fn field<const N: usize>(item_type: ItemType, value: [u8; N]) -> Stored<'static> {
            let mut bytes = [0xFF; 8];
            bytes[..N].copy_from_slice(&value);
            Stored::Field(Field { item_type, bytes, used: N })
        }
        match self {
            Value::U8(v) => field(ItemType::U8, v.to_le_bytes()),
            Value::I8(v) => field(ItemType::I8, v.to_le_bytes()),
            Value::U16(v) => field(ItemType::U16, v.to_le_bytes()),
            Value::I16(v) => field(ItemType::I16, v.to_le_bytes()),
            Value::U32(v) => field(ItemType::U32, v.to_le_bytes()),
            Value::I32(v) => field(ItemType::I32, v.to_le_bytes()),
            Value::U64(v) => field(ItemType::U64, v.to_le_bytes()),
            Value::I64(v) => field(ItemType::I64, v.to_le_bytes()),
            Value::F32(v) => field(ItemType::F32, v.to_le_bytes()),
            Value::F64(v) => field(ItemType::F64, v.to_le_bytes()),
            Value::Str(text) => Stored::Text(text),
            Value::Blob(bytes) => Stored::Blob(bytes),
        }
    }

    /// The value that a header's data field holds for a type without payload.
    pub(crate) fn from_primitive(item_type: ItemType, field: &[u8; 8]) -> Option<Self> {
        fn head<const N: usize>(field: &[u8; 8]) -> [u8; N] {
            let mut bytes = [0; N];
            bytes.copy_from_slice(&field[..N]);
            bytes
        }
        Some(match item_type {
            ItemType::U8 => Value::U8(u8::from_le_bytes(head(field))),
            ItemType::I8 => Value::I8(i8::from_le_bytes(head(field))),
            ItemType::U16 => Value::U16(u16::from_le_bytes(head(field))),
            ItemType::I16 => Value::I16(i16::from_le_bytes(head(field))),
            ItemType::U32 => Value::U32(u32::from_le_bytes(head(field))),
            ItemType::I32 => Value::I32(i32::from_le_bytes(head(field))),
            ItemType::U64 => Value::U64(u64::from_le_bytes(head(field))),
            ItemType::I64 => Value::I64(i64::from_le_bytes(head(field))),
            ItemType::F32 => Value::F32(f32::from_le_bytes(head(field))),
            ItemType::F64 => Value::F64(f64::from_le_bytes(head(field))),
            _ => return None,
        })
    }
}

/// A value by the way in which it is stored.
#[derive(PartialEq)]
pub(crate) enum Stored<'v> {
    /// In its header's data field.
    Field(Field),
    /// As payload, to which a NUL belongs that is not part of this.
    Text(&'v [u8]),
    /// As payload.
    Blob(&'v [u8]),
}

/// A header's data field.
#[derive(PartialEq)]
pub(crate) struct Field {
    pub item_type: ItemType,
    pub bytes: [u8; 8],
    /// Bytes that are the value; the rest is padding.
    pub used: usize,
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.stored() == other.stored()
    }
}

impl Eq for Value {}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes)", self.type_name(), self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_content() {
        assert_eq!(format!("{:?}", Value::str("hunter2")), "str(7 bytes)");
        assert_eq!(format!("{:?}", Value::U32(0xdead)), "u32(4 bytes)");
    }

    #[test]
    fn primitives_survive_a_round_trip() {
        for value in [
            Value::U8(255),
            Value::I8(-128),
            Value::I16(-2),
            Value::U64(u64::MAX),
            Value::I64(i64::MIN),
            Value::F32(f32::NAN),
            Value::F64(-0.0),
        ] {
            let Stored::Field(field) = value.stored() else {
                panic!("{value:?} has a payload");
            };
            let read = Value::from_primitive(field.item_type, &field.bytes);
            assert_eq!(read, Some(value));
        }
    }

    #[test]
    fn every_type_code_survives_a_round_trip() {
        for code in 0..=255 {
            assert_eq!(ItemType::from_code(code).code(), code);
        }
    }
}
