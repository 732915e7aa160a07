//! What the profile makes of a build folder: the same product from each build system, and what does not fit is
//! named with its place.

use std::{fs, path::Path, sync::LazyLock};

use goldline::{
    build::{LeftOut, LeftOutPlace},
    clock::Clock,
    image::{FlashImages, ImageError, inspect},
    plan::{Coverage, Expects, Moment, Plan, Scope},
    profile::Profile,
    testbed::authority::Authority,
};
use rstest::rstest;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::build_folders::{
    APP, BOOTLOADER, STORAGE, TABLE, arduino, arduino_listed, arguments, boot_app0, esp_idf,
    merged, part, platformio, profile_of_build, released,
};

static ANCHOR: LazyLock<String> = LazyLock::new(|| {
    Authority::create(Clock::system()).expect("an authority").root_pem().to_owned()
});

/// A flash with the shipped product's own images.
static FLASH: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let profile = goldline::profile::find("espvault", None).expect("it ships");
    let images = FlashImages::build(&profile, &ANCHOR).expect("its images");
    let mut flash = vec![0xFF; 0x40_0000];
    for (at, bytes) in [
        (BOOTLOADER.start, &images.bootloader),
        (TABLE.start, &images.partition_table),
        (APP.start, &images.app),
    ] {
        flash[at..at + bytes.len()].copy_from_slice(bytes);
    }
    flash
});

fn folder(make: fn(&Path, &[u8])) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    make(&folder.path().join("build"), &FLASH);
    folder
}

fn parse(folder: &TempDir, images: &str) -> Result<Profile, String> {
    let text = profile_of_build(images);
    Profile::parse("own.toml", &text, Some(folder.path())).map_err(|error| error.to_string())
}

/// What is wrong, and that it stands at the line of `images` that names it.
fn refused(folder: &TempDir, images: &str, key: &str) -> String {
    let error = parse(folder, images).expect_err("it is refused");
    let text = profile_of_build(images);
    let line = text.lines().position(|line| line.starts_with(key)).expect("the key") + 1;
    assert!(error.contains(&format!("own.toml:{line}:")), "not at line {line}: {error}");
    error
}

fn merged_at(folder: &Path, flash: &[u8]) {
    merged(folder, flash);
}

fn in_environment(folder: &Path, flash: &[u8]) {
    platformio(&folder.join("esp32dev"), flash);
}

fn of_project(folder: &Path, flash: &[u8]) {
    platformio(&folder.join(".pio/build/esp32dev"), flash);
}

fn of_board(folder: &Path, flash: &[u8]) {
    arduino(&folder.join("esp32.esp32.esp32"), flash);
}

#[rstest]
#[case::esp_idf(esp_idf, &["otadata", "storage"])]
#[case::platformio(platformio, &[])]
#[case::its_folder(in_environment, &[])]
#[case::its_project(of_project, &[])]
#[case::arduino(arduino, &["otadata"])]
#[case::arduino_with_a_list(arduino_listed, &["otadata"])]
#[case::arduino_of_a_board(of_board, &["otadata"])]
#[case::released(released, &["otadata"])]
#[case::merged(merged_at, &[])]
fn each_build_is_the_same_product(#[case] make: fn(&Path, &[u8]), #[case] others: &[&str]) {
    let folder = folder(make);
    let profile = parse(&folder, "build = \"build\"").expect("it is taken");
    assert_eq!(profile.images.app_partition, "ota_0");
    let found: Vec<_> =
        profile.images.others.iter().map(|other| other.partition.as_str()).collect();
    assert_eq!(found, others);
    assert!(inspect(&profile).is_empty(), "{:?}", inspect(&profile));
    let images = FlashImages::build(&profile, "").expect("they are taken as they are");
    let bare = |bytes: &[u8]| {
        let end = bytes.iter().rposition(|byte| *byte != 0xFF).map_or(0, |last| last + 1);
        bytes[..end].to_vec()
    };
    assert_eq!(bare(&images.bootloader), bare(&FLASH[BOOTLOADER]));
    assert_eq!(images.partition_table, FLASH[TABLE]);
    assert_eq!(bare(&images.app), bare(&FLASH[APP]));
    assert_eq!(images.others.len(), others.len());
}

