//! What can be wrong with an NVS image, done to its bytes: what comes out is what a device could have written, or a
//! bench.

use std::sync::Arc;

use goldline_nvs::{
    DeviceView, Document, Image, PageState, Value, Version, edit::Editor, generate,
};

const PAGE: usize = 4096;
const BITMAP: usize = 32;
const FIRST_ENTRY: usize = 64;
const ENTRY: usize = 32;
/// Of a page's header: its sequence number, the bytes that its CRC covers, and the CRC.
const SEQUENCE: usize = 4;
const CRC: usize = 28;
/// A key that no product has.
pub(super) const STRANGER: &str = "left_behind";
/// A namespace that no product has.
pub(super) const ELSEWHERE: &str = "elsewhere";
/// The longest name of a namespace.
const LONGEST: usize = 15;

/// Makes a value of the entry's own and of what else there is.
pub(super) type Forger = Arc<dyn Fn(&DeviceView, &Value) -> Option<Value> + Send + Sync>;

/// One thing that is wrong with an image.
#[derive(Clone)]
pub(super) enum Change {
    /// An entry is not there.
    Missing,
    /// It is there with another type than this one.
    OtherType(&'static str),
    /// It has another value, made of its own; where there is one. A number is this one before.
    Made(fn(&Value) -> Option<Value>, Value),
    /// It has this value.
    Value(Value),
    /// It has a value that is forged of what else the unit has.
    Forged(Forger),
    /// It stands in another namespace.
    OtherNamespace,
    /// It stands there twice, the second time with another value, in a page of its own.
    Twice,
    /// An earlier value of it lies in an erased entry, and can be read.
    Leftover,
    /// There is one more beside it.
    Extra,
    /// There is one more in a namespace of its own.
    ExtraNamespace,
}

impl Change {
    /// The image with it; `None` while the entry is not there, and where it makes no difference.
    pub(super) fn on(&self, plain: &[u8], namespace: &str, key: &str) -> Option<Vec<u8>> {
        let image = Image::decode(plain).ok()?;
        let view = image.device_view();
        let good = view.get(namespace, key)?.clone();
        let mut document = Document::from_view(&view).ok()?;
        let remade =
            |document: &Document| generate(document, plain.len(), Version::of(&image)).ok();
        let changed = match self {
            Self::Missing => {
                document.remove(namespace, key);
                remade(&document)
            }
            // Done twice, it would be as it was.
            Self::OtherType(known) if good.type_name() != *known => return None,
            Self::Made(_, known) if known.as_bytes().is_none() && good != *known => return None,
            Self::OtherType(_) => {
                document.set(namespace, key, of_other_type(&good)?).ok()?;
                remade(&document)
            }
            Self::Made(..) | Self::Value(_) | Self::Forged(_) => {
                let value = match self {
                    Self::Made(make, _) => make(&good),
                    Self::Forged(forge) => forge(&view, &good),
                    Self::Value(value) => Some(value.clone()),
                    _ => None,
                }?;
                if value == good {
                    return None;
                }
                document.set(namespace, key, value).ok()?;
                remade(&document)
            }
            Self::OtherNamespace => {
                document.remove(namespace, key);
                document.set(&other_namespace(namespace), key, good).ok()?;
                remade(&document)
            }
            Self::Twice => twice(plain, &document, (namespace, key), &another(&good)),
            Self::Leftover => {
                document.set(namespace, key, another(&good)).ok()?;
                let mut editor = Editor::open(&remade(&document)?).ok()?;
                editor.set(namespace, key, &good).ok()?;
                Some(editor.finish())
            }
            Self::Extra => {
                document.set(namespace, STRANGER, Value::str("1")).ok()?;
                remade(&document)
            }
            Self::ExtraNamespace => {
                document.set(ELSEWHERE, STRANGER, Value::str("1")).ok()?;
                remade(&document)
            }
        }?;
        (changed != plain).then_some(changed)
    }
}

/// A namespace that is not this one.
pub(super) fn other_namespace(name: &str) -> String {
    name.chars().take(LONGEST - 1).chain(['x']).collect()
}

/// The same with another type; `None` of a number that has no other.
fn of_other_type(value: &Value) -> Option<Value> {
    let number = |number: &dyn std::fmt::Display| Some(Value::str(&number.to_string()));
    match value {
        Value::Str(text) => Some(Value::Blob(text.clone())),
        Value::Blob(bytes) if !bytes.contains(&0) => Some(Value::Str(bytes.clone())),
        Value::Blob(bytes) => u32::try_from(bytes.len()).ok().map(Value::U32),
        Value::U8(it) => number(it),
        Value::I8(it) => number(it),
        Value::U16(it) => number(it),
        Value::I16(it) => number(it),
        Value::U32(it) => number(it),
        Value::I32(it) => number(it),
        Value::U64(it) => number(it),
        Value::I64(it) => number(it),
        Value::F32(it) => number(it),
        Value::F64(it) => number(it),
    }
}

/// Another value of the same type and length.
pub(super) fn another(value: &Value) -> Value {
    match value {
        Value::Str(text) => Value::Str(with_other_end(text, |last| match last {
            b'0'..=b'8' | b'a'..=b'y' | b'A'..=b'Y' => last + 1,
            b'9' => b'0',
            _ => b'a',
        })),
        Value::Blob(bytes) => Value::Blob(with_other_end(bytes, |last| last ^ 1)),
        Value::U8(it) => Value::U8(it ^ 1),
        Value::I8(it) => Value::I8(it ^ 1),
        Value::U16(it) => Value::U16(it ^ 1),
        Value::I16(it) => Value::I16(it ^ 1),
        Value::U32(it) => Value::U32(it ^ 1),
        Value::I32(it) => Value::I32(it ^ 1),
        Value::U64(it) => Value::U64(it ^ 1),
        Value::I64(it) => Value::I64(it ^ 1),
        Value::F32(it) => Value::F32(it + 1.0),
        Value::F64(it) => Value::F64(it + 1.0),
    }
}

fn with_other_end(bytes: &[u8], other: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    match changed.last_mut() {
        Some(last) => *last = other(*last),
        None => changed.push(b'a'),
    }
    changed
}

/// Nothing of it; `None` of a number, which is always something.
pub(super) fn emptied(value: &Value) -> Option<Value> {
    match value {
        Value::Str(text) if !text.is_empty() => Some(Value::str("")),
        Value::Blob(bytes) if !bytes.is_empty() => Some(Value::Blob(Vec::new())),
        _ => None,
    }
}

/// It and one more byte; `None` of a number.
pub(super) fn longer(value: &Value) -> Option<Value> {
    match value {
        Value::Str(text) => Some(Value::Str([text, &b"x"[..]].concat())),
        Value::Blob(bytes) => Some(Value::Blob([&bytes[..], &[0]].concat())),
        _ => None,
    }
}

/// A second page with the key alone, after the newest; `None` where no page is free for it.
fn twice(plain: &[u8], document: &Document, at: (&str, &str), value: &Value) -> Option<Vec<u8>> {
    let image = Image::decode(plain).ok()?;
    let pages = image.pages();
    let newest = pages.iter().filter(|page| !page.is_blank()).max_by_key(|page| page.sequence())?;
    let free: Vec<_> = pages.iter().filter(|page| page.is_blank()).collect();
    // A device keeps one for itself.
    let [place, _, ..] = free.as_slice() else { return None };
    let mut alone = Document::new();
    for name in document.namespaces() {
        alone.namespace(name.as_str()?).ok()?;
    }
    alone.insert(at.0, at.1, value.clone()).ok()?;
    let mut page = generate(&alone, plain.len(), Version::of(&image)).ok()?;
    if page[PAGE..].iter().any(|byte| *byte != 0xFF) {
        return None;
    }
    page.truncate(PAGE);
    // The namespaces are defined in the first page already: here they are given up.
    let definitions = (0..document.namespaces().len()).filter(|entry| is_definition(&page, *entry));
    for entry in definitions.collect::<Vec<_>>() {
        page[BITMAP + entry / 4] &= !(0b11 << (entry % 4 * 2));
    }
    page[SEQUENCE..SEQUENCE + 4].copy_from_slice(&(newest.sequence() + 1).to_le_bytes());
    let mut crc = crc32fast::Hasher::new_with_initial(u32::MAX);
    crc.update(&page[SEQUENCE..CRC]);
    page[CRC..CRC + 4].copy_from_slice(&crc.finalize().to_le_bytes());
    let mut bytes = plain.to_vec();
    bytes[newest.offset()..][..4].copy_from_slice(&PageState::Full.word().to_le_bytes());
    bytes[place.offset()..][..PAGE].copy_from_slice(&page);
    Some(bytes)
}

fn is_definition(page: &[u8], entry: usize) -> bool {
    page[FIRST_ENTRY + entry * ENTRY] == 0
}

/// What can be wrong with any entry that is this in a good unit, each with the end of its id and what it is.
pub(super) fn of_any_entry(good: &Value) -> [(&'static str, &'static str, Change); 7] {
    let twice = "stands there a second time, with another value";
    let made = |make| Change::Made(make, good.clone());
    [
        ("missing", "is missing", Change::Missing),
        ("type", "has another type", Change::OtherType(good.type_name())),
        ("namespace", "stands in another namespace", Change::OtherNamespace),
        ("twice", twice, Change::Twice),
        ("value", "has another value", made(|good| Some(another(good)))),
        ("empty", "is empty", made(emptied)),
        ("longer", "is a byte too long", made(longer)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Vec<u8> {
        let mut document = Document::new();
        document.insert("vault", "name", Value::str("one")).expect("it is allowed");
        document.insert("vault", "psk", Value::str("a secret")).expect("it is allowed");
        document.insert("more", "n", Value::U8(1)).expect("it is allowed");
        generate(&document, 0x6000, Version::V2).expect("it fits")
    }

    fn seen(change: &Change, key: &str) -> Vec<(String, String, Value)> {
        let bytes = change.on(&good(), "vault", key).expect("it makes a difference");
        let image = Image::decode(&bytes).expect("whole pages");
        let view = image.device_view();
        let entries = view.entries().iter();
        entries.map(|it| (it.namespace.to_string(), it.key.to_string(), it.value.clone())).collect()
    }

    fn has(seen: &[(String, String, Value)], namespace: &str, key: &str, value: &Value) -> bool {
        seen.iter().any(|(n, k, v)| n == namespace && k == key && v == value)
    }

    #[test]
    fn each_change_is_what_a_device_sees() {
        assert_eq!(seen(&Change::Missing, "name").len(), 2);
        assert!(has(
            &seen(&Change::OtherType("str"), "name"),
            "vault",
            "name",
            &Value::Blob(b"one".into())
        ));
        let made = Change::Made(|good| Some(another(good)), Value::str("one"));
        assert!(has(&seen(&made, "name"), "vault", "name", &Value::str("onf")));
        let moved = seen(&Change::OtherNamespace, "name");
        assert!(has(&moved, "vaultx", "name", &Value::str("one")) && moved.len() == 3);
        assert!(has(&seen(&Change::Extra, "name"), "vault", STRANGER, &Value::str("1")));
        assert!(has(&seen(&Change::ExtraNamespace, "name"), ELSEWHERE, STRANGER, &Value::str("1")));
    }

    #[test]
    fn an_earlier_value_is_left_where_no_device_reads_it() {
        let bytes = Change::Leftover.on(&good(), "vault", "psk").expect("it does");
        let image = Image::decode(&bytes).expect("whole pages");
        assert_eq!(image.device_view().get("vault", "psk"), Some(&Value::str("a secret")));
        assert!(!goldline_nvs::leftover::leftover_bytes(&image, b"a secreu").is_empty());
        assert!(image.findings().iter().all(|finding| !finding.severity.is_damage()));
    }

    #[test]
    fn a_key_stands_twice_in_two_pages() {
        let bytes = Change::Twice.on(&good(), "vault", "psk").expect("a page is free");
        let image = Image::decode(&bytes).expect("whole pages");
        let live = image.items().filter(|item| item.header.key() == *"psk");
        assert_eq!(live.count(), 2);
        assert_eq!(image.pages().iter().filter(|page| !page.is_blank()).count(), 2);
        assert!(
            image
                .pages()
                .iter()
                .all(|page| page.is_blank() || page.stored_crc() == page.computed_crc())
        );
    }

    #[test]
    fn what_is_not_there_is_not_changed() {
        assert!(Change::Missing.on(&good(), "vault", "nothing").is_none());
        assert!(Change::Missing.on(&[0xFF; 0x6000], "vault", "name").is_none());
        assert!(Change::Value(Value::str("one")).on(&good(), "vault", "name").is_none());
    }
}
