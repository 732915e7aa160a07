//! Items: a header entry with the payload entries that belong to it.

use std::fmt;

use super::entry::{Entry, HeaderFault};
use crate::format::{EntryState, FIRST_ENTRY_OFFSET, entry_offset, is_blank, span_of};
use crate::limits::{ENTRIES_PER_PAGE, ENTRY_BYTES};

/// A header entry and what follows it, live, erased or damaged.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// The header, or what stands in its place.
    pub header: Entry<'a>,
    /// Why the header is none, if so.
    pub fault: Option<HeaderFault>,
    /// Entries taken, the header included. Behind a damaged header these are
    /// all entries up to the next sound header.
    pub entries: usize,
    payload: &'a [u8],
    states: &'a [u8; 32],
}

impl<'a> Item<'a> {
    /// The payload entries' bytes, padding included; empty when there are none.
    pub fn payload_entries(&self) -> &'a [u8] {
        self.payload
    }

    /// The payload, cut to the size in the header, if the header is sound and
    /// its type has one.
    pub fn payload(&self) -> Option<&'a [u8]> {
        if self.fault.is_some() || !self.header.item_type().has_payload() {
            return None;
        }
        self.payload.get(..self.header.payload_size())
    }

    /// Whether the payload has the CRC that the header promises.
    pub fn payload_is_intact(&self) -> bool {
        match self.payload() {
            Some(payload) => crate::format::crc32(payload) == self.header.payload_crc(),
            None => self.fault.is_none(),
        }
    }

    /// Whether nothing behind entry `end` of the page was ever recorded.
    pub(crate) fn is_last_before(&self, end: usize) -> bool {
        let empty = |entry| crate::format::bitmap_state(self.states, entry) == EntryState::Empty;
        (end..ENTRIES_PER_PAGE).all(empty)
    }

    /// The first entry of the item whose state is not its header's.
    pub fn differing_state(&self) -> Option<(usize, EntryState)> {
        self.differing_states().next()
    }

    /// All entries of the item whose state is not its header's.
    pub(crate) fn differing_states(&self) -> impl Iterator<Item = (usize, EntryState)> + Clone {
        let (first, states, own) = (self.header.location.entry, self.states, self.header.state);
        (first + 1..first + self.entries)
            .map(move |entry| (entry, crate::format::bitmap_state(states, entry)))
            .filter(move |(_, state)| *state != own)
    }
}

impl fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("header", &self.header)
            .field("fault", &self.fault)
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

/// The items of a page, given its entries.
pub(super) fn items<'a>(
    page: &'a [u8; 4096],
    states: &'a [u8; 32],
    entry: impl Fn(usize) -> Entry<'a>,
) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    let mut at = 0;
    let end = touched_entries(page, states);
    while at < end {
        let header = entry(at);
        if header.state == EntryState::Empty && is_blank(header.bytes) {
            at += 1;
            continue;
        }
        let fault = header.check_header().err();
        let entries = match fault {
            None => header.span(),
            Some(HeaderFault::Crc) => damaged_run(&header, &entry),
            Some(_) => plausible_span(&header),
        };
        let payload = &page[entry_offset(at + 1)..entry_offset(at + entries)];
        items.push(Item { header, fault, entries, payload, states });
        at += entries;
    }
    items
}

/// Entries up to the last one with any bit cleared, in itself or in its state.
/// Most pages of most images are blank for the larger part.
fn touched_entries(page: &[u8; 4096], states: &[u8; 32]) -> usize {
    let (words, _) = page[FIRST_ENTRY_OFFSET..].as_chunks::<16>();
    let last_word = words.iter().rposition(|word| *word != [0xFF; 16]);
    let last_state = states.iter().rposition(|states| *states != 0xFF);
    let by_content = last_word.map_or(0, |word| word * 16 / ENTRY_BYTES + 1);
    let by_state = last_state.map_or(0, |byte| byte * 4 + 4);
    by_content.max(by_state).min(ENTRIES_PER_PAGE)
}

/// Entries from a damaged header up to the next sound or differently marked one.
fn damaged_run<'a>(header: &Entry<'a>, entry: &impl Fn(usize) -> Entry<'a>) -> usize {
    let first = header.location.entry;
    let ends = |at: &usize| {
        let next = entry(*at);
        next.state != header.state || next.check_header() != Err(HeaderFault::Crc)
    };
    let end = (first + 1..ENTRIES_PER_PAGE).find(ends);
    end.unwrap_or(ENTRIES_PER_PAGE) - first
}

/// Span of a header whose CRC is right and whose content is not.
fn plausible_span(header: &Entry<'_>) -> usize {
    let room = ENTRIES_PER_PAGE - header.location.entry;
    let by_size = span_of(header.payload_size());
    let candidates = match header.item_type().has_payload() {
        true => [by_size, header.span()],
        false => [header.span(), 1],
    };
    let fits = |span: &usize| (1..=room).contains(span);
    candidates.into_iter().find(fits).unwrap_or(1)
}
