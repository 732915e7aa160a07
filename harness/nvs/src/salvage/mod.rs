//! Image → a document of what is readable, whatever a device makes of the
//! image, with a report of what is not.
//!
//! What a device reads comes first; then what it does not find: on pages that
//! it drops, behind gaps, with one flipped bit, without the definition of its
//! namespace. Of two values of a key the one that a device reads is kept, else
//! the newer one. What was erased or replaced on purpose is never taken for a
//! value: those are old ones and perhaps secrets.
//!
//! Nothing is guessed: each value is as sound as its CRCs, and no name is
//! invented. `Debug` shows no values.

mod blobs;
mod pieces;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::device::DeviceView;
use crate::document::{Document, DocumentError};
use crate::format::{NAMESPACE_DEFINITIONS, Version};
use crate::generate::{GenerateError, generate};
use crate::image::{Image, Location};
use crate::key::Key;
use crate::limits::{PAGE_BYTES, READ_WRITE_MIN_BYTES};
use crate::recover::Loss;
use crate::value::{ItemType, Value};
use blobs::Blobs;
use pieces::{Age, Pieces, definition};

/// What is readable of an image.
#[derive(Clone, Debug)]
pub struct Salvage {
    /// All of it, to be generated anew: it fits [`version`](Salvage::version)
    /// and [`size`](Salvage::size).
    pub document: Document,
    /// The version of the image, or 2 where a value is too long for version 1.
    pub version: Version,
    /// Bytes for a fresh image: as many as this one has where the document fits
    /// in them, else the smallest size that does.
    pub size: usize,
    /// Entries of the document that a device reads, or would if it opened the
    /// partition.
    pub kept: usize,
    /// Entries of the document that a device does not find.
    pub rescued: Vec<Rescued>,
    /// What is not in the document, in the order of the flash.
    pub lost: Vec<Lost>,
}

/// An entry that a device does not find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rescued {
    /// Name of the namespace.
    pub namespace: Key,
    /// The key.
    pub key: Key,
    /// Where its header lies; of a blob of version 2, where its index lies.
    pub location: Location,
    /// Why a device does not find it.
    pub why: Loss,
}

/// Something that is not read, and is no old value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Namespace, when its definition is readable anywhere in the image.
    pub namespace: Option<Key>,
    /// The key, when it can be trusted.
    pub key: Option<Key>,
    /// Where its header lies, or the page where nothing is readable.
    pub location: Location,
    /// Why.
    pub why: Reason,
}

/// Why something is lost. `Display` says it as the rest of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// More than one bit of its header is damaged.
    Header,
    /// The header's CRC is right and its content is impossible.
    Contradiction,
    /// State bits that nothing writes.
    State,
    /// The header is marked erased, the payload is not.
    HalfErased,
    /// More than one bit of its payload is damaged.
    Payload,
    /// A blob's chunks are not what its index promises.
    Chunks,
    /// Chunks of a blob whose index is lost.
    NoIndex,
    /// The name of its namespace is lost.
    NoNamespace,
    /// The same key has another value, which is the one that was kept.
    OtherValueKept,
    /// Nothing on the page can be read.
    Page,
    /// Its name or its value is one that a generator does not write.
    Refused(DocumentError),
    /// A blob that takes too many chunks wherever it begins.
    TooManyChunks,
    /// It is readable, and a device does not read it.
    NotRead(Loss),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Header => "more than one bit of its header is damaged",
            Reason::Contradiction => "its header contradicts itself",
            Reason::State => "its state is neither written nor erased",
            Reason::HalfErased => "its header is marked erased and its payload is not",
            Reason::Payload => "more than one bit of its payload is damaged",
            Reason::Chunks => "its chunks are not those that its index promises",
            Reason::NoIndex => "the index of its chunks is lost",
            Reason::NoNamespace => "the name of its namespace is lost",
            Reason::OtherValueKept => "another value of the same key was kept",
            Reason::Page => "nothing on its page can be read",
            Reason::TooManyChunks => "it takes more than 127 chunks from where it would begin",
            Reason::Refused(error) => return write!(f, "{error}"),
            Reason::NotRead(loss) => return write!(f, "{loss}"),
        })
    }
}

