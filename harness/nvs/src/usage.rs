//! How full a partition is and how worn. Counts entries of 32 bytes and pages.

use crate::format::{EntryState, PageState, span_of};
use crate::image::{Image, Page};
use crate::limits::ENTRIES_PER_PAGE;
use crate::value::Value;

/// Entries and pages of an image by their use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All pages.
    pub pages: usize,
    /// Pages to write to: EMPTY, or to be erased before use.
    pub pages_free: usize,
    /// Entries of live items, on pages that a device reads.
    pub entries_used: usize,
    /// Entries given up, on pages that a device reads; a compaction frees them.
    pub entries_erased: usize,
    /// Entries never written on pages in use. Only those of the ACTIVE page can
    /// still be written before a compaction.
    pub entries_blank: usize,
    /// Of these, entries of the newest ACTIVE page.
    pub entries_writable: usize,
    /// Pages opened since the partition was new: the highest sequence number
    /// and one.
    pub pages_opened: u64,
}

impl Usage {
    /// Counts an image.
    pub fn of(image: &Image<'_>) -> Self {
        let mut usage = Usage { pages: image.pages().len(), ..Usage::default() };
        let mut newest: Option<&Page<'_>> = None;
        for page in image.pages() {
            let is_read = page.state().holds_items() && page.stored_crc() == page.computed_crc();
            if !is_read {
                usage.pages_free += 1;
                continue;
            }
            usage.count_entries(page);
            if newest.is_none_or(|newest| page.sequence() >= newest.sequence()) {
                newest = Some(page);
            }
        }
        if let Some(page) = newest {
            usage.pages_opened = u64::from(page.sequence()) + 1;
            if page.state() == PageState::Active {
                let blank = |entry: &crate::image::Entry<'_>| entry.state == EntryState::Empty;
                usage.entries_writable = page.entries().filter(blank).count();
            }
        }
        usage
    }

    fn count_entries(&mut self, page: &Page<'_>) {
        for entry in page.entries() {
            match entry.state {
                EntryState::Written => self.entries_used += 1,
                EntryState::Empty => self.entries_blank += 1,
                EntryState::Erased | EntryState::Illegal => self.entries_erased += 1,
            }
        }
    }

    /// Entries that fit before the partition is full, one page being kept free:
    /// with compaction, erased entries count as well.
    pub fn entries_available(&self) -> usize {
        let usable = self.pages.saturating_sub(1) * ENTRIES_PER_PAGE;
        usable.saturating_sub(self.entries_used)
    }

    /// How often a value that takes `entries` entries (see [`entries_of`]) can
    /// be written before a device must erase a page.
    pub fn updates_before_compaction(&self, entries: usize) -> usize {
        let entries = entries.max(1);
        let whole_pages = self.pages_free.saturating_sub(1);
        self.entries_writable / entries + whole_pages * (ENTRIES_PER_PAGE / entries)
    }

    /// Average erases of a page so far, by the sequence numbers: each page
    /// opened after the first round was erased before.
    pub fn erases_per_page(&self) -> f64 {
        let first_round = self.pages as u64;
        let erases = self.pages_opened.saturating_sub(first_round);
        erases as f64 / self.pages as f64
    }
}

/// Entries that a device takes for a value: header, payload and, for a blob,
/// its index. A blob over several pages takes one more for each further page.
pub fn entries_of(value: &Value) -> usize {
    match value {
        Value::Str(text) => span_of(text.len() + 1),
        Value::Blob(bytes) => span_of(bytes.len()) + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Version, generate};

    #[test]
    fn a_fresh_image_is_counted() {
        let mut document = Document::new();
        document.insert("ns", "text", Value::str(&"x".repeat(32))).unwrap();
        document.insert("ns", "blob", Value::Blob(vec![0; 32])).unwrap();
        let bytes = generate(&document, 0x4000, Version::V2).unwrap();
        let usage = Usage::of(&Image::decode(&bytes).unwrap());
        assert_eq!(usage.entries_used, 1 + 3 + 3);
        assert_eq!((usage.pages, usage.pages_free), (4, 3));
        assert_eq!(usage.entries_writable, 119);
        assert_eq!(usage.entries_available(), 3 * 126 - 7);
        assert_eq!(usage.updates_before_compaction(1), 119 + 2 * 126);
        assert_eq!(usage.updates_before_compaction(entries_of(&Value::str("x"))), 59 + 2 * 63);
        assert_eq!(usage.pages_opened, 1);
        assert_eq!(usage.erases_per_page(), 0.0);
    }
}
