//! Damaged images of known content: what comes out of them, and what is said of
//! the rest.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::device::{DropReason, Opening};
use crate::edit::Editor;
use crate::format::{EntryState, header, header_crc};
use crate::generate::layout::{blob_index_field, item_header, write_page_header};

/// Entries of page 0: 0 namespace, 1 number, 2–3 text, 4–6 chunk, 7 index, 8 last.
fn sound() -> Vec<u8> {
    let mut document = Document::new();
    document.insert("ns", "number", Value::U32(7)).unwrap();
    document.insert("ns", "text", Value::str("hello")).unwrap();
    document.insert("ns", "blob", Value::Blob(vec![5; 40])).unwrap();
    document.insert("ns", "last", Value::U8(1)).unwrap();
    generate(&document, 0x3000, Version::V2).unwrap()
}

fn entry(index: usize) -> usize {
    64 + index * 32
}

fn set_state(image: &mut [u8], index: usize, state: EntryState) {
    let byte = &mut image[32 + index / 4];
    *byte = *byte & !(0b11 << (index % 4 * 2)) | state.bits() << (index % 4 * 2);
}

fn mend_header(page: &mut [u8]) {
    let crc = header_crc(page);
    page[header::CRC..header::CRC + 4].copy_from_slice(&crc.to_le_bytes());
}

fn salvaged(bytes: &[u8]) -> Salvage {
    salvage(&Image::decode(bytes).unwrap())
}

/// Keys and values of a document, which must be those of an image made of it.
fn contents(salvage: &Salvage) -> BTreeMap<String, Value> {
    let fresh = generate(&salvage.document, salvage.size, salvage.version).unwrap();
    let image = Image::decode(&fresh).unwrap();
    assert!(image.findings().iter().all(|finding| !finding.severity.is_damage()));
    let view = image.device_view();
    let entries = salvage.document.entries();
    let contents: BTreeMap<_, _> =
        entries.map(|(ns, key, value)| (format!("{ns}/{key}"), value.clone())).collect();
    let read = view.entries().iter();
    let read =
        read.map(|entry| (format!("{}/{}", entry.namespace, entry.key), entry.value.clone()));
    assert_eq!(contents, read.collect());
    assert_eq!(contents.len(), salvage.kept + salvage.rescued.len());
    contents
}

fn keys(contents: &BTreeMap<String, Value>) -> String {
    contents.keys().map(|key| key.trim_start_matches("ns/")).collect::<Vec<_>>().join(" ")
}

fn rescued(salvage: &Salvage) -> Vec<(String, Loss)> {
    salvage.rescued.iter().map(|rescued| (rescued.key.to_string(), rescued.why)).collect()
}

fn lost(lost: &[Lost]) -> Vec<(String, Reason)> {
    let name = |key: &Option<Key>| key.map_or("?".to_owned(), |key| key.to_string());
    lost.iter().map(|lost| (name(&lost.key), lost.why.clone())).collect()
}

const ALL: &str = "blob last number text";

#[test]
fn a_sound_image_is_kept_whole() {
    let salvage = salvaged(&sound());
    assert_eq!(keys(&contents(&salvage)), ALL);
    assert_eq!((salvage.kept, salvage.size, salvage.version), (4, 0x3000, Version::V2));
    assert_eq!((salvage.rescued, salvage.lost), (vec![], vec![]));
    assert_eq!(would_be_lost(&Image::decode(&sound()).unwrap()), []);
}

