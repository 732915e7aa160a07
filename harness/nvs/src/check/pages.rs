//! Findings about a page's header.

use super::repair::{Flip, single_flip};
use super::{Code, Finding, Severity};
use crate::format::{PageState, header, is_blank};
use crate::image::Page;

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
    Finding::of_page(Code::PageDirty, severity, page.index(), offset).saying(
        "the page is marked EMPTY and holds written bytes",
        "a device takes it for CORRUPT and erases it when it needs a page; nothing is lost",
    )
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
    let flip = single_flip(stored, computed, header::CRC - header::SEQUENCE);
    finding.repair = flip.map(|flip| {
        let (byte, bit) = match flip {
            Flip::Covered { byte, bit } => (header::SEQUENCE + byte, bit),
            Flip::Crc { byte, bit } => (header::CRC + byte, bit),
        };
        format!("flipping bit {bit} of byte {byte} of the page restores the CRC")
    });
    finding
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
    Finding::of_page(Code::PageState, severity, page.index(), page.offset()).saying(
        format!("the page's state is {}", page.state()),
        format!("a device discards the page: {} live items on it are lost", live_items(page)),
    )
}

fn freeing(page: &Page<'_>) -> Finding {
    let severity = Severity::PowerLoss;
    Finding::of_page(Code::PageFreeing, severity, page.index(), page.offset()).saying(
        "the page is FREEING: power failed while its items were being copied",
        "a device erases the newest ACTIVE page, a partial copy, and copies again",
    )
}

fn live_items(page: &Page<'_>) -> usize {
    let live = page.items().iter().filter(|item| {
        item.fault.is_none() && item.header.state == crate::image::EntryState::Written
    });
    live.count()
}
