//! Build folders as each build system leaves one, made of a flash that the bench once wrote.
//!
//! The files are written from the public forms of the build systems. Knows no test.

#![allow(dead_code, reason = "each binary of tests needs some of it")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where things lie in an EspVault.
pub const BOOTLOADER: std::ops::Range<usize> = 0x1000..0x8000;
pub const TABLE: std::ops::Range<usize> = 0x8000..0x8C00;
pub const NVS: std::ops::Range<usize> = 0x1_0000..0x1_6000;
pub const APP: std::ops::Range<usize> = 0x2_0000..0x1A_0000;
pub const STORAGE: usize = 0x32_0000;

/// The shipped profile without what a build tells.
pub fn profile_of_build(images: &str) -> String {
    const PROFILE: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/espvault.toml"));
    let (head, rest) = PROFILE.split_once("[[partition]]").expect("its table");
    let (_, tail) = rest.split_once("\n[values.number]").expect("its values");
    format!("{head}\n[images]\n{images}\n\n[values.number]{tail}")
}

/// The bytes of a part without the padding behind them.
pub fn part(flash: &[u8], range: std::ops::Range<usize>) -> &[u8] {
    let part = &flash[range];
    let last = part.iter().rposition(|byte| *byte != 0xFF).expect("it is not blank");
    &part[..(last + 1).next_multiple_of(16)]
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(&path, bytes).expect("a file");
    path
}

/// As `idf.py build` leaves it.
pub fn esp_idf(folder: &Path, flash: &[u8]) {
    write(folder, "bootloader/bootloader.bin", part(flash, BOOTLOADER));
    write(folder, "partition_table/partition-table.bin", &flash[TABLE]);
    write(folder, "ota_data_initial.bin", [0xFF; 0x2000]);
    write(folder, "vault.bin", part(flash, APP));
    write(folder, "storage.bin", b"a file system, such as it is");
    arguments(folder, &[]);
}

/// Its list of files, with some words changed.
pub fn arguments(folder: &Path, edits: &[(&str, &str)]) {
    let mut text = r#"{
    "write_flash_args": ["--flash_mode", "dio", "--flash_size", "4MB", "--flash_freq", "40m"],
    "flash_settings": { "flash_mode": "dio", "flash_size": "4MB", "flash_freq": "40m" },
    "flash_files": {
        "0x1000": "bootloader/bootloader.bin",
        "0x8000": "partition_table/partition-table.bin",
        "0x16000": "ota_data_initial.bin",
        "0x20000": "vault.bin",
        "0x320000": "storage.bin"
    },
    "bootloader": { "offset": "0x1000", "file": "bootloader/bootloader.bin", "encrypted": "false" },
    "app": { "offset": "0x20000", "file": "vault.bin", "encrypted": "false" },
    "partition-table": { "offset": "0x8000", "file": "partition_table/partition-table.bin", "encrypted": "false" },
    "otadata": { "offset": "0x16000", "file": "ota_data_initial.bin", "encrypted": "false" },
    "storage": { "offset": "0x320000", "file": "storage.bin", "encrypted": "false" },
    "extra_esptool_args": { "after": "hard_reset", "before": "default_reset", "stub": true, "chip": "esp32" }
}
"#
    .to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    write(folder, "flasher_args.json", text);
}

/// As `pio run` leaves an environment.
pub fn platformio(folder: &Path, flash: &[u8]) {
    write(folder, "bootloader.bin", part(flash, BOOTLOADER));
    write(folder, "partitions.bin", &flash[TABLE]);
    write(folder, "firmware.bin", part(flash, APP));
}

/// As `arduino-cli compile --output-dir` leaves it.
pub fn arduino(folder: &Path, flash: &[u8]) {
    write(folder, "vault.ino.bootloader.bin", part(flash, BOOTLOADER));
    write(folder, "vault.ino.partitions.bin", &flash[TABLE]);
    write(folder, "vault.ino.bin", part(flash, APP));
    write(folder, "boot_app0.bin", boot_app0());
}

/// The same with the list of files that newer versions write.
pub fn arduino_listed(folder: &Path, flash: &[u8]) {
    arduino(folder, flash);
    let list = "--flash-mode dio --flash-freq 40m --flash-size 4MB\n\
        0x1000 vault.ino.bootloader.bin\n0x8000 vault.ino.partitions.bin\n\
        0x16000 boot_app0.bin\n0x20000 vault.ino.bin\n";
    write(folder, "flash_args", list);
}

/// As a project releases its images: the usual names, and no list.
pub fn released(folder: &Path, flash: &[u8]) {
    write(folder, "bootloader.bin", part(flash, BOOTLOADER));
    write(folder, "partition-table.bin", &flash[TABLE]);
    write(folder, "ota_data_initial.bin", [0xFF; 0x2000]);
    write(folder, "vault.bin", part(flash, APP));
    write(folder, "build_info.txt", "of no interest");
}

/// As `esptool merge_bin` makes one file: nothing of a unit's own in it.
pub fn merged(file: &Path, flash: &[u8]) {
    let mut bytes = vec![0xFF; APP.end];
    for range in [BOOTLOADER, TABLE, APP] {
        bytes[range.clone()].copy_from_slice(&flash[range]);
    }
    let end = bytes.iter().rposition(|byte| *byte != 0xFF).expect("not blank") + 1;
    fs::write(file, &bytes[..end]).expect("a file");
}

/// OTA data that starts the first slot, as the Arduino core brings it: sequence 1, nothing else.
pub fn boot_app0() -> Vec<u8> {
    let mut bytes = vec![0xFF; 0x2000];
    bytes[..4].copy_from_slice(&1_u32.to_le_bytes());
    bytes[28..32].copy_from_slice(&0x4743_989A_u32.to_le_bytes());
    bytes
}