/// What a build flashes besides is compared before the firmware ran, and is the firmware's afterwards.
#[test]
fn whatever_else_a_build_flashes_is_planned_and_later_the_firmwares() {
    let folder = folder(esp_idf);
    let profile = parse(&folder, "build = \"build\"").expect("it is taken");
    let plan = Plan::new(std::sync::Arc::new(profile), Scope::Run);
    let expects = |coverage: &Coverage| {
        let span = coverage.spans().iter().find(|span| span.name == "storage");
        span.expect("the partition").expects
    };
    assert!(matches!(expects(&plan.coverage(Moment::BeforeBoot)), Expects::Planned(_)));
    assert_eq!(expects(&plan.coverage(Moment::AfterBoot)), Expects::Firmwares);
    let written: Vec<String> = plan.steps.iter().map(|step| step.stage()).collect();
    assert!(written.contains(&"write_storage".to_owned()), "{written:?}");
}

#[rstest]
#[case::chip(("\"chip\": \"esp32\"", "\"chip\": \"esp32c3\""), &["build is built for esp32c3", "the chip is esp32"])]
#[case::larger_flash(("\"flash_size\": \"4MB\"", "\"flash_size\": \"8MB\""), &["built for 8MB", "4194304 bytes"])]
#[case::no_size(("\"flash_size\": \"4MB\"", "\"flash_size\": \"3MB\""), &["\"3MB\" is not a flash size"])]
#[case::missing_file(("\"0x320000\": \"storage.bin\"", "\"0x320000\": \"gone.bin\""), &["flasher_args.json names", "gone.bin", "build the firmware again"])]
#[case::within_a_partition(("\"0x320000\": \"storage.bin\"", "\"0x321000\": \"storage.bin\""), &["storage.bin goes to 0x321000", "begins at 0x320000"])]
#[case::outside(("\"0x320000\": \"storage.bin\"", "\"0x3f0000\": \"storage.bin\""), &["storage.bin goes to 0x3f0000", "no partition is there"])]
#[case::over_the_units_nvs(("\"0x320000\": \"storage.bin\"", "\"0x10000\": \"storage.bin\""), &["storage.bin goes into the partition \"factory\"", "made for each unit"])]
#[case::elsewhere(("\"0x20000\": \"vault.bin\"", "\"0x1a0000\": \"vault.bin\""), &["flashes nothing into ota_0 at 0x20000"])]
#[case::bootloader(("\"0x1000\": \"boot", "\"0x0\": \"boot"), &["bootloader.bin goes to 0x0", "looks for the bootloader at 0x1000"])]
#[case::table(("\"0x8000\": \"part", "\"0x9000\": \"part"), &["partition table at 0x9000", "CONFIG_PARTITION_TABLE_OFFSET"])]
#[case::encrypted(("\"file\": \"storage.bin\", \"encrypted\": \"false\"", "\"file\": \"storage.bin\", \"encrypted\": \"true\""), &["storage.bin is to be encrypted"])]
#[case::no_offset(("\"0x320000\": \"storage.bin\"", "\"here\": \"storage.bin\""), &["\"here\" in flash_files is no offset"])]
#[case::no_json(("\"flash_files\"", "flash_files"), &["is no flasher_args.json"])]
fn what_does_not_fit_is_named_at_its_place(#[case] edit: (&str, &str), #[case] expected: &[&str]) {
    let folder = folder(esp_idf);
    arguments(&folder.path().join("build"), &[edit]);
    let error = refused(&folder, "build = \"build\"", "build = ");
    for part in expected {
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// ESP-IDF builds for 2 MB unless told otherwise, and such a build runs on more; the header must agree.
#[test]
fn settings_that_the_bootloader_contradicts_are_refused() {
    let folder = folder(esp_idf);
    arguments(
        &folder.path().join("build"),
        &[("\"flash_mode\": \"dio\"", "\"flash_mode\": \"qio\"")],
    );
    let profile = parse(&folder, "build = \"build\"").expect("a valid profile");
    let found = inspect(&profile);
    let [ImageError::Settings { found, said }] = &found[..] else { panic!("{found:?}") };
    assert_eq!((found.as_str(), said.as_str()), ("dio", "qio"));
}

#[test]
fn an_image_of_another_elf_is_refused_by_its_content() {
    let folder = folder(platformio);
    let build = folder.path().join("build");
    fs::write(build.join("firmware.elf"), b"\x7FELF of yesterday").expect("a file");
    let profile = parse(&folder, "build = \"build\"").expect("a valid profile");
    let errors = inspect(&profile);
    let [ImageError::OtherElf { elf, .. }] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!(elf, &build.join("firmware.elf"));
    // The image says which ELF it is of.
    let mut app = part(&FLASH, APP).to_vec();
    let end = app.len() - 32;
    let at = 24 + 8 + 144;
    let elf = Sha256::digest(b"\x7FELF of yesterday");
    let sum = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum ^ byte);
    app[end - 1] ^= sum(&app[at..at + 32]) ^ sum(&elf);
    app[at..at + 32].copy_from_slice(&elf);
    let digest = Sha256::digest(&app[..end]);
    app[end..].copy_from_slice(&digest);
    fs::write(build.join("firmware.bin"), app).expect("a file");
    let profile = parse(&folder, "build = \"build\"").expect("a valid profile");
    assert!(inspect(&profile).is_empty(), "{:?}", inspect(&profile));
}

#[test]
fn of_several_environments_one_is_asked_for() {
    let folder = folder(in_environment);
    platformio(&folder.path().join("build/esp32s3"), &FLASH);
    let error = refused(&folder, "build = \"build\"", "build = ");
    assert!(error.contains("esp32dev") && error.contains("esp32s3"), "{error}");
    parse(&folder, "build = \"build/esp32dev\"").expect("one of them");
}

#[test]
fn an_empty_folder_says_what_was_expected() {
    let folder = folder(esp_idf);
    fs::create_dir(folder.path().join("empty")).expect("a folder");
    let error = refused(&folder, "build = \"empty\"", "build = ");
    assert!(error.contains("holds no build") && error.contains("flasher_args.json"), "{error}");
    let error = refused(&folder, "build = \"gone\"", "build = ");
    assert!(error.contains("build the firmware first"), "{error}");
}

/// An image of the unit's own partition is left to the bench where the profile says so.
#[test]
fn what_the_bench_makes_itself_is_left_out_by_name() {
    let folder = folder(esp_idf);
    let edit = ("\"0x320000\": \"storage.bin\"", "\"0x10000\": \"storage.bin\"");
    arguments(&folder.path().join("build"), &[edit]);
    let profile = parse(&folder, "build = \"build\"\nexcept = [\"factory\"]").expect("left out");
    let others: Vec<_> = profile.images.others.iter().map(|other| &other.partition).collect();
    assert_eq!(others, ["otadata"]);
    let images = "build = \"build\"\nexcept = [\"storage\"]";
    let error = refused(&folder, images, "except = ");
    assert!(error.contains("flashes nothing into \"storage\""), "{error}");
}

/// OTA data of the build decides which slot is started.
#[test]
fn what_would_boot_is_what_is_planned() {
    let folder = folder(esp_idf);
    let build = folder.path().join("build");
    fs::write(build.join("ota_data_initial.bin"), boot_app0()).expect("a file");
    let profile = parse(&folder, "build = \"build\"").expect("slot 0");
    assert_eq!(profile.images.app_partition, "ota_0");
    let mut second = boot_app0();
    second[..4].copy_from_slice(&2_u32.to_le_bytes());
    let mut crc = crc32fast::Hasher::new_with_initial(u32::MAX);
    crc.update(&2_u32.to_le_bytes());
    second[28..32].copy_from_slice(&crc.finalize().to_le_bytes());
    fs::write(build.join("ota_data_initial.bin"), second).expect("a file");
    let error = refused(&folder, "build = \"build\"", "build = ");
    assert!(error.contains("flashes nothing into ota_1 at 0x1a0000"), "{error}");
    fs::write(build.join("ota_data_initial.bin"), boot_app0()).expect("a file");
    let images = "build = \"build\"\napp_partition = \"ota_1\"";
    let error = refused(&folder, images, "app_partition = ");
    assert!(error.contains("has \"ota_0\" started"), "{error}");
}

const CSV: &str = "# Name, Type, SubType, Offset, Size, Flags\n\
    nvs,data,nvs,0x9000,24K,\nphy_init,data,phy,,0x1000,\nfactory,data,nvs,0x10000,0x6000,\n\
    otadata,data,ota,0x16000,0x2000\nota_0,app,ota_0,0x20000,0x180000,\n\
    ota_1,app,ota_1,,1536K,\nstorage,data,spiffs,,0xd0000,\n";

#[test]
fn a_partition_table_may_be_a_csv_or_a_binary_without_a_build() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("partitions.csv"), CSV).expect("a file");
    fs::write(folder.path().join("partitions.bin"), &FLASH[TABLE]).expect("a file");
    let shipped = goldline::profile::find("espvault", None).expect("it ships").flash;
    for name in ["partitions.csv", "partitions.bin"] {
        let images = format!("partitions = \"{name}\"\napp = {{ model = \"espvault\" }}");
        let profile = parse(&folder, &images).expect("it is taken");
        assert_eq!(profile.flash, shipped, "{name}");
        let table = FlashImages::build(&profile, &ANCHOR).expect("images").partition_table;
        assert_eq!(table, FLASH[TABLE], "{name}");
    }
    let wrong = CSV.replace("storage,data,spiffs", "storage,data,0x77");
    fs::write(folder.path().join("partitions.csv"), wrong).expect("a file");
    let images = "partitions = \"partitions.csv\"\napp = { model = \"espvault\" }";
    let error = refused(&folder, images, "partitions = ");
    assert!(error.contains("partitions.csv:8: subtype \"0x77\""), "{error}");
    for (size, line) in [("4294967295M", 4), ("0xfffff000", 4), ("99999999999999999999k", 4)] {
        let wrong = CSV.replace("0x6000", size);
        fs::write(folder.path().join("partitions.csv"), wrong).expect("a file");
        let error = refused(&folder, images, "partitions = ");
        assert!(error.contains(&format!("partitions.csv:{line}: \"{size}\" is more")), "{error}");
    }
    fs::write(folder.path().join("partitions.csv"), b"\xAA\x50").expect("a file");
    let error = refused(&folder, images, "partitions = ");
    assert!(error.contains("partitions.csv:1: flags \"0xffffffff\""), "{error}");
    fs::write(folder.path().join("partitions.csv"), b"\xE9\xFF").expect("a file");
    assert!(refused(&folder, images, "partitions = ").contains("is no partition table"));
}

