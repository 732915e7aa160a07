//! Surviving items → namespaces, blobs and values as a firmware reads them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::boot::Boot;
use super::{DeviceEntry, DeviceView, DropReason, Dropped};
use crate::format::{NAMESPACE_DEFINITIONS, SECOND_VERSION_START};
use crate::image::{Item, Location};
use crate::key::Key;
use crate::value::{ItemType, Value};

/// A blob as a device searches it.
type BlobId = (u8, Key);

pub(super) fn assemble(boot: Boot<'_, '_>) -> DeviceView {
    let mut assembly = Assembly {
        namespaces: [None; 256],
        names: Vec::new(),
        defined: HashMap::new(),
        blobs: HashMap::new(),
        seen: HashMap::with_capacity(boot.live.len()),
        entries: Vec::with_capacity(boot.live.len()),
        dropped: boot.dropped,
    };
    assembly.read_namespaces(&boot.live);
    assembly.read_chunks(&boot.live);
    for item in &boot.live {
        assembly.read(item);
    }
    assembly.find_orphans();
    DeviceView {
        opening: boot.opening,
        entries: assembly.entries,
        namespaces: assembly.names,
        dropped: assembly.dropped,
    }
}

struct Assembly<'i, 'a> {
    /// Name of each index.
    namespaces: [Option<Key>; 256],
    names: Vec<Key>,
    /// Where each name is defined.
    defined: HashMap<Key, Location>,
    blobs: HashMap<BlobId, [BlobVersion<'i, 'a>; 2]>,
    /// The item that a firmware finds for a namespace, key and type.
    seen: HashMap<(Key, u16), Location>,
    entries: Vec<DeviceEntry>,
    dropped: Vec<Dropped>,
}

/// The chunks in one half of the chunk indexes.
#[derive(Default)]
struct BlobVersion<'i, 'a> {
    chunks: Vec<&'i Item<'a>>,
    bytes: usize,
    /// Chunks that a whole index counts: those numbered below.
    claimed: usize,
}

impl<'i, 'a> Assembly<'i, 'a> {
    fn read_namespaces(&mut self, live: &[&'i Item<'a>]) {
        for item in live {
            let header = &item.header;
            if header.namespace_index() != NAMESPACE_DEFINITIONS
                || header.item_type() != ItemType::U8
            {
                continue;
            }
            let (name, index) = (header.key(), header.data()[0]);
            if let Some(&by) = self.defined.get(&name) {
                self.drop_item(item, DropReason::Shadowed { by });
                continue;
            }
            self.defined.insert(name, header.location);
            self.names.push(name);
            self.namespaces[usize::from(index)].get_or_insert(name);
        }
    }

    fn read_chunks(&mut self, live: &[&'i Item<'a>]) {
        for &item in live {
            if item.header.item_type() == ItemType::BlobData {
                let versions = self.blobs.entry(blob_id(item)).or_default();
                let version = &mut versions[half_of(item.header.chunk_index())];
                version.bytes += item.header.payload_size();
                version.chunks.push(item);
            }
        }
    }

    fn read(&mut self, item: &'i Item<'a>) {
        let header = &item.header;
        let namespace = header.namespace_index();
        if namespace == NAMESPACE_DEFINITIONS || header.item_type() == ItemType::BlobData {
            return;
        }
        let value = match self.value(item) {
            Ok(value) => value,
            Err(reason) => return self.drop_item(item, reason),
        };
        let Some(name) = self.namespaces[usize::from(namespace)] else {
            return self.drop_item(item, DropReason::NoNamespace);
        };
        let type_code = search_type(header.item_type()).code();
        let identity = (header.key(), u16::from_le_bytes([namespace, type_code]));
        match self.seen.entry(identity) {
            Entry::Occupied(first) => {
                let by = *first.get();
                return self.drop_item(item, DropReason::Shadowed { by });
            }
            Entry::Vacant(place) => place.insert(header.location),
        };
        self.entries.push(DeviceEntry {
            namespace: name,
            key: header.key(),
            value,
            location: header.location,
        });
    }

