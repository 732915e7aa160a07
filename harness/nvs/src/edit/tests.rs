//! Edits against a plain map as the model, with an independent reader.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{Document, Severity, Version, generate};

fn image(size: usize) -> Vec<u8> {
    let mut document = Document::new();
    document.insert("wifi", "ssid", Value::str("old")).unwrap();
    document.insert("wifi", "cert", Value::Blob(vec![1; 100])).unwrap();
    document.insert("id", "serial", Value::U32(7)).unwrap();
    generate(&document, size, Version::V2).unwrap()
}

fn contents(bytes: &[u8]) -> BTreeMap<(String, String), Value> {
    let view = Image::decode(bytes).unwrap().device_view();
    let entries = view.entries().iter();
    entries.map(|e| ((e.namespace.to_string(), e.key.to_string()), e.value.clone())).collect()
}

fn worst(bytes: &[u8]) -> Option<Severity> {
    let findings = Image::decode(bytes).unwrap().findings();
    findings.into_iter().map(|finding| finding.severity).max()
}

#[test]
fn a_change_appends_and_marks_the_old_value_erased() {
    let before = image(0x3000);
    let mut editor = Editor::open(&before).unwrap();
    editor.set("wifi", "ssid", &Value::str("new")).unwrap();
    let after = editor.finish();
    assert_eq!(worst(&after), None);
    assert_eq!(contents(&after)[&("wifi".into(), "ssid".into())], Value::str("new"));
    let is_clear_only = |(old, new): (&u8, &u8)| old & new == *new;
    assert!(before.iter().zip(&after).all(is_clear_only), "flash only clears bits");
    let found = crate::leftover::leftover_bytes(&Image::decode(&after).unwrap(), b"old\0");
    assert_eq!(found.len(), 1, "the old value stays in the erased entry");
}

#[test]
fn the_same_value_is_not_written_again() {
    let before = image(0x3000);
    let mut editor = Editor::open(&before).unwrap();
    editor.set("wifi", "ssid", &Value::str("old")).unwrap();
    editor.set("wifi", "cert", &Value::Blob(vec![1; 100])).unwrap();
    assert!(editor.finish() == before);
}

#[test]
fn a_blob_alternates_between_its_versions() {
    let mut editor = Editor::open(&image(0x3000)).unwrap();
    let starts = |editor: &Editor| {
        editor.pages.with_live(|live| {
            let chunks = live.iter().filter(|i| i.header.item_type() == ItemType::BlobData);
            chunks.map(|item| item.header.chunk_index()).collect::<Vec<_>>()
        })
    };
    assert_eq!(starts(&editor), [0x00]);
    editor.set("wifi", "cert", &Value::Blob(vec![2; 100])).unwrap();
    assert_eq!(starts(&editor), [0x80]);
    editor.set("wifi", "cert", &Value::Blob(vec![3; 100])).unwrap();
    assert_eq!(starts(&editor), [0x00]);
}

#[test]
fn a_new_type_replaces_the_old_one() {
    let mut editor = Editor::open(&image(0x3000)).unwrap();
    editor.set("id", "serial", &Value::str("x")).unwrap();
    editor.set("wifi", "cert", &Value::U8(1)).unwrap();
    editor.set("wifi", "ssid", &Value::Blob(vec![9])).unwrap();
    let after = editor.finish();
    assert_eq!(worst(&after), None);
    let contents: Vec<_> = contents(&after).into_values().collect();
    assert_eq!(contents, [Value::str("x"), Value::U8(1), Value::Blob(vec![9])]);
}

#[test]
fn a_full_partition_is_compacted_and_the_sequence_grows() {
    let mut editor = Editor::open(&image(0x3000)).unwrap();
    for round in 0..1000u32 {
        editor.set("id", "counter", &Value::U32(round)).unwrap();
    }
    let after = editor.finish();
    assert_eq!(worst(&after), None);
    assert_eq!(contents(&after).len(), 4);
    let usage = crate::usage::Usage::of(&Image::decode(&after).unwrap());
    assert!(usage.pages_opened > 7, "{usage:?}");
    assert!(usage.erases_per_page() > 1.0);
}

