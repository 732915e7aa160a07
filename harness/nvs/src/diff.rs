//! What differs between two device views: namespace, key, type and value,
//! never the layout. Must not print values; see [`snapshot`](mod@crate::snapshot).

use std::collections::BTreeMap;

use crate::device::DeviceView;
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
}
