//! `nvs show --format json`: the device's view as one document.
//!
//! ```text
//! { "schema": 1, "image", "bytes", "encrypted", "verdict": "sound|interrupted|damaged",
//!   "opens": true, "error": null | "ESP_ERR_…", "namespaces": ["…"],
//!   "entries": [{"namespace","key","type","length","secret","value","record","page","entry","offset"}],
//!   "dropped": [{"page","entry","offset","reason"}], "pages": [see `raw`] }
//! ```
//! `value` is missing for a secret, `pages` without `--raw`. `record` are the fields of a record of
//! ESP-IDF, `partition` is the part of a dump or of a file that was named. Offsets and lengths are
//! bytes, from the partition's start.

use std::path::Path;

use goldline_nvs::{
    DeviceView,
    device::{DeviceEntry, Dropped},
    record::{self, Record},
};
use serde::Serialize;

use super::{OpenedImage, Secrets, Soundness, raw, why_closed};
use crate::cli::nvs::{opened::PartOfDump, value::Content};

#[derive(Serialize)]
pub(super) struct Document<'a> {
    schema: u32,
    image: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<PartOfDump<'a>>,
    bytes: usize,
    encrypted: bool,
    verdict: Soundness,
    opens: bool,
    error: Option<&'static str>,
    namespaces: Vec<String>,
    entries: Vec<Entry>,
    dropped: Vec<DroppedItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<Vec<raw::Page>>,
}

#[derive(Serialize)]
struct Entry {
    namespace: String,
    key: String,
    #[serde(rename = "type")]
    kind: &'static str,
    length: usize,
    secret: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Vec<Field>>,
    page: usize,
    entry: usize,
    offset: usize,
}

/// A field of a record; its secrets are masked, since the whole value shows them where they may be.
#[derive(Serialize)]
struct Field {
    name: String,
    content: String,
}

impl Field {
    fn of(field: &record::Field) -> Self {
        Self { name: field.name.clone(), content: field.content.to_string() }
    }
}

#[derive(Serialize)]
struct DroppedItem {
    page: usize,
    entry: usize,
    offset: usize,
    reason: String,
}

impl<'a> Document<'a> {
    pub(super) fn of(
        opened: &'a OpenedImage,
        view: &DeviceView,
        verdict: Soundness,
        secrets: &Secrets,
        shows_secrets: bool,
    ) -> Self {
        let entry = |entry| Entry::of(entry, secrets, shows_secrets);
        let error = why_closed(view.opening());
        Self {
            schema: 1,
            image: opened.path(),
            partition: opened.part().map(PartOfDump::of),
            bytes: opened.plain().len(),
            encrypted: opened.is_encrypted(),
            verdict,
            opens: error.is_none(),
            error,
            namespaces: view.namespaces().iter().map(ToString::to_string).collect(),
            entries: view.entries().iter().map(entry).collect(),
            dropped: view.dropped().iter().map(DroppedItem::of).collect(),
            pages: None,
        }
    }

    /// The same with what lies in the flash, if that is wanted.
    pub(super) fn with_pages(self, pages: Option<Vec<raw::Page>>) -> Self {
        Self { pages, ..self }
    }
}

impl Entry {
    fn of(entry: &DeviceEntry, secrets: &Secrets, shows_secrets: bool) -> Self {
        let secret = secrets.is_secret(&entry.namespace, &entry.key, &entry.value);
        let is_shown = shows_secrets || !secret;
        Self {
            namespace: entry.namespace.to_string(),
            key: entry.key.to_string(),
            kind: entry.value.type_name(),
            length: entry.value.len(),
            secret,
            value: is_shown.then(|| Content::of(&entry.value)),
            record: Record::read(&entry.namespace, &entry.key, &entry.value)
                .map(|record| record.fields().iter().map(Field::of).collect()),
            page: entry.location.page,
            entry: entry.location.entry,
            offset: entry.location.offset(),
        }
    }
}

impl DroppedItem {
    fn of(dropped: &Dropped) -> Self {
        Self {
            page: dropped.location.page,
            entry: dropped.location.entry,
            offset: dropped.location.offset(),
            reason: raw::reason(dropped.reason),
        }
    }
}
