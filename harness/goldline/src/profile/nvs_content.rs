//! What is written into the unit's NVS partition, key by key.
//!
//! Must not know the format of NVS: the image is made of this elsewhere.

use super::Template;

/// The NVS content of the plan's own namespaces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NvsContent {
    /// Name of the data/nvs partition.
    pub partition: String,
    /// That of every entry which names no other; at most 15 ASCII characters.
    pub namespace: String,
    /// In the image's order.
    pub entries: Vec<NvsEntry>,
    /// Namespaces of others that may appear after a boot.
    pub foreign_namespaces: Vec<String>,
    /// How the partition is encrypted; `None` for a plain one.
    pub encryption: Option<NvsEncryption>,
}

/// How an NVS partition is encrypted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NvsEncryption {
    /// Where the unit has its keys.
    pub scheme: NvsKeyScheme,
    /// The key as hexadecimal text.
    pub key: Template,
}

/// Where a unit has the keys of its NVS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NvsKeyScheme {
    /// In a partition of subtype nvs_keys.
    Partition {
        /// Its name.
        name: String,
    },
    /// Made of an HMAC key in the eFuses, which must be burnt before.
    Hmac,
}

impl NvsKeyScheme {
    /// Bytes of the key.
    pub fn key_bytes(&self) -> usize {
        match self {
            Self::Partition { .. } => 64,
            Self::Hmac => 32,
        }
    }
}

/// One planned key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NvsEntry {
    /// The plan's own namespace, or another of the product's.
    pub namespace: String,
    /// At most 15 ASCII characters.
    pub key: String,
    /// How the value is stored.
    pub encoding: NvsEncoding,
    /// What is stored.
    pub value: Template,
}

/// How a value is stored in NVS; the names are those of ESP-IDF's CSV.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each name is the encoding's own")]
pub enum NvsEncoding {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    String,
    Hex2Bin,
    Base64,
    Binary,
}

impl NvsEncoding {
    /// Every encoding.
    pub const ALL: [Self; 12] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::U64,
        Self::I64,
        Self::String,
        Self::Hex2Bin,
        Self::Base64,
        Self::Binary,
    ];

    /// The name in profiles and in ESP-IDF's CSV.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::String => "string",
            Self::Hex2Bin => "hex2bin",
            Self::Base64 => "base64",
            Self::Binary => "binary",
        }
    }

    /// The smallest and the largest number it holds; `None` for texts and blobs.
    pub fn range(self) -> Option<(i128, i128)> {
        Some(match self {
            Self::U8 => (0, u8::MAX.into()),
            Self::I8 => (i8::MIN.into(), i8::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::I16 => (i16::MIN.into(), i16::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
            Self::I64 => (i64::MIN.into(), i64::MAX.into()),
            Self::String | Self::Hex2Bin | Self::Base64 | Self::Binary => return None,
        })
    }
}
