//! Secrets that nobody reads any more but flash still holds: in erased items,
//! on given-up pages, in the slack behind values.
//!
//! A factory reset or a re-provisioning that only erases keys leaves them
//! there until their page is erased.

use std::collections::{BTreeMap, HashSet};

use crate::check::mended_header;
use crate::device::DeviceView;
use crate::format::{EntryState, FIRST_ENTRY_OFFSET, NAMESPACE_DEFINITIONS, entry_offset};
use crate::image::{Entry, Image, Item, Location, Page};
use crate::key::Key;
use crate::limits::{ENTRY_BYTES, PAGE_BYTES};
use crate::record::Record;
use crate::recover;
use crate::secret::{self, Reason, SecretRule};
use crate::value::{ItemType, Value};

/// A secret that no device reads any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leftover {
    /// Bytes from the image's start to the item's header, or to the secret itself.
    pub offset: usize,
    /// What tells that it is one.
    pub reason: Reason,
    /// The item that holds it; none in the slack behind a value, in a damaged item or behind the
    /// last page.
    pub item: Option<LeftoverItem>,
}

/// The item of a leftover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftoverItem {
    /// Where its header lies.
    pub location: Location,
    /// Namespace, when its definition is readable somewhere in the image.
    pub namespace: Option<Key>,
    /// The key.
    pub key: Key,
    /// Type of the item.
    pub item_type: ItemType,
}

/// What a device does not read and that is a secret: items by the rule, in the order of the flash;
/// all other bytes by what they show themselves.
///
/// What only may be a secret ([`Reason::Doubt`]) is none here: erased flash is full of it.
pub fn leftover_secrets(image: &Image<'_>, secrets: &SecretRule) -> Vec<Leftover> {
    outside_of(image, &Live::of(image, &image.device_view()), secrets)
}

/// The same of pages that no device reads any more, such as those outside of any partition: what
/// would be live is a leftover too.
pub fn secrets_of_lost_pages(image: &Image<'_>, secrets: &SecretRule) -> Vec<Leftover> {
    outside_of(image, &Live::nothing(image), secrets)
}

fn outside_of(image: &Image<'_>, live: &Live, secrets: &SecretRule) -> Vec<Leftover> {
    let dead: Vec<Dead<'_, '_>> = dead_items(image, live);
    let judged = judged(&dead, secrets);
    let mut leftovers: Vec<Leftover> = dead
        .iter()
        .zip(&judged)
        .filter_map(|(dead, verdict)| match verdict {
            Verdict::Secret(reason) => Some(dead.leftover(*reason)),
            Verdict::Harmless | Verdict::Unknown => None,
        })
        .collect();
    // What was judged as an item is not looked at again as bytes without a name.
    let decided = dead.iter().zip(&judged).filter(|(_, verdict)| **verdict != Verdict::Unknown);
    let decided: HashSet<Location> = decided.map(|(dead, _)| dead.item.header.location).collect();
    for page in image.pages() {
        let mut bare = dead_bytes(page, live);
        for item in page.items().iter().filter(|item| decided.contains(&item.header.location)) {
            let start = entry_offset(item.header.location.entry);
            bare[start..start + item.entries * ENTRY_BYTES].fill(false);
        }
        let runs = runs(page.bytes(), &bare);
        leftovers.extend(runs.flat_map(|(at, run)| of_slack(page.offset() + at, run)));
    }
    leftovers.extend(of_tail(image, secrets));
    leftovers.sort_unstable();
    leftovers
}

/// The rest behind the last whole page: a page cut short, or bytes without any order.
fn of_tail(image: &Image<'_>, secrets: &SecretRule) -> Vec<Leftover> {
    let offset = image.len() - image.tail().len();
    if image.tail().len() < FIRST_ENTRY_OFFSET + ENTRY_BYTES {
        return of_slack(offset, image.tail()).collect();
    }
    let mut page = image.tail().to_vec();
    page.resize(PAGE_BYTES, 0xFF);
    let page = Image::decode(&page).expect("it has the length of a page");
    let moved = |leftover: Leftover| Leftover {
        offset: offset + leftover.offset,
        // Its place is no entry of the image.
        item: None,
        ..leftover
    };
    secrets_of_lost_pages(&page, secrets).into_iter().map(moved).collect()
}

/// An item that no device reads, with what is known of it.
struct Dead<'i, 'a> {
    item: &'i Item<'a>,
    namespace: Option<Key>,
    /// As the header has it; of one with a flipped bit as it was.
    header: [u8; ENTRY_BYTES],
    value: Option<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Secret(Reason),
    /// A record that is known to be harmless, whatever its bytes look like.
    Harmless,
    Unknown,
}

fn dead_items<'i, 'a>(image: &'i Image<'a>, live: &Live) -> Vec<Dead<'i, 'a>> {
    let namespaces = recover::namespaces(image);
    let dead = image.items().filter(|item| !live.contains(item));
    dead.map(|item| {
        let header = mended_header(item).unwrap_or(*item.header.bytes);
        let entry = Entry { bytes: &header, ..item.header };
        Dead {
            item,
            namespace: namespaces.get(&entry.namespace_index()).copied(),
            value: value_of(item, &entry),
            header,
        }
    })
    .collect()
}

