//! Sizes a caller may need to refuse a value early. Units are in the names.

/// One flash sector, the unit in which NVS is erased.
pub const PAGE_BYTES: usize = 4096;
/// One slot of a page: an item's header or 32 bytes of its payload.
pub const ENTRY_BYTES: usize = 32;
/// Slots in a page, after its header and its bitmap.
pub const ENTRIES_PER_PAGE: usize = 126;
/// Longest key and longest namespace name, without the terminating NUL.
pub const KEY_MAX_BYTES: usize = 15;
/// Namespace indexes run from 1 to 254; 0 and 255 are reserved.
pub const NAMESPACES_MAX: usize = 254;
/// Longest string the generator stores, without its NUL. A device accepts up
/// to 3999, but the generator's layout leaves the last entry of a page alone.
pub const STRING_MAX_BYTES: usize = 3967;
/// Longest string of format version 1, without its NUL.
pub const STRING_V1_MAX_BYTES: usize = BLOB_V1_MAX_BYTES - 1;
/// Payload of one chunk: a page less the chunk's own header entry.
pub const CHUNK_MAX_BYTES: usize = 4000;
/// Chunks of one blob; the other half of the index space is the next version.
pub const CHUNKS_MAX: usize = 127;
/// Longest blob of format version 2.
pub const BLOB_MAX_BYTES: usize = CHUNKS_MAX * CHUNK_MAX_BYTES;
/// Longest blob of format version 1, which cannot span pages.
pub const BLOB_V1_MAX_BYTES: usize = 1984;
/// Smallest partition that a device opens for writing.
pub const READ_WRITE_MIN_BYTES: usize = 3 * PAGE_BYTES;
