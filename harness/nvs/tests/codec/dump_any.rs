//! Any file as a dump: what is said of it always holds, and damage to a table
//! hides no more than it must.

use goldline_nvs::Image;
use goldline_nvs::dump::{Contents, Md5, Table, look};
use proptest::prelude::*;

use crate::dump::{dump, holds_tables};
use crate::flash::*;

/// Whatever is said of any file.
pub fn check(bytes: &[u8], table_offset: Option<usize>) {
    let Ok(Contents::Dump(dump)) = look(bytes, table_offset) else {
        return;
    };
    for partition in &dump.partitions {
        let range = &partition.range;
        assert!(range.start <= range.end && range.end <= bytes.len(), "{partition:?}");
        assert!(range.len() <= partition.size, "{partition:?}");
        assert_eq!(partition.is_cut_short(), range.len() < partition.size);
        assert!(!partition.label.is_empty() && !partition.label.contains(char::is_control));
        assert!(range.is_empty() || partition.flash_offset == dump.flash_base + range.start);
    }
    if let Table::At { offset, .. } = dump.table {
        assert!(offset.is_multiple_of(0x1000) && offset < bytes.len());
        assert!(table_offset.is_none_or(|told| told == dump.flash_base + offset));
    }
}

/// Every sound NVS page is in an NVS partition.
fn assert_pages_are_covered(bytes: &[u8]) {
    let dump = dump(bytes);
    for page in Image::decode(bytes).unwrap().pages() {
        let is_sound =
            page.state().word() == 0xFFFF_FFFE && page.stored_crc() == page.computed_crc();
        let at = page.offset();
        assert!(!is_sound || dump.nvs().any(|it| it.range.contains(&at)), "{at:#x}: {dump:#?}");
    }
}

/// A part to make a file of, sectors long or not.
fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(vec![0xFF; 0x1000]),
        Just(vec![0xFF; 0x7000]),
        Just(nvs("a", 0x3000)),
        Just(keys()),
        Just(flash(0x1000, &[(0, &table(&rows()))])),
        Just(app(0x3000)),
        (1usize..0x6000).prop_map(noise),
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(any::<u8>(), 96).prop_map(|rows| {
            let row = |row: &[u8]| {
                let mut row: Row = row.try_into().unwrap();
                row[..2].copy_from_slice(&[0xAA, 0x50]);
                row
            };
            let rows: Vec<Row> = rows.chunks(32).map(row).collect();
            flash(0x1000, &[(0, &table(&rows))])
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn no_file_does_harm(
        parts in prop::collection::vec(part(), 0..10),
        offset in prop_oneof![Just(None), (0usize..0x20).prop_map(|sector| Some(sector << 12)), any::<usize>().prop_map(Some)],
    ) {
        check(&parts.concat(), offset);
    }

    #[test]
    fn a_product_with_flipped_bits_does_no_harm(
        flips in prop::collection::vec((0x8000usize..0x8100, 0u8..8), 0..40),
        cut in 0usize..0x2_4000,
    ) {
        let mut bytes = product();
        flips.iter().for_each(|(at, bit)| bytes[*at] ^= 1 << bit);
        check(&bytes, None);
        check(&bytes, Some(0x8000));
        check(&bytes[..cut], None);
        check(&bytes[cut..], None);
    }

    #[test]
    fn any_damage_to_one_row_leaves_the_others_and_all_pages(
        row in 0usize..6,
        garbage in prop::collection::vec(any::<u8>(), 32),
    ) {
        let mut bytes = product();
        let at = 0x8000 + row * 32;
        bytes[at..at + 32].copy_from_slice(&garbage);
        let found = dump(&bytes);
        let is_kept = found.table == Table::At { offset: 0x8000, md5: Md5::Wrong };
        prop_assert!(is_kept, "{found:#?}");
        let labels = ["nvs", "keys", "otadata", "phy", "factory", "fctry"];
        for label in labels.iter().enumerate().filter(|(at, _)| *at != row).map(|(_, label)| label) {
            prop_assert!(found.partitions.iter().any(|it| it.label == *label), "{label}: {found:#?}");
        }
        assert_pages_are_covered(&bytes);
    }

    #[test]
    fn a_damaged_nvs_partition_is_no_dump(
        flips in prop::collection::vec((0usize..0x1_0000, 0u8..8), 0..60),
        header_flips in prop::collection::vec((0usize..16, 0usize..64, 0u8..8), 0..20),
    ) {
        let mut bytes = holds_tables();
        flips.iter().for_each(|(at, bit)| bytes[*at] ^= 1 << bit);
        header_flips.iter().for_each(|(page, at, bit)| bytes[page * 0x1000 + at] ^= 1 << bit);
        prop_assert_eq!(look(&bytes, None), Ok(Contents::Single));
    }
}
