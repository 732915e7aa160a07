//! Dumps of the flash: whole ones, parts, encrypted and damaged ones, and files
//! that are none.

use goldline_nvs::crypt::{Keys, encrypt};
use goldline_nvs::dump::{Content, Contents, Dump, DumpError, Kind, Table, look};
use goldline_nvs::{Document, Value, Version, generate};
use rstest::rstest;

use crate::flash::*;
use crate::support::{read, repository};
use crate::table;

/// What `look` says, in one line: base and table, then NVS and key partitions
/// with their ranges.
fn say(bytes: &[u8], table_offset: Option<usize>) -> String {
    let dump = match look(bytes, table_offset).unwrap() {
        Contents::Single => return "single".to_owned(),
        Contents::Dump(dump) => dump,
    };
    let mut line = format!("from {:x}", dump.flash_base);
    match dump.table {
        Table::At { offset, md5 } => line += &format!(" table {offset:x} {md5:?}"),
        Table::NotReadable => line += " no table",
    }
    if dump.flash_encryption {
        line += " encrypted";
    }
    for partition in &dump.partitions {
        let kind = match partition.kind {
            Kind::Nvs => "",
            Kind::NvsKeys => "keys:",
            Kind::Other { .. } => continue,
        };
        let (label, range) = (&partition.label, &partition.range);
        line += &format!(" {kind}{label} {:x}..{:x}", range.start, range.end);
        if partition.is_cut_short() {
            line += &format!(" of {:x}", partition.size);
        }
    }
    line
}

pub fn dump(bytes: &[u8]) -> Dump {
    match look(bytes, None) {
        Ok(Contents::Dump(dump)) => dump,
        other => panic!("{other:?}"),
    }
}

const WHOLE: &str =
    "from 0 table 8000 Right nvs 9000..c000 keys:keys c000..d000 fctry 20000..24000";
const FROM_TABLE: &str =
    "from 8000 table 0 Right nvs 1000..4000 keys:keys 4000..5000 fctry 18000..1c000";

/// The product without its table: erased, or overwritten by other bytes.
fn without_table(fill: u8) -> Vec<u8> {
    let mut bytes = product();
    bytes[0x8000..0x8C00].fill(fill);
    bytes
}

/// The product with its table somewhere else.
fn moved_table(address: usize) -> Vec<u8> {
    let mut bytes = without_table(0xFF);
    bytes[address..address + 7 * 32].copy_from_slice(&table(&rows()));
    bytes
}

#[rstest]
#[case::whole(product(), None, WHOLE)]
#[case::whole_and_told(product(), Some(0x8000), WHOLE)]
#[case::from_the_table(product().split_off(0x8000), None, FROM_TABLE)]
#[case::from_the_table_and_told(product().split_off(0x8000), Some(0x8000), FROM_TABLE)]
#[case::from_the_bootloader(
    product().split_off(0x1000), None,
    "from 1000 table 7000 Right nvs 8000..b000 keys:keys b000..c000 fctry 1f000..23000")]
#[case::from_the_bootloader_and_told(
    product().split_off(0x1000), Some(0x8000),
    "from 1000 table 7000 Right nvs 8000..b000 keys:keys b000..c000 fctry 1f000..23000")]
#[case::moved_table(
    moved_table(0x7000),
    None,
    "from 0 table 7000 Right nvs 9000..c000 keys:keys c000..d000 fctry 20000..24000"
)]
#[case::moved_table_told(
    moved_table(0xE000),
    Some(0xE000),
    "from 0 table e000 Right nvs 9000..c000 keys:keys c000..d000 fctry 20000..24000"
)]
#[case::from_a_moved_table_told(
    flash(0x5000, &[(0, &table(&[row("nvs", NVS, 0x1_1000, 0x3000)])), (0x1000, &nvs("a", 0x3000))]),
    Some(0x1_0000), "from 10000 table 0 Right nvs 1000..4000")]
#[case::from_a_moved_table(
    flash(0x5000, &[(0, &table(&[row("nvs", NVS, 0x1_1000, 0x3000)])), (0x1000, &nvs("a", 0x3000))]),
    None, "from 10000 table 0 Right nvs 1000..4000")]
#[case::cut_in_a_partition(
    product()[..0xA800].to_vec(), None,
    "from 0 table 8000 Right nvs 9000..a800 of 3000 keys:keys a800..a800 of 1000 fctry a800..a800 of 4000")]
#[case::cut_in_the_table(
    product()[..0x8050].to_vec(), None,
    "from 0 table 8000 Missing nvs 8050..8050 of 3000 keys:keys 8050..8050 of 1000")]
