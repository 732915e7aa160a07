//! Files that a profile names as images: what the profile's chip could not run is refused, and what it can
//! is not.
//!
//! The images are the shipped ones, damaged by hand; what must become of each is written from what the ROM
//! and the bootloader do with it.

use std::{fs, path::Path, sync::LazyLock};

use goldline::{
    clock::Clock,
    image::{Damage, FlashImages, ImageError, Unfit},
    profile::{Chip, Profile},
    simulated::is_simulated,
    testbed::authority::Authority,
};
use rstest::rstest;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

static ANCHOR: LazyLock<String> = LazyLock::new(|| {
    Authority::create(Clock::system()).expect("an authority").root_pem().to_owned()
});

const WIFI_JOIN: &str = "id = \"wifi_join\"\nwithout_radio = \"network_join\"\n\
    limits = { join_ms = { upper = 15000 }, rssi = { lower = -75, upper = -10 } }";

/// The shipped product on another chip, with one edit of its profile.
fn profile(chip: Chip, edits: &[(&str, &str)]) -> Profile {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/espvault.toml");
    let mut text = fs::read_to_string(path).expect("it ships");
    let chip = format!("model = \"{}\"", chip.name());
    let on_cable = "id = \"network_join\"\nlimits = { join_ms = { upper = 15000 } }";
    // Not every chip has a radio for WiFi.
    let common = [("model = \"esp32\"", chip.as_str()), (WIFI_JOIN, on_cable)];
    for (from, to) in common.iter().chain(edits) {
        assert!(text.contains(from), "the profile has no {from}");
        text = text.replace(from, to);
    }
    Profile::parse("espvault.toml", &text, Some(Path::new("/"))).expect("a profile")
}

/// The product's own images.
fn shipped(chip: Chip) -> FlashImages {
    FlashImages::build(&profile(chip, &[]), &ANCHOR).expect("they are made")
}

/// A profile whose images are files with these bytes.
fn with_files(chip: Chip, bootloader: &[u8], app: &[u8]) -> (TempDir, Profile) {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    let (bootloader, app) = (write("bootloader.bin", bootloader), write("app.bin", app));
    let app = format!("app = {{ file = \"{}\" }}", app.display());
    let bootloader = format!("bootloader = \"{}\"", bootloader.display());
    let edits =
        [("app = { model = \"espvault\" }", &*app), ("bootloader = \"esp-idf\"", &*bootloader)];
    let profile = profile(chip, &edits);
    (folder, profile)
}

fn build(chip: Chip, bootloader: &[u8], app: &[u8]) -> Result<FlashImages, ImageError> {
    let (_folder, profile) = with_files(chip, bootloader, app);
    FlashImages::build(&profile, &ANCHOR)
}

/// What is wrong with an application on the ESP32.
fn reason(app: &[u8]) -> Unfit {
    match build(Chip::Esp32, &shipped(Chip::Esp32).bootloader, app) {
        Err(ImageError::Unfit { path, reason }) => {
            assert_eq!(path.file_name().and_then(|name| name.to_str()), Some("app.bin"));
            reason
        }
        other => panic!("it is not refused by its content: {other:?}"),
    }
}

/// The image with checksum and SHA-256 made anew, as its builder would.
fn sealed(mut image: Vec<u8>) -> Vec<u8> {
    let end = image.len() - 32;
    let word =
        |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().expect("four bytes")) as usize;
    let (mut sum, mut at) = (0xEF, 24);
    for _ in 0..image[1] {
        let length = word(at + 4);
        sum = image[at + 8..at + 8 + length].iter().fold(sum, |sum, byte| sum ^ byte);
        at += 8 + length;
    }
    image[end - 1] = sum;
    let digest = Sha256::digest(&image[..end]);
    image[end..].copy_from_slice(&digest);
    image
}

fn with(mut image: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    assert_ne!(image[at], byte, "this changes nothing");
    image[at] = byte;
    image
}

fn and_then(mut image: Vec<u8>, more: &[u8]) -> Vec<u8> {
    image.extend(more);
    image
}

