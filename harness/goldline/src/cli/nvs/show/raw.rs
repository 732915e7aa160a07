//! `nvs show --raw`: pages and items as they lie in the flash, with what becomes of each.
//!
//! A value that no device reads and that its CRCs prove, or prove but for one flipped bit, is
//! *recoverable*. Of the content only `--secrets` shows anything, since here a key's name is no safe hint at what a payload holds.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
};

use goldline_nvs::{
    DeviceView, Image, PageState,
    device::DropReason,
    image::{EntryState, HeaderFault, Item, Location},
    recover::recover,
};
use serde::Serialize;

use crate::cli::nvs::{opened::why_closed, value::hex};

#[derive(Serialize)]
pub(super) struct Page {
    page: usize,
    offset: usize,
    state: String,
    sequence: u32,
    version_byte: u8,
    header_crc_is_right: bool,
    blank: bool,
    items: Vec<RawItem>,
}

#[derive(Serialize)]
struct RawItem {
    entry: usize,
    offset: usize,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
    namespace_index: Option<u8>,
    key: String,
    #[serde(rename = "type")]
    kind: String,
    chunk_index: Option<u8>,
    entries: usize,
    /// Bytes of the payload, of an item that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    payload_crc_is_right: bool,
    fate: String,
    recoverable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

/// Every page with every item, in the order of the flash.
pub(super) fn pages(image: &Image<'_>, view: &DeviceView, secrets: bool) -> Vec<Page> {
    let fates = Fates::of(image, view);
    let page = |page: &goldline_nvs::image::Page<'_>| Page {
        page: page.index(),
        offset: page.offset(),
        state: page.state().to_string(),
        sequence: page.sequence(),
        version_byte: page.version_byte(),
        header_crc_is_right: page.stored_crc() == page.computed_crc(),
        blank: page.is_blank(),
        items: page.items().iter().map(|item| raw_item(item, page, &fates, secrets)).collect(),
    };
    image.pages().iter().map(page).collect()
}

/// The same as text, one line an item.
pub(super) fn text(image: &Image<'_>, view: &DeviceView, secrets: bool) -> String {
    let mut text = String::new();
    for page in pages(image, view, secrets) {
        write_page(&mut text, &page);
    }
    if !image.tail().is_empty() {
        writeln!(text, "{} bytes behind the last whole page", image.tail().len())
            .expect("a string takes all writes");
    }
    text
}

fn write_page(text: &mut String, page: &Page) {
    let Page { page: index, offset, state, sequence, version_byte, .. } = page;
    write!(text, "page {index} at {offset:#x}: {state}").expect("a string takes all writes");
    if page.blank {
        text.push('\n');
        return;
    }
    let crc = if page.header_crc_is_right { "right" } else { "wrong" };
    writeln!(text, ", sequence {sequence}, version byte {version_byte:#04x}, header CRC {crc}")
        .expect("a string takes all writes");
    for item in &page.items {
        write_item(text, item);
    }
}

fn write_item(text: &mut String, item: &RawItem) {
    let chunk = item.chunk_index.map_or_else(String::new, |index| format!("#{index:02x}"));
    let RawItem { entry, state, namespace_index, key, kind, entries, fate, .. } = item;
    let namespace = namespace_index.map_or_else(|| "?".to_owned(), |index| index.to_string());
    let recoverable = if item.recoverable { ", recoverable" } else { "" };
    write!(
        text,
        "  {entry:3} +{entries:<3} {state:7}  ns {namespace:>3}  {:13} {key:15}  {fate}{recoverable}",
        format!("{kind}{chunk}"),
    )
    .expect("a string takes all writes");
    for content in [&item.data, &item.payload].into_iter().flatten() {
        write!(text, "  {content}").expect("a string takes all writes");
    }
    text.push('\n');
}

/// What a device does with items that it does not read.
struct Fates {
    opens: bool,
    recoverable: HashSet<Location>,
    dropped: HashMap<Location, DropReason>,
}

