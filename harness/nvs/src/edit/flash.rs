//! The partition as NOR flash: programming clears bits, only a page can be
//! erased.

use std::ops::Range;

use crate::format::{BITMAP_OFFSET, EntryState, PageState, entry_offset};
use crate::limits::{ENTRY_BYTES, PAGE_BYTES};

#[derive(Clone)]
pub(super) struct Flash {
    bytes: Vec<u8>,
    /// Operations until power fails, for tests: what follows does not happen.
    #[cfg(test)]
    pub power: Option<usize>,
}

impl Flash {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            #[cfg(test)]
            power: None,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn page(&self, page: usize) -> &[u8] {
        &self.bytes[page * PAGE_BYTES..][..PAGE_BYTES]
    }

    pub fn erase(&mut self, page: usize) {
        if self.has_power() {
            self.bytes[page * PAGE_BYTES..][..PAGE_BYTES].fill(0xFF);
        }
    }

    /// Clears the bits that are clear in `content`.
    pub fn program(&mut self, offset: usize, content: &[u8]) {
        if !self.has_power() {
            return;
        }
        let target = &mut self.bytes[offset..][..content.len()];
        let pairs = target.iter_mut().zip(content);
        pairs.for_each(|(byte, new)| *byte &= new);
    }

    pub fn set_state(&mut self, page: usize, state: PageState) {
        self.program(page * PAGE_BYTES, &state.word().to_le_bytes());
    }

    /// From the last entry to the first, as the device does: an item whose
    /// header is not yet marked is still whole.
    pub fn set_entry_states(&mut self, page: usize, entries: Range<usize>, state: EntryState) {
        for entry in entries.rev() {
            let shift = entry % 4 * 2;
            let byte = !(0b11 << shift) | state.bits() << shift;
            self.program(page * PAGE_BYTES + BITMAP_OFFSET + entry / 4, &[byte]);
        }
    }

    /// Writes an item and records it: the header first, then its payload.
    pub fn write_item(&mut self, page: usize, first: usize, content: &[u8]) {
        let (header, payload) = content.split_at(ENTRY_BYTES);
        self.write_entries(page, first, header);
        if !payload.is_empty() {
            self.write_entries(page, first + 1, payload);
        }
    }

    fn write_entries(&mut self, page: usize, first: usize, content: &[u8]) {
        self.program(page * PAGE_BYTES + entry_offset(first), content);
        let entries = first..first + content.len() / ENTRY_BYTES;
        self.set_entry_states(page, entries, EntryState::Written);
    }

    #[cfg(not(test))]
    const fn has_power(&self) -> bool {
        true
    }

    #[cfg(test)]
    fn has_power(&mut self) -> bool {
        match &mut self.power {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

impl std::fmt::Debug for Flash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flash({} bytes)", self.bytes.len())
    }
}