fn padded_to_sector(mut image: Vec<u8>, byte: u8) -> Vec<u8> {
    image.resize(image.len().next_multiple_of(0x1000), byte);
    image
}

/// A sector of secure boot version 2, with so many signatures.
fn signature_sector(blocks: usize) -> Vec<u8> {
    let mut sector = Vec::new();
    for _ in 0..blocks {
        sector.extend([0xE7, 2, 0, 0]);
        sector.extend([0x5A; 1212]);
    }
    sector.resize(0x1000, 0xFF);
    sector
}

#[test]
fn every_chips_own_images_are_taken_from_files_as_they_are() {
    for chip in Chip::ALL.into_iter().filter(|chip| is_simulated(*chip)) {
        let FlashImages { bootloader, app, .. } = shipped(chip);
        let built =
            build(chip, &bootloader, &app).unwrap_or_else(|error| panic!("{chip}: {error}"));
        assert_eq!((built.bootloader, built.app), (bootloader, app));
    }
}

/// An image of the C6 with what lies in its RAM moved to the P4's.
fn in_ram_of_p4(mut image: Vec<u8>) -> Vec<u8> {
    let word = |image: &[u8], at: usize| {
        u32::from_le_bytes(image[at..at + 4].try_into().expect("four bytes"))
    };
    let (mut places, mut at) = (vec![4], 24);
    for _ in 0..image[1] {
        places.push(at);
        at += 8 + word(&image, at + 4) as usize;
    }
    for place in places {
        let address = word(&image, place);
        if (0x4080_0000..0x4088_0000).contains(&address) {
            image[place..place + 4].copy_from_slice(&(address + 0x0F70_0000).to_le_bytes());
        }
    }
    image
}

/// Chips that nothing here simulates, their images made of those of a chip with the same processor.
#[rstest]
#[case(Chip::Esp32C5, 23, 0x2000)]
#[case(Chip::Esp32C61, 20, 0)]
#[case(Chip::Esp32P4, 18, 0x2000)]
fn images_of_chips_that_are_not_simulated_are_taken_from_files(
    #[case] chip: Chip,
    #[case] id: u8,
    #[case] bootloader_at: u32,
) {
    let FlashImages { bootloader, app, .. } = shipped(Chip::Esp32C6);
    let built_for = |image: Vec<u8>| {
        // The RAM of the C6 lies where the P4 sees its flash.
        let image = if chip == Chip::Esp32P4 { in_ram_of_p4(image) } else { image };
        sealed(with(image, 12, id))
    };
    let (bootloader, app) = (built_for(bootloader), built_for(app));
    let built = build(chip, &bootloader, &app).unwrap_or_else(|error| panic!("{chip}: {error}"));
    assert_eq!((built.bootloader, built.app), (bootloader.clone(), app.clone()));
    assert_eq!(chip.bootloader_offset(), bootloader_at);
    let error = build(Chip::Esp32C6, &bootloader, &app).expect_err("another chip's");
    assert!(error.to_string().contains(chip.name()), "{error}");
    let error = FlashImages::build(&profile(chip, &[]), &ANCHOR).expect_err("no model");
    assert!(error.to_string().contains(&format!("the simulator has no {chip}")), "{error}");
}

#[rstest]
#[case::padded_with_ff(|app: Vec<u8>| padded_to_sector(app, 0xFF))]
#[case::padded_with_zeros(|app: Vec<u8>| padded_to_sector(app, 0))]
#[case::padded_by_one(|app: Vec<u8>| and_then(app, &[0xFF]))]
#[case::signed(|app: Vec<u8>| and_then(padded_to_sector(app, 0xFF), &signature_sector(1)))]
#[case::signed_three_times(|app: Vec<u8>| and_then(padded_to_sector(app, 0xFF), &signature_sector(3)))]
#[case::signed_the_old_way(|app: Vec<u8>| and_then(app, &[&[0; 4][..], &[0x5A; 64]].concat()))]
#[case::signed_and_padded(|app: Vec<u8>| {
    and_then(and_then(padded_to_sector(app, 0xFF), &signature_sector(1)), &[0xFF; 0x1000])
})]
#[case::without_a_hash(|app: Vec<u8>| {
    let end = app.len() - 32;
    with(app[..end].to_vec(), 23, 0)
})]
#[case::for_a_smaller_flash(|app: Vec<u8>| { let speed = app[3] & 0xF; sealed(with(app, 3, 0x10 | speed)) })]
fn a_sound_application_in_another_dress_is_taken(#[case] dress: fn(Vec<u8>) -> Vec<u8>) {
    let FlashImages { bootloader, app, .. } = shipped(Chip::Esp32);
    let app = dress(app);
    let built = build(Chip::Esp32, &bootloader, &app).expect("it is sound");
    assert_eq!(built.app, app);
}

