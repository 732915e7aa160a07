//! One page of 4096 bytes: header, bitmap and entries.

use std::fmt;

use super::entry::{Entry, Location};
use super::item::{self, Item};
use crate::format::{self, BITMAP_OFFSET, PageState, bitmap_state, entry_offset, header, is_blank};
use crate::limits::{ENTRIES_PER_PAGE, ENTRY_BYTES, PAGE_BYTES};

/// A page as it lies in flash.
#[derive(Clone)]
pub struct Page<'a> {
    index: usize,
    bytes: &'a [u8; PAGE_BYTES],
    items: Vec<Item<'a>>,
}

impl<'a> Page<'a> {
    pub(crate) fn decode(index: usize, bytes: &'a [u8; PAGE_BYTES]) -> Self {
        let bitmap = bitmap(bytes);
        let entry = |at| entry_at(index, bytes, at);
        let items = match is_blank(bytes) {
            true => Vec::new(),
            false => item::items(bytes, bitmap, entry),
        };
        Self { index, bytes, items }
    }

    /// Position in the flash, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Bytes from the image's start.
    pub fn offset(&self) -> usize {
        self.index * PAGE_BYTES
    }

    /// All 4096 bytes.
    pub fn bytes(&self) -> &'a [u8; PAGE_BYTES] {
        self.bytes
    }

    /// State, which the header's CRC does not cover.
    pub fn state(&self) -> PageState {
        PageState::from_word(format::read_u32(self.bytes, 0))
    }

    /// Sequence number: the order in which pages were opened.
    pub fn sequence(&self) -> u32 {
        format::read_u32(self.bytes, header::SEQUENCE)
    }

    /// Version byte: 0xFF for version 1, 0xFE for version 2, lower for newer.
    pub fn version_byte(&self) -> u8 {
        self.bytes[header::VERSION]
    }

    /// The CRC that the header carries.
    pub fn stored_crc(&self) -> u32 {
        format::read_u32(self.bytes, header::CRC)
    }

    /// The CRC that the header's bytes have.
    pub fn computed_crc(&self) -> u32 {
        format::header_crc(self.bytes)
    }

    /// Whether every byte is 0xFF.
    pub fn is_blank(&self) -> bool {
        self.items.is_empty() && is_blank(self.bytes)
    }

    /// Entry `index` of the page.
    ///
    /// # Panics
    /// When `index` is above 125.
    pub fn entry(&self, index: usize) -> Entry<'a> {
        entry_at(self.index, self.bytes, index)
    }

    /// All 126 entries.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> {
        (0..ENTRIES_PER_PAGE).map(|index| self.entry(index))
    }

    /// The items in their order; entries never written belong to none.
    pub fn items(&self) -> &[Item<'a>] {
        &self.items
    }
}

fn bitmap(bytes: &[u8; PAGE_BYTES]) -> &[u8; 32] {
    bytes[BITMAP_OFFSET..].first_chunk().expect("a page is longer than its bitmap")
}

fn entry_at(page: usize, bytes: &[u8; PAGE_BYTES], entry: usize) -> Entry<'_> {
    assert!(entry < ENTRIES_PER_PAGE, "a page has 126 entries");
    let content =
        bytes[entry_offset(entry)..].first_chunk::<ENTRY_BYTES>().expect("126 entries fit a page");
    Entry {
        location: Location { page, entry },
        state: bitmap_state(bitmap(bytes), entry),
        bytes: content,
    }
}

impl fmt::Debug for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("index", &self.index)
            .field("state", &self.state())
            .field("sequence", &self.sequence())
            .finish_non_exhaustive()
    }
}
