//! What a device repairs across pages at boot: their order, a replaced item
//! left behind, an interrupted compaction.

use super::load::{self, Kind, Loaded};
use super::{DropReason, Dropped, Opening};
use crate::format::PageState;
use crate::image::{Image, Item, Location};
use crate::limits::READ_WRITE_MIN_BYTES;
use crate::value::ItemType;

/// The items that are left, in the order in which a device searches them.
pub(super) struct Boot<'i, 'a> {
    pub opening: Opening,
    pub live: Vec<&'i Item<'a>>,
    pub dropped: Vec<Dropped>,
}

/// Whether a partition that does not open is read all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// As a device does: nothing is read of it.
    AsDevice,
    /// As if it opened for writing: pages of newer formats are read like
    /// others, and no page need be free.
    Forced,
}

pub(super) fn boot<'i, 'a>(image: &'i Image<'a>, access: Access) -> Boot<'i, 'a> {
    let mut dropped = Vec::new();
    let mut pages = Vec::new();
    let mut free = 0;
    let mut newer = None;
    for page in image.pages() {
        match load::kind(page) {
            Kind::Free => free += 1,
            Kind::InUse => pages.push(page),
            Kind::Newer => {
                newer = newer.or(Some(page.index()));
                pages.extend(page.state().holds_items().then_some(page));
            }
        }
    }
    let mut opening = match newer {
        Some(page) => Opening::NewVersion { page },
        None if image.len() < READ_WRITE_MIN_BYTES => Opening::ReadOnly,
        None => Opening::ReadWrite,
    };
    if access == Access::AsDevice && newer.is_some() {
        return closed(opening, dropped);
    }
    // Stable, as the device's insertion is: of equal numbers the first in flash.
    pages.sort_by_key(|page| page.sequence());
    let mut pages: Vec<Loaded> =
        pages.into_iter().map(|page| load::load(page, &mut dropped)).collect();
    if access == Access::Forced || opening == Opening::ReadWrite {
        replace_by_last_item(&mut pages, &mut dropped);
        free += finish_compaction(&mut pages, &mut dropped);
        if opening == Opening::ReadWrite && free == 0 && !pages.is_empty() {
            opening = Opening::NoFreePages;
        }
    }
    if access == Access::AsDevice && !opening.is_readable() {
        return closed(opening, dropped);
    }
    Boot { opening, live: pages.into_iter().flat_map(|page| page.live).collect(), dropped }
}

fn closed<'i, 'a>(opening: Opening, dropped: Vec<Dropped>) -> Boot<'i, 'a> {
    Boot { opening, live: Vec::new(), dropped }
}

/// Power may have failed after the newest item was written and before the one
/// it replaces was erased: the device looks for that one on the older pages.
fn replace_by_last_item(pages: &mut [Loaded<'_, '_>], dropped: &mut Vec<Dropped>) {
    let Some((last, older)) = pages.split_last_mut() else {
        return;
    };
    let Some(newest) = last.live.last() else {
        return;
    };
    let wanted = newest.header.item_type();
    if remove_first(older, newest, wanted, dropped) || wanted != ItemType::BlobIndex {
        return;
    }
    // A blob of version 1 rewritten as version 2.
    remove_first(older, newest, ItemType::BlobV1, dropped);
}

fn remove_first(
    pages: &mut [Loaded<'_, '_>],
    newest: &Item<'_>,
    wanted: ItemType,
    dropped: &mut Vec<Dropped>,
) -> bool {
    let is_same = |item: &&Item<'_>| {
        item.header.item_type() == wanted
            && item.header.namespace_index() == newest.header.namespace_index()
            && item.header.key() == newest.header.key()
            && item.header.chunk_index() == newest.header.chunk_index()
    };
    for page in pages {
        if page.page.state() == PageState::Freeing {
            continue;
        }
        if let Some(found) = page.live.iter().position(is_same) {
            let by = newest.header.location;
            let location = page.live.remove(found).header.location;
            let reason = DropReason::Replaced { by };
            dropped.push(Dropped { location, reason });
            return true;
        }
    }
    false
}

/// Power may have failed while a FREEING page was being copied: the device
/// erases the copy and copies again. Returns by how many pages the free ones
/// grow.
fn finish_compaction<'i, 'a>(pages: &mut Vec<Loaded<'i, 'a>>, dropped: &mut Vec<Dropped>) -> usize {
    let freeing = |page: &Loaded<'_, '_>| page.page.state() == PageState::Freeing;
    let Some(freeing) = pages.iter().position(freeing) else {
        return 0;
    };
    let mut freed = 0;
    if let Some(copy) = pages.pop_if(|last| last.page.state() == PageState::Active) {
        let lost = |location: Location| Dropped { location, reason: DropReason::PartialCopy };
        let locations = copy.live.iter().map(|item| item.header.location);
        dropped.extend(locations.map(lost));
        freed = 1;
    }
    // Its items move to the newest page; the page itself replaces that one.
    let page = pages.remove(freeing);
    pages.push(page);
    freed
}