#[case::the_table_alone(
    table(&rows()), None,
    "from 8000 table 0 Right nvs e0..e0 of 3000 keys:keys e0..e0 of 1000 fctry e0..e0 of 4000")]
#[case::blank_and_foreign_partitions(
    flash(0x1_0000, &[(0x8000, &table(&[
        row("blank", NVS, 0x9000, 0x1000), row("text", NVS, 0xA000, 0x1000), row("nvs", NVS, 0xB000, 0x3000),
    ])), (0xA000, &[b'x'; 0x1000]), (0xB000, &nvs("a", 0x3000))]), None,
    "from 0 table 8000 Right blank 9000..a000 text a000..b000 nvs b000..e000")]
#[case::erased_table(
    without_table(0xFF),
    None,
    "from 0 no table @0x9000 9000..c000 keys:@0xc000 c000..d000 @0x20000 20000..24000"
)]
#[case::overwritten_table(
    without_table(b'x'),
    None,
    "from 0 no table @0x9000 9000..c000 keys:@0xc000 c000..d000 @0x20000 20000..24000"
)]
#[case::from_an_nvs_partition(
    product().split_off(0x9000), None,
    "from 0 no table @0x0 0..3000 keys:@0x3000 3000..4000 @0x17000 17000..1b000")]
#[case::from_nvs_to_ota_data(
    flash(0x6000, &[(0, &nvs("a", 0x3000)), (0x4000, &ota_data())]), None,
    "from 0 no table @0x0 0..4000")]
#[case::from_nvs_to_phy_data(
    flash(0x6000, &[(0, &nvs("a", 0x3000)), (0x3000, b"PHYINIT\0")]), None,
    "from 0 no table @0x0 0..3000")]
#[case::encrypted(
    encrypted_product(),
    None,
    "from 0 no table encrypted @0x9000 9000..c000 @0x20000 20000..24000"
)]
#[case::encrypted_from_the_table(
    encrypted_product().split_off(0x8000), None,
    "from 8000 no table encrypted @0x9000 1000..4000 @0x20000 18000..1c000")]
#[case::encrypted_without_nvs(encrypted_product()[..0x9000].to_vec(), None, "from 0 no table encrypted")]
#[case::encrypted_chip_with_bootloader_at_0(
    flash(0xC000, &[(0, &noise(0x6000)), (0x8000, &noise(0x1000)), (0x9000, &nvs("a", 0x3000))]), None,
    "from 0 no table encrypted @0x9000 9000..c000")]
#[case::encrypted_and_from_nvs(
    encrypted_product().split_off(0x9000), None, "from 0 no table @0x0 0..3000 @0x17000 17000..1b000")]
fn dumps_are_looked_through(
    #[case] bytes: Vec<u8>,
    #[case] table_offset: Option<usize>,
    #[case] expected: &str,
) {
    assert_eq!(say(&bytes, table_offset), expected);
}

/// An NVS image of 64 KB in which a blob of many pages holds copies of a table, at
/// every distance of 32 bytes from a sector's start.
pub fn holds_tables() -> Vec<u8> {
    let mut document = Document::new();
    let copies = table(&rows()).repeat(200);
    document.insert("backup", "tables", Value::Blob(copies)).unwrap();
    generate(&document, 0x1_0000, Version::V2).unwrap()
}

fn overwritten(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

#[rstest]
#[case::empty(vec![])]
#[case::short(vec![7; 100])]
#[case::blank(vec![0xFF; 0x1_0000])]
#[case::zeros(vec![0; 0x1_0000])]
#[case::magic_bytes(vec![0xE9; 0x1_0000])]
#[case::noise(noise(0x2_0000))]
#[case::nvs(nvs("a", 0x1_0000))]
#[case::nvs_behind_blank_sectors(flash(0x1_0000, &[(0x9000, &nvs("a", 0x3000))]))]
#[case::nvs_cut_in_a_page(nvs("a", 0x3000)[..0x1800].to_vec())]
#[case::encrypted_nvs(encrypt(&nvs("a", 0x1_0000), &Keys::new([9; 64])))]
#[case::keys(keys())]
#[case::app(app(0x2_0000))]
#[case::nvs_with_tables(holds_tables())]
#[case::nvs_with_tables_and_no_header(overwritten(holds_tables(), 0x8000, &[0; 64]))]
#[case::nvs_with_tables_and_no_first_header(overwritten(holds_tables(), 0, &[0; 64]))]
#[case::nvs_with_a_dirty_blank_page(overwritten(nvs("a", 0x3000), 0x1000, &[0; 4]))]
#[case::nvs_with_zeros_in_a_blank_page(overwritten(nvs("a", 0x3000), 0x2000, &[0; 64]))]
#[case::nvs_with_a_page_of_noise(overwritten(nvs("a", 0x1_0000), 0x8000, &noise(0x1000)))]
#[case::nvs_overwritten_by_noise(overwritten(nvs("a", 0x1_0000), 0, &noise(0x9000)))]
fn other_files_are_no_dumps(#[case] bytes: Vec<u8>) {
    assert_eq!(say(&bytes, None), "single");
}

#[test]
fn images_by_themselves_are_no_dumps_damaged_or_not() {
    let folder = repository().join("golden/nvs-vectors");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let images: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "bin")).collect();
    assert!(images.len() > 30, "{}", images.len());
    for path in images {
        assert_eq!(say(&read(&path), None), "single", "{}", path.display());
    }
    for damaged in table::DAMAGED {
        let base = format!("golden/nvs-vectors/{}.snap.bin", damaged.base);
        let mut image = read(repository().join(base));
        image.resize(image.len().next_multiple_of(0x6000), 0xFF);
        (damaged.change)(&mut image);
        assert_eq!(say(&image, None), "single", "{}", damaged.name);
    }
}

