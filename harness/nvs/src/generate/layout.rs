//! Items → pages, with the reference generator's habits byte for byte.
//!
//! Its habits: a string or a blob of version 1 never takes a page's last entry;
//! a blob of version 2 fills the page, if need be with an empty chunk; when a
//! chunk ends with the page, the next page is opened at once; a page becomes
//! FULL only when the next one is opened.

use std::ops::Range;

use crate::format::{
    BITMAP_OFFSET, CHUNK_ANY, EntryState, PageState, Version, crc32, entry, entry_crc,
    entry_offset, header, header_crc, span_of,
};
use crate::key::Key;
use crate::limits::{ENTRIES_PER_PAGE, ENTRY_BYTES, PAGE_BYTES};
use crate::value::{Field, ItemType};

/// Pages written so far; grows without bound, the caller compares with the size.
pub(super) struct Layout {
    version: Version,
    bytes: Vec<u8>,
    /// Entries used in the last page.
    used: usize,
}

impl Layout {
    /// `capacity` is the expected size in bytes.
    pub fn new(version: Version, capacity: usize) -> Self {
        let mut layout = Self { version, bytes: Vec::with_capacity(capacity), used: 0 };
        layout.open_page();
        layout
    }

    pub fn pages(&self) -> usize {
        self.bytes.len() / PAGE_BYTES
    }

    /// Entries from the first to the last used one.
    pub fn entries(&self) -> usize {
        (self.pages() - 1) * ENTRIES_PER_PAGE + self.used
    }

    /// The pages, with erased ones behind up to `size` bytes.
    pub fn finish(mut self, size: usize) -> Vec<u8> {
        self.bytes.resize(size, 0xFF);
        self.bytes
    }

    pub fn field(&mut self, namespace: u8, key: &Key, mut field: Field) {
        pad_as_reference(key, &mut field.bytes, field.used..8);
        self.entry(namespace, key, field.item_type, field.bytes);
    }

    fn entry(&mut self, namespace: u8, key: &Key, item_type: ItemType, field: [u8; 8]) {
        if self.used == ENTRIES_PER_PAGE {
            self.next_page();
        }
        let header = item_header(namespace, item_type, 1, CHUNK_ANY, key, field);
        self.push(&header);
    }

    /// `text` comes without NUL; it is stored with one.
    pub fn string(&mut self, namespace: u8, key: &Key, text: &[u8]) {
        let stored = [text, b"\0"].concat();
        self.whole(namespace, key, ItemType::Str, &stored);
    }

    pub fn blob_v1(&mut self, namespace: u8, key: &Key, bytes: &[u8]) {
        self.whole(namespace, key, ItemType::BlobV1, bytes);
    }

    /// Returns how many chunks it took.
    pub fn blob(&mut self, namespace: u8, key: &Key, bytes: &[u8]) -> usize {
        if self.used == ENTRIES_PER_PAGE {
            self.next_page();
        }
        let mut rest = bytes;
        let mut chunks = 0usize;
        loop {
            let room = (ENTRIES_PER_PAGE - self.used - 1) * ENTRY_BYTES;
            let (chunk, after) = rest.split_at(rest.len().min(room));
            rest = after;
            // Too many chunks are refused by the caller, after the fact.
            let index = (chunks % usize::from(CHUNK_ANY)) as u8;
            self.payload_item(namespace, key, ItemType::BlobData, index, chunk);
            chunks += 1;
            if !rest.is_empty() || room - chunk.len() < ENTRY_BYTES {
                self.next_page();
            }
            if rest.is_empty() {
                break;
            }
        }
        let field = blob_index_field(bytes.len(), chunks, 0);
        self.entry(namespace, key, ItemType::BlobIndex, field);
        chunks
    }

    /// An item in one page.
    fn whole(&mut self, namespace: u8, key: &Key, item_type: ItemType, payload: &[u8]) {
        if self.used + span_of(payload.len()) >= ENTRIES_PER_PAGE {
            self.next_page();
        }
        self.payload_item(namespace, key, item_type, CHUNK_ANY, payload);
    }

