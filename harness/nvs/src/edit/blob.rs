//! Blobs as a device writes them: chunks first, then the index, alternating
//! between the two halves of the chunk indexes.

use super::pages::Pages;
use super::{EditError, Found};
use crate::format::SECOND_VERSION_START;
use crate::generate::layout::blob_index_field;
use crate::key::Key;
use crate::limits::{CHUNK_MAX_BYTES, CHUNKS_MAX, ENTRY_BYTES};
use crate::value::ItemType;

/// A device rather opens a page than begins a blob in less room than this.
const FIRST_CHUNK_MIN_BYTES: usize = CHUNK_MAX_BYTES / 10;

/// Writes chunks and index of a new version beside `previous`.
pub(super) fn write(
    pages: &mut Pages,
    namespace: u8,
    key: Key,
    bytes: &[u8],
    previous: Option<Found>,
) -> Result<(), EditError> {
    let start = match previous {
        Some(found) if found.start == 0 => SECOND_VERSION_START,
        _ => 0,
    };
    let chunks_max = CHUNKS_MAX.min(pages.count() - 1);
    if bytes.len() > chunks_max * CHUNK_MAX_BYTES {
        return Err(EditError::NoRoom { key });
    }
    if pages.tail_room() < bytes.len().max(1) && pages.tail_room() < FIRST_CHUNK_MIN_BYTES {
        pages.next_page(key)?;
    }
    let mut rest = bytes;
    let mut chunks = 0;
    loop {
        let room = pages.tail_room();
        if room == 0 || chunks == CHUNKS_MAX {
            return Err(EditError::NoRoom { key });
        }
        let (chunk, after) = rest.split_at(rest.len().min(room));
        rest = after;
        let index = start + chunks as u8;
        pages.write(namespace, key, ItemType::BlobData, index, chunk)?;
        chunks += 1;
        if !rest.is_empty() || room - chunk.len() < ENTRY_BYTES {
            pages.next_page(key)?;
        }
        if rest.is_empty() {
            break;
        }
    }
    let field = blob_index_field(bytes.len(), chunks, start);
    pages.write_field(namespace, key, ItemType::BlobIndex, field)
}

/// Erases the chunks of one version.
pub(super) fn erase_chunks(pages: &mut Pages, namespace: u8, key: Key, start: u8) {
    let chunks: Vec<_> = pages.with_live(|live| {
        live.iter()
            .filter(|item| item.header.item_type() == ItemType::BlobData)
            .filter(|item| item.header.namespace_index() == namespace && item.header.key() == key)
            .filter(|item| item.header.chunk_index() & SECOND_VERSION_START == start)
            .map(|item| (item.header.location, item.entries))
            .collect()
    });
    for (location, entries) in chunks {
        pages.mark_erased(location, entries);
    }
}
