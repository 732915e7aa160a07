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
        aliases: Vec::new(),
        names: Vec::new(),
        defined: HashMap::new(),
        chunks: HashMap::new(),
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
    /// Further names of an index, which only damage can give it.
    aliases: Vec<(u8, Key)>,
    names: Vec<Key>,
    /// Where each name is defined.
    defined: HashMap<Key, Location>,
    chunks: HashMap<BlobId, Vec<Chunk<'i, 'a>>>,
    /// The item that a firmware finds for a namespace, key and type.
    seen: HashMap<(Key, u16), Location>,
    entries: Vec<DeviceEntry>,
    dropped: Vec<Dropped>,
}

struct Chunk<'i, 'a> {
    item: &'i Item<'a>,
    is_claimed: bool,
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
            match &mut self.namespaces[usize::from(index)] {
                Some(_) => self.aliases.push((index, name)),
                place => *place = Some(name),
            }
        }
    }

    fn read_chunks(&mut self, live: &[&'i Item<'a>]) {
        for &item in live {
            if item.header.item_type() == ItemType::BlobData {
                let chunks = self.chunks.entry(blob_id(item)).or_default();
                chunks.push(Chunk { item, is_claimed: false });
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
        let entry = |namespace, value| DeviceEntry {
            namespace,
            key: header.key(),
            value,
            location: header.location,
        };
        for (_, alias) in self.aliases.iter().filter(|(index, _)| *index == namespace) {
            self.entries.push(entry(*alias, value.clone()));
        }
        self.entries.push(entry(name, value));
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
        let mut none = Vec::new();
        let chunks = self.chunks.get_mut(&blob_id(item)).unwrap_or(&mut none);
        let of_version = |chunk: &Chunk<'_, '_>| version_start(chunk.item) == index.start;
        let sizes = chunks.iter().filter(|chunk| of_version(chunk));
        let (found, found_chunks) = sizes.fold((0, 0), |(bytes, count), chunk| {
            (bytes + chunk.item.header.payload_size(), count + 1)
        });
        if found != index.size || found_chunks != usize::from(index.count) {
            return Err(DropReason::BlobMismatch {
                promised: index.size,
                found,
                promised_chunks: usize::from(index.count),
                found_chunks,
            });
        }
        let mut ordered = vec![None; found_chunks];
        for (position, chunk) in chunks.iter_mut().enumerate().filter(|(_, c)| of_version(c)) {
            let number = usize::from(chunk.item.header.chunk_index() - index.start);
            chunk.is_claimed = number < found_chunks;
            if let Some(place @ None) = ordered.get_mut(number) {
                *place = Some(position);
            }
        }
        let mut bytes = Vec::with_capacity(found);
        for position in ordered {
            let position = position.ok_or(DropReason::BlobMismatch {
                promised: index.size,
                found: bytes.len(),
                promised_chunks: usize::from(index.count),
                found_chunks,
            })?;
            bytes.extend_from_slice(intact_payload(chunks[position].item)?);
        }
        Ok(Value::Blob(bytes))
    }

    fn find_orphans(&mut self) {
        let mut orphans = Vec::new();
        for chunks in self.chunks.values() {
            for chunk in chunks.iter().filter(|chunk| !chunk.is_claimed) {
                let own = version_start(chunk.item);
                let other_version =
                    chunks.iter().any(|other| other.is_claimed && version_start(other.item) != own);
                orphans.push(Dropped {
                    location: chunk.item.header.location,
                    reason: DropReason::OrphanChunk { other_version },
                });
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

/// The half of the chunk indexes that a chunk belongs to.
fn version_start(chunk: &Item<'_>) -> u8 {
    chunk.header.chunk_index() & SECOND_VERSION_START
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