/// Makes a document of everything that is readable in an image, also in one
/// that a device does not open. An encrypted image is decrypted before.
///
/// ```
/// use goldline_nvs::{Document, Image, Value, Version, generate, salvage};
///
/// # let mut document = Document::new();
/// # document.insert("vault", "device_id", Value::str("VAULT-00001"))?;
/// # let mut bytes = generate(&document, 0x3000, Version::V2)?;
/// bytes[4] ^= 1; // A device drops the page, since its header is damaged.
/// let salvage = salvage(&Image::decode(&bytes)?);
/// assert_eq!((salvage.kept, salvage.rescued.len(), salvage.lost.len()), (0, 1, 0));
/// let fresh = generate(&salvage.document, salvage.size, salvage.version)?;
/// let view = Image::decode(&fresh)?.device_view();
/// assert_eq!(view.get("vault", "device_id"), Some(&Value::str("VAULT-00001")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn salvage(image: &Image<'_>) -> Salvage {
    let Selection { document, version, winners, mut lost } = Selection::of(image);
    lost.sort_by_key(|lost| lost.location);
    let rescued = winners.iter().filter_map(|winner| {
        let &Candidate { namespace, key, location, loss, .. } = winner;
        Some(Rescued { namespace, key, location, why: loss? })
    });
    let rescued: Vec<Rescued> = rescued.collect();
    let fits = generate(&document, image.len(), version).is_ok();
    Salvage {
        size: if fits { image.len() } else { smallest_size(&document, version) },
        kept: winners.len() - rescued.len(),
        document,
        version,
        rescued,
        lost,
    }
}

/// What a device would no longer find after the image was rewritten from its
/// view or changed as a device changes it: all that is or was readable and that
/// it drops, old values aside. Empty for a sound image.
pub fn would_be_lost(image: &Image<'_>) -> Vec<Lost> {
    let view = image.device_view();
    let read: HashSet<Location> = view.entries().iter().map(|entry| entry.location).collect();
    let Selection { winners, mut lost, .. } = Selection::of(image);
    lost.extend(winners.into_iter().map(|winner| Lost {
        namespace: Some(winner.namespace),
        key: Some(winner.key),
        location: winner.location,
        why: Reason::NotRead(winner.loss.unwrap_or(Loss::Page)),
    }));
    lost.retain(|lost| !read.contains(&lost.location));
    lost.sort_by_key(|lost| lost.location);
    lost
}

/// Smallest size in bytes that holds a document and that a device opens for
/// writing. What no size holds, such as a value too long for the version, is
/// left to [`generate`](crate::generate()) to refuse.
pub fn smallest_size(document: &Document, version: Version) -> usize {
    match generate(document, READ_WRITE_MIN_BYTES, version) {
        Err(GenerateError::DoesNotFit { needed, .. }) => needed,
        _ => READ_WRITE_MIN_BYTES,
    }
}

/// A value that may become an entry of the document.
struct Candidate {
    namespace: Key,
    key: Key,
    location: Location,
    age: Age,
    value: Value,
    /// Why a device does not find it, if so.
    loss: Option<Loss>,
    is_unfinished: bool,
}

impl Candidate {
    fn name(&self) -> (Key, Key) {
        (self.namespace, self.key)
    }

    fn lost(&self, why: Reason) -> Lost {
        Lost { namespace: Some(self.namespace), key: Some(self.key), location: self.location, why }
    }
}

/// One value for each key, and a document of them.
struct Selection {
    document: Document,
    version: Version,
    /// The entries of the document.
    winners: Vec<Candidate>,
    lost: Vec<Lost>,
}