#[test]
fn rows_are_taken_as_they_are() {
    let mut rows = [
        row("late", NVS, 0x1_0000, 0x3000),
        row("same", NVS, 0x9000, 0x3000),
        row("same", NVS, 0xA000, 0x3000),
        row("", NVS, 0xC000, 0),
        row("flags", NVS, 0xD000, 0x1000),
        row("far", NVS, 0xFFFF_F000, 0xFFFF_F000),
        row("sixteen_letters_", NVS, 0xE000, 0x1000),
        row("x\u{1b}[2J", (0x40, 7), 0xE000, 0x1000),
        row("xx", FACTORY, 0xE000, 0x1000),
        row("front", NVS, 0x1000, 0x9000),
    ];
    rows[4][28] = 3;
    rows[8][12] = 0xC0;
    let whole = flash(0x1_1000, &[(0x8000, &table(&rows))]);
    let found = dump(&whole);
    let labels: Vec<_> = found.partitions.iter().map(|it| it.label.as_str()).collect();
    let expected = [
        "late",
        "same",
        "same",
        "@0xc000",
        "flags",
        "far",
        "sixteen_letters_",
        "x\u{fffd}[2J",
        "\u{fffd}x",
        "front",
    ];
    assert_eq!(labels, expected);
    let ranges: Vec<_> = found.nvs().map(|it| it.range.clone()).collect();
    let end = whole.len();
    assert_eq!(ranges[0], 0x1_0000..end);
    assert_eq!(ranges[3], 0xC000..0xC000);
    assert_eq!(ranges[5], end..end);
    assert!(!found.partitions[3].is_cut_short() && found.partitions[5].is_cut_short());
    let flags: Vec<_> =
        found.partitions.iter().map(|it| (it.is_encrypted_flag, it.is_read_only)).collect();
    assert_eq!((flags[3], flags[4]), ((false, false), (true, true)));
    assert_eq!(found.partitions[7].kind, Kind::Other { type_code: 0x40, subtype: 7 });
    // Of what begins in front of the file, nothing can be read.
    let from_table = dump(&whole[0x8000..]);
    assert_eq!((from_table.flash_base, &from_table.partitions[9].range), (0x8000, &(0..0)));
    assert!(from_table.partitions[9].is_cut_short());
}

#[test]
fn a_damaged_row_hides_no_other_one_and_no_pages() {
    let mut bytes = product();
    // The row of `nvs` is erased, as is the one of `phy`.
    bytes[0x8000..0x8020].fill(0xFF);
    bytes[0x8060..0x8080].fill(0xFF);
    let expected =
        "from 0 table 8000 Wrong keys:keys c000..d000 fctry 20000..24000 @0x9000 9000..c000";
    assert_eq!(say(&bytes, None), expected);
    // A wrong size reaches into the others.
    let mut bytes = product();
    bytes[0x800A] ^= 0x10;
    let expected =
        "from 0 table 8000 Wrong nvs 9000..24000 of 103000 keys:keys c000..d000 fctry 20000..24000";
    assert_eq!(say(&bytes, None), expected);
    // The row that is damaged is that of the MD5.
    let mut bytes = product();
    bytes[0x80C0] ^= 1;
    assert_eq!(say(&bytes, None), WHOLE.replace("Right", "Missing"));
}

#[test]
fn rows_behind_a_right_md5_are_none() {
    let mut bytes = product();
    bytes[0x80E0..0x8100].copy_from_slice(&row("stale", NVS, 0x9000, 0x3000));
    assert_eq!(say(&bytes, None), WHOLE);
}