/// A blob is secret in all its chunks when it is so in any, or when they are put together.
fn judged(dead: &[Dead<'_, '_>], secrets: &SecretRule) -> Vec<Verdict> {
    let unknown = Key::padded(b"");
    let verdict = |dead: &Dead<'_, '_>, value: &Value| {
        let (namespace, key) = (dead.namespace.unwrap_or(unknown), dead.entry().key());
        let reason = secrets.reason(&namespace, &key, value).filter(|reason| reason.is_evidence());
        let is_record = || Record::read(&namespace, &key, value).is_some();
        match reason {
            Some(reason) => Verdict::Secret(reason),
            None if is_record() => Verdict::Harmless,
            None => Verdict::Unknown,
        }
    };
    let mut chunks: BTreeMap<(u8, Key), Vec<&Dead<'_, '_>>> = BTreeMap::new();
    for dead in dead.iter().filter(|dead| dead.is_chunk()) {
        chunks.entry(dead.blob()).or_default().push(dead);
    }
    let of_blob = |mut chunks: Vec<&Dead<'_, '_>>| {
        chunks.sort_by_key(|chunk| chunk.entry().chunk_index());
        let bytes = chunks.iter().filter_map(|chunk| chunk.value.as_ref()?.as_bytes());
        let whole = Value::Blob(bytes.collect::<Vec<_>>().concat());
        let mut verdicts =
            chunks.iter().filter_map(|chunk| Some(verdict(chunk, chunk.value.as_ref()?)));
        let is_secret = |verdict: &Verdict| matches!(verdict, Verdict::Secret(_));
        verdicts.find(is_secret).unwrap_or_else(|| verdict(chunks[0], &whole))
    };
    let blobs: BTreeMap<(u8, Key), Verdict> =
        chunks.into_iter().map(|(blob, chunks)| (blob, of_blob(chunks))).collect();
    let of_item = |dead: &Dead<'_, '_>| match &dead.value {
        None => Verdict::Unknown,
        Some(_) if dead.is_chunk() => blobs[&dead.blob()],
        Some(value) => verdict(dead, value),
    };
    dead.iter().map(of_item).collect()
}

impl Dead<'_, '_> {
    fn entry(&self) -> Entry<'_> {
        Entry { bytes: &self.header, ..self.item.header }
    }

    fn is_chunk(&self) -> bool {
        self.value.is_some() && self.entry().item_type() == ItemType::BlobData
    }

    fn blob(&self) -> (u8, Key) {
        (self.entry().namespace_index(), self.entry().key())
    }

    fn leftover(&self, reason: Reason) -> Leftover {
        let entry = self.entry();
        Leftover {
            offset: entry.location.offset(),
            reason,
            item: Some(LeftoverItem {
                location: entry.location,
                namespace: self.namespace,
                key: entry.key(),
                item_type: entry.item_type(),
            }),
        }
    }
}

/// What an item holds by its header; nothing of an index, of a definition and of what is damaged.
fn value_of(item: &Item<'_>, header: &Entry<'_>) -> Option<Value> {
    if header.check_header().is_err() || header.namespace_index() == NAMESPACE_DEFINITIONS {
        return None;
    }
    if !header.item_type().has_payload() {
        return Value::from_primitive(header.item_type(), &header.data());
    }
    let payload = item.payload_entries().get(..header.payload_size())?;
    Some(match header.item_type() {
        ItemType::Str => Value::Str(payload.strip_suffix(b"\0").unwrap_or(payload).to_vec()),
        _ => Value::Blob(payload.to_vec()),
    })
}

fn of_slack(offset: usize, bytes: &[u8]) -> impl Iterator<Item = Leftover> {
    let found = secret::find(bytes).into_iter();
    found.map(move |(at, reason)| Leftover { offset: offset + at, reason, item: None })
}

/// Contiguous dead bytes, with their places.
fn runs<'p>(bytes: &'p [u8], dead: &'p [bool]) -> impl Iterator<Item = (usize, &'p [u8])> {
    let mut at = 0;
    dead.chunk_by(|a, b| a == b).filter_map(move |run| {
        let start = at;
        at += run.len();
        run[0].then(|| (start, &bytes[start..start + run.len()]))
    })
}

/// Offsets at which bytes that a device does not read hold `needle`, or a
/// 32-byte piece of a longer one, since values are split over pages.
///
/// Short needles turn up by chance: give at least 6 bytes. Pieces of one
/// repeated byte are not looked for, since blank flash is full of them.
pub fn leftover_bytes(image: &Image<'_>, needle: &[u8]) -> Vec<usize> {
    let live = Live::of(image, &image.device_view());
    let needle = Needle::new(needle);
    let mut offsets = Vec::new();
    for page in image.pages() {
        let dead = dead_bytes(page, &live);
        // A hit that overlaps live bytes is part of a live value.
        let is_dead = |at: usize, length: usize| dead[at..at + length].iter().all(|dead| *dead);
        let hits = needle.hits(page.bytes(), is_dead);
        offsets.extend(hits.into_iter().map(|at| page.offset() + at));
    }
    let tail_offset = image.len() - image.tail().len();
    let hits = needle.hits(image.tail(), |_, _| true);
    offsets.extend(hits.into_iter().map(|at| tail_offset + at));
    offsets
}

