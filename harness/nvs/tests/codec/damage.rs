//! Damage made on purpose, one kind at a time: each is named, placed and told
//! from what a power loss leaves, and nothing beside it is lost.

use goldline_nvs::csv::{Mode, NoFiles, parse};
use goldline_nvs::edit::Editor;
use goldline_nvs::{Code, Finding, Image, ItemType, Severity, Value, Version, generate};
use rstest::rstest;

/// Entries of page 0: 0 namespace, 1 number, 2–3 text, 4–6 chunk, 7 index, 8 last.
fn sound() -> Vec<u8> {
    let csv = "key,type,encoding,value\nns,namespace,,\nnumber,data,u32,7\n\
        text,data,string,hello\nblob,data,binary,0123456789012345678901234567890123456789\n\
        last,data,u8,1\n";
    let document = parse(csv.as_bytes(), Mode::Strict, &mut NoFiles).unwrap();
    generate(&document, 0x3000, Version::V2).unwrap()
}

fn entry(index: usize) -> usize {
    64 + index * 32
}

/// Makes an entry's CRC right again, so that only its content is wrong.
fn mend(image: &mut [u8], index: usize) {
    let at = entry(index);
    let mut hasher = crc32fast::Hasher::new_with_initial(0xFFFF_FFFF);
    hasher.update(&image[at..at + 4]);
    hasher.update(&image[at + 8..at + 32]);
    image[at + 4..at + 8].copy_from_slice(&hasher.finalize().to_le_bytes());
}

fn set_state(image: &mut [u8], index: usize, bits: u8) {
    let byte = &mut image[32 + index / 4];
    *byte = *byte & !(0b11 << (index % 4 * 2)) | bits << (index % 4 * 2);
}

fn findings(image: &[u8]) -> Vec<Finding> {
    Image::decode(image).unwrap().findings()
}

fn keys(image: &[u8]) -> Vec<String> {
    let view = Image::decode(image).unwrap().device_view();
    view.entries().iter().map(|entry| entry.key.to_string()).collect()
}

const ERASED: u8 = 0b00;
const ILLEGAL: u8 = 0b01;
const EMPTY: u8 = 0b11;

