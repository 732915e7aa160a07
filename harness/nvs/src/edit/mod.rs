//! Changes to an existing image, made as a device makes them.
//!
//! New values are appended, old ones marked erased, a blob's chunks go to the
//! other half of the chunk indexes, and a full partition is compacted page by
//! page: what results is what the device's own flash would hold, wear and all.
//! Old values stay readable in erased entries until their page is erased; for
//! an image without any past, make a [`Document`](crate::Document) from the
//! device's view and generate it anew.
//!
//! Follows `nvs_flash` of ESP-IDF 5.4 as read from its source. An image of
//! version 1 stays one, for firmware of before ESP-IDF 4.0 that reads no other.
//! An encrypted image is decrypted before and encrypted after.
//!
//! ```
//! use goldline_nvs::edit::Editor;
//! use goldline_nvs::{Document, Image, Value, Version, generate};
//!
//! # let mut document = Document::new();
//! # document.insert("vault", "wifi_ssid", Value::str("old"))?;
//! # document.insert("vault", "device_id", Value::str("VAULT-00001"))?;
//! # let bytes = generate(&document, 0x6000, Version::V2)?;
//! let mut editor = Editor::open(&bytes)?;
//! editor.set("vault", "wifi_ssid", &Value::str("new"))?;
//! let bytes = editor.finish();
//! let view = Image::decode(&bytes)?.device_view();
//! assert_eq!(view.get("vault", "wifi_ssid"), Some(&Value::str("new")));
//! assert_eq!(view.get("vault", "device_id"), Some(&Value::str("VAULT-00001")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blob;
mod flash;
mod pages;

use crate::device::{DropReason, Dropped, Opening};
use crate::document::{DocumentError, check_blob, check_text};
use crate::format::{CHUNK_ANY, NAMESPACE_DEFINITIONS, Version};
use crate::identify::{self, Kind};
use crate::image::{DecodeError, Image, Location};
use crate::key::{Key, KeyError};
use crate::limits::{BLOB_V1_MAX_BYTES, CHUNK_MAX_BYTES, NAMESPACES_MAX, STRING_V1_MAX_BYTES};
use crate::value::{ItemType, Stored, Value};
use pages::Pages;

/// Why an image cannot be changed, or not in this way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Not even a page.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Something else than a plain NVS image.
    #[error("this is {0}, not a plain NVS image; decrypt it first, or read the NVS partition")]
    NotNvs(Kind),
    /// A device could not write to it.
    #[error(
        "a device does not open this image for writing ({0:?}); make a fresh image from what is readable"
    )]
    NotWritable(Opening),
    /// A name that NVS does not allow.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A value that no device holds.
    #[error(transparent)]
    Value(DocumentError),
    /// Format version 1 keeps every value in one page.
    #[error(
        "`{key}` has {bytes} bytes, this image of version 1 allows {max}; shorten it, or generate the image anew as version 2"
    )]
    TooLongForV1 {
        /// Key of the value.
        key: Key,
        /// Length of the value.
        bytes: usize,
        /// The longest that version 1 allows for this type.
        max: usize,
    },
    /// All 254 indexes are taken.
    #[error(
        "`{name}` would be namespace number 255, NVS allows 254; remove one and make a fresh image"
    )]
    TooManyNamespaces {
        /// The namespace that is one too many.
        name: Key,
    },
    /// Not even a compaction makes room.
    #[error(
        "no room for `{key}`, not even after a compaction; remove other keys or use a larger partition"
    )]
    NoRoom {
        /// Key of the value that does not fit.
        key: Key,
    },
}

/// An image that is being changed. Nothing is lost by a change that fails.
#[derive(Clone, Debug)]
pub struct Editor {
    pages: Pages,
}

/// An item to find: one that `nvs_get_…` would.
#[derive(Clone, Copy)]
struct Found {
    location: Location,
    entries: usize,
    item_type: ItemType,
    /// Of a blob index: the first chunk's index.
    start: u8,
}

