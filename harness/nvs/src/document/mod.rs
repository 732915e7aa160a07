//! What is to be written into a partition, in the order of writing.
//!
//! A [`Document`] is built entry by entry or read from CSV ([`csv`]). It holds
//! only what any NVS can hold; whether it fits a given size and version is the
//! business of [`generate`](mod@crate::generate).

pub mod csv;
mod encoding;
mod mode;
mod wifi;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use crate::device::DeviceView;
pub use encoding::EncodingError;

use crate::key::{Key, KeyError};
use crate::limits::{BLOB_MAX_BYTES, NAMESPACES_MAX, STRING_MAX_BYTES};
use crate::value::Value;

/// Where in a text something stands. Both count from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line of the text.
    pub line: u32,
    /// Character in the line.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One item to write. A namespace's definition is an item of namespace 0 whose
/// key is the name and whose value is the index, as in the format itself.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub namespace: u8,
    pub key: Key,
    pub value: Value,
    pub position: Option<Position>,
}

/// Namespaces, keys and values in the order in which they are to be written.
///
/// Unless it was read in compatible mode, every namespace is defined once and
/// every key is unique in its namespace.
#[derive(Clone, Debug, Default)]
pub struct Document {
    rows: Vec<Row>,
    namespaces: Vec<Key>,
    seen: HashMap<(u8, Key), Option<Position>>,
}

/// Why something cannot be part of a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The name of a key or a namespace is not allowed.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The same key twice.
    #[error(
        "`{key}` is already set in this namespace{}; a device would see one of the two: remove one",
        at_line(*first)
    )]
    DuplicateKey {
        /// The key.
        key: Key,
        /// Where it was set first, when that is known.
        first: Option<Position>,
    },
    /// More namespaces than there are indexes.
    #[error("`{name}` would be namespace number 255, NVS allows 254; join some namespaces")]
    TooManyNamespaces {
        /// The namespace that is one too many.
        name: Key,
    },
    /// A string that the generator's layout cannot hold.
    #[error("the string has {bytes} bytes, at most {max} fit; store it as a blob or shorten it")]
    StringTooLong {
        /// Its length without NUL.
        bytes: usize,
        /// The longest that fits.
        max: usize,
    },
    /// A NUL inside a string, where a firmware would stop reading.
    #[error(
        "the string has a NUL at byte {at}, where a firmware would stop reading; store it as a blob"
    )]
    StringHasNul {
        /// Offset of the first NUL.
        at: usize,
    },
    /// A blob beyond the index's 127 chunks.
    #[error("the blob has {bytes} bytes, NVS allows 508000; split it over several keys")]
    BlobTooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Reads an inline value as a CSV row of that encoding would, in strict mode.
///
/// # Errors
/// [`EncodingError`], without the value.
pub fn value_of_text(encoding: &str, text: &str) -> Result<Value, EncodingError> {
    encoding::decode(encoding, encoding::Source::Inline(text), csv::Mode::Strict)
}

fn at_line(position: Option<Position>) -> String {
    position.map_or_else(String::new, |p| format!(" (line {})", p.line))
}

impl Document {
    /// An empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Defines a namespace, unless it is defined already, so that it exists on
    /// the device even without keys.
    ///
    /// # Errors
    /// A name that NVS does not allow, or more than 254 namespaces.
    pub fn namespace(&mut self, name: &str) -> Result<(), DocumentError> {
        let name = Key::new(name)?;
        if self.index_of(&name).is_none() {
            self.define_namespace(name, None)?;
        }
        Ok(())
    }

    /// Appends a value, defining its namespace at first use.
    ///
    /// # Errors
    /// [`DocumentError`] when the names or the value are not allowed, or the
    /// key is set already.
    pub fn insert(
        &mut self,
        namespace: &str,
        key: &str,
        value: Value,
    ) -> Result<(), DocumentError> {
        let key = Key::new(key)?;
        check_value(&value)?;
        self.namespace(namespace)?;
        let namespace = Key::new(namespace)?;
        let index = self.index_of(&namespace).expect("the line above has defined it");
        self.push_unique(index, key, value, None)
    }