#[test]
fn a_damaged_application_is_refused_by_what_damages_it() {
    let app = shipped(Chip::Esp32).app;
    let (end, length) = (app.len() - 32, app.len());
    for at in [4, 8, 12, 15, 17, 24, 40, end / 2, end - 20] {
        let flipped = with(app.clone(), at, app[at] ^ 0x10);
        let found = reason(&flipped);
        let damaged = matches!(
            found,
            Unfit::Damage(Damage::Hash | Damage::Checksum { .. } | Damage::CutShort { .. })
        );
        assert!(damaged, "byte {at}: {found:?}");
    }
    // The bootloader compares the hash, whatever was written over.
    for at in [2, 3] {
        assert_eq!(reason(&with(app.clone(), at, app[at] ^ 0x10)), Unfit::SettingsEdited);
    }
    for at in [end, length - 1] {
        let found = reason(&with(app.clone(), at, app[at] ^ 1));
        assert_eq!(found, Unfit::Damage(Damage::Hash), "byte {at}");
    }
    // One bit of a segment and the hash made anew, the checksum not; and the other way round.
    let mut only_hashed = with(app.clone(), end / 2, app[end / 2] ^ 1);
    let digest = Sha256::digest(&only_hashed[..end]);
    only_hashed[end..].copy_from_slice(&digest);
    assert!(matches!(reason(&only_hashed), Unfit::Damage(Damage::Checksum { .. })));
    let found = reason(&with(app.clone(), end - 1, app[end - 1] ^ 1));
    assert!(matches!(found, Unfit::Damage(Damage::Checksum { .. })), "{found:?}");
}

#[test]
fn a_cut_application_is_refused_wherever_it_is_cut() {
    let app = shipped(Chip::Esp32).app;
    let (end, length) = (app.len() - 32, app.len());
    for kept in [1, 2, 23, 24, 31, 32, 33, end / 2, end - 1, end, end + 1, length - 1] {
        let found = reason(&app[..kept]);
        assert!(
            matches!(found, Unfit::Damage(Damage::CutShort { found, expected }) if found == kept && expected > kept as u64),
            "{kept}: {found:?}"
        );
    }
    let empty = Unfit::Damage(Damage::NoImage { looks_like: "an empty file" });
    assert_eq!(reason(&[]), empty);
}