    fn value(&mut self, item: &'i Item<'a>) -> Result<Value, DropReason> {
        match item.header.item_type() {
            ItemType::Str => {
                let payload = intact_payload(item)?;
                let text = payload.strip_suffix(b"\0").unwrap_or(payload);
                Ok(Value::Str(text.to_vec()))
            }
            ItemType::BlobV1 => Ok(Value::Blob(intact_payload(item)?.to_vec())),
            ItemType::BlobIndex => self.blob(item),
            primitive => {
                Value::from_primitive(primitive, &item.header.data()).ok_or(DropReason::Header)
            }
        }
    }

    /// The chunks of an index, joined. The device first adds up all chunks of
    /// this version, then reads those that the index counts.
    fn blob(&mut self, item: &'i Item<'a>) -> Result<Value, DropReason> {
        let index = item.header.blob_index();
        let mut none = BlobVersion::default();
        let version = match self.blobs.get_mut(&blob_id(item)) {
            Some(versions) if index.start & !SECOND_VERSION_START == 0 => {
                &mut versions[half_of(index.start)]
            }
            _ => &mut none,
        };
        let mismatch = DropReason::BlobMismatch {
            promised: index.size,
            found: version.bytes,
            promised_chunks: usize::from(index.count),
            found_chunks: version.chunks.len(),
        };
        if version.bytes != index.size || version.chunks.len() != usize::from(index.count) {
            return Err(mismatch);
        }
        version.claimed = usize::from(index.count);
        let mut ordered = vec![None; version.claimed];
        for chunk in &version.chunks {
            if let Some(place @ None) = ordered.get_mut(chunk_number(chunk)) {
                *place = Some(*chunk);
            }
        }
        let mut bytes = Vec::with_capacity(version.bytes);
        for chunk in ordered {
            bytes.extend_from_slice(intact_payload(chunk.ok_or(mismatch)?)?);
        }
        Ok(Value::Blob(bytes))
    }

    fn find_orphans(&mut self) {
        let mut orphans = Vec::new();
        for versions in self.blobs.values() {
            for (half, version) in versions.iter().enumerate() {
                let other_version = versions[1 - half].claimed > 0;
                let unclaimed = |chunk: &&&Item<'_>| chunk_number(chunk) >= version.claimed;
                orphans.extend(version.chunks.iter().filter(unclaimed).map(|chunk| Dropped {
                    location: chunk.header.location,
                    reason: DropReason::OrphanChunk { other_version },
                }));
            }
        }
        orphans.sort_by_key(|orphan| orphan.location);
        self.dropped.append(&mut orphans);
    }

    fn drop_item(&mut self, item: &Item<'_>, reason: DropReason) {
        let location = item.header.location;
        self.dropped.push(Dropped { location, reason });
    }
}

fn blob_id(item: &Item<'_>) -> BlobId {
    (item.header.namespace_index(), item.header.key())
}

/// The half of the chunk indexes, 0 or 1, that an index lies in.
fn half_of(chunk_index: u8) -> usize {
    usize::from(chunk_index / SECOND_VERSION_START)
}

/// Number of a chunk in its blob.
fn chunk_number(chunk: &Item<'_>) -> usize {
    usize::from(chunk.header.chunk_index() % SECOND_VERSION_START)
}

/// A firmware asks for a blob whatever its version.
fn search_type(item_type: ItemType) -> ItemType {
    match item_type {
        ItemType::BlobV1 => ItemType::BlobIndex,
        other => other,
    }
}

fn intact_payload<'a>(item: &Item<'a>) -> Result<&'a [u8], DropReason> {
    match item.payload() {
        Some(payload) if item.payload_is_intact() => Ok(payload),
        _ => Err(DropReason::PayloadCrc),
    }
}
