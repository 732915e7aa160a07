//! Pages as a device manages them: which one is written to, which are free,
//! and the compaction when only one is left.

use std::collections::VecDeque;

use super::EditError;
use super::flash::Flash;
use crate::device::load::{self, Kind};
use crate::format::{
    CHUNK_ANY, EntryState, FIRST_ENTRY_OFFSET, PageState, Version, is_blank, read_u32, span_of,
};
use crate::generate::layout::{item_header, payload_field, write_page_header};
use crate::image::{Image, Item, Location, Page};
use crate::key::Key;
use crate::limits::{CHUNK_MAX_BYTES, ENTRIES_PER_PAGE, ENTRY_BYTES, PAGE_BYTES};
use crate::value::ItemType;

#[derive(Clone, Debug)]
pub(super) struct Pages {
    pub flash: Flash,
    /// Pages in use, by ascending sequence number; the last is written to.
    used: Vec<usize>,
    /// Pages to be opened, in the order in which a device takes them.
    free: VecDeque<usize>,
    next_sequence: u32,
    /// Of the pages to be opened and the blobs to be written.
    version: Version,
}

impl Pages {
    /// Of an image that a device opens for writing.
    pub fn new(image: &Image<'_>) -> Self {
        let is_used = |page: &&Page<'_>| load::kind(page) == Kind::InUse;
        let mut used: Vec<&Page<'_>> = image.pages().iter().filter(is_used).collect();
        used.sort_by_key(|page| page.sequence());
        let free = image.pages().iter().filter(|page| !is_used(page));
        let mut bytes = Vec::with_capacity(image.len());
        image.pages().iter().for_each(|page| bytes.extend_from_slice(page.bytes()));
        bytes.extend_from_slice(image.tail());
        Self {
            free: free.map(|page| page.index()).collect(),
            next_sequence: used.last().map_or(0, |page| page.sequence().wrapping_add(1)),
            used: used.iter().map(|page| page.index()).collect(),
            flash: Flash::new(bytes),
            version: Version::of(image),
        }
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// Type of the item that a firmware finds a blob by.
    pub fn blob_type(&self) -> ItemType {
        match self.version {
            Version::V1 => ItemType::BlobV1,
            Version::V2 => ItemType::BlobIndex,
        }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.flash.into_bytes()
    }

    pub fn count(&self) -> usize {
        self.used.len() + self.free.len()
    }

    pub fn with_image<T>(&self, read: impl FnOnce(&Image<'_>) -> T) -> T {
        let image = Image::decode(self.flash.bytes());
        read(&image.expect("the image was decoded before and keeps its length"))
    }

    /// The live items in the order of a device's search, also those that an
    /// item just written is about to replace.
    pub fn with_live<T>(&self, read: impl FnOnce(&[&Item<'_>]) -> T) -> T {
        let pages: Vec<Page<'_>> = self.used.iter().map(|page| self.page(*page)).collect();
        let is_live = |item: &&Item<'_>| {
            item.header.state == EntryState::Written
                && item.fault.is_none()
                && item.differing_state().is_none()
        };
        let items = pages.iter().flat_map(|page| page.items());
        read(&items.filter(is_live).collect::<Vec<_>>())
    }

    fn page(&self, page: usize) -> Page<'_> {
        let bytes = self.flash.page(page).first_chunk();
        Page::decode(page, bytes.expect("a page has 4096 bytes"))
    }

    pub fn mark_erased(&mut self, location: Location, entries: usize) {
        let range = location.entry..location.entry + entries;
        self.flash.set_entry_states(location.page, range, EntryState::Erased);
    }

    /// Writes an item with payload and without chunks, or one chunk.
    pub fn write(
        &mut self,
        namespace: u8,
        key: Key,
        item_type: ItemType,
        chunk: u8,
        payload: &[u8],
    ) -> Result<(), EditError> {
        let field = payload_field(payload);
        let span = span_of(payload.len());
        let header = item_header(namespace, item_type, span as u8, chunk, &key, field);
        let mut content = header.to_vec();
        content.extend_from_slice(payload);
        content.resize(span * ENTRY_BYTES, 0xFF);
        self.append(key, &content)
    }

    /// Writes an item that fits its header.
    pub fn write_field(
        &mut self,
        namespace: u8,
        key: Key,
        item_type: ItemType,
        field: [u8; 8],
    ) -> Result<(), EditError> {
        let header = item_header(namespace, item_type, 1, CHUNK_ANY, &key, field);
        self.append(key, &header)
    }

    fn append(&mut self, key: Key, content: &[u8]) -> Result<(), EditError> {
        let entries = content.len() / ENTRY_BYTES;
        if self.room() < entries {
            self.next_page(key)?;
        }
        if self.room() < entries {
            return Err(EditError::NoRoom { key });
        }
        let (page, first) = self.write_position();
        self.flash.write_item(page, first, content);
        Ok(())
    }

    /// Bytes that a chunk can have on the page written to.
    pub fn tail_room(&self) -> usize {
        let room = self.room();
        (room.max(1) - 1) * ENTRY_BYTES
    }

    /// Entries left on the page written to.
    fn room(&self) -> usize {
        match self.used.last() {
            Some(&page) if self.state(page) == PageState::Active => {
                ENTRIES_PER_PAGE - self.write_position().1
            }
            _ => 0,
        }
    }

    /// Marks blank entries erased that lie before written ones: damage left
    /// them, a device reads nothing behind them and would write into what is
    /// there.
    pub fn close_gap(&mut self) {
        let Some(&page) = self.used.last() else {
            return;
        };
        let is_empty = |entry: &usize| self.page(page).entry(*entry).state == EntryState::Empty;
        let end = self.write_position().1;
        if let Some(first) = (0..end).find(is_empty) {
            let range = first..end;
            self.flash.set_entry_states(page, range, EntryState::Erased);
        }
    }

    /// The page written to and the entry behind the last one written.
    fn write_position(&self) -> (usize, usize) {
        let page = *self.used.last().expect("a page is open once there is room");
        let content = self.page(page);
        let is_touched = |entry: &usize| {
            let entry = content.entry(*entry);
            entry.state != EntryState::Empty || !is_blank(entry.bytes)
        };
        let last = (0..ENTRIES_PER_PAGE).rev().find(is_touched);
        (page, last.map_or(0, |last| last + 1))
    }

    fn state(&self, page: usize) -> PageState {
        PageState::from_word(read_u32(self.flash.page(page), 0))
    }

    /// Closes the page written to and opens another, by compaction when only
    /// the reserve is left.
    pub fn next_page(&mut self, key: Key) -> Result<(), EditError> {
        if let Some(&page) = self.used.last()
            && self.state(page) == PageState::Active
        {
            self.flash.set_state(page, PageState::Full);
        }
        if self.free.len() >= 2 || self.used.is_empty() {
            return self.open_page(key);
        }
        let used_entries = |page: &usize| {
            let page = self.page(*page);
            let entries = page.entries();
            entries.filter(|entry| entry.state == EntryState::Written).count()
        };
        // Of equally empty pages a device takes the first.
        let victim = (0..self.used.len())
            .min_by_key(|at| used_entries(&self.used[*at]))
            .filter(|at| used_entries(&self.used[*at]) < ENTRIES_PER_PAGE)
            .ok_or(EditError::NoRoom { key })?;
        self.flash.set_state(self.used[victim], PageState::Freeing);
        self.move_page(victim, key)
    }

    /// Copies the live items of a FREEING page to a new one and erases it.
    fn move_page(&mut self, victim: usize, key: Key) -> Result<(), EditError> {
        let page = self.used[victim];
        self.open_page(key)?;
        let target = *self.used.last().expect("a page was just opened");
        let source = self.page(page);
        let loaded = load::load(&source, &mut Vec::new());
        let content = |item: &&Item<'_>| [item.header.bytes, item.payload_entries()].concat();
        let items: Vec<Vec<u8>> = loaded.live.iter().map(content).collect();
        let mut first = 0;
        for content in items {
            self.flash.write_item(target, first, &content);
            first += content.len() / ENTRY_BYTES;
        }
        self.flash.erase(page);
        self.used.remove(victim);
        self.free.push_back(page);
        Ok(())
    }

    fn open_page(&mut self, key: Key) -> Result<(), EditError> {
        let page = self.free.pop_front().ok_or(EditError::NoRoom { key })?;
        let mut header = [0xFF; FIRST_ENTRY_OFFSET];
        write_page_header(&mut header, self.next_sequence, self.version);
        if !is_blank(self.flash.page(page)) {
            self.flash.erase(page);
        }
        self.flash.program(page * PAGE_BYTES, &header);
        self.next_sequence = self.next_sequence.wrapping_add(1);
        self.used.push(page);
        Ok(())
    }

    /// As at boot: a FREEING page is copied again from the start.
    pub fn finish_compaction(&mut self) {
        let is_freeing = |page: &usize| self.state(*page) == PageState::Freeing;
        let Some(victim) = self.used.iter().position(is_freeing) else {
            return;
        };
        let last = self.used.len() - 1;
        if victim != last && self.state(self.used[last]) == PageState::Active {
            let copy = self.used.pop().expect("the list has a last page");
            self.flash.erase(copy);
            self.free.push_back(copy);
        }
        let key = Key::padded(b"");
        // A device that opens the image for writing has a free page, at the
        // latest now; without one it stays as it is.
        let _ = self.move_page(victim, key);
    }
}

const _: () = assert!(CHUNK_MAX_BYTES == (ENTRIES_PER_PAGE - 1) * ENTRY_BYTES);