#[rstest]
#[case::page_header(|i: &mut [u8]| i[4] ^= 1, "blob last number text")]
#[case::page_header_in_two_bits(|i: &mut [u8]| i[4] ^= 3, "blob last number text")]
#[case::corrupt_page(|i: &mut [u8]| i[0] = 0xF0, "blob last number text")]
#[case::unknown_state(|i: &mut [u8]| i[0] = 0x3A, "blob last number text")]
#[case::page_marked_empty(|i: &mut [u8]| i[0] = 0xFF, "blob last number text")]
#[case::key(|i: &mut [u8]| i[entry(2) + 8] ^= 0x20, "text")]
#[case::payload(|i: &mut [u8]| i[entry(3) + 1] ^= 0x10, "text")]
#[case::chunk_header(|i: &mut [u8]| i[entry(4) + 9] ^= 1, "blob")]
#[case::chunk_payload(|i: &mut [u8]| i[entry(5)] ^= 1, "blob")]
#[case::index(|i: &mut [u8]| i[entry(7) + 9] ^= 1, "blob")]
#[case::definition(|i: &mut [u8]| i[entry(0) + 9] ^= 1, "blob last number text")]
#[case::erased_definition(|i: &mut [u8]| set_state(i, 0, EntryState::Erased), "blob last number text")]
#[case::gap(|i: &mut [u8]| set_state(i, 1, EntryState::Empty), "blob last number text")]
#[case::payload_state(|i: &mut [u8]| set_state(i, 3, EntryState::Empty), "blob last text")]
#[case::end_not_recorded(|i: &mut [u8]| set_state(i, 8, EntryState::Empty), "last")]
fn what_a_device_does_not_find_is_rescued(#[case] damage: fn(&mut [u8]), #[case] found: &str) {
    let mut image = sound();
    damage(&mut image);
    let salvage = salvaged(&image);
    let whole = contents(&salvaged(&sound()));
    assert_eq!(contents(&salvage), whole);
    let mut names: Vec<_> = rescued(&salvage).into_iter().map(|(key, _)| key).collect();
    names.sort();
    assert_eq!(names.join(" "), found);
    assert_eq!(salvage.lost, []);
    let unread = would_be_lost(&Image::decode(&image).unwrap());
    assert_eq!(unread.len(), names.len());
    assert!(unread.iter().all(|lost| matches!(lost.why, Reason::NotRead(_))), "{unread:?}");
}

#[rstest]
#[case::two_bits(|i: &mut [u8]| i[entry(1) + 24] ^= 3, "blob last text", &[("?", Reason::Header)])]
#[case::payload(|i: &mut [u8]| i[entry(3)] ^= 3, "blob last number", &[("text", Reason::Payload)])]
#[case::index(|i: &mut [u8]| i[entry(7) + 24] ^= 3, "last number text", &[("blob", Reason::NoIndex), ("?", Reason::Header)])]
#[case::chunk(|i: &mut [u8]| i[entry(5)] ^= 3, "last number text", &[("blob", Reason::Payload), ("blob", Reason::Chunks)])]
#[case::definition(|i: &mut [u8]| i[entry(0) + 24] ^= 3, "", &[("?", Reason::Header), ("number", Reason::NoNamespace), ("text", Reason::NoNamespace), ("blob", Reason::NoNamespace), ("last", Reason::NoNamespace)])]
#[case::illegal_state(|i: &mut [u8]| set_state(i, 1, EntryState::Illegal), "blob last text", &[("number", Reason::State)])]
#[case::erased_header(|i: &mut [u8]| set_state(i, 2, EntryState::Erased), "blob last number", &[("text", Reason::HalfErased)])]
#[case::lying_index(|i: &mut [u8]| {
    let field = blob_index_field(5000, 1, 0);
    i[entry(7)..entry(8)].copy_from_slice(&item_header(1, ItemType::BlobIndex, 1, 0xFF, &Key::new("blob").unwrap(), field));
}, "last number text", &[("blob", Reason::Chunks)])]
#[case::page_of_noise(|i: &mut [u8]| i[..0x1000].iter_mut().enumerate().for_each(|(at, b)| *b = ((at * at) >> 3) as u8), "", &[("?", Reason::Page)])]
fn what_cannot_be_read_is_reported(
    #[case] damage: fn(&mut [u8]),
    #[case] left: &str,
    #[case] expected: &[(&str, Reason)],
) {
    let mut image = sound();
    damage(&mut image);
    let salvage = salvaged(&image);
    assert_eq!(keys(&contents(&salvage)), left);
    let expected: Vec<_> =
        expected.iter().map(|(key, why)| ((*key).to_owned(), why.clone())).collect();
    assert_eq!(lost(&salvage.lost), expected);
    assert_eq!(would_be_lost(&Image::decode(&image).unwrap()), salvage.lost);
}

#[test]
fn what_was_erased_or_replaced_is_neither_rescued_nor_lost() {
    let mut editor = Editor::open(&sound()).unwrap();
    editor.set("ns", "text", &Value::str("newer")).unwrap();
    editor.set("ns", "blob", &Value::Blob(vec![6; 50])).unwrap();
    editor.remove("ns", "number");
    let mut image = editor.finish();
    assert_eq!(lost(&would_be_lost(&Image::decode(&image).unwrap())), []);
    image[4] ^= 1;
    let salvage = salvaged(&image);
    let contents = contents(&salvage);
    assert_eq!(keys(&contents), "blob last text");
    assert_eq!(contents["ns/text"], Value::str("newer"));
    assert_eq!(contents["ns/blob"], Value::Blob(vec![6; 50]));
    assert_eq!(salvage.lost, []);
}