impl Fates {
    fn of(image: &Image<'_>, view: &DeviceView) -> Self {
        let dropped = view.dropped().iter().map(|dropped| (dropped.location, dropped.reason));
        Self {
            opens: why_closed(view.opening()).is_none(),
            recoverable: recover(image).iter().map(|recovered| recovered.location).collect(),
            dropped: dropped.collect(),
        }
    }

    fn of_item(&self, item: &Item<'_>, page: &goldline_nvs::image::Page<'_>) -> String {
        if let Some(reason) = self.dropped.get(&item.header.location) {
            return format!("dropped: {}", self::reason(*reason));
        }
        let is_page_read =
            matches!(page.state(), PageState::Active | PageState::Full | PageState::Freeing)
                && page.stored_crc() == page.computed_crc();
        match item.header.state {
            EntryState::Erased => "erased".to_owned(),
            _ if !self.opens => "lost: the partition does not open".to_owned(),
            _ if !is_page_read => "lost with its page".to_owned(),
            EntryState::Written if item.fault.is_none() => "live".to_owned(),
            _ => "not an item".to_owned(),
        }
    }
}

fn raw_item(
    item: &Item<'_>,
    page: &goldline_nvs::image::Page<'_>,
    fates: &Fates,
    secrets: bool,
) -> RawItem {
    let header = &item.header;
    let fate = fates.of_item(item, page);
    let is_whole = item.fault.is_none() && item.payload_is_intact();
    // Without its CRC a header may be anything, the bytes of a secret as well.
    let is_proven = secrets || item.fault != Some(HeaderFault::Crc);
    let payload = item.payload();
    RawItem {
        entry: header.location.entry,
        offset: header.location.offset(),
        state: match header.state {
            EntryState::Empty => "empty",
            EntryState::Written => "written",
            EntryState::Erased => "erased",
            EntryState::Illegal => "illegal",
        },
        fault: item.fault.map(fault_text),
        namespace_index: is_proven.then(|| header.namespace_index()),
        key: shown_if(is_proven, header.key()),
        kind: shown_if(is_proven, header.item_type()),
        chunk_index: Some(header.chunk_index()).filter(|&index| is_proven && index != u8::MAX),
        entries: item.entries,
        length: payload.map(<[u8]>::len),
        payload_crc_is_right: is_whole,
        recoverable: fates.recoverable.contains(&header.location),
        fate: match item.fault {
            Some(fault) if header.state == EntryState::Written => {
                format!("{fate} ({})", fault_text(fault))
            }
            _ => fate,
        },
        data: secrets.then(|| hex(&header.data())),
        payload: payload.filter(|_| secrets).map(hex),
    }
}

fn shown_if(is_proven: bool, value: impl ToString) -> String {
    if is_proven { value.to_string() } else { "?".to_owned() }
}

fn fault_text(fault: HeaderFault) -> &'static str {
    match fault {
        HeaderFault::Crc => "header CRC wrong",
        HeaderFault::Type => "unknown type",
        HeaderFault::Span => "wrong span",
        HeaderFault::Size => "wrong size",
        HeaderFault::Chunk => "wrong chunk index",
    }
}

/// Why a device gives something up, in a few words.
pub(super) fn reason(reason: DropReason) -> String {
    match reason {
        DropReason::Header => "damaged header".to_owned(),
        DropReason::Torn => "written and not recorded".to_owned(),
        DropReason::BehindGap => "behind a gap".to_owned(),
        DropReason::PayloadState => "payload not recorded as written".to_owned(),
        DropReason::Replaced { by } => format!("replaced by {by}"),
        DropReason::Shadowed { by } => format!("shadowed by {by}"),
        DropReason::PartialCopy => "on a page with a partial copy".to_owned(),
        DropReason::PayloadCrc => "payload CRC wrong".to_owned(),
        DropReason::BlobMismatch { promised, found, .. } => {
            format!("index of {promised} bytes, chunks of {found}")
        }
        DropReason::OrphanChunk { .. } => "chunk without an index".to_owned(),
        DropReason::NoNamespace => "namespace without a definition".to_owned(),
    }
}
