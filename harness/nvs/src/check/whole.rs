//! Findings about the image as a whole, and about what a device gives up
//! because of how its parts relate.

use std::collections::{HashMap, HashSet};

use super::{Code, Finding, Severity, items};
use crate::device::{DeviceView, DropReason, Dropped, Opening};
use crate::format::{EntryState, NAMESPACE_DEFINITIONS, PageState};
use crate::identify::{self, Kind};
use crate::image::{Image, Location};
use crate::key::Key;
use crate::limits::PAGE_BYTES;
use crate::value::ItemType;

/// The one thing to say of an image that cannot be judged in detail.
pub(super) fn check_kind(image: &Image<'_>) -> Option<Finding> {
    let severity = Severity::Corruption;
    match identify::of_image(image) {
        Kind::EncryptedNvs => Some(Finding::of_image(Code::LooksEncrypted, severity, 0).saying(
            "the pages are sound and no entry is readable: the image is encrypted",
            "only a device or a tool with its keys can read it",
        )),
        Kind::Other => Some(Finding::of_image(Code::NotNvs, severity, 0).saying(
            "no page looks like NVS",
            "a device takes every page for CORRUPT and starts empty",
        )),
        _ => None,
    }
}

pub(super) fn check(image: &Image<'_>, view: &DeviceView, findings: &mut Vec<Finding>) {
    size(image, findings);
    sequences(image, findings);
    active_pages(image, findings);
    namespace_indexes(image, findings);
    if view.opening() == Opening::NoFreePages {
        no_empty_page(image, Severity::Corruption, findings);
    } else if view.opening() == Opening::ReadOnly && !has_empty_page(image) {
        no_empty_page(image, Severity::Note, findings);
    }
}

fn size(image: &Image<'_>, findings: &mut Vec<Finding>) {
    let tail = image.tail().len();
    if tail > 0 {
        let offset = image.len() - tail;
        findings.push(Finding::of_image(Code::ImageSize, Severity::Corruption, offset).saying(
            format!("{tail} bytes follow the last whole page of {PAGE_BYTES}"),
            "the image is cut short or no partition: read it again",
        ));
    }
}

fn sequences(image: &Image<'_>, findings: &mut Vec<Finding>) {
    let mut first_with = HashMap::new();
    for page in image.pages() {
        if !page.state().holds_items() || page.stored_crc() != page.computed_crc() {
            continue;
        }
        let Some(first) = first_with.insert(page.sequence(), page.index()) else {
            continue;
        };
        let offset = page.offset() + crate::format::header::SEQUENCE;
        findings.push(
            Finding::of_page(Code::DupSeq, Severity::Corruption, page.index(), offset).saying(
                format!(
                    "pages {first} and {} share the sequence number {}",
                    page.index(),
                    page.sequence()
                ),
                "which of two values of a key is the newer one is left to chance",
            ),
        );
    }
}

fn active_pages(image: &Image<'_>, findings: &mut Vec<Finding>) {
    let in_state = |state| {
        let pages = image.pages().iter().filter(move |page| page.state() == state);
        pages.map(|page| page.index()).collect::<Vec<_>>()
    };
    let (active, full) = (in_state(PageState::Active), in_state(PageState::Full));
    if let [first, .., last] = active[..] {
        // No device does this, but older generators left such images.
        let finding = Finding::of_page(Code::ActivePages, Severity::Note, last, last * PAGE_BYTES);
        findings.push(finding.saying(
            format!("pages {first} to {last} hold {} ACTIVE ones", active.len()),
            "a device writes to the one with the highest sequence number only",
        ));
    }
    if let (true, [.., last]) = (active.is_empty(), &full[..]) {
        let offset = last * PAGE_BYTES;
        findings.push(Finding::of_page(Code::NoActivePage, Severity::Note, *last, offset).saying(
            "there are FULL pages and no ACTIVE one",
            "a device opens a new page at its next write",
        ));
    }
}

fn namespace_indexes(image: &Image<'_>, findings: &mut Vec<Finding>) {
    let mut names: HashMap<u8, Key> = HashMap::new();
    let pages = image.pages().iter().filter(|page| page.state().holds_items());
    for item in pages.flat_map(|page| page.items()) {
        let header = &item.header;
        let defines = header.namespace_index() == NAMESPACE_DEFINITIONS
            && header.item_type() == ItemType::U8
            && header.state == EntryState::Written
            && item.fault.is_none();
        if !defines {
            continue;
        }
        let (index, name) = (header.data()[0], header.key());
        let finding = Finding::at(Code::NamespaceIndex, Severity::Corruption, header.location);
        match names.insert(index, name) {
            _ if [0, 255].contains(&index) => findings.push(finding.saying(
                format!("the namespace {name} has the reserved index {index}"),
                "a firmware that opens it damages or misses the definitions",
            )),
            Some(other) if other != name => findings.push(finding.saying(
                format!("the namespaces {other} and {name} share the index {index}"),
                "a firmware finds the keys of one under both names",
            )),
            _ => {}
        }
    }
}

fn has_empty_page(image: &Image<'_>) -> bool {
    let mut pages = image.pages().iter();
    pages.any(|page| !page.state().holds_items())
}