/// What to look for: whole pieces of an entry's length, and a shorter one.
struct Needle<'n> {
    pieces: HashSet<&'n [u8; ENTRY_BYTES]>,
    short: Option<&'n [u8]>,
}

impl<'n> Needle<'n> {
    fn new(needle: &'n [u8]) -> Self {
        const REST_MIN: usize = 8;
        let (pieces, rest) = needle.as_chunks();
        let is_telling = |piece: &[u8]| piece.iter().any(|byte| *byte != piece[0]);
        let is_long_enough = !rest.is_empty() && (pieces.is_empty() || rest.len() >= REST_MIN);
        let telling = pieces.iter().filter(|piece| is_telling(piece.as_slice()));
        Self {
            pieces: telling.collect(),
            short: (is_long_enough && is_telling(rest)).then_some(rest),
        }
    }

    fn hits(&self, bytes: &[u8], counts: impl Fn(usize, usize) -> bool) -> Vec<usize> {
        let mut hits = Vec::new();
        if !self.pieces.is_empty() {
            let windows = bytes.array_windows().enumerate();
            let found = windows
                .filter(|(at, window)| self.pieces.contains(window) && counts(*at, window.len()));
            hits.extend(found.map(|(at, _)| at));
        }
        if let Some(short) = self.short {
            let windows = bytes.windows(short.len()).enumerate();
            let found = windows.filter(|(at, window)| *window == short && counts(*at, short.len()));
            hits.extend(found.map(|(at, _)| at));
        }
        hits.sort_unstable();
        hits
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
    dropped: HashSet<Location>,
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
            dropped: view.dropped().iter().map(|dropped| dropped.location).collect(),
        }
    }

    fn nothing(image: &Image<'_>) -> Self {
        Self { is_page_read: vec![false; image.pages().len()], dropped: HashSet::new() }
    }

    fn contains(&self, item: &Item<'_>) -> bool {
        let location = item.header.location;
        self.is_page_read[location.page]
            && item.header.state == EntryState::Written
            && item.fault.is_none()
            && !self.dropped.contains(&location)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Editor;
    use crate::{Document, Version, generate};

    /// An image whose password and certificate were changed once.
    fn edited() -> Vec<u8> {
        let mut document = Document::new();
        document.insert("wifi", "password", Value::str("first-secret")).unwrap();
        document.insert("wifi", "ssid", Value::str("network")).unwrap();
        let certificate: Vec<u8> = (0..=255).collect();
        document.insert("wifi", "cert", Value::Blob(certificate)).unwrap();
        let bytes = generate(&document, 0x3000, Version::V2).unwrap();
        let mut editor = Editor::open(&bytes).unwrap();
        editor.set("wifi", "password", &Value::str("second-secret")).unwrap();
        editor.set("wifi", "ssid", &Value::str("elsewhere")).unwrap();
        editor.set("wifi", "cert", &Value::Blob(vec![0; 9])).unwrap();
        editor.finish()
    }

    #[test]
    fn an_erased_secret_is_found_by_its_key() {
        let bytes = edited();
        let image = Image::decode(&bytes).unwrap();
        let found = leftover_secrets(&image, &SecretRule::careful());
        let [Leftover { item: Some(item), reason: Reason::Name, .. }] = found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(item.key, Key::new("password").unwrap());
        assert_eq!(item.namespace, Some(Key::new("wifi").unwrap()));
    }

    #[test]
    fn erased_bytes_are_found_and_live_ones_are_not() {
        let bytes = edited();
        let image = Image::decode(&bytes).unwrap();
        assert_eq!(leftover_bytes(&image, b"first-secret").len(), 1);
        assert!(leftover_bytes(&image, b"second-secret").is_empty());
        let certificate: Vec<u8> = (0..=255).collect();
        assert_eq!(leftover_bytes(&image, &certificate).len(), 8);
        assert_eq!(leftover_bytes(&image, &[0xFF; 64]), []);
        assert!(leftover_bytes(&image, b"").is_empty());
    }

    #[test]
    fn a_fresh_image_of_the_same_content_has_no_leftovers() {
        let bytes = edited();
        let view = Image::decode(&bytes).unwrap().device_view();
        let fresh = Document::from_view(&view).unwrap();
        let fresh = generate(&fresh, 0x3000, Version::V2).unwrap();
        let image = Image::decode(&fresh).unwrap();
        assert!(crate::diff(&view, &image.device_view()).is_empty());
        assert_eq!(leftover_secrets(&image, &SecretRule::careful()), []);
        assert!(leftover_bytes(&image, b"first-secret").is_empty());
    }
}