#[test]
fn of_two_tables_elsewhere_none_is_taken() {
    let mut bytes = moved_table(0x7000);
    bytes[0xE000..0xE000 + 7 * 32].copy_from_slice(&table(&rows()));
    assert!(say(&bytes, None).contains("no table @0x9000"));
    assert!(say(&bytes, Some(0xE000)).contains("table e000 Right nvs"));
}

#[test]
fn partitions_side_by_side_are_told_apart_by_their_sequence_numbers() {
    // As on a device in use: blank pages anywhere, newest pages not last.
    let page = |sequence: u32| {
        let mut page = nvs("a", 0x1000);
        page[4..8].copy_from_slice(&sequence.to_le_bytes());
        let mut hasher = crc32fast::Hasher::new_with_initial(0xFFFF_FFFF);
        hasher.update(&page[4..28]);
        page[28..32].copy_from_slice(&hasher.finalize().to_le_bytes());
        page
    };
    let mut damaged = page(6);
    damaged[28] ^= 1;
    let pages: Vec<u8> = [
        damaged,
        page(4),
        vec![0xFF; 0x1000],
        page(5),
        vec![0xFF; 0x1000],
        page(9),
        page(4),
        vec![0xFF; 0x1000],
        vec![0xFF; 0x1000],
        page(0),
        page(9),
        page(0),
    ]
    .concat();
    let bytes = flash(0x3_0000, &[(0x1_0000, &pages), (0x2_0000, &app(0x1000))]);
    let expected = "from 0 no table @0x10000 10000..15000 @0x15000 15000..19000 \
        @0x19000 19000..1b000 @0x1b000 1b000..20000";
    assert_eq!(say(&bytes, None), expected);
}

#[rstest]
#[case::not_a_sector(0x8010, DumpError::NotASector { offset: 0x8010 }, "only at a multiple of 0x1000")]
#[case::erased(
    0x7000, DumpError::NoTable { offset: 0x7000, found: Content::Blank, elsewhere: Some(0x8000) },
    "no partition table at 0x7000: erased flash is there; there is one at 0x8000: give that offset, or none")]
#[case::application(
    0x1_0000, DumpError::NoTable { offset: 0x1_0000, found: Content::AppImage, elsewhere: Some(0x8000) },
    "an application or a bootloader is there")]
#[case::behind_the_end(
    0x2_4000, DumpError::Beyond { offset: 0x2_4000, bytes: 0x2_4000, elsewhere: Some(0x8000) },
    "the file has 0x24000 bytes and does not begin with a table; there is one at 0x8000")]
fn a_table_that_is_not_there_is_told(
    #[case] offset: usize,
    #[case] expected: DumpError,
    #[case] message: &str,
) {
    let error = look(&product(), Some(offset)).unwrap_err();
    assert_eq!(error, expected);
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn a_table_in_an_nvs_partition_or_in_encrypted_flash_is_not_there() {
    let found = |bytes: &[u8]| look(bytes, Some(0x8000)).unwrap_err().to_string();
    let none = "give no offset to have partitions looked for by their pages";
    assert_eq!(
        found(&holds_tables()),
        format!("no partition table at 0x8000: a page of an NVS partition is there; {none}")
    );
    assert!(found(&encrypted_product()).contains("noise, as flash encryption"));
    assert!(found(&nvs("a", 0x3000)).ends_with(none));
}

/// 128 MB, the largest flash there is. In quadratic time these would take hours.
#[rstest]
#[case::noise(|_| noise(0x1000))]
#[case::equal_pages(|_| nvs("a", 0x1000))]
#[case::pages_and_blanks(|n| if n % 2 == 0 { nvs("a", 0x1000) } else { vec![0xFF; 0x1000] })]
#[case::damaged_pages(|n| overwritten(nvs("a", 0x1000), 28, if n == 0x7000 { &[] } else { &[0] }))]
#[case::tables(|_| overwritten(flash(0x1000, &[(0, &table(&rows().repeat(15)))]), 32, &[0]))]
fn a_large_file_takes_linear_time(#[case] sector: fn(usize) -> Vec<u8>) {
    let kinds = [sector(0), sector(1), sector(0x7000)];
    let sectors = 0x8000;
    let mut bytes = Vec::with_capacity(sectors * 0x1000);
    for at in 0..sectors {
        bytes.extend_from_slice(&kinds[if at == 0x7000 { 2 } else { at % 2 }]);
    }
    // Two sectors that make it a dump in which pages are looked for.
    bytes.extend(app(0x1000));
    bytes.extend(nvs("a", 0x1000));
    look(&bytes, None).unwrap();
}
