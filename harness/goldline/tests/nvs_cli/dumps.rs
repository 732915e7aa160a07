//! Dumps of the flash: read partition by partition, written only where one is named, and never
//! changed outside of it.

use goldline_nvs::{
    Document, Value, Version,
    crypt::{self, Keys},
    generate,
};
use rstest::rstest;

use super::desk::Desk;

const TABLE: usize = 0x8000;
const NVS: usize = 0x9000;
const FACTORY: usize = 0xC000;
const KEYS: usize = 0xF000;
const APP: usize = 0x10000;
const SIZE: usize = 0x3000;

fn image(key: &str) -> Vec<u8> {
    let mut document = Document::new();
    document.insert("ns", key, Value::str("value")).unwrap();
    generate(&document, SIZE, Version::V2).unwrap()
}

fn row(kind: u8, subtype: u8, offset: usize, size: usize, label: &str) -> Vec<u8> {
    let mut row = vec![0xAA, 0x50, kind, subtype];
    row.extend(u32::try_from(offset).unwrap().to_le_bytes());
    row.extend(u32::try_from(size).unwrap().to_le_bytes());
    row.extend(label.bytes());
    row.resize(32, 0);
    row
}

/// A whole flash: a table, two NVS partitions, a key partition and an app.
fn flash(nvs: &[u8], factory: &[u8], keys: Option<&Keys>) -> Vec<u8> {
    let mut flash = vec![0xFF; APP];
    flash[0x1000] = 0xE9;
    let table = [
        row(1, 2, NVS, SIZE, "nvs"),
        row(1, 2, FACTORY, SIZE, "fctry"),
        row(1, 4, KEYS, 0x1000, "nvs_keys"),
        row(0, 0, APP, 0x10000, "app"),
    ]
    .concat();
    flash[TABLE..TABLE + table.len()].copy_from_slice(&table);
    flash[NVS..NVS + SIZE].copy_from_slice(nvs);
    flash[FACTORY..FACTORY + SIZE].copy_from_slice(factory);
    if let Some(keys) = keys {
        flash[KEYS..KEYS + 0x1000].copy_from_slice(&keys.to_partition());
    }
    flash.extend([0xE9, 1, 2, 0x20]);
    flash.resize(APP + 0x10000, 0x5A);
    flash
}

fn plain() -> Vec<u8> {
    flash(&image("live"), &image("made"), None)
}

#[test]
fn each_partition_is_shown_under_its_label() {
    let desk = Desk::new();
    desk.write("flash.bin", plain());
    let shown = desk.nvs(&["show", "flash.bin"]).succeeded();
    let expected = "nvs at 0x9000, 0x3000 bytes:\nns/live  str 5  \"value\"\n\n\
                    fctry at 0xc000, 0x3000 bytes:\nns/made  str 5  \"value\"\n";
    assert_eq!(shown.stdout, expected);
    let json = desk.nvs(&["show", "--format", "json", "flash.bin"]).succeeded().json();
    assert_eq!(json["partitions"][1]["partition"]["label"], "fctry", "{json:#}");
    assert_eq!(json["partitions"][1]["entries"][0]["key"], "made");
    let one = desk.nvs(&["show", "--partition", "fctry", "flash.bin"]).succeeded();
    assert_eq!(one.stdout, "ns/made  str 5  \"value\"\n");
    let place = ["show", "--offset", "0x9000", "--size", "0x3000", "flash.bin"];
    assert_eq!(desk.nvs(&place).succeeded().stdout, "ns/live  str 5  \"value\"\n");
}

#[rstest]
#[case::begins_at_the_table(TABLE, usize::MAX)]
#[case::begins_at_the_partition(NVS, usize::MAX)]
#[case::ends_behind_the_partitions(0, APP)]
#[case::ends_within_the_second(0, FACTORY + 0x1000)]
fn a_part_of_a_flash_is_read(#[case] from: usize, #[case] to: usize) {
    let desk = Desk::new();
    let flash = plain();
    desk.write("part.bin", &flash[from..to.min(flash.len())]);
    let shown = desk.nvs(&["show", "part.bin"]);
    assert!([0, 1].contains(&shown.code), "{shown:#?}");
    for key in ["ns/live", "ns/made"] {
        assert!(shown.stdout.contains(key), "{shown:#?}");
    }
}