    /// Everything that a firmware can read, in the order in which it is stored:
    /// generated anew, it is the same content without a past.
    ///
    /// # Errors
    /// A name or a value in the image that the generator cannot write, such as
    /// a key that is not ASCII.
    pub fn from_view(view: &DeviceView) -> Result<Self, DocumentError> {
        let text = |key: &Key| key.as_str().unwrap_or_default().to_owned();
        let mut document = Self::new();
        for name in view.namespaces() {
            document.namespace(&text(name))?;
        }
        for entry in view.entries() {
            let value = entry.value.clone();
            document.insert(&text(&entry.namespace), &text(&entry.key), value)?;
        }
        Ok(document)
    }

    /// Sets a value, in the place of the old one or at the end.
    ///
    /// # Errors
    /// As [`Document::insert`], save that the key may be set already.
    pub fn set(&mut self, namespace: &str, key: &str, value: Value) -> Result<(), DocumentError> {
        check_value(&value)?;
        let index = self.index_of(&Key::new(namespace)?);
        let name = Key::new(key)?;
        let is_it = |row: &&mut Row| Some(row.namespace) == index && row.key == name;
        match self.rows.iter_mut().find(is_it) {
            Some(row) => {
                row.value = value;
                Ok(())
            }
            None => self.insert(namespace, key, value),
        }
    }

    /// Takes a key out. Says whether it was there.
    pub fn remove(&mut self, namespace: &str, key: &str) -> bool {
        let (Ok(namespace), Ok(key)) = (Key::new(namespace), Key::new(key)) else {
            return false;
        };
        let Some(index) = self.index_of(&namespace) else {
            return false;
        };
        self.seen.remove(&(index, key));
        let before = self.rows.len();
        self.rows.retain(|row| row.namespace != index || row.key != key);
        self.rows.len() < before
    }

    /// Namespace, key and value of every entry, in order of writing.
    pub fn entries(&self) -> impl Iterator<Item = (Key, Key, &Value)> {
        let defined = self.rows.iter().filter(|row| row.namespace > 0);
        defined.map(|row| {
            let namespace = self.namespaces[usize::from(row.namespace) - 1];
            (namespace, row.key, &row.value)
        })
    }

