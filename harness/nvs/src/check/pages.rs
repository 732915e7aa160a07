//! Findings about a page's header.

use super::repair::{Flip, single_flip};
use super::{Code, Finding, Repair, Severity};
use crate::format::{EntryState, PageState, header, is_blank};
use crate::image::{Item, Page};

pub(super) fn check(page: &Page<'_>, findings: &mut Vec<Finding>) {
    let finding = match page.state() {
        PageState::Empty if page.is_blank() => return,
        PageState::Empty => dirty(page),
        _ if page.stored_crc() != page.computed_crc() => crc(page),
        _ if page.version_byte() < 0xFE => version(page),
        PageState::Corrupt | PageState::Unknown(_) => state(page),
        PageState::Freeing => freeing(page),
        PageState::Active | PageState::Full => return,
    };
    findings.push(finding);
}

fn dirty(page: &Page<'_>) -> Finding {
    // A device writes a page's header before anything else in it.
    let severity = match is_blank(&page.bytes()[header::CRC + 4..]) {
        true => Severity::PowerLoss,
        false => Severity::Corruption,
    };
    let first = page.bytes().iter().position(|&byte| byte != 0xFF);
    let offset = page.offset() + first.unwrap_or(0);
    let lost = match live_items(page) {
        0 => "nothing is lost".to_owned(),
        items => format!("{items} live items on it are lost"),
    };
    let mut finding = Finding::of_page(Code::PageDirty, severity, page.index(), offset).saying(
        "the page is marked EMPTY and holds written bytes",
        format!("a device takes it for CORRUPT and erases it when it needs a page; {lost}"),
    );
    finding.repair = state_repair(page);
    finding
}

fn crc(page: &Page<'_>) -> Finding {
    let (stored, computed) = (page.stored_crc(), page.computed_crc());
    let offset = page.offset() + header::CRC;
    let severity = Severity::Corruption;
    let mut finding = Finding::of_page(Code::PageCrc, severity, page.index(), offset).saying(
        format!("the header's CRC is {stored:08x}, its bytes have {computed:08x}"),
        format!(
            "a device takes the page for CORRUPT: {} live items on it are lost",
            live_items(page)
        ),
    );
    let flip = header_flip(page);
    finding.repair = flip.map(|(byte, bit)| Repair::at(page.offset() + byte, bit));
    finding
}

/// The bit of a damaged header that restores its CRC: byte of the page, bit.
fn header_flip(page: &Page<'_>) -> Option<(usize, u8)> {
    let (stored, computed) = (page.stored_crc(), page.computed_crc());
    Some(match single_flip(stored, computed, header::CRC - header::SEQUENCE)? {
        Flip::Covered { byte, bit } => (header::SEQUENCE + byte, bit),
        Flip::Crc { byte, bit } => (header::CRC + byte, bit),
    })
}

/// The sequence number of a page, its header mended where one bit is flipped.
pub(crate) fn mended_sequence(page: &Page<'_>) -> Option<u32> {
    if page.stored_crc() == page.computed_crc() {
        return Some(page.sequence());
    }
    let (byte, bit) = header_flip(page)?;
    Some(match byte {
        header::SEQUENCE..header::VERSION => {
            let bit = (byte - header::SEQUENCE) as u32 * 8 + u32::from(bit);
            page.sequence() ^ 1 << bit
        }
        _ => page.sequence(),
    })
}

fn version(page: &Page<'_>) -> Finding {
    let offset = page.offset() + header::VERSION;
    Finding::of_page(Code::PageVersion, Severity::Corruption, page.index(), offset).saying(
        format!("the version byte {:#04x} means a newer format", page.version_byte()),
        "a device fails to open the partition with ESP_ERR_NVS_NEW_VERSION_FOUND",
    )
}

fn state(page: &Page<'_>) -> Finding {
    let severity = Severity::Corruption;
    let offset = page.offset();
    let mut finding = Finding::of_page(Code::PageState, severity, page.index(), offset).saying(
        format!("the page's state is {}", page.state()),
        format!("a device discards the page: {} live items on it are lost", live_items(page)),
    );
    finding.repair = state_repair(page);
    finding
}

/// The bit of the state word that makes a page readable, its header and its
/// items being sound, when there is only one. CORRUPT is a state that devices
/// write, and so none that a flipped bit explains best.
fn state_repair(page: &Page<'_>) -> Option<Repair> {
    let is_sound = page.stored_crc() == page.computed_crc()
        && page.state() != PageState::Corrupt
        && live_items(page) > 0
        && page.items().iter().all(|item| !is_damaged(item));
    if !is_sound {
        return None;
    }
    const POSSIBLE: [PageState; 4] =
        [PageState::Active, PageState::Full, PageState::Freeing, PageState::Corrupt];
    let difference = |state: PageState| state.word() ^ page.state().word();
    let mut nearest = POSSIBLE.into_iter().filter(|state| difference(*state).count_ones() == 1);
    match (nearest.next(), nearest.next()) {
        (Some(state), None) if state != PageState::Corrupt => {
            let bit = difference(state).trailing_zeros();
            Some(Repair::at(page.offset() + bit as usize / 8, (bit % 8) as u8))
        }
        _ => None,
    }
}

fn is_damaged(item: &Item<'_>) -> bool {
    item.header.state == EntryState::Written
        && (item.fault.is_some() || item.differing_state().is_some() || !item.payload_is_intact())
}

fn freeing(page: &Page<'_>) -> Finding {
    let severity = Severity::PowerLoss;
    Finding::of_page(Code::PageFreeing, severity, page.index(), page.offset()).saying(
        "the page is FREEING: power failed while its items were being copied",
        "a device erases the newest ACTIVE page, a partial copy, and copies again",
    )
}

fn live_items(page: &Page<'_>) -> usize {
    let live = page
        .items()
        .iter()
        .filter(|item| item.fault.is_none() && item.header.state == EntryState::Written);
    live.count()
}
