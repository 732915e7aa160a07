//! What a device sees: the image after the repairs that ESP-IDF makes at boot.
//!
//! Follows `nvs_flash` of ESP-IDF 5.4 as read from its source: page load
//! (`load`), then what spans pages (`boot`), then blobs and values (`assemble`).
//! The image itself is not touched; whatever the device would drop is listed
//! with the reason. Must not know how a finding is worded.

mod assemble;
mod boot;
pub(crate) mod load;

use crate::image::{Image, Location};
use crate::key::Key;
use crate::value::Value;
use boot::Access;

/// Whether the partition opens on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It opens for reading and writing.
    ReadWrite,
    /// It opens only where the partition table marks it read-only, being
    /// smaller than three pages.
    ReadOnly,
    /// `ESP_ERR_NVS_NEW_VERSION_FOUND`: a page of a newer format.
    NewVersion {
        /// That page.
        page: usize,
    },
    /// `ESP_ERR_NVS_NO_FREE_PAGES`: no page to write to.
    NoFreePages,
}

impl Opening {
    /// Whether a firmware can read anything.
    pub const fn is_readable(self) -> bool {
        matches!(self, Opening::ReadWrite | Opening::ReadOnly)
    }
}

/// An entry that a firmware can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceEntry {
    /// Name of the namespace.
    pub namespace: Key,
    /// The key.
    pub key: Key,
    /// The value. Its `Debug` shows type and length only.
    pub value: Value,
    /// Where its header lies; of a blob of version 2, where its index lies.
    pub location: Location,
}

/// Something in the image that a device gives up at boot or on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Where its header lies.
    pub location: Location,
    /// Why.
    pub reason: DropReason,
}

/// Why a device gives something up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The header is damaged or contradicts itself.
    Header,
    /// Written behind the last recorded entry; power failed before the record.
    Torn,
    /// A sound item behind a gap, erased together with the torn one before it.
    BehindGap,
    /// The bitmap says that its payload was not or no longer written.
    PayloadState,
    /// A newer item of the same key replaces it.
    Replaced {
        /// The newer item.
        by: Location,
    },
    /// A firmware finds another item of the same key and type first.
    Shadowed {
        /// The item that it finds.
        by: Location,
    },
    /// On a page that only partly holds a copy of a FREEING page.
    PartialCopy,
    /// The payload's CRC does not match.
    PayloadCrc,
    /// A blob index whose chunks do not add up.
    BlobMismatch {
        /// Bytes that the index promises.
        promised: usize,
        /// Bytes that its chunks hold.
        found: usize,
        /// Chunks that the index promises.
        promised_chunks: usize,
        /// Chunks that there are.
        found_chunks: usize,
    },
    /// A chunk that no blob index claims.
    OrphanChunk {
        /// Whether the other version of the same blob is whole.
        other_version: bool,
    },
    /// Its namespace index has no definition.
    NoNamespace,
}

/// What a firmware can read, in the order in which it would list it.
#[derive(Clone, Debug)]
pub struct DeviceView {
    opening: Opening,
    entries: Vec<DeviceEntry>,
    namespaces: Vec<Key>,
    dropped: Vec<Dropped>,
}

impl DeviceView {
    /// Whether the partition opens; when it does not, there are no entries but
    /// in a [forced view](Image::forced_view).
    pub fn opening(&self) -> Opening {
        self.opening
    }

    /// Everything readable.
    pub fn entries(&self) -> &[DeviceEntry] {
        &self.entries
    }

    /// Names of the namespaces, also of those without entries.
    pub fn namespaces(&self) -> &[Key] {
        &self.namespaces
    }

    /// What the device gives up.
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// The entry that `nvs_get_…` finds.
    pub fn entry(&self, namespace: &str, key: &str) -> Option<&DeviceEntry> {
        let wanted = |entry: &&DeviceEntry| entry.namespace == *namespace && entry.key == *key;
        self.entries.iter().find(wanted)
    }

    /// Its value.
    pub fn get(&self, namespace: &str, key: &str) -> Option<&Value> {
        self.entry(namespace, key).map(|entry| &entry.value)
    }
}

impl Image<'_> {
    /// What a device sees after its boot repairs.
    pub fn device_view(&self) -> DeviceView {
        view(self)
    }

    /// What a device would see, did it open the partition for writing: the same
    /// as [`device_view`](Image::device_view) where it does. A page of a newer
    /// format is read as the others are, and no page need be free.
    pub fn forced_view(&self) -> DeviceView {
        forced_view(self)
    }
}

fn view(image: &Image<'_>) -> DeviceView {
    let boot = boot::boot(image, Access::AsDevice);
    match boot.opening.is_readable() {
        true => assemble::assemble(boot),
        false => DeviceView {
            opening: boot.opening,
            entries: Vec::new(),
            namespaces: Vec::new(),
            dropped: boot.dropped,
        },
    }
}

/// As [`view`] where the partition opens for writing. `opening` is what a
/// device answers, and says nothing of the entries.
fn forced_view(image: &Image<'_>) -> DeviceView {
    assemble::assemble(boot::boot(image, Access::Forced))
}
