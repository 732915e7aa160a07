//! One entry: 32 bytes of a page with their state in the page's bitmap.

use std::fmt;

use crate::format::{self, CHUNK_ANY, EntryState, entry, entry_offset, span_of};
use crate::key::Key;
use crate::limits::{BLOB_MAX_BYTES, ENTRIES_PER_PAGE, ENTRY_BYTES, PAGE_BYTES};
use crate::value::ItemType;

/// Where an entry lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Page, counted in the order of the flash from 0.
    pub page: usize,
    /// Entry of the page, from 0 to 125.
    pub entry: usize,
}

impl Location {
    /// Bytes from the image's start.
    pub const fn offset(self) -> usize {
        self.page * PAGE_BYTES + entry_offset(self.entry)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (page, entry) = (self.page, self.entry);
        write!(f, "page {page}, entry {entry}, byte {:#x}", self.offset())
    }
}

/// An entry as it lies in flash, read as an item's header. Of a payload entry
/// the fields mean nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where it lies.
    pub location: Location,
    /// Its state in the page's bitmap.
    pub state: EntryState,
    /// The bytes.
    pub bytes: &'a [u8; ENTRY_BYTES],
}

/// Why an entry is not a sound item header, by the rules of ESP-IDF since 5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// The CRC does not match.
    Crc,
    /// A type code that the format does not define.
    Type,
    /// A span that contradicts the type or the size, or leaves the page.
    Span,
    /// A size that no item of this type can have here.
    Size,
    /// A chunk index that this type cannot have.
    Chunk,
}

impl Entry<'_> {
    /// Index of the namespace; 0 for a namespace's definition.
    pub fn namespace_index(&self) -> u8 {
        self.bytes[entry::NAMESPACE]
    }

    /// Type code.
    pub fn item_type(&self) -> ItemType {
        ItemType::from_code(self.bytes[entry::TYPE])
    }

    /// Entries of the item, this one included.
    pub fn span(&self) -> usize {
        usize::from(self.bytes[entry::SPAN])
    }

    /// Chunk index, 0xFF unless it is a blob's chunk.
    pub fn chunk_index(&self) -> u8 {
        self.bytes[entry::CHUNK]
    }

    /// The key field.
    pub fn key(&self) -> Key {
        let mut field = [0; 16];
        field.copy_from_slice(&self.bytes[entry::KEY..entry::DATA]);
        Key::from_field(field)
    }

    /// The data field.
    pub fn data(&self) -> [u8; 8] {
        let mut field = [0; 8];
        field.copy_from_slice(&self.bytes[entry::DATA..]);
        field
    }

    /// The CRC it carries.
    pub fn stored_crc(&self) -> u32 {
        format::read_u32(self.bytes, entry::CRC)
    }

    /// The CRC that its bytes have.
    pub fn computed_crc(&self) -> u32 {
        format::entry_crc(self.bytes)
    }

    /// Of an item with payload: the payload's size in bytes.
    pub(crate) fn payload_size(&self) -> usize {
        usize::from(format::read_u16(self.bytes, entry::DATA))
    }

    /// Of an item with payload: the CRC its payload must have.
    pub(crate) fn payload_crc(&self) -> u32 {
        format::read_u32(self.bytes, entry::DATA_CRC)
    }

    /// Of a blob index: size, chunk count and first chunk index.
    pub(crate) fn blob_index(&self) -> BlobIndex {
        BlobIndex {
            size: format::read_u32(self.bytes, entry::DATA) as usize,
            count: self.bytes[entry::CHUNK_COUNT],
            start: self.bytes[entry::CHUNK_START],
        }
    }

    /// Whether a device takes this entry for an item's header.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_header(&self) -> Result<(), HeaderFault> {
        if self.stored_crc() != self.computed_crc() {
            return Err(HeaderFault::Crc);
        }
        let item_type = self.item_type();
        match item_type {
            ItemType::Unknown(_) => Err(HeaderFault::Type),
            ItemType::Str | ItemType::BlobV1 | ItemType::BlobData => self.check_payload_header(),
            ItemType::BlobIndex if self.chunk_index() != CHUNK_ANY => Err(HeaderFault::Chunk),
            _ if self.span() != 1 => Err(HeaderFault::Span),
            ItemType::BlobIndex if self.blob_index().size > BLOB_MAX_BYTES => {
                Err(HeaderFault::Size)
            }
            _ => Ok(()),
        }
    }

    fn check_payload_header(&self) -> Result<(), HeaderFault> {
        let room = ENTRIES_PER_PAGE - self.location.entry;
        if self.item_type() == ItemType::BlobData && self.chunk_index() == CHUNK_ANY {
            return Err(HeaderFault::Chunk);
        }
        if self.span() > room {
            return Err(HeaderFault::Span);
        }
        if span_of(self.payload_size()) > room {
            return Err(HeaderFault::Size);
        }
        if self.span() != span_of(self.payload_size()) {
            return Err(HeaderFault::Span);
        }
        Ok(())
    }
}

/// Content of a blob index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlobIndex {
    /// Bytes of the whole blob.
    pub size: usize,
    /// Number of chunks.
    pub count: u8,
    /// Index of the first chunk: 0x00 or 0x80.
    pub start: u8,
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({}, {:?})", self.location, self.state)
    }
}
