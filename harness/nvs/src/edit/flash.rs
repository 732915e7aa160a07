//! The partition as NOR flash: programming clears bits, only a page can be
//! erased.

use std::ops::Range;

use crate::format::{BITMAP_OFFSET, EntryState, PageState, entry_offset};
use crate::limits::{ENTRY_BYTES, PAGE_BYTES};

#[derive(Clone)]
pub(super) struct Flash(Vec<u8>);

impl Flash {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub fn page(&self, page: usize) -> &[u8] {
        &self.0[page * PAGE_BYTES..][..PAGE_BYTES]
    }

    pub fn erase(&mut self, page: usize) {
        self.0[page * PAGE_BYTES..][..PAGE_BYTES].fill(0xFF);
    }

    /// Clears the bits that are clear in `content`.
    pub fn program(&mut self, offset: usize, content: &[u8]) {
        let target = &mut self.0[offset..][..content.len()];
        target
            .iter_mut()
            .zip(content)
            .for_each(|(byte, new)| *byte &= new);
    }

    pub fn set_state(&mut self, page: usize, state: PageState) {
        self.program(page * PAGE_BYTES, &state.word().to_le_bytes());
    }

    pub fn set_entry_states(&mut self, page: usize, entries: Range<usize>, state: EntryState) {
        for entry in entries {
            let shift = entry % 4 * 2;
            let byte = !(0b11 << shift) | state.bits() << shift;
            self.program(page * PAGE_BYTES + BITMAP_OFFSET + entry / 4, &[byte]);
        }
    }

    /// Writes entries and records them, in the device's order.
    pub fn write_entries(&mut self, page: usize, first: usize, content: &[u8]) {
        self.program(page * PAGE_BYTES + entry_offset(first), content);
        let entries = first..first + content.len() / ENTRY_BYTES;
        self.set_entry_states(page, entries, EntryState::Written);
    }
}

impl std::fmt::Debug for Flash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flash({} bytes)", self.0.len())
    }
}
