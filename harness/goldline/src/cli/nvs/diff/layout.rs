//! How the same content lies differently: pages by their headers, keys by their places, and how
//! many bytes differ in all. Shows no content.

use std::fmt;

use goldline_nvs::{DeviceView, Image, image::Location};

/// One difference of layout.
pub(super) enum LayoutChange {
    Length { before: usize, after: usize },
    Page { page: usize, before: String, after: String },
    Moved { name: String, before: Location, after: Location },
    Bytes { count: usize, first: usize },
}

impl fmt::Display for LayoutChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayoutChange::Length { before, after } => {
                write!(f, "the image has {before:#x} bytes, then {after:#x}")
            }
            LayoutChange::Page { page, before, after } => {
                write!(f, "page {page} is {before}, then {after}")
            }
            LayoutChange::Moved { name, before, after } => {
                write!(f, "{name} lies at {before}, then at {after}")
            }
            LayoutChange::Bytes { count, first } => {
                write!(f, "{count} bytes differ, the first at {first:#x}")
            }
        }
    }
}

pub(super) fn compare(
    a: &Image<'_>,
    before: &DeviceView,
    b: &Image<'_>,
    after: &DeviceView,
) -> Vec<LayoutChange> {
    let mut changes = Vec::new();
    if a.len() != b.len() {
        changes.push(LayoutChange::Length { before: a.len(), after: b.len() });
    }
    changes.extend(pages(a, b));
    changes.extend(moved(before, after));
    changes.extend(bytes(a, b));
    changes
}

fn pages(a: &Image<'_>, b: &Image<'_>) -> Vec<LayoutChange> {
    let header = |page: &goldline_nvs::image::Page<'_>| match page.is_blank() {
        true => "blank".to_owned(),
        false => {
            let (state, sequence, version) = (page.state(), page.sequence(), page.version_byte());
            format!("{state} with sequence {sequence} and version byte {version:#04x}")
        }
    };
    let pairs = a.pages().iter().zip(b.pages());
    let changes = pairs.map(|(a, b)| (a.index(), header(a), header(b)));
    changes
        .filter(|(_, before, after)| before != after)
        .map(|(page, before, after)| LayoutChange::Page { page, before, after })
        .collect()
}

fn moved(before: &DeviceView, after: &DeviceView) -> Vec<LayoutChange> {
    let find = |wanted: &goldline_nvs::device::DeviceEntry| {
        let is_same = |entry: &&goldline_nvs::device::DeviceEntry| {
            entry.namespace == wanted.namespace
                && entry.key == wanted.key
                && entry.value.type_name() == wanted.value.type_name()
        };
        after.entries().iter().find(is_same)
    };
    let pairs = before.entries().iter().filter_map(|entry| Some((entry, find(entry)?)));
    pairs
        .filter(|(before, after)| before.location != after.location)
        .map(|(before, after)| LayoutChange::Moved {
            name: format!("{}/{}", before.namespace, before.key),
            before: before.location,
            after: after.location,
        })
        .collect()
}

fn bytes(a: &Image<'_>, b: &Image<'_>) -> Option<LayoutChange> {
    let pairs = a.pages().iter().zip(b.pages());
    let differing: Vec<usize> = pairs
        .flat_map(|(a, b)| {
            let bytes = a.bytes().iter().zip(b.bytes()).enumerate();
            let differing = bytes.filter(|(_, (a, b))| a != b);
            differing.map(move |(at, _)| a.offset() + at)
        })
        .collect();
    let &first = differing.first()?;
    Some(LayoutChange::Bytes { count: differing.len(), first })
}
