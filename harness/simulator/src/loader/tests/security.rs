//! What burnt security fuses change.

use super::Bench;
use crate::boot::{self, ResetReason};
use crate::chip;

/// Burns a word of block 0 of an ESP32-C3, as espefuse does.
fn burn(bench: &mut Bench, word: u32, bits: u32) {
    let base = chip::ESP32C3.efuse.base;
    for (offset, value) in
        [(word * 4, bits), (0x1CC, 0x5A5A), (0x1D4, 2), (0x1CC, 0x5AA5), (0x1D4, 1)]
    {
        bench.ok(0x09, &[base + offset, value, u32::MAX, 0]);
    }
}

#[test]
fn security_info_tells_the_chip_and_its_switches() {
    let mut bench = Bench::rom_of(chip::ESP32C3);
    let info = bench.ok(0x14, &[]).data;
    assert_eq!((info.len(), info[12]), (20, 5));
    assert_eq!(info[..12], [0; 12]);
    burn(&mut bench, 3, 1 << 20);
    burn(&mut bench, 2, 4 << 24 | 1 << 18);
    let info = bench.ok(0x14, &[]).data;
    assert_eq!(info[..6], [1, 0, 0, 0, 1, 4]);
}

#[test]
fn secure_download_mode_reads_nothing_and_runs_nothing() {
    let mut bench = Bench::rom_of(chip::ESP32C3);
    burn(&mut bench, 4, 1 << 5);
    assert_eq!(bench.ok(0x14, &[]).data[0], 1 << 2);
    assert!(bench.call(0x0A, &[0x4000_1000]).failure.is_some());
    assert!(bench.call(0x05, &[4, 1, 4, 0x4038_0000]).failure.is_some());
    assert!(bench.call(0x13, &[0, 16, 0, 0]).failure.is_some());
    bench.ok(0x02, &[0x1000, 4, 0x400, 0x1000, 0]);
}

#[test]
fn an_unsigned_bootloader_is_not_started_under_secure_boot() {
    let mut bench = Bench::rom_of(chip::ESP32C3);
    bench.chip.flash.program(0, &[0xE9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0]).unwrap();
    bench.chip.flash.program(14, &[0; 18]).unwrap();
    burn(&mut bench, 3, 1 << 20);
    let boot = boot::boot(&bench.chip, ResetReason::PowerOn);
    assert!(boot.application.is_none());
    assert!(boot.log.contains("secure boot check fail"), "{}", boot.log);
}

#[test]
fn a_plain_image_is_noise_under_flash_encryption() {
    let mut bench = Bench::rom_of(chip::ESP32C3);
    burn(&mut bench, 2, 1 << 18);
    let boot = boot::boot(&bench.chip, ResetReason::PowerOn);
    assert!(boot.log.contains("invalid header: 0x"), "{}", boot.log);
    assert!(!boot.log.contains("0xffffffff"), "{}", boot.log);
}