fn no_empty_page(image: &Image<'_>, severity: Severity, findings: &mut Vec<Finding>) {
    let consequence = match severity {
        Severity::Note => "a device opens it only where the partition table says readonly",
        _ => "a device fails to open the partition with ESP_ERR_NVS_NO_FREE_PAGES",
    };
    findings.push(
        Finding::of_image(Code::NoEmptyPage, severity, 0)
            .saying(format!("none of the {} pages is EMPTY", image.pages().len()), consequence),
    );
}

/// What [`items`] cannot see, each item being sound in itself.
pub(super) fn check_dropped(image: &Image<'_>, view: &DeviceView, findings: &mut Vec<Finding>) {
    let newest = newest_live(image);
    let being_erased = blobs_being_erased(image);
    for dropped in view.dropped() {
        let &Dropped { location, reason } = dropped;
        let Some(mut finding) = about(dropped, newest) else { continue };
        match reason {
            DropReason::Torn => {
                finding.repair = image.item_at(location).and_then(items::unrecorded_repair);
            }
            DropReason::OrphanChunk { .. } => {
                let chunk = image.pages()[location.page].entry(location.entry);
                if being_erased.contains(&(chunk.namespace_index(), chunk.key())) {
                    finding.severity = Severity::PowerLoss;
                }
            }
            _ => {}
        }
        findings.push(finding);
    }
}

/// Namespace and key of blobs of which only the index is erased: a device erases it before the
/// chunks.
fn blobs_being_erased(image: &Image<'_>) -> HashSet<(u8, Key)> {
    let in_use = image.pages().iter().filter(|page| page.state().holds_items());
    let indexes = in_use
        .flat_map(|page| page.items())
        .filter(|item| item.header.item_type() == ItemType::BlobIndex && item.fault.is_none());
    let (mut erased, mut live) = (HashSet::new(), HashSet::new());
    for item in indexes {
        let blobs = if item.header.state == EntryState::Erased { &mut erased } else { &mut live };
        blobs.insert((item.header.namespace_index(), item.header.key()));
    }
    erased.retain(|blob| !live.contains(blob));
    erased
}

/// The last live item of the page with the highest sequence number: only it can
/// be the one during whose writing power failed.
fn newest_live(image: &Image<'_>) -> Option<Location> {
    let in_use = image.pages().iter().filter(|page| page.state().holds_items());
    let newest = in_use.max_by_key(|page| page.sequence())?;
    let live = newest
        .items()
        .iter()
        .rev()
        .find(|item| item.header.state == EntryState::Written && item.fault.is_none());
    Some(live?.header.location)
}

fn about(dropped: &Dropped, newest: Option<Location>) -> Option<Finding> {
    let &Dropped { location, reason } = dropped;
    let is_newest = |location| newest == Some(location);
    let power_loss_if = |is_power_loss| match is_power_loss {
        true => Severity::PowerLoss,
        false => Severity::Corruption,
    };
    Some(match reason {
        // Said by `items` and `pages`, with the details.
        DropReason::Header
        | DropReason::PayloadState
        | DropReason::PayloadCrc
        | DropReason::PartialCopy => return None,
        DropReason::Torn => Finding::at(Code::TornWrite, Severity::PowerLoss, location).saying(
            "the entry is written and not recorded in the bitmap: power failed in between",
            "a device marks it erased at boot; the value before it stays",
        ),
        DropReason::BehindGap => {
            Finding::at(Code::BehindGap, Severity::Corruption, location).saying(
                "a live item lies behind an entry that is marked empty",
                "a device erases it at boot or never reads it",
            )
        }
        DropReason::Replaced { by } => {
            Finding::at(Code::DuplicateKey, power_loss_if(is_newest(by)), location).saying(
                format!("the key is set again at {by}"),
                "the newer value wins; a device erases this one at boot",
            )
        }
        DropReason::Shadowed { by } => {
            Finding::at(Code::DuplicateKey, Severity::Corruption, location).saying(
                format!("the key is set already at {by}"),
                "a firmware reads that one and never this one",
            )
        }
        DropReason::BlobMismatch {
            promised,
            found,
            promised_chunks,
            found_chunks,
        } => Finding::at(Code::BlobSize, power_loss_if(is_newest(location)), location).saying(
            format!(
                "the blob index promises {promised} bytes in {promised_chunks} chunks, there are {found} in {found_chunks}"
            ),
            "a device deletes the index at boot: the key is lost",
        ),
        DropReason::OrphanChunk { other_version } => {
            let severity = power_loss_if(other_version || is_newest(location));
            let message = match other_version {
                true => "a chunk of another version of a whole blob: an update or its clean-up was interrupted",
                false => "a chunk of a blob without an index",
            };
            Finding::at(Code::OrphanChunk, severity, location)
                .saying(message, "a device deletes it at boot")
        }
        DropReason::NoNamespace => {
            Finding::at(Code::NoNamespace, Severity::Corruption, location).saying(
                "the item's namespace index has no definition",
                "a firmware cannot reach it, and its entries stay taken",
            )
        }
    })
}