#[test]
fn an_interrupted_erase_is_no_loss() {
    let mut image = sound();
    set_state(&mut image, 3, EntryState::Erased);
    let salvage = salvaged(&image);
    assert_eq!(keys(&contents(&salvage)), "blob last number");
    assert_eq!((salvage.rescued, salvage.lost), (vec![], vec![]));
}

#[test]
fn an_image_that_does_not_open_is_read() {
    let mut document = Document::new();
    for number in 0..370 {
        document.insert("ns", &format!("k{number}"), Value::U16(number)).unwrap();
    }
    let bytes = generate(&document, 0x4000, Version::V2).unwrap();
    let image = Image::decode(&bytes[..0x3000]).unwrap();
    assert_eq!(image.device_view().opening(), Opening::NoFreePages);
    let found = salvage(&image);
    assert_eq!((found.kept, found.rescued.len(), found.lost.len()), (370, 0, 0));
    assert_eq!((contents(&found).len(), found.size), (370, 0x4000));
    assert_eq!(would_be_lost(&image).len(), 370);

    let mut newer = sound();
    newer[header::VERSION] = 0xFD;
    mend_header(&mut newer);
    let image = Image::decode(&newer).unwrap();
    assert_eq!(image.device_view().opening(), Opening::NewVersion { page: 0 });
    let found = salvage(&image);
    assert_eq!((keys(&contents(&found)).as_str(), found.kept, found.lost.len()), (ALL, 4, 0));
    assert_eq!(would_be_lost(&image).len(), 4);
}

#[test]
fn a_truncated_blob_is_lost_and_the_rest_is_kept() {
    let mut editor = Editor::open(&[0xFF; 0x6000]).unwrap();
    editor.set("ns", "before", &Value::U8(1)).unwrap();
    editor.set("ns", "blob", &Value::Blob(vec![5; 9000])).unwrap();
    let image = editor.finish();
    for length in [0x1000, 0x1234, 0x2000] {
        let salvage = salvaged(&image[..length]);
        assert_eq!(keys(&contents(&salvage)), "before");
        assert_eq!(lost(&salvage.lost), [("blob".to_owned(), Reason::NoIndex)]);
    }
}

#[test]
fn an_interrupted_compaction_gives_each_key_once() {
    // Page 0 is FREEING, page 1 the beginning of its copy.
    let mut image = sound();
    image[0] = 0xF8;
    let (page, copy) = image.split_at_mut(0x1000);
    write_page_header(copy, 1, Version::V2);
    copy[entry(0)..entry(4)].copy_from_slice(&page[entry(0)..entry(4)]);
    copy[32] = 0xAA;
    let salvage = salvaged(&image);
    assert_eq!((contents(&salvage).len(), salvage.kept), (4, 4));
    assert_eq!((&salvage.rescued[..], &salvage.lost[..]), (&[][..], &[][..]));
    // A FULL page with a flipped bit looks so too: then the other page is no copy.
    let header = item_header(1, ItemType::U8, 1, 0xFF, &Key::new("new").unwrap(), [3; 8]);
    image[0x1000 + entry(4)..0x1000 + entry(5)].copy_from_slice(&header);
    image[0x1000 + 33] = 0xFE;
    let salvage = salvaged(&image);
    let partial_copy = Loss::Dropped(DropReason::PartialCopy);
    assert_eq!(rescued(&salvage), [("new".to_owned(), partial_copy)]);
    assert_eq!(contents(&salvage)["ns/new"], Value::U8(3));
}

#[test]
fn of_two_values_the_one_that_a_device_reads_is_kept() {
    let mut editor = Editor::open(&sound()).unwrap();
    editor.set("ns", "text", &Value::str("newer")).unwrap();
    let mut image = editor.finish();
    // Power failed before the old value was erased.
    set_state(&mut image, 2, EntryState::Written);
    set_state(&mut image, 3, EntryState::Written);
    let salvage = salvaged(&image);
    assert_eq!(contents(&salvage)["ns/text"], Value::str("newer"));
    assert_eq!(salvage.lost, []);
    // A gap hides the newer one.
    set_state(&mut image, 8, EntryState::Empty);
    let salvage = salvaged(&image);
    assert_eq!(contents(&salvage)["ns/text"], Value::str("hello"));
    assert_eq!(lost(&salvage.lost), [("text".to_owned(), Reason::OtherValueKept)]);
    assert_eq!(salvage.lost[0].why.to_string(), "another value of the same key was kept");
}