impl Selection {
    fn of(image: &Image<'_>) -> Self {
        let view = image.forced_view();
        let pieces = Pieces::of(image, &view);
        let names = names(&pieces);
        let mut selection = Self {
            document: Document::new(),
            version: Version::of(image),
            winners: Vec::new(),
            lost: Vec::new(),
        };
        selection.define_namespaces(&view, &pieces);
        let mut candidates = live(&view, &pieces);
        candidates.extend(selection.rescue(&pieces, &names));
        selection.choose(candidates);
        selection.report(pieces, &names);
        selection.insert_winners();
        selection.fit();
        selection
    }

    /// Those without keys exist on a device too. One that is refused is
    /// reported with its keys, or here when it has none.
    fn define_namespaces(&mut self, view: &DeviceView, pieces: &Pieces<'_>) {
        let mut known: HashSet<Key> = HashSet::new();
        let defined = pieces.readable.iter().filter_map(|piece| {
            let (_, name) = definition(&piece.entry())?;
            Some((name, piece.location))
        });
        let (live, others): (Vec<_>, Vec<_>) =
            defined.partition(|(name, _)| view.namespaces().contains(name));
        for (name, location) in live.into_iter().chain(others) {
            if !known.insert(name) {
                continue;
            }
            if let Err(error) = self.document.namespace(&text(&name)) {
                let why = Reason::Refused(error);
                self.lost.push(Lost { namespace: Some(name), key: None, location, why });
            }
        }
    }

    /// Values that a device does not find.
    fn rescue(&mut self, pieces: &Pieces<'_>, names: &HashMap<u8, Key>) -> Vec<Candidate> {
        let blobs = Blobs::of(&pieces.readable);
        let mut indexed = HashSet::new();
        let mut candidates = Vec::new();
        for piece in &pieces.readable {
            let header = piece.entry();
            let (index, item_type) = (header.namespace_index(), header.item_type());
            if item_type == ItemType::BlobIndex {
                indexed.insert(blobs::version_of(piece));
            }
            let Some(loss) = piece.loss else { continue };
            if index == NAMESPACE_DEFINITIONS || item_type == ItemType::BlobData {
                continue;
            }
            let lost = |why| Lost {
                namespace: names.get(&index).copied(),
                key: Some(header.key()),
                location: piece.location,
                why,
            };
            let value = match item_type {
                ItemType::BlobIndex => blobs.assemble(piece).map(Value::Blob),
                ItemType::BlobV1 => Some(Value::Blob(piece.payload.to_vec())),
                ItemType::Str => {
                    let text = piece.payload.strip_suffix(b"\0").unwrap_or(&piece.payload);
                    Some(Value::Str(text.to_vec()))
                }
                primitive => Value::from_primitive(primitive, &header.data()),
            };
            match (value, names.get(&index)) {
                (Some(value), Some(&namespace)) => candidates.push(Candidate {
                    namespace,
                    key: header.key(),
                    location: piece.location,
                    age: piece.age,
                    value,
                    loss: Some(loss),
                    is_unfinished: piece.is_unfinished,
                }),
                (None, _) => self.lost.push(lost(Reason::Chunks)),
                (_, None) => self.lost.push(lost(Reason::NoNamespace)),
            }
        }
        let orphans = blobs.without_index(|version| indexed.contains(version));
        self.lost.extend(orphans.map(|((index, key, _), location)| Lost {
            namespace: names.get(&index).copied(),
            key: Some(key),
            location,
            why: Reason::NoIndex,
        }));
        candidates
    }

    /// One value for each key: what a device reads, else the newest.
    fn choose(&mut self, mut candidates: Vec<Candidate>) {
        candidates.sort_by_key(|candidate| {
            (candidate.loss.is_some(), candidate.is_unfinished, Reverse(candidate.age))
        });
        let mut chosen: HashMap<(Key, Key), usize> = HashMap::with_capacity(candidates.len());
        for candidate in candidates {
            let Some(&winner) = chosen.get(&candidate.name()) else {
                chosen.insert(candidate.name(), self.winners.len());
                self.winners.push(candidate);
                continue;
            };
            if !candidate.is_unfinished && self.winners[winner].value != candidate.value {
                self.lost.push(candidate.lost(Reason::OtherValueKept));
            }
        }
        self.winners.sort_by_key(|winner| winner.age);
    }