#[test]
fn a_failed_change_leaves_the_image_as_it_was() {
    let mut editor = Editor::open(&image(0x3000)).unwrap();
    let before = editor.clone().finish();
    let too_big = Value::Blob(vec![5; 9000]);
    let error = editor.set("wifi", "cert", &too_big).unwrap_err();
    assert!(matches!(error, EditError::NoRoom { .. }));
    for key in 0..300 {
        let _ = editor.set("id", &format!("k{key}"), &Value::str(&"x".repeat(40)));
    }
    let error = editor.set("id", "late", &Value::str(&"x".repeat(999))).unwrap_err();
    assert!(matches!(error, EditError::NoRoom { .. }));
    let after = editor.finish();
    assert_eq!(worst(&after), None);
    let old: Vec<_> = contents(&before).into_iter().collect();
    let new = contents(&after);
    assert!(old.iter().all(|(name, value)| new.get(name) == Some(value)));
}

#[test]
fn an_image_of_version_1_gets_blobs_and_pages_of_version_1() {
    let mut document = Document::new();
    document.insert("wifi", "cert", Value::Blob(vec![1; 100])).unwrap();
    let before = generate(&document, 0x4000, Version::V1).unwrap();
    let mut editor = Editor::open(&before).unwrap();
    let longest = Value::Blob(vec![3; BLOB_V1_MAX_BYTES]);
    editor.set("wifi", "cert", &Value::Blob(vec![2; 100])).unwrap();
    editor.set("wifi", "other", &longest).unwrap();
    // Past the end of the first page, and through a compaction.
    for round in 0..8 {
        editor.set("wifi", "third", &Value::Blob(vec![round; BLOB_V1_MAX_BYTES])).unwrap();
    }
    let after = editor.finish();
    assert_eq!(worst(&after), None);
    assert_eq!(contents(&after).len(), 3);
    assert_eq!(contents(&after)[&("wifi".into(), "cert".into())], Value::Blob(vec![2; 100]));
    let image = Image::decode(&after).unwrap();
    assert_eq!(Version::of(&image), Version::V1);
    let used: Vec<_> = image.pages().iter().filter(|page| !page.is_blank()).collect();
    assert!(used.len() > 1 && used.iter().all(|page| page.version_byte() == 0xFF));
    assert!(image.items().all(|item| item.header.item_type() != ItemType::BlobData));
}

#[test]
fn a_replaced_blob_of_version_1_is_erased() {
    let mut document = Document::new();
    document.insert("wifi", "cert", Value::Blob(vec![1; 40])).unwrap();
    let before = generate(&document, 0x3000, Version::V1).unwrap();
    let mut editor = Editor::open(&before).unwrap();
    editor.set("wifi", "cert", &Value::Blob(vec![2; 40])).unwrap();
    let after = editor.finish();
    let states: Vec<_> = Image::decode(&after)
        .unwrap()
        .items()
        .map(|item| (item.header.item_type(), item.header.state))
        .collect();
    use crate::format::EntryState::{Erased, Written};
    let expected =
        [(ItemType::U8, Written), (ItemType::BlobV1, Erased), (ItemType::BlobV1, Written)];
    assert_eq!(states, expected);
}

#[test]
fn what_is_too_long_for_version_1_is_refused() {
    let before = generate(&Document::new(), 0x6000, Version::V1).unwrap();
    let mut editor = Editor::open(&before).unwrap();
    let error = editor.set("wifi", "cert", &Value::Blob(vec![1; 1985])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`cert` has 1985 bytes, this image of version 1 allows 1984; shorten it, or generate the image anew as version 2"
    );
    let error = editor.set("wifi", "name", &Value::Str(vec![b'x'; 1984])).unwrap_err();
    assert!(matches!(error, EditError::TooLongForV1 { max: 1983, .. }), "{error}");
    assert!(editor.finish() == before);
}

#[test]
fn only_a_writable_plain_image_is_opened() {
    let plain = image(0x3000);
    let keys = crate::crypt::Keys::new([3; 64]);
    let open = |bytes: &[u8]| Editor::open(bytes).unwrap_err();
    let encrypted = crate::crypt::encrypt(&plain, &keys);
    assert_eq!(open(&encrypted), EditError::NotNvs(Kind::EncryptedNvs));
    assert!(matches!(open(&plain[..0x2000]), EditError::NotWritable(Opening::ReadOnly)));
    assert!(matches!(open(&[0; 10]), EditError::Decode(_)));
    assert!(Editor::open(&[0xFF; 0x3000]).is_ok());
}

