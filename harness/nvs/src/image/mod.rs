//! Image bytes → pages, entries and items exactly as they lie there.
//!
//! Nothing is repaired, skipped or judged: a damaged page lists its entries, an
//! erased item is an item with the state *erased*. What a device makes of it is
//! the business of [`device`](crate::device), what is wrong with it that of
//! [`check`](mod@crate::check). Offsets are bytes from the image's start.

mod entry;
mod item;
mod page;
mod version;

use std::fmt;

use crate::limits::PAGE_BYTES;

pub use crate::format::EntryState;
pub use entry::{Entry, HeaderFault, Location};
pub use item::Item;
pub use page::Page;

/// An NVS partition's bytes, split but not interpreted.
#[derive(Clone)]
pub struct Image<'a> {
    pages: Vec<Page<'a>>,
    tail: &'a [u8],
}

/// Why bytes cannot even be split into pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Less than one page.
    #[error(
        "{bytes} bytes are no NVS image, which has at least one page of 4096; read the whole partition"
    )]
    TooShort {
        /// Length of the input.
        bytes: usize,
    },
}

impl<'a> Image<'a> {
    /// Splits `bytes` into pages and items. Takes time and memory in proportion
    /// to the length, whatever the content.
    ///
    /// # Errors
    /// Fewer bytes than one page. Everything else is a matter of
    /// [`findings`](Image::findings).
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (pages, tail) = bytes.as_chunks::<PAGE_BYTES>();
        if pages.is_empty() {
            let bytes = bytes.len();
            return Err(DecodeError::TooShort { bytes });
        }
        let pages = pages.iter().enumerate();
        Ok(Self { pages: pages.map(|(index, page)| Page::decode(index, page)).collect(), tail })
    }

    /// The pages in the order in which they lie in flash.
    pub fn pages(&self) -> &[Page<'a>] {
        &self.pages
    }

    /// Every item of every page, live or not, in the order of the flash.
    pub fn items(&self) -> impl Iterator<Item = &Item<'a>> {
        self.pages.iter().flat_map(|page| page.items())
    }

    /// The item whose header lies there.
    pub(crate) fn item_at(&self, location: Location) -> Option<&Item<'a>> {
        let items = self.pages.get(location.page)?.items();
        let at = items.binary_search_by_key(&location, |item| item.header.location);
        Some(&items[at.ok()?])
    }

    /// Bytes behind the last whole page; empty in a sound image.
    pub fn tail(&self) -> &'a [u8] {
        self.tail
    }

    /// Length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an image has at least a page")]
    pub fn len(&self) -> usize {
        self.pages.len() * PAGE_BYTES + self.tail.len()
    }
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("pages", &self.pages)
            .field("tail_bytes", &self.tail.len())
            .finish()
    }
}