    /// The defined namespaces, in order of their indexes.
    pub fn namespaces(&self) -> &[Key] {
        &self.namespaces
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Name of the namespace that a row belongs to, or of the one it defines.
    pub(crate) fn namespace_of(&self, row: &Row) -> Key {
        match usize::from(row.namespace).checked_sub(1) {
            Some(index) => self.namespaces[index],
            None => row.key,
        }
    }

    fn index_of(&self, name: &Key) -> Option<u8> {
        let found = self.namespaces.iter().position(|known| known == name)?;
        Some(index_at(found))
    }

    fn define_namespace(
        &mut self,
        name: Key,
        position: Option<Position>,
    ) -> Result<u8, DocumentError> {
        if self.namespaces.len() == NAMESPACES_MAX {
            return Err(DocumentError::TooManyNamespaces { name });
        }
        let index = index_at(self.namespaces.len());
        self.namespaces.push(name);
        self.push(0, name, Value::U8(index), position);
        Ok(index)
    }

    fn push_unique(
        &mut self,
        namespace: u8,
        key: Key,
        value: Value,
        position: Option<Position>,
    ) -> Result<(), DocumentError> {
        match self.seen.entry((namespace, key)) {
            Entry::Occupied(first) => {
                let first = *first.get();
                return Err(DocumentError::DuplicateKey { key, first });
            }
            Entry::Vacant(place) => place.insert(position),
        };
        self.append(namespace, key, value, position);
        Ok(())
    }

    fn push(&mut self, namespace: u8, key: Key, value: Value, position: Option<Position>) {
        self.seen.entry((namespace, key)).or_insert(position);
        self.append(namespace, key, value, position);
    }

    fn append(&mut self, namespace: u8, key: Key, value: Value, position: Option<Position>) {
        self.rows.push(Row { namespace, key, value, position });
    }
}

fn index_at(position: usize) -> u8 {
    u8::try_from(position + 1).expect("at most 254 namespaces are ever defined")
}

/// Limits that hold for every size and version.
fn check_value(value: &Value) -> Result<(), DocumentError> {
    match value {
        Value::Str(text) => check_text(text, STRING_MAX_BYTES),
        Value::Blob(bytes) => check_blob(bytes),
        _ => Ok(()),
    }
}

/// A string of at most `max` bytes, NUL not counted, and without NUL.
pub(crate) fn check_text(text: &[u8], max: usize) -> Result<(), DocumentError> {
    if let Some(at) = text.iter().position(|&byte| byte == 0) {
        return Err(DocumentError::StringHasNul { at });
    }
    let bytes = text.len();
    match bytes > max {
        true => Err(DocumentError::StringTooLong { bytes, max }),
        false => Ok(()),
    }
}

/// A blob of at most 127 chunks.
pub(crate) fn check_blob(blob: &[u8]) -> Result<(), DocumentError> {
    let bytes = blob.len();
    match bytes > BLOB_MAX_BYTES {
        true => Err(DocumentError::BlobTooLong { bytes }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_defined_at_first_use_and_only_once() {
        let mut document = Document::new();
        document.insert("a", "x", Value::U8(1)).unwrap();
        document.insert("b", "x", Value::U8(2)).unwrap();
        document.insert("a", "y", Value::U8(3)).unwrap();
        let indexes: Vec<u8> = document.rows().iter().map(|row| row.namespace).collect();
        assert_eq!(indexes, [0, 1, 0, 2, 1]);
    }

    #[test]
    fn a_key_cannot_be_set_twice_whatever_its_type() {
        let mut document = Document::new();
        document.insert("a", "x", Value::U8(1)).unwrap();
        let again = document.insert("a", "x", Value::str("1"));
        assert!(matches!(again, Err(DocumentError::DuplicateKey { .. })));
    }

    #[test]
    fn the_255th_namespace_is_refused() {
        let mut document = Document::new();
        for index in 0..254 {
            document.namespace(&format!("n{index}")).unwrap();
        }
        document.namespace("n0").unwrap();
        let error = document.namespace("n254").unwrap_err();
        assert!(matches!(error, DocumentError::TooManyNamespaces { .. }));
    }

    #[test]
    fn a_document_is_changed_in_place() {
        let mut document = Document::new();
        document.insert("a", "x", Value::U8(1)).unwrap();
        document.insert("a", "y", Value::U8(2)).unwrap();
        document.set("a", "x", Value::str("new")).unwrap();
        document.set("b", "z", Value::U8(3)).unwrap();
        assert!(document.remove("a", "y"));
        assert!(!document.remove("a", "y"));
        document.insert("a", "y", Value::U8(4)).unwrap();
        let values: Vec<_> = document.entries().map(|(_, _, value)| value.clone()).collect();
        assert_eq!(values, [Value::str("new"), Value::U8(3), Value::U8(4)]);
    }

    #[test]
    fn values_that_no_layout_holds_are_refused() {
        let mut document = Document::new();
        let mut insert = |value| document.insert("a", "x", value).unwrap_err();
        assert!(matches!(insert(Value::str("a\0b")), DocumentError::StringHasNul { at: 1 }));
        assert!(matches!(
            insert(Value::Str(vec![b'x'; 3968])),
            DocumentError::StringTooLong { bytes: 3968, .. }
        ));
        assert!(matches!(
            insert(Value::Blob(vec![0; 508_001])),
            DocumentError::BlobTooLong { bytes: 508_001 }
        ));
    }
}
