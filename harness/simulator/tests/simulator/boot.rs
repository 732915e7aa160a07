//! What a unit prints after a reset, and what it refuses to start.

use espflash::target::Chip;
use goldline_simulator::chip::Model;
use goldline_simulator::{Config, Mode, chip};
use rcgen::{CertificateParams, KeyPair};
use rstest::rstest;

use crate::bench::{boot_until, flash, open, read_until, start};
use crate::images::{APP_OFFSET, product};

pub fn authority() -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["ca.example.test".to_owned()]).unwrap();
    params.self_signed(&key).unwrap().pem()
}

#[test]
fn a_blank_chip_repeats_that_its_header_is_invalid() {
    let mut config = Config::new(chip::ESP32);
    config.mode = Mode::Boot;
    let simulator = start(config);
    let mut port = open(simulator.port_path());
    let log = read_until(&mut port, "rst:0x10 (RTCWDT_RTC_RESET)");
    assert!(log.contains("ets Jul 29 2019 12:21:46"), "{log}");
    assert!(log.contains("boot:0x13 (SPI_FAST_FLASH_BOOT)"), "{log}");
    assert!(log.contains("invalid header: 0xffffffff"), "{log}");
}

#[test]
fn a_reset_into_download_mode_says_so() {
    let mut config = Config::new(chip::ESP32);
    config.mode = Mode::Boot;
    let simulator = start(config);
    let mut port = open(simulator.port_path());
    simulator.lines().reset_into(Mode::Download);
    let log = read_until(&mut port, "waiting for download");
    assert!(log.contains("boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))"), "{log}");
}

#[rstest]
fn every_chip_boots_its_own_image_chain(
    #[values(
        (chip::ESP32S2, Chip::Esp32s2),
        (chip::ESP32S3, Chip::Esp32s3),
        (chip::ESP32C2, Chip::Esp32c2),
        (chip::ESP32C3, Chip::Esp32c3),
        (chip::ESP32C6, Chip::Esp32c6),
        (chip::ESP32H2, Chip::Esp32h2)
    )]
    (model, chip): (&'static Model, Chip),
) {
    let simulator = start(Config::new(model));
    flash(&simulator, &product(model, chip, &authority()));
    let log = boot_until(&simulator, "Calling app_main()");
    assert!(log.contains(model.rom.banner), "{log}");
    assert!(log.contains("Loaded app from partition at offset 0x20000"), "{log}");
}

#[test]
fn a_whole_image_chain_boots_to_its_application() {
    let simulator = start(Config::new(chip::ESP32));
    flash(&simulator, &product(chip::ESP32, espflash::target::Chip::Esp32, &authority()));
    let log = boot_until(&simulator, "Calling app_main()");
    for expected in [
        "rst:0x1 (POWERON_RESET)",
        "entry 0x40080638",
        "2nd stage bootloader",
        "boot:  2 factory          WiFi data        01 02 00010000 00006000",
        "No factory image, trying OTA 0",
        "Loaded app from partition at offset 0x20000",
        "Project name:     espvault-universal-node",
    ] {
        assert!(log.contains(expected), "{expected:?} is missing in:\n{log}");
    }
}

#[test]
fn a_flipped_bit_in_the_application_stops_the_boot() {
    let simulator = start(Config::new(chip::ESP32));
    let mut regions = product(chip::ESP32, espflash::target::Chip::Esp32, &authority());
    let app = regions.iter_mut().find(|region| region.offset == APP_OFFSET).unwrap();
    app.data[0x100] ^= 1;
    flash(&simulator, &regions);
    let log = boot_until(&simulator, "No bootable app partitions in the partition table");
    assert!(log.contains("Checksum failed. Calculated"), "{log}");
}

/// Changes one region and gives what the boot prints.
fn boot_with(offset: u32, change: impl Fn(&mut Vec<u8>), until: &str) -> String {
    let simulator = start(Config::new(chip::ESP32));
    let mut regions = product(chip::ESP32, espflash::target::Chip::Esp32, &authority());
    let region = regions.iter_mut().find(|region| region.offset == offset);
    change(&mut region.unwrap().data);
    flash(&simulator, &regions);
    boot_until(&simulator, until)
}

const NOT_BOOTABLE: &str = "OTA app partition slot 0 is not bootable";

#[test]
fn an_application_without_magic_is_not_booted() {
    let log = boot_with(APP_OFFSET, |app| app[0] = 0xE8, NOT_BOOTABLE);
    assert!(log.contains("image at 0x20000 has invalid magic byte"), "{log}");
}

#[test]
fn an_application_for_another_chip_is_not_booted() {
    let log = boot_with(APP_OFFSET, |app| app[12] = 5, NOT_BOOTABLE);
    assert!(log.contains("mismatch chip ID, expected 0, found 5"), "{log}");
}

#[test]
fn an_application_whose_digest_fails_is_not_booted() {
    let log = boot_with(APP_OFFSET, |app| *app.last_mut().unwrap() ^= 1, NOT_BOOTABLE);
    assert!(log.contains("Image hash failed - image is corrupt"), "{log}");
}

#[test]
fn a_bootloader_whose_checksum_fails_is_not_started() {
    let log = boot_with(0x1000, |loader| loader[0x200] ^= 1, "csum err:");
    assert!(!log.contains("entry 0x"), "{log}");
}

#[test]
fn a_broken_partition_table_is_refused_by_its_digest() {
    let log = boot_with(0x8000, |table| table[8] ^= 0x10, "load partition table error!");
    assert!(log.contains("Incorrect MD5 checksum"), "{log}");
}