/// Power fails after every single flash operation of a change in turn. What is
/// left must read as before or as after, and be told from corruption.
fn cut_power(before: &[u8], key: &str, value: &Value) {
    let old = contents(before);
    let mut new = old.clone();
    new.insert(("wifi".into(), key.into()), value.clone());
    for operations in 0.. {
        let mut editor = Editor::open(before).unwrap();
        editor.pages.flash.power = Some(operations);
        // Past the cut the editor works on what it believes it has written.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let index = editor.open_namespace(Key::new("wifi").unwrap()).unwrap();
            // Not through `set`, which would take back what was written.
            let _ = editor.write(index, Key::new(key).unwrap(), value);
        }));
        let is_complete = editor.pages.flash.power != Some(0);
        let bytes = editor.pages.flash.bytes().to_vec();
        let found = contents(&bytes);
        assert!(found == old || found == new, "after {operations}: {found:?}");
        let findings = Image::decode(&bytes).unwrap().findings();
        assert!(worst(&bytes) < Some(Severity::Corruption), "after {operations}: {findings:#?}");
        let reopened = Editor::open(&bytes).unwrap().finish();
        assert_eq!(contents(&reopened), found, "after {operations}");
        assert!(worst(&reopened) <= Some(Severity::Note), "after {operations}");
        if is_complete {
            assert!(result.is_ok() && found == new);
            return;
        }
    }
}

#[test]
fn a_power_loss_is_never_taken_for_corruption() {
    let before = image(0x3000);
    cut_power(&before, "ssid", &Value::str("a new and longer name for the network"));
    cut_power(&before, "cert", &Value::Blob(vec![2; 100]));
    cut_power(&before, "cert", &Value::Blob(vec![2; 4500]));
    cut_power(&before, "new", &Value::Blob(vec![2; 40]));
    cut_power(&before, "new", &Value::U8(1));
    cut_power(&before, "ssid", &Value::U8(1));
}

#[test]
fn a_power_loss_during_compaction_is_never_taken_for_corruption() {
    let mut editor = Editor::open(&image(0x3000)).unwrap();
    for round in 0..90u8 {
        editor.set("wifi", "ssid", &Value::str(&"x".repeat(usize::from(round)))).unwrap();
        let room = editor.pages.tail_room();
        if room < 200 {
            let before = editor.clone().finish();
            cut_power(&before, "ssid", &Value::str(&"y".repeat(300)));
            cut_power(&before, "cert", &Value::Blob(vec![2; 400]));
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u8, Value),
    Remove(u8, u8),
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i64>().prop_map(Value::I64),
        "[a-z]{0,80}".prop_map(|text| Value::str(&text)),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Blob),
        (3000usize..6000, any::<u8>()).prop_map(|(n, byte)| Value::Blob(vec![byte; n])),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2u8, 0..6u8, value()).prop_map(|(n, k, v)| Step::Set(n, k, v)),
        1 => (0..2u8, 0..6u8).prop_map(|(n, k)| Step::Remove(n, k)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn edits_keep_every_other_key(steps in proptest::collection::vec(step(), 1..60)) {
        let mut model = contents(&image(0x5000));
        let mut editor = Editor::open(&image(0x5000)).unwrap();
        for step in steps {
            match step {
                Step::Set(n, k, value) => {
                    let (n, k) = (format!("n{n}"), format!("k{k}"));
                    match editor.set(&n, &k, &value) {
                        Ok(()) => { model.insert((n, k), value); }
                        Err(error) => {
 let is_full = matches!(error, EditError::NoRoom { .. });
 prop_assert!(is_full, "{error}");
}
                    }
                }
                Step::Remove(n, k) => {
                    let (n, k) = (format!("n{n}"), format!("k{k}"));
                    let was_there = model.remove(&(n.clone(), k.clone())).is_some();
                    prop_assert_eq!(editor.remove(&n, &k), was_there);
                }
            }
            let bytes = editor.clone().finish();
            prop_assert_eq!(&contents(&bytes), &model);
            prop_assert!(worst(&bytes) <= Some(Severity::Note));
        }
    }
}