impl Editor {
    /// Opens a plain image and makes the repairs that a device makes at boot.
    ///
    /// # Errors
    /// Not a plain NVS image, or one that a device does not open for writing.
    pub fn open(bytes: &[u8]) -> Result<Self, EditError> {
        let image = Image::decode(bytes)?;
        match identify::of_image(&image) {
            Kind::Nvs | Kind::Blank => {}
            other => return Err(EditError::NotNvs(other)),
        }
        let view = image.device_view();
        if view.opening() != Opening::ReadWrite {
            return Err(EditError::NotWritable(view.opening()));
        }
        let mut pages = Pages::new(&image);
        for dropped in view.dropped().iter().filter(|dropped| is_erased_at_boot(dropped)) {
            if let Some(item) = image.item_at(dropped.location) {
                pages.mark_erased(item.header.location, item.entries);
            }
        }
        pages.finish_compaction();
        pages.close_gap();
        Ok(Self { pages })
    }

    /// The image as it is now.
    pub fn finish(self) -> Vec<u8> {
        self.pages.into_bytes()
    }

    /// Sets a value, defining its namespace where that is new. A value that is
    /// there already is not written again.
    ///
    /// # Errors
    /// The names or the value are not allowed, or there is no room.
    pub fn set(&mut self, namespace: &str, key: &str, value: &Value) -> Result<(), EditError> {
        let (namespace, key) = (Key::new(namespace)?, Key::new(key)?);
        check(value)?;
        self.or_restore(|editor| {
            let index = editor.open_namespace(namespace)?;
            editor.write(index, key, value)
        })
    }

    /// Erases a key. Says whether it was there.
    pub fn remove(&mut self, namespace: &str, key: &str) -> bool {
        let (Ok(namespace), Ok(key)) = (Key::new(namespace), Key::new(key)) else {
            return false;
        };
        let Some(index) = self.namespace_index(namespace) else {
            return false;
        };
        let mut is_found = false;
        // A damaged past can have left a key in several types.
        while let Some(found) = self.find(index, key, None) {
            self.erase(index, key, found);
            is_found = true;
        }
        is_found
    }

    fn or_restore(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<(), EditError>,
    ) -> Result<(), EditError> {
        let before = self.pages.clone();
        change(self).inspect_err(|_| self.pages = before)
    }

    fn write(&mut self, index: u8, key: Key, value: &Value) -> Result<(), EditError> {
        let stored = value.stored();
        let wanted = match &stored {
            Stored::Field(field) => field.item_type,
            Stored::Text(_) => ItemType::Str,
            Stored::Blob(_) => self.pages.blob_type(),
        };
        if self.pages.version() == Version::V1 {
            check_v1(key, &stored)?;
        }
        let same_type = self.find(index, key, Some(wanted));
        if same_type.is_some() && self.holds(index, key, value) {
            return Ok(());
        }
        match stored {
            Stored::Field(field) => self.pages.write_field(index, key, wanted, field.bytes)?,
            Stored::Text(text) => {
                let payload = [text, b"\0"].concat();
                self.pages.write(index, key, wanted, CHUNK_ANY, &payload)?;
            }
            Stored::Blob(bytes) if wanted == ItemType::BlobV1 => {
                self.pages.write(index, key, wanted, CHUNK_ANY, bytes)?;
            }
            Stored::Blob(bytes) => blob::write(&mut self.pages, index, key, bytes, same_type)?,
        }
        self.erase_previous(index, key);
        Ok(())
    }

    /// Erases what the value just written replaces. Looked for only now, since
    /// the writing may have moved it. A device erases one item; a damaged past
    /// can have left more, of which one would be read instead of the new value.
    fn erase_previous(&mut self, index: u8, key: Key) {
        let mut all = self.find_all(index, key);
        let Some(newest) = all.pop() else { return };
        for found in all {
            let is_blob = newest.item_type == ItemType::BlobIndex;
            if is_blob && found.start == newest.start && found.item_type == newest.item_type {
                // The chunks are the new ones.
                self.pages.mark_erased(found.location, found.entries);
            } else {
                self.erase(index, key, found);
            }
        }
    }