    fn payload_item(
        &mut self,
        namespace: u8,
        key: &Key,
        item_type: ItemType,
        chunk: u8,
        payload: &[u8],
    ) {
        let mut field = payload_field(payload);
        pad_as_reference(key, &mut field, 2..4);
        let span = span_of(payload.len()) as u8;
        self.push(&item_header(namespace, item_type, span, chunk, key, field));
        for part in payload.chunks(ENTRY_BYTES) {
            let mut entry = [0xFF; ENTRY_BYTES];
            entry[..part.len()].copy_from_slice(part);
            self.push(&entry);
        }
    }

    fn push(&mut self, entry: &[u8; ENTRY_BYTES]) {
        let page = self.bytes.len() - PAGE_BYTES;
        let at = page + entry_offset(self.used);
        self.bytes[at..at + ENTRY_BYTES].copy_from_slice(entry);
        let mask = EntryState::Written.bits() ^ EntryState::Empty.bits();
        let bitmap_byte = page + BITMAP_OFFSET + self.used / 4;
        self.bytes[bitmap_byte] &= !(mask << (self.used % 4 * 2));
        self.used += 1;
    }

    fn next_page(&mut self) {
        let page = self.bytes.len() - PAGE_BYTES;
        let full = PageState::Full.word().to_le_bytes();
        self.bytes[page..page + full.len()].copy_from_slice(&full);
        self.open_page();
    }

    fn open_page(&mut self) {
        let sequence = self.pages() as u32;
        let start = self.bytes.len();
        self.bytes.resize(start + PAGE_BYTES, 0xFF);
        write_page_header(&mut self.bytes[start..], sequence, self.version);
        self.used = 0;
    }
}

/// The reference places a key by its characters: each byte beyond them pushes a
/// NUL of the key's padding into the data field, where no value overwrites it.
fn pad_as_reference(key: &Key, field: &mut [u8; 8], unused: Range<usize>) {
    let characters = key.as_str().map_or(0, |name| name.chars().count());
    let pushed = key.as_bytes().len() - characters;
    for at in unused.filter(|at| *at < pushed) {
        field[at] = 0;
    }
}

/// Makes an erased page the ACTIVE one.
pub(crate) fn write_page_header(page: &mut [u8], sequence: u32, version: Version) {
    page[..4].copy_from_slice(&PageState::Active.word().to_le_bytes());
    page[header::SEQUENCE..header::SEQUENCE + 4].copy_from_slice(&sequence.to_le_bytes());
    page[header::VERSION] = version.byte();
    let crc = header_crc(page);
    page[header::CRC..header::CRC + 4].copy_from_slice(&crc.to_le_bytes());
}

/// An item's header entry with its CRC.
pub(crate) fn item_header(
    namespace: u8,
    item_type: ItemType,
    span: u8,
    chunk: u8,
    key: &Key,
    field: [u8; 8],
) -> [u8; ENTRY_BYTES] {
    let mut header = [0xFF; ENTRY_BYTES];
    header[entry::NAMESPACE] = namespace;
    header[entry::TYPE] = item_type.code();
    header[entry::SPAN] = span;
    header[entry::CHUNK] = chunk;
    header[entry::KEY..entry::DATA].copy_from_slice(key.field());
    header[entry::DATA..].copy_from_slice(&field);
    let crc = entry_crc(&header);
    header[entry::CRC..entry::CRC + 4].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Data field of an item with payload: its size and its CRC.
pub(crate) fn payload_field(payload: &[u8]) -> [u8; 8] {
    let mut field = [0xFF; 8];
    field[..2].copy_from_slice(&(payload.len() as u16).to_le_bytes());
    field[4..].copy_from_slice(&crc32(payload).to_le_bytes());
    field
}

/// Data field of a blob index.
pub(crate) fn blob_index_field(bytes: usize, chunks: usize, start: u8) -> [u8; 8] {
    let mut field = [0xFF; 8];
    field[..4].copy_from_slice(&(bytes as u32).to_le_bytes());
    field[4] = chunks as u8;
    field[5] = start;
    field
}