#[test]
fn a_table_elsewhere_is_named() {
    let desk = Desk::new();
    let mut moved = vec![0xFF; 0x20000];
    let table = row(1, 2, 0x12000, SIZE, "store");
    moved[0x11000..0x11000 + table.len()].copy_from_slice(&table);
    moved[0x12000..0x12000 + SIZE].copy_from_slice(&image("moved"));
    desk.write("flash.bin", &moved);
    let shown = desk.nvs(&["show", "--table-offset", "0x11000", "flash.bin"]).succeeded();
    assert!(shown.stdout.contains("store at 0x12000"), "{shown:#?}");
    let wrong = desk.nvs(&["show", "--table-offset", "0x13000", "flash.bin"]).exited(2);
    assert!(wrong.stderr.contains("no partition table at 0x13000"), "{wrong:#?}");
}

/// What must not happen: a dump that is changed where nobody asked for it.
#[rstest]
#[case::set(&["edit", "flash.bin", "--set", "ns/n:u8=1"], "dump.which")]
#[case::compact(&["edit", "flash.bin", "--compact"], "dump.which")]
#[case::encrypt(&["encrypt", "flash.bin", "out.bin", "--keys", "keys.bin"], "dump.which")]
#[case::decrypt(&["decrypt", "flash.bin", "out.bin", "--keys", "keys.bin"], "dump.which")]
#[case::repair(&["repair", "flash.bin", "out.bin"], "dump.which")]
#[case::salvage(&["salvage", "flash.bin", "out.bin"], "dump.which")]
#[case::app(&["edit", "flash.bin", "--compact", "--partition", "app"], "dump.not_nvs")]
#[case::no_such(&["edit", "flash.bin", "--compact", "--partition", "nvs3"], "dump.no_such_partition")]
#[case::half(&["edit", "flash.bin", "--compact", "--offset", "0x9000", "--size", "0x2000"], "dump.not_nvs")]
#[case::over(&["edit", "flash.bin", "--compact", "--offset", "0x9000", "--size", "0x6000"], "dump.not_nvs")]
#[case::table(&["edit", "flash.bin", "--compact", "--offset", "0x8000", "--size", "0x1000"], "dump.not_nvs")]
#[case::blank(&["edit", "flash.bin", "--compact", "--offset", "0x2000", "--size", "0x3000"], "dump.not_nvs")]
#[case::beyond(&["edit", "flash.bin", "--compact", "--offset", "0x1f000", "--size", "0x3000"], "dump.cut_short")]
fn a_dump_is_refused_where_no_nvs_partition_is_named(#[case] command: &[&str], #[case] code: &str) {
    let desk = Desk::new();
    desk.write("flash.bin", plain());
    desk.write("keys.bin", Keys::new([7; 64]).to_partition());
    for force in [&[][..], &["--force"]] {
        let refused = desk.nvs(&[command, force].concat()).exited(2);
        assert!(refused.stderr.starts_with(code), "{refused:#?}");
        assert_eq!(desk.read("flash.bin"), plain());
        assert_eq!(desk.files(), ["flash.bin", "keys.bin"]);
    }
}