#[test]
fn an_unfinished_write_counts_only_where_there_is_no_other_value() {
    let mut editor = Editor::open(&sound()).unwrap();
    editor.set("ns", "text", &Value::str("newer")).unwrap();
    let mut image = editor.finish();
    for (index, state) in
        [(2, EntryState::Written), (3, EntryState::Written), (10, EntryState::Empty)]
    {
        set_state(&mut image, index, state);
    }
    let salvage = salvaged(&image);
    assert_eq!(contents(&salvage)["ns/text"], Value::str("hello"));
    assert_eq!((&salvage.rescued[..], &salvage.lost[..]), (&[][..], &[][..]));
    for index in [2, 3] {
        set_state(&mut image, index, EntryState::Erased);
    }
    let salvage = salvaged(&image);
    assert_eq!(contents(&salvage)["ns/text"], Value::str("newer"));
    // Its payload was never written.
    image[entry(10)..entry(11)].fill(0xFF);
    let salvage = salvaged(&image);
    assert_eq!(keys(&contents(&salvage)), "blob last number");
    assert_eq!(lost(&salvage.lost), [("text".to_owned(), Reason::Payload)]);
}

#[test]
fn pages_of_the_same_number_are_read_as_a_device_does() {
    let mut image = sound();
    let (page, other) = image.split_at_mut(0x1000);
    other.copy_from_slice(&[&page[..], &[0xFF; 0x1000]].concat());
    other[entry(1)..entry(2)].copy_from_slice(&item_header(
        1,
        ItemType::U32,
        1,
        0xFF,
        &Key::new("number").unwrap(),
        [8, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF],
    ));
    let view = Image::decode(&image).unwrap().device_view();
    let salvage = salvaged(&image);
    assert_eq!(contents(&salvage)["ns/number"], *view.get("ns", "number").unwrap());
    assert_eq!(contents(&salvage).len(), 4);
    // Which of the two is the newer one is left to chance, so neither is an old value.
    assert_eq!(lost(&salvage.lost), [("number".to_owned(), Reason::OtherValueKept)]);
}

#[test]
fn what_no_document_holds_is_reported() {
    let mut image = sound();
    let odd = Key::from_field(*b"k\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let header = |key, item_type, data| item_header(1, item_type, 1, 0xFF, &key, data);
    image[entry(9)..entry(10)].copy_from_slice(&header(odd, ItemType::U8, [1; 8]));
    let again = Key::new("text").unwrap();
    image[entry(10)..entry(11)].copy_from_slice(&header(again, ItemType::U8, [1; 8]));
    for index in [9, 10] {
        set_state(&mut image, index, EntryState::Written);
    }
    // On the ACTIVE page a new type replaces the old one, on a closed page both stay.
    image[0] = 0xFC;
    let salvage = salvaged(&image);
    assert_eq!(contents(&salvage)["ns/text"], Value::U8(1), "the newer one");
    let [text, odd] = &salvage.lost[..] else { panic!("{:?}", salvage.lost) };
    assert_eq!((text.location.entry, &text.why), (2, &Reason::OtherValueKept));
    assert!(matches!(odd.why, Reason::Refused(_)), "{odd:?}");
    // A device reads them, and goes on to do so after a change.
    assert_eq!(would_be_lost(&Image::decode(&image).unwrap()), []);
}

#[test]
fn an_image_of_version_1_stays_one_and_grows_to_what_fits() {
    let mut document = Document::new();
    for number in 0..8 {
        document.insert("ns", &format!("k{number}"), Value::Blob(vec![number; 1984])).unwrap();
    }
    let bytes = generate(&document, 0x9000, Version::V1).unwrap();
    let salvage = salvaged(&bytes[..0x4800]);
    assert_eq!(salvage.version, Version::V1);
    assert_eq!((contents(&salvage).len(), salvage.kept), (4, 4), "one fills a page");
    assert_eq!(salvage.size, 0x5000);
    assert_eq!(smallest_size(&salvage.document, Version::V1), 0x5000);
}

#[test]
fn debug_and_display_show_no_values() {
    let mut document = Document::new();
    document.insert("ns", "pass", Value::str("hunter2-hunter2")).unwrap();
    let mut bytes = generate(&document, 0x3000, Version::V2).unwrap();
    bytes[4] ^= 1;
    let image = Image::decode(&bytes).unwrap();
    let text = format!("{:?} {:?}", salvage(&image), would_be_lost(&image));
    assert!(text.contains("pass") && !text.contains("hunter2"), "{text}");
}

/// Damage to an image, each part of it a fraction of its length.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    BlankPage(prop::sample::Index),
    Truncate(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        20 => (index(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        1 => index().prop_map(Damage::BlankPage),
        1 => index().prop_map(Damage::Truncate),
    ]
}

impl Damage {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            // Most of the structure is at the start of a page.
            Damage::Flip(at, bit) if bit % 2 == 0 => {
                let at = at.index(image.len());
                image[at / 0x1000 * 0x1000 + at % 0x1000 / 16] ^= 1 << bit;
            }
            Damage::Flip(at, bit) => {
                let at = at.index(image.len());
                image[at] ^= 1 << bit;
            }
            Damage::BlankPage(page) => {
                let pages = image.len() / 0x1000;
                image[page.index(pages) * 0x1000..][..0x1000].fill(0xFF);
            }
            Damage::Truncate(length) => {
                let length = 0x1000 + length.index(image.len() - 0xFFF);
                image.truncate(length);
            }
        }
    }
}

