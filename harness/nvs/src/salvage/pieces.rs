//! Image → the items that can be read, whatever a device makes of them, and
//! those that cannot.
//!
//! What was erased or replaced on purpose is neither: those are old values and
//! perhaps secrets. Must not know which of several values of a key is kept.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Lost, Reason};
use crate::check::{mended_header, mended_payload, mended_sequence};
use crate::device::load::{self, Kind};
use crate::device::{DeviceView, DropReason};
use crate::format::{EntryState, PageState};
use crate::image::{Entry, HeaderFault, Image, Item, Location, Page};
use crate::key::Key;
use crate::limits::ENTRY_BYTES;
use crate::recover::Loss;
use crate::value::ItemType;

/// When an item was written, as a device orders it: by the sequence number of
/// its page, then by position. A page whose number is lost is the oldest.
pub(super) type Age = (Option<u32>, Location);

/// An item whose header and payload are as they were written.
pub(super) struct Piece<'a> {
    pub location: Location,
    pub age: Age,
    /// The header, mended where one bit of it was flipped.
    pub header: [u8; ENTRY_BYTES],
    pub payload: Cow<'a, [u8]>,
    /// Why a device does not find it; none for what it finds.
    pub loss: Option<Loss>,
    /// The last thing written before power failed, and not recorded as whole:
    /// on a device the value before it stays.
    pub is_unfinished: bool,
}

impl Piece<'_> {
    pub fn entry(&self) -> Entry<'_> {
        Entry { location: self.location, state: EntryState::Written, bytes: &self.header }
    }

    /// Whether a device keeps it, though it may be of no use alone.
    pub fn is_in_place(&self) -> bool {
        matches!(self.loss, None | Some(Loss::Dropped(DropReason::OrphanChunk { .. })))
    }
}

/// What there is in an image.
#[derive(Default)]
pub(super) struct Pieces<'a> {
    pub readable: Vec<Piece<'a>>,
    pub unreadable: Vec<Unreadable>,
    /// Names of erased definitions by index: a device erases none on purpose.
    pub erased_names: HashMap<u8, Key>,
}

/// An item that was live and cannot be read.
pub(super) struct Unreadable {
    pub location: Location,
    /// Index of the namespace and key, where the header can be trusted.
    pub name: Option<(u8, Key)>,
    pub why: Reason,
    /// Whether it may be the trace of an interrupted write or erase, which
    /// tells of a loss only where the key has no value.
    pub is_trace: bool,
}

impl Unreadable {
    /// What to say of it, given the namespaces' names.
    pub fn lost(self, names: &HashMap<u8, Key>) -> Lost {
        let Self { location, name, why, is_trace: _ } = self;
        Lost {
            namespace: name.and_then(|(index, _)| names.get(&index).copied()),
            key: name.map(|(_, key)| key),
            location,
            why,
        }
    }
}

impl<'a> Pieces<'a> {
    /// `view` is the forced one.
    pub fn of(image: &Image<'a>, view: &DeviceView) -> Self {
        let dropped = view.dropped().iter().map(|dropped| (dropped.location, dropped.reason));
        let dropped: HashMap<Location, DropReason> = dropped.collect();
        let mut pieces = Self::default();
        for page in image.pages() {
            let mut reading = Reading {
                image,
                is_read: is_read(page),
                sequence: mended_sequence(page),
                dropped: &dropped,
                pieces: Self::default(),
            };
            page.items().iter().for_each(|item| reading.item(item));
            pieces.add(reading.pieces, page);
        }
        pieces
    }

    fn add(&mut self, page_pieces: Self, page: &Page<'_>) {
        let Self { readable, unreadable, erased_names } = page_pieces;
        let is_noise = !is_read(page) && readable.is_empty() && !unreadable.is_empty();
        match (is_noise, page.state()) {
            // Half erased, or never NVS: a device counts it as free.
            (true, PageState::Empty) => {}
            (true, _) => self.unreadable.push(Unreadable {
                location: Location { page: page.index(), entry: 0 },
                name: None,
                why: Reason::Page,
                is_trace: false,
            }),
            (false, _) => self.unreadable.extend(unreadable),
        }
        self.readable.extend(readable);
        erased_names.into_iter().for_each(|(index, name)| {
            self.erased_names.entry(index).or_insert(name);
        });
    }
}

/// Whether a device that opens the partition reads the page.
fn is_read(page: &Page<'_>) -> bool {
    match load::kind(page) {
        Kind::InUse => true,
        Kind::Newer => page.state().holds_items(),
        Kind::Free => false,
    }
}

/// One page being read.
struct Reading<'a, 'd> {
    image: &'d Image<'a>,
    is_read: bool,
    sequence: Option<u32>,
    dropped: &'d HashMap<Location, DropReason>,
    pieces: Pieces<'a>,
}

