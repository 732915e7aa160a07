//! What differs between two device views (namespace, key, type and value), and
//! on request between two layouts. Must not print values; see [`snapshot`](mod@crate::snapshot).

use std::collections::BTreeMap;

use crate::device::DeviceView;
use crate::format::PageState;
use crate::image::{Image, Page};
use crate::key::Key;
use crate::value::Value;

/// One key that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Name of the namespace.
    pub namespace: Key,
    /// The key.
    pub key: Key,
    /// How it differs.
    pub kind: ChangeKind,
}

/// How a key differs between a first and a second view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the second has it.
    Added(Value),
    /// Only the first has it.
    Removed(Value),
    /// Both have it, with different types.
    Type {
        /// In the first.
        before: Value,
        /// In the second.
        after: Value,
    },
    /// Both have it with the same type and different values.
    Value {
        /// In the first.
        before: Value,
        /// In the second.
        after: Value,
    },
}

/// The differences, ordered by namespace and key. A key that a view holds in
/// several types counts with the one that it lists first.
pub fn diff(before: &DeviceView, after: &DeviceView) -> Vec<Change> {
    let mut keys: BTreeMap<(Key, Key), [Option<&Value>; 2]> = BTreeMap::new();
    for (side, view) in [before, after].into_iter().enumerate() {
        for entry in view.entries() {
            let sides = keys.entry((entry.namespace, entry.key)).or_default();
            sides[side].get_or_insert(&entry.value);
        }
    }
    let changes = keys.into_iter().filter_map(|((namespace, key), sides)| {
        let kind = kind(sides[0], sides[1])?;
        Some(Change { namespace, key, kind })
    });
    changes.collect()
}

fn kind(before: Option<&Value>, after: Option<&Value>) -> Option<ChangeKind> {
    match (before.cloned(), after.cloned()) {
        (Some(before), Some(after)) if before == after => None,
        (Some(before), Some(after)) if before.type_name() != after.type_name() => {
            Some(ChangeKind::Type { before, after })
        }
        (Some(before), Some(after)) => Some(ChangeKind::Value { before, after }),
        (Some(before), None) => Some(ChangeKind::Removed(before)),
        (None, Some(after)) => Some(ChangeKind::Added(after)),
        (None, None) => None,
    }
}

/// A difference in where and how things lie, be the content the same or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayoutChange {
    /// The images have different lengths in bytes.
    Length {
        /// Of the first.
        before: usize,
        /// Of the second.
        after: usize,
    },
    /// A page's state differs.
    PageState {
        /// The page.
        page: usize,
        /// In the first image.
        before: PageState,
        /// In the second image.
        after: PageState,
    },
    /// A page's sequence number differs.
    Sequence {
        /// The page.
        page: usize,
        /// In the first image.
        before: u32,
        /// In the second image.
        after: u32,
    },
    /// Entries differ, in their bytes or their states.
    Entries {
        /// Their page.
        page: usize,
        /// The first of them.
        first: usize,
        /// The last of them.
        last: usize,
    },
}

/// The differences in layout, in the order of the flash.
pub fn diff_layout(before: &Image<'_>, after: &Image<'_>) -> Vec<LayoutChange> {
    let mut changes = Vec::new();
    if before.len() != after.len() {
        let (before, after) = (before.len(), after.len());
        changes.push(LayoutChange::Length { before, after });
    }
    for (before, after) in before.pages().iter().zip(after.pages()) {
        page_changes(before, after, &mut changes);
    }
    changes
}

fn page_changes(before: &Page<'_>, after: &Page<'_>, changes: &mut Vec<LayoutChange>) {
    let page = before.index();
    if before.state() != after.state() {
        let (before, after) = (before.state(), after.state());
        changes.push(LayoutChange::PageState { page, before, after });
    }
    if before.sequence() != after.sequence() {
        let (before, after) = (before.sequence(), after.sequence());
        changes.push(LayoutChange::Sequence { page, before, after });
    }
    for (entry, (before, after)) in before.entries().zip(after.entries()).enumerate() {
        if before == after {
            continue;
        }
        match changes.last_mut() {
            Some(LayoutChange::Entries { page: same, last, .. })
                if *same == page && *last + 1 == entry =>
            {
                *last = entry
            }
            _ => changes.push(LayoutChange::Entries { page, first: entry, last: entry }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Image, Version, generate};

    fn view(entries: &[(&str, Value)]) -> DeviceView {
        let mut document = Document::new();
        for (key, value) in entries {
            document.insert("ns", key, value.clone()).unwrap();
        }
        let bytes = generate(&document, 0x3000, Version::V2).unwrap();
        Image::decode(&bytes).unwrap().device_view()
    }

    #[test]
    fn order_and_layout_do_not_matter_but_type_and_value_do() {
        let before = view(&[
            ("same", Value::U8(1)),
            ("gone", Value::U8(2)),
            ("type", Value::U8(3)),
            ("value", Value::str("a")),
        ]);
        let after = view(&[
            ("value", Value::str("b")),
            ("type", Value::I8(3)),
            ("new", Value::U8(4)),
            ("same", Value::U8(1)),
        ]);
        let changes = diff(&before, &after);
        let kinds: Vec<_> = changes.into_iter().map(|change| change.kind).collect();
        assert_eq!(
            kinds,
            [
                ChangeKind::Removed(Value::U8(2)),
                ChangeKind::Added(Value::U8(4)),
                ChangeKind::Type { before: Value::U8(3), after: Value::I8(3) },
                ChangeKind::Value { before: Value::str("a"), after: Value::str("b") },
            ]
        );
        assert_eq!(diff(&before, &before), []);
    }

    #[test]
    fn a_layout_differs_where_its_entries_do() {
        let image = |text: &str| {
            let mut document = Document::new();
            document.insert("ns", "a", Value::U8(1)).unwrap();
            document.insert("ns", "b", Value::str(text)).unwrap();
            generate(&document, 0x3000, Version::V2).unwrap()
        };
        let (before, after) = (image("x"), image(&"x".repeat(40)));
        let decode = |bytes| Image::decode(bytes).unwrap();
        assert_eq!(
            diff_layout(&decode(&before), &decode(&after)),
            [LayoutChange::Entries { page: 0, first: 2, last: 4 }]
        );
        assert_eq!(diff_layout(&decode(&before), &decode(&before)), []);
    }
}