/// With both, each row that differs is named at its place; the build's rows that are missing at the build.
#[test]
fn a_table_of_the_profile_is_compared_with_the_builds_row_by_row() {
    let folder = folder(esp_idf);
    let shipped =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/espvault.toml"));
    let images = shipped.split_once("[images]").expect("it has one").1;
    let images = images.split_once("\n[values.number]").expect("values").0;
    let text = shipped.replace(images, "\nbuild = \"build\"\n");
    let read = |text: &str| {
        Profile::parse("own.toml", text, Some(folder.path())).map_err(|error| error.to_string())
    };
    read(&text).expect("the same table");
    let changed = text.replace("offset = 0xf000\nsize = 0x1000", "offset = 0xf000\nsize = 0x800");
    let error = read(&changed).expect_err("it differs");
    let line = changed.lines().position(|line| line == "name = \"phy_init\"").expect("it") + 1;
    assert!(error.contains(&format!("own.toml:{line}:")), "{error}");
    assert!(error.contains("0x800 bytes here") && error.contains("0x1000 bytes"), "{error}");
    let (before, rest) = text.split_once("[[partition]]\nname = \"storage\"").expect("it has one");
    let (_, after) = rest.split_once("\n\n").expect("a blank line");
    let error = read(&format!("{before}{after}")).expect_err("a row is missing");
    assert!(error.contains("partition \"storage\" is missing here"), "{error}");
}

