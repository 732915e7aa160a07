//! Findings about one item at a time, as it lies in flash.
//!
//! Only live items count: what is erased or never recorded may be anything.

use std::borrow::Cow;

use super::repair::{Flip, single_flip};
use super::{Code, Finding, Repair, Severity};
use crate::format::{EntryState, PageState, crc32, entry};
use crate::image::{Entry, HeaderFault, Item, Location, Page};
use crate::key::Key;
use crate::limits::ENTRY_BYTES;
use crate::value::ItemType;

pub(super) fn check(page: &Page<'_>, findings: &mut Vec<Finding>) {
    if !page.state().holds_items() {
        return;
    }
    // On the ACTIVE page the device itself looks for what is not recorded.
    let is_closed = page.state() != PageState::Active;
    for item in page.items() {
        match (item.header.state, item.fault) {
            (EntryState::Erased, None) => findings.extend(lost_header(item)),
            (EntryState::Empty, None) if is_closed => findings.extend(lost_record(item)),
            (EntryState::Erased | EntryState::Empty, _) => {}
            (EntryState::Illegal, _) => findings.push(illegal_state(item)),
            (EntryState::Written, Some(fault)) => findings.push(header(item, fault)),
            (EntryState::Written, None) => sound_header(item, findings),
        }
    }
}

fn sound_header(item: &Item<'_>, findings: &mut Vec<Finding>) {
    let key = item.header.key();
    if !key.is_well_formed() {
        findings.push(at(item, Code::BadKey, Severity::Corruption).saying(
            format!("the key field of {key} is not a name of 1 to 15 bytes padded with NUL"),
            "a firmware may never find it",
        ));
    }
    if item.differing_state().is_some() || item.header.item_type().has_payload() {
        payload(item, findings);
    }
}

fn payload(item: &Item<'_>, findings: &mut Vec<Finding>) {
    if let Some((at_entry, state)) = item.differing_state() {
        let message = format!("entry {at_entry} of its payload is marked {state:?}");
        let dropped = "a device erases the item at boot";
        let severity = severity_of(item, state);
        let mut finding = at(item, Code::PayloadState, severity).saying(message, dropped);
        finding.repair = payload_state_repair(item, at_entry, state);
        findings.push(finding);
        return;
    }
    let Some(bytes) = item.payload() else { return };
    if !item.payload_is_intact() {
        findings.push(data_crc(item, bytes));
    } else if item.header.item_type() == ItemType::Str && bytes.last() != Some(&0) {
        findings.push(
            at(item, Code::NoNul, Severity::Corruption)
                .saying("the string does not end with a NUL", "a firmware reads past its end"),
        );
    }
}

/// A device writes the header first and the payload after; nothing follows
/// until both are recorded.
fn severity_of(item: &Item<'_>, state: EntryState) -> Severity {
    let end = item.header.location.entry + item.entries;
    let erased_from_behind = state == EntryState::Erased;
    match item.is_last_before(end) && state == EntryState::Empty || erased_from_behind {
        true => Severity::PowerLoss,
        false => Severity::Corruption,
    }
}

/// The state of the one payload entry that is not recorded as the others are,
/// when no interrupted write or erase of a device leaves it so.
fn payload_state_repair(item: &Item<'_>, at_entry: usize, state: EntryState) -> Option<Repair> {
    let Location { page, entry } = item.header.location;
    let end = entry + item.entries;
    let is_interrupted = match state {
        EntryState::Empty => item.is_last_before(end),
        // A device erases from behind.
        _ => at_entry + 1 == end,
    };
    let is_certain =
        !is_interrupted && item.differing_states().count() == 1 && item.payload_is_intact();
    is_certain.then(|| Repair::of_entry_state(Location { page, entry: at_entry }, state))?
}

/// An erased header before a live payload. A device erases from behind, so it
/// was not the device that erased it.
fn lost_header(item: &Item<'_>) -> Option<Finding> {
    let (_, EntryState::Written) = item.differing_state()? else {
        return None;
    };
    let mut finding = at(item, Code::PayloadState, Severity::Corruption).saying(
        format!("the header of {} is marked erased, its payload is not", item.header.key()),
        "a device erases the payload at boot: the key is lost",
    );
    finding.repair = header_state_repair(item);
    Some(finding)
}

/// A sound item on a page that takes no more entries, its header marked empty.
fn lost_record(item: &Item<'_>) -> Option<Finding> {
    let repair = unrecorded_repair(item)?;
    let mut finding = at(item, Code::EntryState, Severity::Corruption).saying(
        format!("the entry of {} is marked empty, and what follows it is not", item.header.key()),
        "a device passes over it: the key is lost",
    );
    finding.repair = Some(repair);
    Some(finding)
}

/// The state of a header that is marked empty, when more was recorded behind
/// it: a device writes nothing more until the item is recorded or erased.
pub(super) fn unrecorded_repair(item: &Item<'_>) -> Option<Repair> {
    let end = item.header.location.entry + item.entries;
    let is_certain = item.fault.is_none() && !item.is_last_before(end);
    is_certain.then(|| header_state_repair(item))?
}

/// The state of a header that differs from that of its whole and sound payload.
fn header_state_repair(item: &Item<'_>) -> Option<Repair> {
    let mut differing = item.differing_states();
    let is_whole = differing.clone().count() == item.entries - 1
        && differing.all(|(_, state)| state == EntryState::Written)
        && item.payload_is_intact();
    is_whole.then(|| Repair::of_entry_state(item.header.location, item.header.state))?
}