/// Every value that was ever written, by key.
type History = BTreeMap<String, Vec<Value>>;

/// An image with a past: updates, removals, blobs over pages, compactions.
fn image_with_a_past(steps: &[(u8, u16)], version: Version) -> (Vec<u8>, History) {
    let empty = generate(&Document::new(), 0x5000, version).unwrap();
    let mut editor = Editor::open(&empty).unwrap();
    let mut history = History::new();
    for (number, &(key, size)) in steps.iter().enumerate() {
        let name = format!("k{}", key % 5);
        let value = match key / 5 % 4 {
            0 => Value::U32(number as u32),
            1 => Value::str(&format!("{number} ").repeat(usize::from(size % 40))),
            2 => Value::Blob(vec![number as u8; usize::from(size % 400)]),
            _ if key > 230 => {
                editor.remove("ns", &name);
                continue;
            }
            _ => Value::Blob((0..size % 6000).map(|at| at as u8 ^ number as u8).collect()),
        };
        if editor.set("ns", &name, &value).is_ok() {
            history.entry(format!("ns/{name}")).or_default().push(value);
        }
    }
    (editor.finish(), history)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_salvaged_value_was_written_once(
        steps in prop::collection::vec(any::<(u8, u16)>(), 1..80),
        damages in prop::collection::vec(damage(), 1..12),
        is_v1: bool,
    ) {
        let version = if is_v1 { Version::V1 } else { Version::V2 };
        let (mut bytes, history) = image_with_a_past(&steps, version);
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        for (key, value) in contents(&salvaged(&bytes)) {
            prop_assert!(history.get(&key).is_some_and(|past| past.contains(&value)), "{}", key);
        }
        let repaired = crate::repair(&bytes).unwrap().bytes;
        for (key, value) in contents(&salvaged(&repaired)) {
            prop_assert!(history.get(&key).is_some_and(|past| past.contains(&value)), "{}", key);
        }
    }

    #[test]
    fn a_sound_image_with_a_past_is_salvaged_as_a_device_reads_it(
        steps in prop::collection::vec(any::<(u8, u16)>(), 1..80),
    ) {
        let (bytes, _) = image_with_a_past(&steps, Version::V2);
        let image = Image::decode(&bytes).unwrap();
        let salvage = salvage(&image);
        let fresh = Document::from_view(&image.device_view()).unwrap();
        let entries = |document: &Document| {
            let entries = document.entries().map(|(ns, key, value)| ((ns, key), value.clone()));
            entries.collect::<BTreeMap<_, _>>()
        };
        prop_assert_eq!(entries(&salvage.document), entries(&fresh));
        prop_assert_eq!((&salvage.rescued[..], &salvage.lost[..]), (&[][..], &[][..]));
        prop_assert_eq!(would_be_lost(&image), vec![]);
    }
}
