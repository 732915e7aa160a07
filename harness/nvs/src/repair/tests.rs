use super::*;
use crate::edit::Editor;
use crate::limits::{ENTRIES_PER_PAGE, PAGE_BYTES};
use crate::{Document, Value, Version, generate};

/// Entries of page 0: 0 namespace, 1 number, 2–4 text, 5 last.
fn sound() -> Vec<u8> {
    let mut document = Document::new();
    document.insert("ns", "number", Value::U32(7)).unwrap();
    document.insert("ns", "text", Value::str(&"x".repeat(40))).unwrap();
    document.insert("ns", "last", Value::U8(1)).unwrap();
    generate(&document, 0x3000, Version::V2).unwrap()
}

fn entry(index: usize) -> usize {
    64 + index * 32
}

fn flip(image: &mut [u8], offset: usize, bit: u8) {
    image[offset] ^= 1 << bit;
}

/// Flips a bit of an entry's state: bit 0 or 1 of its pair.
fn flip_state(image: &mut [u8], index: usize, bit: u8) {
    flip(image, 32 + index / 4, (index % 4 * 2) as u8 + bit);
}

#[test]
fn a_sound_image_stays_as_it_is() {
    let repaired = repair(&sound()).unwrap();
    assert!(repaired.bytes == sound());
    assert_eq!((repaired.applied, repaired.remaining), (vec![], vec![]));
}

#[test]
fn every_flipped_bit_of_a_header_or_a_payload_is_flipped_back() {
    // Padding behind a payload is covered by nothing and matters to nobody.
    let header = 4..32;
    let items = entry(0)..entry(4) + 9;
    for offset in header.chain(items).chain(entry(5)..entry(6)) {
        for bit in 0..8 {
            let mut image = sound();
            flip(&mut image, offset, bit);
            let repaired = repair(&image).unwrap();
            assert!(repaired.bytes == sound(), "byte {offset:#x}, bit {bit}");
            let bits: Vec<_> =
                repaired.applied.iter().map(|a| (a.repair.offset, a.repair.bit)).collect();
            assert_eq!(bits, [(offset, bit)]);
            assert_eq!(repaired.remaining, []);
        }
    }
}

#[test]
fn damage_behind_damage_is_uncovered_and_repaired() {
    let mut image = sound();
    flip(&mut image, 5, 3);
    flip(&mut image, entry(2) + 9, 5);
    flip(&mut image, entry(3) + 4, 1);
    let repaired = repair(&image).unwrap();
    assert!(repaired.bytes == sound());
    let codes: Vec<_> = repaired.applied.iter().map(|applied| applied.code).collect();
    assert_eq!(codes, [Code::PageCrc, Code::EntryCrc, Code::DataCrc]);
    let key = repaired.applied[1].repair.key;
    assert_eq!(key, Some(Key::new("text").unwrap()));
}

#[test]
fn states_of_entries_are_repaired_where_no_device_left_them_so() {
    // The header before its payload, erased or empty; a payload's entry between others.
    for (index, bit) in [(2, 0), (2, 1), (1, 0), (3, 1), (3, 0), (4, 0)] {
        let mut image = sound();
        flip_state(&mut image, index, bit);
        let repaired = repair(&image).unwrap();
        assert!(repaired.bytes == sound(), "entry {index}, bit {bit}: {repaired:#?}");
    }
}

#[test]
fn states_that_a_power_loss_leaves_are_left() {
    // Erasing begins at the end of an item; an item at the end may be unfinished.
    for (index, bit) in [(4, 1), (5, 0), (1, 1)] {
        let mut image = sound();
        flip_state(&mut image, index, bit);
        let repaired = repair(&image).unwrap();
        assert!(repaired.bytes == image, "entry {index}, bit {bit}: {repaired:#?}");
    }
}

#[test]
fn an_entry_of_a_closed_page_that_is_marked_empty_is_repaired() {
    let mut document = Document::new();
    for number in 0..200 {
        document.insert("ns", &format!("k{number}"), Value::U16(number)).unwrap();
    }
    let sound = generate(&document, 0x3000, Version::V2).unwrap();
    let mut image = sound.clone();
    flip_state(&mut image, 9, 0);
    let found = Image::decode(&image).unwrap().findings();
    assert_eq!((found.len(), found[0].code, found[0].entry), (1, Code::EntryState, Some(9)));
    assert!(repair(&image).unwrap().bytes == sound);
}

#[test]
fn a_page_state_with_one_likely_origin_is_repaired() {
    // FULL and ACTIVE with a bit flipped that leads from no other state.
    for (byte, bit, is_repaired) in [(0, 0, true), (0, 2, false), (1, 7, true), (3, 0, true)] {
        let mut image = sound();
        flip(&mut image, byte, bit);
        let repaired = repair(&image).unwrap();
        assert_eq!(repaired.bytes == sound(), is_repaired, "bit {bit} of byte {byte}");
        assert_eq!(repaired.applied.len(), usize::from(is_repaired));
        assert_eq!(repaired.remaining.is_empty(), is_repaired);
    }
}

#[test]
fn a_repair_that_brings_an_old_value_back_is_taken_back() {
    let mut editor = Editor::open(&sound()).unwrap();
    editor.set("ns", "text", &Value::str("a newer one")).unwrap();
    let mut image = editor.finish();
    // The erased payload looks written: as if the header alone had been erased.
    flip_state(&mut image, 3, 1);
    flip_state(&mut image, 4, 1);
    let proposed = Image::decode(&image).unwrap().findings();
    assert!(proposed.iter().any(|finding| finding.repair.is_some()), "{proposed:#?}");
    let repaired = repair(&image).unwrap();
    assert!(repaired.bytes == image && repaired.applied.is_empty());
    assert_eq!(repaired.remaining, proposed);
}

#[test]
fn damage_of_more_bits_stays_among_the_remaining_findings() {
    let mut image = sound();
    flip(&mut image, entry(1) + 24, 0);
    flip(&mut image, entry(1) + 25, 0);
    flip(&mut image, entry(5) + 24, 0);
    let repaired = repair(&image).unwrap();
    assert_eq!(repaired.applied.len(), 1);
    let remaining: Vec<_> = repaired.remaining.iter().map(|f| (f.code, f.entry)).collect();
    assert_eq!(remaining, [(Code::EntryCrc, Some(1))]);
    flip(&mut image, entry(5) + 24, 0);
    assert!(repaired.bytes == image);
}

#[test]
fn a_thousand_repairs_take_few_checks() {
    let mut document = Document::new();
    for number in 0..2000 {
        document.insert("ns", &format!("k{number}"), Value::U32(number)).unwrap();
    }
    let sound = generate(&document, 0x20000, Version::V2).unwrap();
    let mut image = sound.clone();
    for page in 0..8 {
        for index in 0..ENTRIES_PER_PAGE {
            flip(&mut image, page * PAGE_BYTES + entry(index) + 24, 0);
        }
    }
    let repaired = repair(&image).unwrap();
    assert!(repaired.bytes == sound);
    assert_eq!(repaired.applied.len(), 8 * ENTRIES_PER_PAGE);
}

#[test]
fn what_is_no_image_is_refused_or_left() {
    assert!(repair(&[0; 100]).is_err());
    assert!(repair(&[0; 0x3000]).unwrap().bytes == [0; 0x3000]);
}

#[test]
fn debug_shows_no_bytes() {
    let text = format!("{:?}", repair(&sound()).unwrap());
    assert_eq!(text, "Repaired { bytes: 12288, applied: [], remaining: [] }");
}