    /// Says what cannot be read. Chunks without an index are those of another
    /// version where the key has a value.
    fn report(&mut self, pieces: Pieces<'_>, names: &HashMap<u8, Key>) {
        let names_of_winners = self.winners.iter().map(Candidate::name);
        let winners: HashSet<(Key, Key)> = names_of_winners.collect();
        let has_value = |lost: &Lost| match (lost.namespace, lost.key) {
            (Some(namespace), Some(key)) => winners.contains(&(namespace, key)),
            _ => false,
        };
        self.lost.retain(|lost| lost.why != Reason::NoIndex || !has_value(lost));
        for unreadable in pieces.unreadable {
            let is_trace = unreadable.is_trace;
            let lost = unreadable.lost(names);
            if !is_trace || !has_value(&lost) {
                self.lost.push(lost);
            }
        }
    }

    fn insert_winners(&mut self) {
        let Self { document, winners, lost, .. } = self;
        winners.retain(|winner| {
            let Candidate { namespace, key, value, .. } = winner;
            let result = document.insert(&text(namespace), &text(key), value.clone());
            result.map_err(|error| lost.push(winner.lost(Reason::Refused(error)))).is_ok()
        });
    }

    /// Takes out what no size holds.
    fn fit(&mut self) {
        loop {
            match generate(&self.document, PAGE_BYTES, self.version) {
                Err(GenerateError::TooLongForV1 { .. }) => self.version = Version::V2,
                Err(GenerateError::TooManyChunks { namespace, key, .. }) => {
                    self.document.remove(&text(&namespace), &text(&key));
                    let is_it = |winner: &Candidate| winner.name() == (namespace, key);
                    let lost = self.winners.extract_if(.., |winner| is_it(winner));
                    self.lost.extend(lost.map(|winner| winner.lost(Reason::TooManyChunks)));
                }
                Ok(_) | Err(GenerateError::DoesNotFit { .. } | GenerateError::Size { .. }) => {
                    return;
                }
            }
        }
    }
}

/// What a device reads.
fn live(view: &DeviceView, pieces: &Pieces<'_>) -> Vec<Candidate> {
    let ages = pieces.readable.iter().map(|piece| (piece.location, piece.age));
    let ages: HashMap<Location, Age> = ages.collect();
    let entries = view.entries().iter().map(|entry| Candidate {
        namespace: entry.namespace,
        key: entry.key,
        location: entry.location,
        age: ages.get(&entry.location).copied().unwrap_or((None, entry.location)),
        value: entry.value.clone(),
        loss: None,
        is_unfinished: false,
    });
    entries.collect()
}

/// Names of the namespaces by index: of live definitions, else of the newest
/// that is readable.
fn names(pieces: &Pieces<'_>) -> HashMap<u8, Key> {
    let mut definitions: Vec<_> = pieces
        .readable
        .iter()
        .filter_map(|piece| Some((piece, definition(&piece.entry())?)))
        .collect();
    definitions.sort_by_key(|(piece, _)| match piece.loss {
        // Of two live ones a device takes the first.
        None => (false, Some(piece.age), None),
        Some(_) => (true, None, Some(Reverse(piece.age))),
    });
    let mut names = HashMap::new();
    for (_, (index, name)) in definitions {
        names.entry(index).or_insert(name);
    }
    for (index, name) in &pieces.erased_names {
        names.entry(*index).or_insert(*name);
    }
    names
}

/// A name as text, such that a document refuses what is none.
fn text(name: &Key) -> String {
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests;
