//! Chunks and an index → a blob, when they are certain to belong together.

use std::collections::{BTreeMap, HashMap};

use super::pieces::{Age, Piece};
use crate::format::SECOND_VERSION_START;
use crate::image::Location;
use crate::key::Key;
use crate::limits::CHUNKS_MAX;
use crate::value::ItemType;

/// Namespace, key and first chunk index: one version of a blob.
pub(super) type Version = (u8, Key, u8);

/// Chunks of a version by their numbers.
#[derive(Default)]
struct Chunks<'p> {
    by_number: BTreeMap<u8, Chunk<'p>>,
    first: Option<(Age, Location)>,
}

/// The content of one chunk.
enum Chunk<'p> {
    InPlace(&'p [u8]),
    Rescued(&'p [u8]),
    /// Two contents, of which neither is more certain.
    Ambiguous,
}

impl<'p> Chunk<'p> {
    fn of(piece: &'p Piece<'_>) -> Self {
        match piece.is_in_place() {
            true => Chunk::InPlace(&piece.payload),
            false => Chunk::Rescued(&piece.payload),
        }
    }

    /// The more certain one of two.
    fn or(self, other: Self) -> Self {
        match (&self, &other) {
            (Chunk::InPlace(_), Chunk::Rescued(_)) => self,
            (Chunk::Rescued(_), Chunk::InPlace(_)) => other,
            (Chunk::InPlace(a), Chunk::InPlace(b)) if a == b => self,
            (Chunk::Rescued(a), Chunk::Rescued(b)) if a == b => self,
            _ => Chunk::Ambiguous,
        }
    }

    fn content(&self) -> Option<&'p [u8]> {
        match self {
            Chunk::InPlace(content) | Chunk::Rescued(content) => Some(content),
            Chunk::Ambiguous => None,
        }
    }
}

/// All chunks of an image.
pub(super) struct Blobs<'p> {
    versions: HashMap<Version, Chunks<'p>>,
}

impl<'p> Blobs<'p> {
    pub fn of(pieces: &'p [Piece<'_>]) -> Self {
        let mut versions: HashMap<Version, Chunks<'p>> = HashMap::new();
        for piece in pieces {
            let header = piece.entry();
            if header.item_type() != ItemType::BlobData {
                continue;
            }
            let (number, start) = (
                header.chunk_index() & !SECOND_VERSION_START,
                header.chunk_index() & SECOND_VERSION_START,
            );
            let version = (header.namespace_index(), header.key(), start);
            let chunks = versions.entry(version).or_default();
            let chunk = match chunks.by_number.remove(&number) {
                Some(other) => other.or(Chunk::of(piece)),
                None => Chunk::of(piece),
            };
            chunks.by_number.insert(number, chunk);
            let first = (piece.age, piece.location);
            chunks.first = Some(chunks.first.map_or(first, |known| known.min(first)));
        }
        Self { versions }
    }

    /// The blob that a piece is the index of: every chunk that it counts and no
    /// other, with as many bytes as it promises.
    pub fn assemble(&self, piece: &Piece<'_>) -> Option<Vec<u8>> {
        let index = piece.entry().blob_index();
        let chunks = self.versions.get(&version_of(piece))?;
        let count = usize::from(index.count);
        let is_complete = chunks.by_number.len() == count
            && count <= CHUNKS_MAX
            && chunks.by_number.keys().map(|number| usize::from(*number)).eq(0..count);
        if !is_complete {
            return None;
        }
        let parts: Option<Vec<&[u8]>> = chunks.by_number.values().map(Chunk::content).collect();
        let bytes = parts?.concat();
        (bytes.len() == index.size).then_some(bytes)
    }

    /// Versions for which `is_known` says no, with the place of their first chunk.
    pub fn without_index(
        &self,
        is_known: impl Fn(&Version) -> bool,
    ) -> impl Iterator<Item = (Version, Location)> {
        let unknown = self.versions.iter().filter(move |(version, _)| !is_known(version));
        unknown.filter_map(|(version, chunks)| Some((*version, chunks.first?.1)))
    }
}

/// The version that a piece is the index of.
pub(super) fn version_of(index: &Piece<'_>) -> Version {
    let header = index.entry();
    (header.namespace_index(), header.key(), header.blob_index().start)
}
