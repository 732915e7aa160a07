//! What can still be read of an image, whatever a device makes of it: values on
//! discarded pages, in erased entries, behind gaps, with one flipped bit.
//!
//! Each value is as sound as its CRCs. Whether it is the newest is not said.

use std::collections::HashMap;
use std::fmt;

use crate::check::mended_header;
use crate::device::DropReason;
use crate::format::{EntryState, NAMESPACE_DEFINITIONS, crc32};
use crate::image::{Image, Item, Location};
use crate::key::Key;
use crate::value::{ItemType, Value};

/// A value that a device would not find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Where its header lies.
    pub location: Location,
    /// Namespace, when its definition is readable anywhere in the image.
    pub namespace: Option<Key>,
    /// The key.
    pub key: Key,
    /// The value; of a blob of version 2 the content of one chunk.
    pub value: Value,
    /// Index of the chunk, if it is one.
    pub chunk: Option<u8>,
    /// Why a device does not find it.
    pub loss: Loss,
}

/// Why a device does not find a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It was erased or replaced.
    Erased,
    /// Its page is not read, or the partition does not open.
    Page,
    /// One bit of its header is flipped.
    Header,
    /// The device drops it at boot or on reading.
    Dropped(DropReason),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::Erased => "it was erased or replaced",
            Loss::Page => "its page is not read, or the partition does not open",
            Loss::Header => "one bit of its header is flipped",
            Loss::Dropped(reason) => match reason {
                DropReason::Header => "its header is damaged",
                DropReason::Torn => "it is written and not recorded",
                DropReason::BehindGap => "it lies behind a gap",
                DropReason::PayloadState => "its payload is not recorded as written",
                DropReason::Replaced { .. } => "a newer item replaces it",
                DropReason::Shadowed { .. } => "another item of the same key is found first",
                DropReason::PartialCopy => "its page is erased as an interrupted copy",
                DropReason::PayloadCrc => "its payload is damaged",
                DropReason::BlobMismatch { .. } => "its chunks do not add up",
                DropReason::OrphanChunk { .. } => "its blob has no index",
                DropReason::NoNamespace => "its namespace is not defined",
            },
        })
    }
}

/// Every sound value that is not part of the device's view.
pub fn recover(image: &Image<'_>) -> Vec<Recovered> {
    let view = image.device_view();
    let dropped: HashMap<Location, DropReason> =
        view.dropped().iter().map(|dropped| (dropped.location, dropped.reason)).collect();
    let namespaces = namespaces(image);
    let mut recovered = Vec::new();
    for page in image.pages() {
        let is_read = view.opening().is_readable()
            && page.state().holds_items()
            && page.stored_crc() == page.computed_crc();
        for item in page.items() {
            let location = item.header.location;
            let loss = match (item.header.state, dropped.get(&location)) {
                _ if item.fault.is_some() => Loss::Header,
                (EntryState::Erased, _) => Loss::Erased,
                _ if !is_read => Loss::Page,
                (_, Some(&reason)) => Loss::Dropped(reason),
                (_, None) => continue,
            };
            recovered.extend(read(item, loss, &namespaces));
        }
    }
    recovered
}

fn read(item: &Item<'_>, loss: Loss, namespaces: &HashMap<u8, Key>) -> Option<Recovered> {
    let mended = mended_header(item);
    let mut header = item.header;
    if item.fault.is_some() {
        header.bytes = mended.as_ref()?;
    }
    let item_type = header.item_type();
    if header.namespace_index() == NAMESPACE_DEFINITIONS || header.check_header().is_err() {
        return None;
    }
    let value = match item_type {
        ItemType::BlobIndex => return None,
        _ if item_type.has_payload() => {
            let payload = item.payload_entries().get(..header.payload_size())?;
            if crc32(payload) != header.payload_crc() {
                return None;
            }
            match item_type {
                ItemType::Str => {
                    Value::Str(payload.strip_suffix(b"\0").unwrap_or(payload).to_vec())
                }
                _ => Value::Blob(payload.to_vec()),
            }
        }
        primitive => Value::from_primitive(primitive, &header.data())?,
    };
    Some(Recovered {
        location: header.location,
        namespace: namespaces.get(&header.namespace_index()).copied(),
        key: header.key(),
        value,
        chunk: (item_type == ItemType::BlobData).then(|| header.chunk_index()),
        loss,
    })
}

/// Names of the namespace indexes, live definitions before others.
pub(crate) fn namespaces(image: &Image<'_>) -> HashMap<u8, Key> {
    let mut names = HashMap::new();
    for wanted in [EntryState::Written, EntryState::Erased] {
        for item in image.items() {
            let header = &item.header;
            let defines = header.namespace_index() == NAMESPACE_DEFINITIONS
                && header.item_type() == ItemType::U8
                && item.fault.is_none();
            if defines && header.state == wanted {
                names.entry(header.data()[0]).or_insert(header.key());
            }
        }
    }
    names
}
