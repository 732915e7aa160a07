//! The format on flash: offsets, codes and checksums of pages and entries.
//!
//! All integers are little-endian. Must not know what a value means.

use crate::limits::{ENTRIES_PER_PAGE, ENTRY_BYTES, PAGE_BYTES};

pub(crate) const BITMAP_OFFSET: usize = 32;
pub(crate) const BITMAP_BYTES: usize = 32;
pub(crate) const FIRST_ENTRY_OFFSET: usize = 64;

/// Offset of an entry in its page.
pub(crate) const fn entry_offset(entry: usize) -> usize {
    FIRST_ENTRY_OFFSET + entry * ENTRY_BYTES
}

const _: () = assert!(entry_offset(ENTRIES_PER_PAGE) == PAGE_BYTES);

/// Namespace index of the entries that define namespaces.
pub(crate) const NAMESPACE_DEFINITIONS: u8 = 0;
/// Chunk index of everything that is not a chunk of a blob.
pub(crate) const CHUNK_ANY: u8 = 0xFF;
/// First chunk index of a blob's second version.
pub(crate) const SECOND_VERSION_START: u8 = 0x80;

pub(crate) mod header {
    //! Page header: offsets of its fields.
    pub(crate) const SEQUENCE: usize = 4;
    pub(crate) const VERSION: usize = 8;
    pub(crate) const CRC: usize = 28;
}

pub(crate) mod entry {
    //! Item header: offsets of its fields.
    pub(crate) const NAMESPACE: usize = 0;
    pub(crate) const TYPE: usize = 1;
    pub(crate) const SPAN: usize = 2;
    pub(crate) const CHUNK: usize = 3;
    pub(crate) const CRC: usize = 4;
    pub(crate) const KEY: usize = 8;
    pub(crate) const DATA: usize = 24;
    /// Of a string, a blob or a chunk: the CRC of its payload.
    pub(crate) const DATA_CRC: usize = 28;
    /// Of a blob index: how many chunks.
    pub(crate) const CHUNK_COUNT: usize = 28;
    /// Of a blob index: the first chunk's index, 0x00 or 0x80.
    pub(crate) const CHUNK_START: usize = 29;
}

/// Version of the format that an image is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// Blobs in one piece, at most 1984 bytes; ESP-IDF before 4.0.
    V1,
    /// Blobs in chunks that may span pages.
    #[default]
    V2,
}

impl Version {
    /// The byte in the page header. Newer formats count *down*.
    pub const fn byte(self) -> u8 {
        match self {
            Version::V1 => 0xFF,
            Version::V2 => 0xFE,
        }
    }
}

/// State of a page. Flash clears bits only, so the states follow one another
/// by clearing one more bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// Erased; nothing but 0xFF belongs in it.
    Empty,
    /// Receives new entries; the one with the highest sequence number.
    Active,
    /// Takes no more entries.
    Full,
    /// Its live items are being copied to another page.
    Freeing,
    /// Given up by the device; erased before it is used again.
    Corrupt,
    /// None of the states the format knows.
    Unknown(u32),
}

impl PageState {
    pub(crate) const fn from_word(word: u32) -> Self {
        match word {
            0xFFFF_FFFF => PageState::Empty,
            0xFFFF_FFFE => PageState::Active,
            0xFFFF_FFFC => PageState::Full,
            0xFFFF_FFF8 => PageState::Freeing,
            0xFFFF_FFF0 => PageState::Corrupt,
            other => PageState::Unknown(other),
        }
    }

    /// The word at the start of the page.
    pub const fn word(self) -> u32 {
        match self {
            PageState::Empty => 0xFFFF_FFFF,
            PageState::Active => 0xFFFF_FFFE,
            PageState::Full => 0xFFFF_FFFC,
            PageState::Freeing => 0xFFFF_FFF8,
            PageState::Corrupt => 0xFFFF_FFF0,
            PageState::Unknown(word) => word,
        }
    }

    /// Whether it is a state that a device writes; erased flash has the other one.
    pub(crate) const fn is_written(self) -> bool {
        !matches!(self, PageState::Empty | PageState::Unknown(_))
    }

    /// Whether a device reads items from such a page.
    pub(crate) const fn holds_items(self) -> bool {
        matches!(self, PageState::Active | PageState::Full | PageState::Freeing)
    }
}

impl std::fmt::Display for PageState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PageState::Empty => f.write_str("EMPTY"),
            PageState::Active => f.write_str("ACTIVE"),
            PageState::Full => f.write_str("FULL"),
            PageState::Freeing => f.write_str("FREEING"),
            PageState::Corrupt => f.write_str("CORRUPT"),
            PageState::Unknown(word) => write!(f, "0x{word:08x}"),
        }
    }
}

/// State of an entry, two bits of its page's bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// Never written since the page was erased.
    Empty,
    /// Holds a live item's header or payload.
    Written,
    /// Given up; its bytes stay readable until the page is erased.
    Erased,
    /// The pattern 01, which no device writes.
    Illegal,
}

impl EntryState {
    pub(crate) const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b11 => EntryState::Empty,
            0b10 => EntryState::Written,
            0b00 => EntryState::Erased,
            _ => EntryState::Illegal,
        }
    }

    pub(crate) const fn bits(self) -> u8 {
        match self {
            EntryState::Empty => 0b11,
            EntryState::Written => 0b10,
            EntryState::Erased => 0b00,
            EntryState::Illegal => 0b01,
        }
    }
}

/// State of entry `index` in a page's bitmap.
pub(crate) fn bitmap_state(bitmap: &[u8; BITMAP_BYTES], index: usize) -> EntryState {
    EntryState::from_bits(bitmap[index / 4] >> (index % 4 * 2))
}

/// The format's CRC-32: the usual polynomial, started from 0xFFFFFFFF as zlib
/// means it, so that it is *not* the usual CRC-32 of the same bytes.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(0xFFFF_FFFF);
    hasher.update(bytes);
    hasher.finalize()
}

/// CRC that an item header must carry: all of it but the CRC field itself.
pub(crate) fn entry_crc(entry: &[u8; ENTRY_BYTES]) -> u32 {
    let mut covered = [0u8; ENTRY_BYTES - 4];
    covered[..4].copy_from_slice(&entry[..entry::CRC]);
    covered[4..].copy_from_slice(&entry[entry::KEY..]);
    crc32(&covered)
}

/// CRC that a page header must carry. The state is outside of it.
pub(crate) fn header_crc(page: &[u8]) -> u32 {
    crc32(&page[header::SEQUENCE..header::CRC])
}

/// Little-endian word at `offset`.
pub(crate) fn read_u32(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(word)
}

/// Little-endian half word at `offset`.
pub(crate) fn read_u16(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

/// Whether flash bytes are as an erase leaves them.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    // In words, since most of most images is blank and this is where time goes.
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| *word == [0xFF; 16]) && rest.iter().all(|&byte| byte == 0xFF)
}

/// Entries that a payload of `bytes` takes, its header entry included.
pub(crate) const fn span_of(bytes: usize) -> usize {
    1 + bytes.div_ceil(ENTRY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_has_the_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xd202_d277);
    }

    #[test]
    fn states_survive_a_round_trip() {
        for word in [0xFFFF_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFC, 0xFFFF_FFF8, 0xFFFF_FFF0, 7] {
            assert_eq!(PageState::from_word(word).word(), word);
        }
        for bits in 0..4 {
            assert_eq!(EntryState::from_bits(bits).bits(), bits);
        }
    }
}