#[test]
fn only_the_named_partition_is_changed() {
    let desk = Desk::new();
    desk.write("flash.bin", plain());
    desk.nvs(&["edit", "flash.bin", "--partition", "fctry", "--set", "ns/n:u8=1"]).succeeded();
    let changed = desk.read("flash.bin");
    assert_eq!(changed.len(), plain().len());
    let differing: Vec<usize> = changed
        .iter()
        .zip(plain())
        .enumerate()
        .filter(|(_, (a, b))| *a != b)
        .map(|(at, _)| at)
        .collect();
    assert!(!differing.is_empty());
    assert!(differing.iter().all(|at| (FACTORY..FACTORY + SIZE).contains(at)), "{differing:x?}");
    let shown = desk.nvs(&["get", "flash.bin", "ns/n", "--partition", "fctry"]).succeeded();
    assert_eq!(shown.stdout, "1\n");
}

/// Rows that may be damaged or that lie over others are believed only where pages bear them out.
#[rstest]
#[case::over_the_table(&[("nvs", TABLE), ("fctry", FACTORY)], "nvs")]
#[case::over_another(&[("nvs", NVS), ("fctry", NVS + 0x2000)], "fctry")]
fn a_row_over_something_else_is_not_written(
    #[case] rows: &[(&str, usize)],
    #[case] partition: &str,
) {
    let desk = Desk::new();
    let mut flash = plain();
    let table: Vec<u8> =
        rows.iter().flat_map(|(label, offset)| row(1, 2, *offset, SIZE, label)).collect();
    flash[TABLE..TABLE + 0x80].fill(0xFF);
    flash[TABLE..TABLE + table.len()].copy_from_slice(&table);
    desk.write("flash.bin", &flash);
    for change in [&["--compact"][..], &["--set", "ns/n:u8=1"]] {
        let command =
            [&["edit", "flash.bin", "--force", "--partition", partition], change].concat();
        desk.nvs(&command).exited(2);
        assert_eq!(desk.read("flash.bin"), flash);
    }
}

/// A file that begins at a table of which nobody says where it lies.
#[test]
fn a_moved_table_at_the_start_is_placed_by_what_its_rows_point_at() {
    let desk = Desk::new();
    let mut flash = vec![0xFF; 0x30000];
    let table = [row(1, 2, 0x11000, SIZE, "nvs"), row(1, 2, 0x20000, SIZE, "blank")].concat();
    flash[0x9000..0x9000 + table.len()].copy_from_slice(&table);
    flash[0x11000..0x11000 + SIZE].copy_from_slice(&image("live"));
    let part = &flash[0x9000..];
    desk.write("part.bin", part);
    let shown = desk.nvs(&["show", "part.bin"]).succeeded();
    assert!(
        shown.stdout.contains("nvs at 0x11000") && shown.stdout.contains("ns/live"),
        "{shown:#?}"
    );
    desk.nvs(&["edit", "part.bin", "--partition", "blank", "--set", "ns/n:u8=1"]).exited(2);
    assert_eq!(desk.read("part.bin"), part);
    desk.nvs(&["edit", "part.bin", "--partition", "nvs", "--set", "ns/n:u8=1"]).succeeded();
    let changed = desk.read("part.bin");
    let differing = changed.iter().zip(part).enumerate().filter(|(_, (a, b))| a != b);
    assert!(differing.map(|(at, _)| at).all(|at| (0x8000..0x8000 + SIZE).contains(&at)));
}

#[test]
fn an_extent_that_is_a_guess_is_not_written() {
    let desk = Desk::new();
    let mut flash = plain();
    flash[TABLE..TABLE + 0x1000].fill(0xFF);
    flash[FACTORY..FACTORY + SIZE].fill(0xFF);
    desk.write("flash.bin", &flash);
    let shown = desk.nvs(&["show", "flash.bin"]).succeeded();
    assert!(shown.stderr.contains("extents are guesses"), "{shown:#?}");
    let set = ["edit", "flash.bin", "--set", "ns/n:u8=1"];
    let refused = desk.nvs(&[&set[..], &["--partition", "@0x9000", "--force"]].concat()).exited(2);
    assert!(refused.stderr.starts_with("dump.guess"), "{refused:#?}");
    assert_eq!(desk.read("flash.bin"), flash);
    desk.nvs(&[&set[..], &["--offset", "0x9000", "--size", "0x3000"]].concat()).succeeded();
    assert_eq!(desk.read("flash.bin")[FACTORY..], flash[FACTORY..]);
}