    fn erase(&mut self, index: u8, key: Key, found: Found) {
        self.pages.mark_erased(found.location, found.entries);
        if found.item_type == ItemType::BlobIndex {
            blob::erase_chunks(&mut self.pages, index, key, found.start);
        }
    }

    fn open_namespace(&mut self, name: Key) -> Result<u8, EditError> {
        if let Some(index) = self.namespace_index(name) {
            return Ok(index);
        }
        let taken = self.namespaces();
        let is_free = |index: &u8| taken.iter().all(|(_, used)| used != index);
        let index = (1..=NAMESPACES_MAX as u8)
            .find(is_free)
            .ok_or(EditError::TooManyNamespaces { name })?;
        let mut field = [0xFF; 8];
        field[0] = index;
        self.pages.write_field(NAMESPACE_DEFINITIONS, name, ItemType::U8, field)?;
        Ok(index)
    }

    fn namespace_index(&self, name: Key) -> Option<u8> {
        let mut namespaces = self.namespaces().into_iter();
        namespaces.find(|(known, _)| *known == name).map(|(_, index)| index)
    }

    fn namespaces(&self) -> Vec<(Key, u8)> {
        self.pages.with_live(|live| {
            live.iter()
                .filter(|item| item.header.namespace_index() == NAMESPACE_DEFINITIONS)
                .filter(|item| item.header.item_type() == ItemType::U8)
                .map(|item| (item.header.key(), item.header.data()[0]))
                .filter(|(_, index)| (1..=NAMESPACES_MAX as u8).contains(index))
                .collect()
        })
    }

    /// Live items of a key, chunks left out, in the order of a device's search.
    fn find_all(&self, index: u8, key: Key) -> Vec<Found> {
        self.pages.with_live(|live| {
            live.iter()
                .filter(|item| item.header.namespace_index() == index && item.header.key() == key)
                .filter(|item| item.header.item_type() != ItemType::BlobData)
                .map(|item| Found {
                    location: item.header.location,
                    entries: item.entries,
                    item_type: item.header.item_type(),
                    start: item.header.blob_index().start,
                })
                .collect()
        })
    }

    fn find(&self, index: u8, key: Key, wanted: Option<ItemType>) -> Option<Found> {
        let mut all = self.find_all(index, key).into_iter();
        all.find(|found| wanted.is_none_or(|wanted| found.item_type == wanted))
    }

    /// Whether a firmware already reads exactly this value.
    fn holds(&self, index: u8, key: Key, value: &Value) -> bool {
        let name = self.namespaces().into_iter().find(|(_, used)| *used == index);
        let Some((name, _)) = name else { return false };
        self.pages.with_image(|image| {
            let view = image.device_view();
            let mut entries = view.entries().iter();
            entries
                .any(|entry| entry.namespace == name && entry.key == key && entry.value == *value)
        })
    }
}

/// What a device marks erased at boot; the rest it erases on reading, by page,
/// or never.
fn is_erased_at_boot(dropped: &Dropped) -> bool {
    matches!(
        dropped.reason,
        DropReason::Header
            | DropReason::Torn
            | DropReason::BehindGap
            | DropReason::PayloadState
            | DropReason::Replaced { .. }
            | DropReason::BlobMismatch { .. }
            | DropReason::OrphanChunk { .. }
    )
}

/// What one page of version 1 holds.
fn check_v1(key: Key, stored: &Stored<'_>) -> Result<(), EditError> {
    let (bytes, max) = match stored {
        Stored::Field(_) => return Ok(()),
        Stored::Text(text) => (text.len(), STRING_V1_MAX_BYTES),
        Stored::Blob(blob) => (blob.len(), BLOB_V1_MAX_BYTES),
    };
    match bytes > max {
        true => Err(EditError::TooLongForV1 { key, bytes, max }),
        false => Ok(()),
    }
}

fn check(value: &Value) -> Result<(), EditError> {
    match value {
        Value::Str(text) => check_text(text, CHUNK_MAX_BYTES - 1),
        Value::Blob(bytes) => check_blob(bytes),
        _ => Ok(()),
    }
    .map_err(EditError::Value)
}

#[cfg(test)]
mod tests;