#[rstest]
#[case::header_crc(|i: &mut [u8]| i[28] ^= 4, Code::PageCrc, None, "", "flipping bit 2 of byte 28 of the page")]
#[case::unknown_state(|i: &mut [u8]| i[0] = 0xFA, Code::PageState, None, "", "")]
#[case::number(|i: &mut [u8]| i[entry(1) + 24] ^= 1, Code::EntryCrc, Some(1), "text blob last", "flipping bit 0 of byte 0x78")]
#[case::entry_crc(|i: &mut [u8]| i[entry(1) + 7] ^= 0x80, Code::EntryCrc, Some(1), "text blob last", "flipping bit 7 of byte 0x67")]
#[case::two_bits(|i: &mut [u8]| i[entry(1) + 24] ^= 3, Code::EntryCrc, Some(1), "text blob last", "")]
#[case::payload(|i: &mut [u8]| i[entry(3) + 1] ^= 0x10, Code::DataCrc, Some(2), "number blob last", "flipping bit 4 of byte 0xa1")]
#[case::no_span(|i: &mut [u8]| { i[entry(1) + 2] = 0; mend(i, 1) }, Code::Span, Some(1), "text blob last", "")]
#[case::long_span(|i: &mut [u8]| { i[entry(2) + 2] = 9; mend(i, 2) }, Code::Span, Some(2), "number blob last", "")]
#[case::size(|i: &mut [u8]| { i[entry(2) + 2] = 2; i[entry(2) + 25] = 0x20; mend(i, 2) }, Code::ItemSize, Some(2), "number blob last", "")]
#[case::chunk_index(|i: &mut [u8]| { i[entry(7) + 3] = 5; mend(i, 7) }, Code::ChunkIndex, Some(7), "number text last", "")]
#[case::bitmap(|i: &mut [u8]| set_state(i, 1, ILLEGAL), Code::EntryState, Some(1), "text blob last", "")]
#[case::erased_header(|i: &mut [u8]| set_state(i, 2, ERASED), Code::PayloadState, Some(2), "number blob last", "flipping bit 5 of byte 0x20 restores")]
#[case::no_nul(|i: &mut [u8]| { i[entry(2) + 24] = 5; i[entry(2) + 28..][..4].copy_from_slice(&crc(b"hello")); mend(i, 2) }, Code::NoNul, Some(2), "number text blob last", "")]
#[case::long_key(|i: &mut [u8]| { i[entry(1) + 8..entry(1) + 24].fill(b'k'); mend(i, 1) }, Code::BadKey, Some(1), "kkkkkkkkkkkkkkkk text blob last", "")]
#[case::no_namespace(|i: &mut [u8]| { i[entry(8)] = 9; mend(i, 8) }, Code::NoNamespace, Some(8), "number text blob", "")]
#[case::reserved_index(|i: &mut [u8]| { i[entry(0) + 24] = 255; mend(i, 0) }, Code::NamespaceIndex, Some(0), "", "")]
#[case::dirty_page(|i: &mut [u8]| i[0x1800] = 0, Code::PageDirty, None, "number text blob last", "")]
fn damage_is_named_and_nothing_else_is_lost(
    #[case] damage: fn(&mut [u8]),
    #[case] code: Code,
    #[case] at: Option<usize>,
    #[case] left: &str,
    #[case] repair: &str,
) {
    let mut image = sound();
    damage(&mut image);
    let findings = findings(&image);
    let found = findings.iter().find(|finding| finding.code == code);
    let first = found.unwrap_or_else(|| panic!("{findings:#?}"));
    assert_eq!((first.severity, first.entry), (Severity::Corruption, at));
    assert_eq!(keys(&image).join(" "), left);
    let text = first.repair.map(|repair| repair.to_string()).unwrap_or_default();
    assert!(text.starts_with(repair), "{first:?}");
    assert_eq!(text.is_empty(), repair.is_empty(), "{first:?}");
}

fn crc(bytes: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new_with_initial(0xFFFF_FFFF);
    hasher.update(bytes);
    hasher.finalize().to_le_bytes()
}

#[test]
fn an_interrupted_erase_is_told_from_damage() {
    let mut image = sound();
    set_state(&mut image, 3, ERASED);
    let found: Vec<_> = findings(&image).iter().map(|f| (f.code, f.severity)).collect();
    assert_eq!(found, [(Code::PayloadState, Severity::PowerLoss)]);
    assert_eq!(keys(&image), ["number", "blob", "last"]);
}

#[test]
fn a_gap_hides_what_follows_and_it_stays_recoverable() {
    let mut image = sound();
    set_state(&mut image, 1, EMPTY);
    let codes: Vec<_> = findings(&image).iter().map(|finding| finding.code).collect();
    assert_eq!(codes[0], Code::TornWrite);
    assert!(codes[1..].iter().all(|code| *code == Code::BehindGap), "{codes:?}");
    assert_eq!(keys(&image), [""; 0]);
    let recovered = goldline_nvs::recover::recover(&Image::decode(&image).unwrap());
    let keys: Vec<_> = recovered.iter().map(|found| found.key.to_string()).collect();
    assert_eq!(keys, ["number", "text", "blob", "last"]);
}

#[rstest]
#[case::mid_page(0x1234, &[Code::ImageSize, Code::NoEmptyPage])]
#[case::one_page(0x1000, &[Code::NoEmptyPage])]
fn a_cut_image_is_told(#[case] length: usize, #[case] expected: &[Code]) {
    let findings = findings(&sound()[..length]);
    let mut codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    codes.sort();
    assert_eq!(codes, expected);
}

