//! Which version of the format an image is of. The version byte alone does not
//! say it: pages marked as version 1 can hold blobs of version 2.

use super::{Image, Item, Page};
use crate::format::Version;
use crate::limits::BLOB_V1_MAX_BYTES;
use crate::value::ItemType;

impl Version {
    /// The version that an image is to be written in: 1 only where nothing in
    /// it speaks against that, and 2 where nothing is in it.
    pub fn of(image: &Image<'_>) -> Self {
        let is_v1 = |page: &&Page<'_>| page.version_byte() == Version::V1.byte();
        let is_sound = |page: &&Page<'_>| page.stored_crc() == page.computed_crc();
        let mut used: Vec<_> = image.pages().iter().filter(|page| !page.is_blank()).collect();
        if used.iter().any(is_sound) {
            used.retain(is_sound);
        }
        match !used.is_empty() && used.iter().all(is_v1) && !image.items().any(needs_v2) {
            true => Version::V1,
            false => Version::V2,
        }
    }
}

fn needs_v2(item: &Item<'_>) -> bool {
    let item_type = item.header.item_type();
    let is_long = item_type.has_payload() && item.header.payload_size() > BLOB_V1_MAX_BYTES;
    let is_v2_blob = matches!(item_type, ItemType::BlobData | ItemType::BlobIndex);
    item.fault.is_none() && (is_v2_blob || is_long)
}