#[rstest]
#[case::no_segments(|app: Vec<u8>| with(app, 1, 0), |found: &Unfit| matches!(found, Unfit::Damage(Damage::SegmentCount { count: 0 })))]
#[case::too_many_segments(|app: Vec<u8>| with(app, 1, 17), |found: &Unfit| matches!(found, Unfit::Damage(Damage::SegmentCount { count: 17 })))]
#[case::hash_flag(|app: Vec<u8>| with(app, 23, 2), |found: &Unfit| matches!(found, Unfit::Damage(Damage::HashFlag { value: 2 })))]
#[case::hash_flag_taken_away(|app: Vec<u8>| with(app, 23, 0), |found: &Unfit| matches!(found, Unfit::Damage(Damage::Trailing { .. })))]
#[case::of_another_chip(|app: Vec<u8>| sealed(with(app, 12, 5)), |found: &Unfit| matches!(found, Unfit::Chip { found, .. } if found == "esp32c3"))]
#[case::of_no_chip(|app: Vec<u8>| sealed(with(app, 13, 0x7F)), |found: &Unfit| matches!(found, Unfit::Chip { .. }))]
#[case::for_a_larger_flash(|app: Vec<u8>| { let speed = app[3] & 0xF; sealed(with(app, 3, 0x40 | speed)) }, |found: &Unfit| matches!(found, Unfit::FlashSize { .. }))]
#[case::for_no_flash(|app: Vec<u8>| { let speed = app[3] & 0xF; sealed(with(app, 3, 0xF0 | speed)) }, |found: &Unfit| matches!(found, Unfit::NoFlashSize))]
#[case::entry_nowhere(|app: Vec<u8>| sealed(with(app, 7, 0x11)), |found: &Unfit| matches!(found, Unfit::NoEntry { .. }))]
#[case::junk_behind(|app: Vec<u8>| and_then(app, b"junk"), |found: &Unfit| matches!(found, Unfit::Damage(Damage::Trailing { merged: false, .. })))]
#[case::junk_behind_the_padding(|app: Vec<u8>| and_then(padded_to_sector(app, 0xFF), b"junk"), |found: &Unfit| matches!(found, Unfit::Damage(Damage::Trailing { .. })))]
#[case::junk_behind_the_signature(|app: Vec<u8>| and_then(and_then(padded_to_sector(app, 0xFF), &signature_sector(1)), b"junk"), |found: &Unfit| matches!(found, Unfit::Damage(Damage::Trailing { .. })))]
#[case::half_a_signature(|app: Vec<u8>| and_then(padded_to_sector(app, 0xFF), &signature_sector(1)[..600]), |found: &Unfit| matches!(found, Unfit::Damage(Damage::Trailing { .. })))]
#[case::too_large(|app: Vec<u8>| and_then(app, &vec![0xFF; 4 << 20]), |found: &Unfit| matches!(found, Unfit::TooLarge { .. }))]
fn an_application_that_the_chip_cannot_run_is_refused(
    #[case] spoil: fn(Vec<u8>) -> Vec<u8>,
    #[case] expected: fn(&Unfit) -> bool,
) {
    let found = reason(&spoil(shipped(Chip::Esp32).app));
    assert!(expected(&found), "{found:?}");
}

/// Those of Zephyr and NuttX begin otherwise: the bootloader starts them all the same.
#[test]
fn an_application_need_not_describe_itself() {
    let FlashImages { bootloader, app, .. } = shipped(Chip::Esp32);
    let magic = app[32];
    let app = sealed(with(app, 32, !magic));
    let built = build(Chip::Esp32, &bootloader, &app).expect("it is sound");
    assert_eq!((built.app.as_slice(), built.description()), (&app[..], None));
}

/// Old versions of esptool wrote the flash's settings into a bootloader and left its hash as it was.
#[test]
fn a_bootloader_may_have_other_flash_settings_than_it_was_hashed_with() {
    let FlashImages { bootloader, app, .. } = shipped(Chip::Esp32);
    let slower = with(bootloader.clone(), 3, bootloader[3] ^ 1);
    let built = build(Chip::Esp32, &slower, &app).expect("its ROM asks for no hash");
    assert_eq!(built.bootloader, slower);
    let damaged = with(bootloader.clone(), 8, bootloader[8] ^ 1);
    let error = build(Chip::Esp32, &damaged, &app).expect_err("refused").to_string();
    assert!(error.contains("SHA-256"), "{error}");
}