#[test]
fn what_is_no_image_is_told() {
    let codes = |bytes: &[u8]| -> Vec<Code> {
        findings(bytes).iter().map(|finding| finding.code).collect()
    };
    assert_eq!(codes(&[0xFF; 0x3000]), []);
    assert_eq!(codes(&[0x00; 0x3000]), [Code::NotNvs]);
    assert_eq!(codes(&[0xE9; 0x3000]), [Code::NotNvs]);
    assert!(Image::decode(&[0; 4095]).is_err());
}

#[test]
fn floats_are_read_and_written() {
    let mut document = goldline_nvs::Document::new();
    document.insert("ns", "pi", Value::F32(3.5)).unwrap();
    document.insert("ns", "e", Value::F64(-0.25)).unwrap();
    let bytes = generate(&document, 0x3000, Version::V2).unwrap();
    let image = Image::decode(&bytes).unwrap();
    let types: Vec<_> = image.items().map(|item| item.header.item_type()).collect();
    assert_eq!(types, [ItemType::U8, ItemType::F32, ItemType::F64]);
    assert_eq!(image.device_view().get("ns", "e"), Some(&Value::F64(-0.25)));
    assert_eq!(image.findings(), []);
}

#[test]
fn a_missing_chunk_loses_its_blob_only() {
    let mut editor = Editor::open(&[0xFF; 0x6000]).unwrap();
    editor.set("ns", "before", &Value::U8(1)).unwrap();
    editor.set("ns", "blob", &Value::Blob(vec![5; 9000])).unwrap();
    editor.set("ns", "after", &Value::U8(2)).unwrap();
    let mut image = editor.finish();
    // The second page holds nothing but the second chunk.
    image[0x1000..0x2000].fill(0xFF);
    let findings = findings(&image);
    let mut codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    codes.sort();
    assert_eq!(codes, [Code::BlobSize, Code::OrphanChunk, Code::OrphanChunk]);
    assert_eq!(keys(&image), ["before", "after"]);
}

#[test]
fn an_image_of_version_1_stays_one_under_changes() {
    let csv = "key,type,encoding,value\nns,namespace,,\nold,data,binary,abc\n";
    let document = parse(csv.as_bytes(), Mode::Strict, &mut NoFiles).unwrap();
    let v1 = generate(&document, 0x3000, Version::V1).unwrap();
    let mut editor = Editor::open(&v1).unwrap();
    editor.set("ns", "new", &Value::Blob(b"def".to_vec())).unwrap();
    let image = editor.finish();
    assert_eq!(findings(&image), []);
    use ItemType::{BlobV1, U8};
    assert_eq!(types(&image), [U8, BlobV1, BlobV1]);
    assert_eq!(keys(&image), ["old", "new"]);
}

#[test]
fn a_newer_version_beside_an_older_one_is_mixed_correctly() {
    let csv = "key,type,encoding,value\nns,namespace,,\nold,data,binary,abc\n";
    let document = parse(csv.as_bytes(), Mode::Strict, &mut NoFiles).unwrap();
    let mut v1 = generate(&document, 0x3000, Version::V1).unwrap();
    // As on a device whose new firmware has opened the page.
    v1[8] = Version::V2.byte();
    let header = crc(&v1[4..28]);
    v1[28..32].copy_from_slice(&header);
    let mut editor = Editor::open(&v1).unwrap();
    editor.set("ns", "new", &Value::Blob(b"def".to_vec())).unwrap();
    let image = editor.finish();
    assert_eq!(findings(&image), []);
    use ItemType::{BlobData, BlobIndex, BlobV1, U8};
    assert_eq!(types(&image), [U8, BlobV1, BlobData, BlobIndex]);
    assert_eq!(keys(&image), ["old", "new"]);
}

fn types(image: &[u8]) -> Vec<ItemType> {
    let image = Image::decode(image).unwrap();
    image.items().map(|item| item.header.item_type()).collect()
}
