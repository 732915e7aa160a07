//! One page as a device loads it: which items survive, which are given up.

use std::collections::HashMap;

use super::{DropReason, Dropped};
use crate::format::{EntryState, PageState};
use crate::image::{Entry, Item, Location, Page};
use crate::key::Key;
use crate::limits::ENTRIES_PER_PAGE;

/// How a device counts a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Erased or to be erased before use: CORRUPT, dirty, or a bad header.
    Free,
    /// Holds items.
    InUse,
    /// Of a format newer than the device knows.
    Newer,
}

pub(crate) fn kind(page: &Page<'_>) -> Kind {
    const NEWEST_VERSION_BYTE: u8 = 0xFE;
    if page.state() == PageState::Empty || page.stored_crc() != page.computed_crc() {
        return Kind::Free;
    }
    if page.version_byte() < NEWEST_VERSION_BYTE {
        return Kind::Newer;
    }
    match page.state().holds_items() {
        true => Kind::InUse,
        false => Kind::Free,
    }
}

/// A loaded page.
pub(crate) struct Loaded<'i, 'a> {
    pub page: &'i Page<'a>,
    pub live: Vec<&'i Item<'a>>,
}

pub(crate) fn load<'i, 'a>(page: &'i Page<'a>, dropped: &mut Vec<Dropped>) -> Loaded<'i, 'a> {
    let mut loading = Loading { page, live: Vec::with_capacity(page.items().len()), dropped };
    match page.state() {
        PageState::Active => loading.active(),
        _ => loading.closed(),
    }
    Loaded { page, live: loading.live }
}

struct Loading<'i, 'a, 'd> {
    page: &'i Page<'a>,
    live: Vec<&'i Item<'a>>,
    dropped: &'d mut Vec<Dropped>,
}

impl<'i, 'a> Loading<'i, 'a, '_> {
    /// The ACTIVE page: the device looks for what a power loss left behind.
    fn active(&mut self) {
        let gap = self.gap();
        self.keep_survivors(gap);
        let of = |item: &&'i Item<'a>| (identity(&item.header), item.header.location);
        let newest: HashMap<_, _> = self.live.iter().map(of).collect();
        for item in std::mem::take(&mut self.live) {
            let by = newest[&identity(&item.header)];
            match by == item.header.location {
                true => self.live.push(item),
                false => self.drop_at(item.header.location, DropReason::Replaced { by }),
            }
        }
    }

    /// FULL and FREEING pages: nothing is compared within the page.
    fn closed(&mut self) {
        self.keep_survivors(ENTRIES_PER_PAGE);
    }

    fn keep_survivors(&mut self, gap: usize) {
        for item in self.page.items() {
            if self.survives(item, gap) {
                self.live.push(item);
            }
        }
    }

    /// Whether the device keeps the item, `gap` being the first entry that it
    /// takes for unwritten.
    fn survives(&mut self, item: &'i Item<'a>, gap: usize) -> bool {
        let location = item.header.location;
        let reason = match item.header.state {
            EntryState::Erased => return false,
            EntryState::Empty if location.entry < gap => return false,
            EntryState::Empty => DropReason::Torn,
            EntryState::Illegal => DropReason::Header,
            EntryState::Written if item.fault.is_some() => DropReason::Header,
            EntryState::Written if location.entry >= gap => DropReason::BehindGap,
            EntryState::Written if item.differing_state().is_some() => DropReason::PayloadState,
            EntryState::Written => return true,
        };
        self.drop_at(location, reason);
        false
    }

    /// The first entry that the bitmap calls empty. A device erases from there
    /// on what is not blank, and reads nothing of what follows.
    fn gap(&self) -> usize {
        let is_empty = |entry: &usize| self.page.entry(*entry).state == EntryState::Empty;
        let first = (0..ENTRIES_PER_PAGE).find(is_empty);
        first.unwrap_or(ENTRIES_PER_PAGE)
    }

    fn drop_at(&mut self, location: Location, reason: DropReason) {
        self.dropped.push(Dropped { location, reason });
    }
}

/// What makes two items on the ACTIVE page the same to a device: the type is
/// not part of it, so that a new type replaces the old one.
fn identity(header: &Entry<'_>) -> (u8, Key, u8) {
    (header.namespace_index(), header.key(), header.chunk_index())
}