#[test]
fn a_merged_binary_is_split_by_its_own_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("build");
    let mut flash = FLASH.clone();
    flash[STORAGE..STORAGE + 4].copy_from_slice(b"file");
    fs::write(&file, &flash).expect("a file");
    let profile = parse(&folder, "build = \"build\"").expect("it is taken");
    let images = FlashImages::build(&profile, "").expect("they are taken");
    assert_eq!(profile.images.others[0].partition, "storage");
    assert!(images.others[0].starts_with(b"file"));
    // As esptool merges it for an offset of its own.
    fs::write(&file, &flash[0x1000..]).expect("a file");
    let profile = parse(&folder, "build = \"build\"").expect("it is taken");
    let shifted = FlashImages::build(&profile, "").expect("they are taken");
    assert_eq!(shifted, images);
    flash[0x3F_0000] = 0;
    fs::write(&file, &flash).expect("a file");
    let error = refused(&folder, "build = \"build\"", "build = ");
    assert!(error.contains("1 bytes at 0x3f0000, outside"), "{error}");
    fs::write(&file, part(&FLASH, APP)).expect("a file");
    let error = refused(&folder, "build = \"build\"", "build = ");
    assert!(error.contains("no partition table is at 0x8000"), "{error}");
}

/// The dumps of used chips, tried from public examples: each held something of an earlier life, and was refused.
#[test]
fn what_earlier_firmware_left_in_a_dump_is_told_and_not_flashed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("build");
    fs::write(&file, &*FLASH).expect("a file");
    let clean = parse(&folder, "build = \"build\"").expect("it is taken");
    let images = FlashImages::build(&clean, "").expect("they are taken");
    assert_eq!(clean.images.left_out, []);
    let mut dump = FLASH.clone();
    let left = [TABLE.start - 0x40, APP.end - 0x40];
    assert!(BOOTLOADER.start + images.bootloader.len() < left[0]);
    for at in left {
        dump[at..at + 0x20].fill(0xE9);
    }
    fs::write(&file, &dump).expect("a file");
    let used = parse(&folder, "build = \"build\"").expect("it is taken");
    assert_eq!(FlashImages::build(&used, "").expect("they are taken"), images);
    let told = |at: usize, place| LeftOut {
        offset: u32::try_from(at).expect("in the flash"),
        bytes: 0x20,
        place,
    };
    assert_eq!(used.images.left_out, left.map(|at| told(at, LeftOutPlace::BehindImage)));
    // Nobody knows what it is where no partition is: only whoever has the dump.
    dump[0x3F_0000..0x3F_0020].fill(0);
    fs::write(&file, &dump).expect("a file");
    let error = refused(&folder, "build = \"build\"", "build = ");
    assert!(error.contains("except = [\"unpartitioned\"]"), "{error}");
    let excepted = "build = \"build\"\nexcept = [\"unpartitioned\"]";
    let used = parse(&folder, excepted).expect("it is taken");
    assert_eq!(used.images.left_out[2], told(0x3F_0000, LeftOutPlace::Unpartitioned));
    fs::write(&file, &*FLASH).expect("a file");
    let error = refused(&folder, excepted, "except = ");
    assert!(error.contains("flashes nothing into \"unpartitioned\""), "{error}");
}