#[test]
fn a_cut_partition_is_read_and_not_written() {
    let desk = Desk::new();
    let cut = &plain()[..FACTORY + 0x2000];
    desk.write("flash.bin", cut);
    let shown = desk.nvs(&["show", "--partition", "fctry", "flash.bin"]);
    assert!(shown.stdout.contains("ns/made"), "{shown:#?}");
    let refused =
        desk.nvs(&["edit", "flash.bin", "--partition", "fctry", "--compact", "--force"]).exited(2);
    assert!(refused.stderr.starts_with("dump.cut_short"), "{refused:#?}");
    assert_eq!(desk.read("flash.bin"), cut);
}

#[test]
fn keys_in_the_dump_are_used_with_a_word() {
    let desk = Desk::new();
    let keys = Keys::new([9; 64]);
    let encrypted = crypt::encrypt(&image("live"), &keys);
    desk.write("flash.bin", flash(&encrypted, &image("made"), Some(&keys)));
    let shown = desk.nvs(&["show", "flash.bin"]).succeeded();
    assert!(shown.stdout.contains("ns/live") && shown.stdout.contains("ns/made"), "{shown:#?}");
    assert!(shown.stderr.contains("decrypted with the keys of nvs_keys at 0xf000"), "{shown:#?}");
    desk.nvs(&["edit", "flash.bin", "--partition", "nvs", "--set", "ns/n:u8=1"]).succeeded();
    let changed = desk.read("flash.bin");
    assert!(crypt::decrypt(&changed[NVS..NVS + SIZE], &keys).is_ok());

    // Without them the others are shown, and the answer says which one is not.
    desk.write("flash.bin", flash(&encrypted, &image("made"), None));
    let half = desk.nvs(&["show", "flash.bin"]).exited(2);
    assert!(half.stdout.contains("ns/made"), "{half:#?}");
    assert!(half.stderr.contains("nvs at 0x9000"), "{half:#?}");
    assert!(half.stderr.contains("image.looks_encrypted"), "{half:#?}");
}

#[test]
fn an_encrypted_flash_is_recognized() {
    let desk = Desk::new();
    // Noise where a bootloader, the table, the keys and the app belong; NVS is never encrypted so.
    let mut state = 0x1234_5678_u32;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    let mut flash = plain();
    for range in [0x1000..0x8000, TABLE..TABLE + 0x1000, KEYS..KEYS + 0x1000, APP..APP + 0x10000] {
        flash[range].fill_with(&mut noise);
    }
    desk.write("flash.bin", &flash);
    let shown = desk.nvs(&["show", "flash.bin"]).succeeded();
    assert!(shown.stderr.contains("this flash is encrypted"), "{shown:#?}");
    assert!(shown.stdout.contains("ns/live"), "{shown:#?}");
    desk.nvs(&["edit", "flash.bin", "--compact"]).exited(2);
    assert_eq!(desk.read("flash.bin"), flash);
}

#[test]
fn dumps_are_compared_partition_by_partition() {
    let desk = Desk::new();
    desk.write("a.bin", plain());
    desk.write("b.bin", flash(&image("live"), &image("other"), None));
    desk.write("nvs.bin", image("live"));
    let diff = desk.nvs(&["diff", "a.bin", "b.bin"]).exited(1);
    assert!(
        diff.stdout.contains("fctry at 0xc000") && diff.stdout.contains("+ ns/other"),
        "{diff:#?}"
    );
    desk.nvs(&["diff", "a.bin", "a.bin"]).succeeded();
    desk.nvs(&["diff", "--partition", "nvs", "a.bin", "nvs.bin"]).succeeded();
    let which = desk.nvs(&["diff", "a.bin", "nvs.bin"]).exited(2);
    assert!(which.stderr.starts_with("dump.which"), "{which:#?}");
}