/// What somebody may have named by mistake.
#[test]
fn a_file_of_another_kind_is_called_what_it_is() {
    let FlashImages { bootloader, partition_table, app, .. } = shipped(Chip::Esp32);
    let mut merged = vec![0xFF; 0x20_0000];
    for (offset, part) in [(0x1000, &bootloader), (0x8000, &partition_table), (0x2_0000, &app)] {
        merged[offset..offset + part.len()].copy_from_slice(part);
    }
    let mut nvs = vec![0xFF; 0x3000];
    nvs[0] = 0xFE;
    nvs[8] = 0xFE;
    for (bytes, looks_like) in [
        (partition_table, "a partition table"),
        (merged, "a whole flash, merged into one file"),
        (nvs, "an NVS partition"),
        (vec![0xFF; 4096], "blank"),
        (vec![0; 4096], "blank"),
        (b"\x1F\x8B\x08\0\0\0\0\0\0\x03".to_vec(), "a gzip archive"),
        (b":100000000C9461000C947E000C947E000C947E00\n".to_vec(), "a text"),
        (vec![0xA7; 64], "something else, or encrypted"),
    ] {
        assert_eq!(reason(&bytes), Unfit::Damage(Damage::NoImage { looks_like }));
    }
    assert_eq!(reason(&bootloader), Unfit::NoApplication);
}

#[test]
fn roles_and_chips_exchanged_are_refused_for_every_chip() {
    for chip in Chip::ALL.into_iter().filter(|chip| is_simulated(*chip)) {
        let FlashImages { bootloader, app, .. } = shipped(chip);
        let refused = |bootloader: &[u8], app: &[u8]| match build(chip, bootloader, app) {
            Err(ImageError::Unfit { reason, .. }) => reason,
            other => panic!("{chip}: {other:?}"),
        };
        assert_eq!(refused(&app, &app), Unfit::NoBootloader, "{chip}");
        assert_eq!(refused(&bootloader, &bootloader), Unfit::NoApplication, "{chip}");
        let other = if chip == Chip::Esp32 { Chip::Esp32C3 } else { Chip::Esp32 };
        let others = shipped(other);
        let wrong = Unfit::Chip { found: other.to_string(), expected: chip };
        assert_eq!(refused(&others.bootloader, &app), wrong, "{chip}");
        assert_eq!(refused(&bootloader, &others.app), wrong, "{chip}");
        let junk = and_then(bootloader.clone(), b"junk");
        assert!(matches!(refused(&junk, &app), Unfit::Damage(Damage::Trailing { .. })), "{chip}");
        let small = sealed(with(bootloader.clone(), 3, bootloader[3] & 0xF));
        assert!(matches!(refused(&small, &app), Unfit::FlashTooSmall { .. }), "{chip}");
    }
}

#[test]
fn an_elf_file_for_another_processor_is_refused_before_it_is_laid_out() {
    let mut elf = b"\x7FELF\x01\x01\x01\0".to_vec();
    elf.resize(52, 0);
    let bootloader = shipped(Chip::Esp32).bootloader;
    for (machine, named) in [(243_u16, "RISC-V"), (62, "processor 62")] {
        elf[18..20].copy_from_slice(&machine.to_le_bytes());
        let error = build(Chip::Esp32, &bootloader, &elf).expect_err("refused").to_string();
        assert!(error.contains(named) && error.contains("Xtensa"), "{error}");
    }
    let error = build(Chip::Esp32, &bootloader, &elf[..10]).expect_err("refused").to_string();
    assert!(error.contains("cut short"), "{error}");
}

/// The simulator runs no machine code: an application of the product's own has no description for it.
#[test]
fn an_application_that_the_simulator_cannot_run_is_named() {
    let FlashImages { bootloader, app, .. } = shipped(Chip::Esp32);
    let (_folder, described) = with_files(Chip::Esp32, &bootloader, &app);
    let images = FlashImages::build(&described, &ANCHOR).expect("sound");
    images.refuse_machine_code(&described).expect("a compiled description is one");
    let place = app.windows(8).position(|word| word == b"GOLDFIRM").expect("its description");
    let own = sealed(with(app, place, b'X'));
    let (folder, profile) = with_files(Chip::Esp32, &bootloader, &own);
    let images = FlashImages::build(&profile, &ANCHOR).expect("a chip can run it");
    let error = images.refuse_machine_code(&profile).expect_err("the simulator cannot");
    assert!(names(&error, folder.path()) && error.to_string().contains("serial port"), "{error}");
}

fn names(error: &ImageError, folder: &Path) -> bool {
    error.to_string().contains(&folder.display().to_string())
}