impl<'a> Reading<'a, '_> {
    fn item(&mut self, item: &Item<'a>) {
        let header = &item.header;
        match header.state {
            EntryState::Erased => return self.erased(item),
            EntryState::Illegal => return self.lose(item, Reason::State, false),
            EntryState::Empty | EntryState::Written => {}
        }
        let reason = self.dropped.get(&header.location).copied();
        if is_being_erased(item) || reason.is_some_and(|reason| self.is_old(item, reason)) {
            return;
        }
        let is_last = item.is_last_before(header.location.entry + item.entries);
        let is_unfinished = is_last && lacks_record(item);
        let is_recorded = header.state == EntryState::Written || !is_last;
        match read(item) {
            Ok((bytes, payload)) => self.pieces.readable.push(Piece {
                location: header.location,
                age: (self.sequence, header.location),
                header: bytes,
                payload,
                loss: self.loss(item, reason),
                is_unfinished,
            }),
            // What was never recorded may be anything.
            Err(why) if is_recorded => self.lose(item, why, is_unfinished),
            Err(_) => {}
        }
    }

    /// Whether a device gives it up since there is something newer. Of two
    /// pages with the same number none is known to be newer.
    fn is_old(&self, item: &Item<'_>, reason: DropReason) -> bool {
        match reason {
            DropReason::Replaced { by } | DropReason::Shadowed { by } => {
                let page = item.header.location.page;
                let sequence = |page: usize| self.image.pages()[page].sequence();
                page == by.page || sequence(page) != sequence(by.page)
            }
            DropReason::OrphanChunk { other_version } => other_version,
            _ => false,
        }
    }

    fn loss(&self, item: &Item<'_>, reason: Option<DropReason>) -> Option<Loss> {
        match reason {
            _ if item.fault.is_some() => Some(Loss::Header),
            _ if !self.is_read => Some(Loss::Page),
            Some(reason) => Some(Loss::Dropped(reason)),
            // A device passes over such an entry of a closed page.
            None if item.header.state == EntryState::Empty => Some(Loss::Dropped(DropReason::Torn)),
            None => None,
        }
    }

    fn erased(&mut self, item: &Item<'_>) {
        let header = &item.header;
        if item.fault.is_some() {
            return;
        }
        if let Some((index, name)) = definition(header) {
            self.pieces.erased_names.entry(index).or_insert(name);
        }
        let mut differing = item.differing_states();
        let payload = item.entries - 1;
        // A device erases from behind: the header at last.
        let is_half_erased = payload > 0
            && differing.clone().count() == payload
            && differing.all(|(_, state)| state == EntryState::Written);
        if is_half_erased {
            self.lose(item, Reason::HalfErased, true);
        }
    }

    fn lose(&mut self, item: &Item<'_>, why: Reason, is_trace: bool) {
        let header = &item.header;
        // What stands in the place of a damaged header may be part of a value.
        let is_trusted = item.fault != Some(HeaderFault::Crc);
        self.pieces.unreadable.push(Unreadable {
            location: header.location,
            name: is_trusted.then(|| (header.namespace_index(), header.key())),
            why,
            is_trace,
        });
    }
}

/// Whether its entries are marked erased from some one on to the last: as a
/// device erases, from behind, when power fails.
fn is_being_erased(item: &Item<'_>) -> bool {
    let mut differing = item.differing_states();
    let Some((first, _)) = differing.clone().next() else { return false };
    let end = item.header.location.entry + item.entries;
    item.fault.is_none()
        && item.header.state == EntryState::Written
        && differing.clone().count() == end - first
        && differing.all(|(_, state)| state == EntryState::Erased)
}

/// Whether a part of it is not recorded as written.
fn lacks_record(item: &Item<'_>) -> bool {
    let mut differing = item.differing_states();
    item.header.state == EntryState::Empty || differing.any(|(_, state)| state == EntryState::Empty)
}

/// Header and payload as they were written.
fn read<'a>(item: &Item<'a>) -> Result<([u8; ENTRY_BYTES], Cow<'a, [u8]>), Reason> {
    let bytes = match item.fault {
        None => *item.header.bytes,
        Some(HeaderFault::Crc) => mended_header(item).ok_or(Reason::Header)?,
        Some(_) => return Err(Reason::Contradiction),
    };
    let header = Entry { bytes: &bytes, ..item.header };
    header.check_header().map_err(|_| Reason::Contradiction)?;
    let payload = match header.item_type().has_payload() {
        true => mended_payload(&header, item.payload_entries()).ok_or(Reason::Payload)?,
        false => Cow::Borrowed(&[][..]),
    };
    Ok((bytes, payload))
}

/// Index and name of the namespace that a header defines.
pub(super) fn definition(header: &Entry<'_>) -> Option<(u8, Key)> {
    let defines = header.namespace_index() == crate::format::NAMESPACE_DEFINITIONS
        && header.item_type() == ItemType::U8;
    defines.then(|| (header.data()[0], header.key()))
}
