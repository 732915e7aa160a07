//! Flash encryption as a state: what boots, and what a reader sees.

use md5::{Digest, Md5};
use rstest::rstest;

use super::Bench;
use crate::boot::{self, ResetReason};
use crate::chip::{self, Model};
use crate::layout::partitions::TABLE_OFFSET;

const APP_OFFSET: u32 = 0x1_0000;
const ENCRYPTED: u32 = 1;

/// An image without segments, which boots all the same.
fn image(model: &Model) -> Vec<u8> {
    let mut image = vec![0; 32];
    image[0] = 0xE9;
    image[12] = model.id as u8;
    image[31] = 0xEF;
    image
}

fn table() -> Vec<u8> {
    let mut table = vec![0xAA, 0x50, 0, 0];
    table.extend(APP_OFFSET.to_le_bytes());
    table.extend(0x1_0000_u32.to_le_bytes());
    table.extend(b"factory\0\0\0\0\0\0\0\0\0\0\0\0\0");
    table.resize(0xC00, 0xFF);
    table
}

fn chain(model: &Model) -> [(u32, Vec<u8>); 3] {
    [(model.bootloader_offset, image(model)), (TABLE_OFFSET, table()), (APP_OFFSET, image(model))]
}

fn encrypted_chip(model: &'static Model) -> Bench {
    let mut bench = Bench::rom_of(model);
    bench.chip.registers.burn_flash_encryption();
    if model.id == chip::ESP32.id {
        bench.start_in_ram(b"code OHAI code");
    }
    bench
}

fn write(bench: &mut Bench, offset: u32, data: &[u8], encrypted: u32) {
    bench.ok(0x02, &[data.len() as u32, 1, data.len() as u32, offset, encrypted]);
    assert_eq!(bench.data(0x03, data).failure, None);
    bench.ok(0x04, &[1]);
}

fn boots(bench: &Bench) -> bool {
    boot::boot(&bench.chip, ResetReason::PowerOn).application.is_some()
}

#[rstest]
fn only_what_was_written_encrypted_boots_and_a_reader_sees_its_ciphertext(
    #[values(chip::ESP32, chip::ESP32C2, chip::ESP32C3)] model: &'static Model,
) {
    let mut bench = encrypted_chip(model);
    for (offset, data) in chain(model) {
        write(&mut bench, offset, &data, 0);
        assert_eq!(bench.region(offset, data.len() as u32), data);
    }
    let refused = boot::boot(&bench.chip, ResetReason::PowerOn);
    assert!(refused.application.is_none());
    assert!(refused.log.contains("invalid header: 0x"), "{}", refused.log);
    for (offset, data) in chain(model) {
        write(&mut bench, offset, &data, ENCRYPTED);
        let length = data.len() as u32;
        assert_ne!(bench.region(offset, length), data);
        let digest = bench.ok(0x13, &[offset, length, 0, 0]).data;
        let plain = Md5::digest(&data);
        let hex = crate::hex::hex(&plain);
        assert!(digest != plain[..] && digest != hex.as_bytes());
    }
    assert!(boots(&bench));
}

#[test]
fn what_was_written_encrypted_does_not_boot_where_encryption_is_off() {
    let mut bench = Bench::rom_of(chip::ESP32C3);
    for (offset, data) in chain(chip::ESP32C3) {
        write(&mut bench, offset, &data, ENCRYPTED);
    }
    assert!(!boots(&bench));
}

#[test]
fn a_single_plain_part_stops_an_encrypted_chain() {
    for plain in 0..3 {
        let mut bench = encrypted_chip(chip::ESP32C3);
        for (index, (offset, data)) in chain(chip::ESP32C3).into_iter().enumerate() {
            write(&mut bench, offset, &data, u32::from(index != plain));
        }
        assert!(!boots(&bench), "part {plain} is plain");
    }
}

#[test]
fn running_software_reads_back_what_it_wrote_at_any_offset() {
    let mut bench = encrypted_chip(chip::ESP32C3);
    let data: Vec<u8> = (0..=255).collect();
    bench.chip.program_mapped(0x2050, &data).unwrap();
    assert_ne!(bench.region(0x2050, 256), data);
    let flash = bench.chip.mapped_flash();
    assert_eq!(flash.read(0x2050, 256).unwrap(), &data[..]);
    assert_eq!(flash.read(0x2053, 29).unwrap(), &data[3..32]);
    assert!(flash.read(flash.size() - 4, 5).is_err());
}