fn data_crc(item: &Item<'_>, bytes: &[u8]) -> Finding {
    let what = match item.header.item_type() {
        ItemType::BlobData => "the whole blob is lost: a device finds no value for its key",
        _ => "a firmware gets ESP_ERR_NVS_NOT_FOUND, and the device erases the item",
    };
    let mut finding = at(item, Code::DataCrc, Severity::Corruption).saying(
        // Neither CRC is shown: it tells a guesser whether he has found the secret that it is of.
        "the payload's bytes do not match the CRC in its header",
        what,
    );
    let payload = item.header.location.offset() + ENTRY_BYTES;
    let flip = payload_flip(&item.header, bytes);
    finding.repair = flip.map(|(byte, bit)| Repair::at(payload + byte, bit));
    finding
}

fn header(item: &Item<'_>, fault: HeaderFault) -> Finding {
    let header = &item.header;
    let (code, message) = match fault {
        HeaderFault::Crc => return header_crc(item),
        HeaderFault::Type => (
            Code::UnknownType,
            format!("the type {} is not one the format defines", header.item_type()),
        ),
        HeaderFault::Span => (
            Code::Span,
            format!(
                "the span is {}, which a {} here cannot have",
                header.span(),
                header.item_type()
            ),
        ),
        HeaderFault::Size => (
            Code::ItemSize,
            format!("the size is larger than a {} here can be", header.item_type()),
        ),
        HeaderFault::Chunk => (
            Code::ChunkIndex,
            format!(
                "the chunk index is {:#04x}, which a {} cannot have",
                header.chunk_index(),
                header.item_type()
            ),
        ),
    };
    at(item, code, Severity::Corruption).saying(
        format!("{message} (key {})", header.key()),
        "a device erases the item at boot; before ESP-IDF 5.3 it may stop or misread",
    )
}

fn header_crc(item: &Item<'_>) -> Finding {
    let behind = match item.entries - 1 {
        0 => String::new(),
        entries => format!(" and the {entries} entries behind it"),
    };
    let mut finding = at(item, Code::EntryCrc, Severity::Corruption).saying(
        "the entry's bytes do not match its CRC",
        format!("a device erases it{behind} at boot: the key is lost"),
    );
    finding.repair = header_repair(item);
    finding
}

/// The bit of a damaged header that restores its CRC: byte of the entry, bit.
fn entry_flip(item: &Item<'_>) -> Option<(usize, u8)> {
    let (stored, computed) = (item.header.stored_crc(), item.header.computed_crc());
    let flip = single_flip(stored, computed, item.header.bytes.len() - 4)?;
    Some(match flip {
        Flip::Covered { byte, bit } if byte < entry::CRC => (byte, bit),
        Flip::Covered { byte, bit } => (byte + 4, bit),
        Flip::Crc { byte, bit } => (entry::CRC + byte, bit),
    })
}

/// A header damaged in one bit, as it was before.
pub(crate) fn mended_header(item: &Item<'_>) -> Option<[u8; ENTRY_BYTES]> {
    if item.fault != Some(HeaderFault::Crc) {
        return None;
    }
    let (byte, bit) = entry_flip(item)?;
    let mut header = *item.header.bytes;
    header[byte] ^= 1 << bit;
    Some(header)
}

/// A payload damaged in one bit, as it was before: given its header, which may
/// be a mended one, and the bytes of its entries. A sound payload is returned
/// as it is.
pub(crate) fn mended_payload<'p>(header: &Entry<'_>, entries: &'p [u8]) -> Option<Cow<'p, [u8]>> {
    let payload = entries.get(..header.payload_size())?;
    if header.payload_crc() == crc32(payload) {
        return Some(Cow::Borrowed(payload));
    }
    let (byte, bit) = payload_flip(header, payload)?;
    let mut mended = payload.to_vec();
    mended[byte] ^= 1 << bit;
    Some(Cow::Owned(mended))
}

/// The bit of a damaged payload that restores its CRC: byte of the payload, bit.
fn payload_flip(header: &Entry<'_>, payload: &[u8]) -> Option<(usize, u8)> {
    match single_flip(header.payload_crc(), crc32(payload), payload.len())? {
        Flip::Covered { byte, bit } => Some((byte, bit)),
        // The stored CRC is part of the header, whose own CRC says that it is as written.
        Flip::Crc { .. } => None,
    }
}

fn header_repair(item: &Item<'_>) -> Option<Repair> {
    let (byte, bit) = entry_flip(item)?;
    let key = (entry::KEY..entry::DATA).contains(&byte).then(|| {
        let mut field = *item.header.key().field();
        field[byte - entry::KEY] ^= 1 << bit;
        Key::from_field(field)
    });
    Some(Repair { key, ..Repair::at(item.header.location.offset() + byte, bit) })
}

fn illegal_state(item: &Item<'_>) -> Finding {
    at(item, Code::EntryState, Severity::Corruption).saying(
        "the entry's state bits are 01, which nothing writes",
        "a device erases the entry at boot",
    )
}

fn at(item: &Item<'_>, code: Code, severity: Severity) -> Finding {
    Finding::at(code, severity, item.header.location)
}
