//! Secrets that nobody reads any more but flash still holds: in erased items,
//! on given-up pages, in the slack behind values.
//!
//! A factory reset or a re-provisioning that only erases keys leaves them
//! there until their page is erased.

use std::collections::HashMap;

use crate::device::DeviceView;
use crate::format::{EntryState, FIRST_ENTRY_OFFSET, NAMESPACE_DEFINITIONS, entry_offset};
use crate::image::{Image, Item, Location, Page};
use crate::key::Key;
use crate::limits::{ENTRY_BYTES, PAGE_BYTES};
use crate::secret::SecretRule;
use crate::value::{ItemType, Value};

/// An item that is not live and, by its key or its content, a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Where its header lies.
    pub location: Location,
    /// Namespace, when its definition is readable somewhere in the image.
    pub namespace: Option<Key>,
    /// The key.
    pub key: Key,
    /// Type of the item.
    pub item_type: ItemType,
}

/// Items a device does not read that hold a secret by the rule.
pub fn leftover_secrets(image: &Image<'_>, secrets: &SecretRule) -> Vec<Leftover> {
    let live = Live::of(image, &image.device_view());
    let namespaces = namespaces(image);
    let unknown = Key::padded(b"");
    let of_secret = |item: &&Item<'_>| {
        let namespace = namespaces.get(&item.header.namespace_index());
        let holds_value = item.header.item_type() != ItemType::BlobIndex
            && item.header.namespace_index() != NAMESPACE_DEFINITIONS;
        let content = Value::Blob(item.payload_entries().to_vec());
        let namespace = namespace.unwrap_or(&unknown);
        holds_value
            && item.fault.is_none()
            && secrets.is_secret(namespace, &item.header.key(), &content)
    };
    image
        .items()
        .filter(|item| !live.contains(item))
        .filter(of_secret)
        .map(|item| Leftover {
            location: item.header.location,
            namespace: namespaces.get(&item.header.namespace_index()).copied(),
            key: item.header.key(),
            item_type: item.header.item_type(),
        })
        .collect()
}

/// Offsets at which bytes that a device does not read hold `needle`, or a
/// 32-byte piece of a longer one, since values are split over pages.
///
/// Short needles turn up by chance: give at least 6 bytes.
pub fn leftover_bytes(image: &Image<'_>, needle: &[u8]) -> Vec<usize> {
    const PIECE_MIN: usize = 8;
    let live = Live::of(image, &image.device_view());
    let pieces: Vec<&[u8]> = match needle.len() {
        0 => return Vec::new(),
        1..=ENTRY_BYTES => vec![needle],
        _ => needle
            .chunks(ENTRY_BYTES)
            .filter(|piece| piece.len() >= PIECE_MIN)
            .collect(),
    };
    let mut offsets = Vec::new();
    for page in image.pages() {
        let dead = dead_bytes(page, &live);
        for piece in &pieces {
            find(page, piece, &dead, &mut offsets);
        }
    }
    for piece in &pieces {
        let tail = image.tail().windows(piece.len()).enumerate();
        let hits = tail.filter(|(_, window)| window == piece);
        offsets.extend(hits.map(|(at, _)| image.len() - image.tail().len() + at));
    }
    offsets.sort_unstable();
    offsets.dedup();
    offsets
}

fn find(page: &Page<'_>, piece: &[u8], dead: &[bool], offsets: &mut Vec<usize>) {
    for (at, window) in page.bytes().windows(piece.len()).enumerate() {
        // A hit that overlaps live bytes is part of a live value.
        if window == piece && dead[at..at + piece.len()].iter().all(|&is_dead| is_dead) {
            offsets.push(page.offset() + at);
        }
    }
}

/// Which bytes of a page belong neither to the format nor to a live item.
fn dead_bytes(page: &Page<'_>, live: &Live) -> Vec<bool> {
    let mut dead = vec![true; PAGE_BYTES];
    if page.state().holds_items() {
        dead[..FIRST_ENTRY_OFFSET].fill(false);
    }
    for item in page.items().iter().filter(|item| live.contains(item)) {
        let first = item.header.location.entry;
        let payload = item.payload().unwrap_or_default().len();
        let start = entry_offset(first);
        dead[start..start + ENTRY_BYTES + payload].fill(false);
    }
    dead
}

/// The items that a device reads.
struct Live {
    is_page_read: Vec<bool>,
    dropped: std::collections::HashSet<Location>,
}

impl Live {
    fn of(image: &Image<'_>, view: &DeviceView) -> Self {
        let is_read = |page: &Page<'_>| {
            view.opening().is_readable()
                && page.state().holds_items()
                && page.stored_crc() == page.computed_crc()
        };
        Self {
            is_page_read: image.pages().iter().map(is_read).collect(),
            dropped: view
                .dropped()
                .iter()
                .map(|dropped| dropped.location)
                .collect(),
        }
    }

    fn contains(&self, item: &Item<'_>) -> bool {
        let location = item.header.location;
        self.is_page_read[location.page]
            && item.header.state == EntryState::Written
            && item.fault.is_none()
            && !self.dropped.contains(&location)
    }
}

/// Names of the namespace indexes, the live definitions before the erased ones.
fn namespaces(image: &Image<'_>) -> HashMap<u8, Key> {
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