/// A program of `cargo build` needs a partition table, and gets espflash's layout and bootloader.
#[test]
fn an_elf_is_laid_out_by_the_profiles_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let chip = goldline_simulator::chip::Model::named("esp32").expect("a chip");
    let description = goldline::image::firmware_description("espvault").expect("it ships");
    let elf = goldline_simulator::firmware::compile(&description, &ANCHOR, chip).expect("an ELF");
    let release = folder.path().join("release");
    fs::create_dir(&release).expect("a folder");
    fs::write(release.join("vault"), &elf).expect("a file");
    fs::write(release.join("vault.d"), "vault: src/main.rs").expect("a file");
    fs::write(folder.path().join("partitions.csv"), CSV).expect("a file");
    let error = parse(&folder, "build = \"release\"").expect_err("it has no table");
    assert!(error.contains("no partition table"), "{error}");
    for build in ["release", "release/vault"] {
        let images = format!("build = \"{build}\"\npartitions = \"partitions.csv\"");
        let profile = parse(&folder, &images).expect("it is taken");
        assert!(inspect(&profile).is_empty(), "{:?}", inspect(&profile));
        let built = FlashImages::build(&profile, "").expect("it is laid out");
        assert!(goldline_simulator::firmware::is_described(&built.app));
        assert_eq!(built.partition_table, FLASH[TABLE]);
    }
}
