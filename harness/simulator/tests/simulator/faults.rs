//! Faults of flash and wire, as a client meets them.
//!
//! What a fault of the firmware or the radio does is in the log, and tested with the firmware.

use std::io::{ErrorKind, Read};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use espflash::target::{Chip, DefaultProgressCallback};
use goldline_simulator::{Config, Fault, Simulator, chip};
use md5::{Digest, Md5};
use rstest::rstest;

use crate::bench::{boot_until, connect, open, read_until, start};
use crate::boot::authority;
use crate::images::{APP_OFFSET, NVS_OFFSET, NVS_SIZE, Region, SAMPLE, product, settings};

fn unit(fault: Fault, seed: u64) -> Simulator {
    let mut config = Config::new(chip::ESP32);
    config.faults = vec![fault];
    config.seed = seed;
    start(config)
}

fn regions() -> Vec<Region> {
    let mut regions = product(chip::ESP32, Chip::Esp32, &authority());
    regions.push(settings(SAMPLE));
    regions
}

/// Writes everything with verification, which must succeed, and gives a region's later digest.
fn digest_after_writing(
    simulator: &Simulator,
    regions: &[Region],
    offset: u32,
) -> (Vec<u8>, Vec<u8>) {
    let mut flasher = connect(simulator, true).unwrap();
    for region in regions {
        flasher
            .write_bin_to_flash(region.offset, &region.data, &mut DefaultProgressCallback)
            .expect("the fault must survive the client's own verification");
    }
    let region = regions.iter().find(|region| region.offset == offset).unwrap();
    let length = region.data.len() as u32;
    let read = flasher.checksum_md5(offset, length).unwrap();
    (read.to_be_bytes().to_vec(), Md5::digest(&region.data).to_vec())
}

#[rstest]
#[case(Fault::FlashAppBit, APP_OFFSET, NVS_OFFSET)]
#[case(Fault::FlashNvsBit, NVS_OFFSET, APP_OFFSET)]
#[case(Fault::FlashNvsKeyMissing, NVS_OFFSET, APP_OFFSET)]
fn damaged_flash_shows_after_writing_in_its_region_only(
    #[case] fault: Fault,
    #[case] damaged: u32,
    #[case] sound: u32,
    #[values(0, 1, 0xDEAD_BEEF)] seed: u64,
) {
    let regions = regions();
    let (read, written) = digest_after_writing(&unit(fault, seed), &regions, damaged);
    assert_ne!(read, written);
    let (read, written) = digest_after_writing(&unit(fault, seed), &regions, sound);
    assert_eq!(read, written);
}

#[test]
fn damage_is_the_same_for_the_same_seed_and_another_for_another() {
    let regions = regions();
    let digest = |seed| {
        let unit = unit(Fault::FlashAppBit, seed);
        digest_after_writing(&unit, &regions, APP_OFFSET).0
    };
    assert_eq!(digest(5), digest(5));
    assert_ne!(digest(5), digest(6));
}

#[test]
fn flash_that_is_written_again_is_damaged_again() {
    let (unit, regions) = (unit(Fault::FlashAppBit, 0), regions());
    let (first, _) = digest_after_writing(&unit, &regions, APP_OFFSET);
    let (second, written) = digest_after_writing(&unit, &regions, APP_OFFSET);
    assert_eq!(first, second);
    assert_ne!(second, written);
}

#[test]
fn a_key_marked_erased_is_gone_and_its_neighbours_are_not() {
    let unit = unit(Fault::FlashNvsKeyMissing, 1);
    let regions = regions();
    let mut flasher = connect(&unit, true).unwrap();
    for region in &regions {
        flasher
            .write_bin_to_flash(region.offset, &region.data, &mut DefaultProgressCallback)
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nvs.bin");
    flasher.read_flash(NVS_OFFSET, NVS_SIZE as u32, 0x1000, 1, file.clone()).unwrap();
    let flash = esp_nvs::mem_flash::MemFlash::from_bytes(std::fs::read(file).unwrap());
    let mut nvs = esp_nvs::Nvs::new(0, NVS_SIZE, flash).unwrap();
    let keys: Vec<String> = nvs.keys().map(|found| found.unwrap().1.as_str().to_owned()).collect();
    let expected: Vec<&str> = SAMPLE.iter().map(|(key, _)| *key).collect();
    let missing: Vec<_> = expected.iter().filter(|key| !keys.contains(&key.to_string())).collect();
    assert_eq!(missing, [&"wifi_password"]);
    drop(flasher);
    let log = boot_until(&unit, "Device not provisioned!");
    assert!(log.contains("Failed to load wifi_password from NVS"), "{log}");
}

#[test]
fn a_silent_unit_answers_nothing() {
    let unit = unit(Fault::WireSilent, 0);
    let error = connect(&unit, true).unwrap_err();
    assert!(matches!(error, espflash::Error::Connection(_)), "{error:?}");
}

#[test]
fn a_unit_that_vanishes_hangs_up_while_flash_is_written() {
    let unit = unit(Fault::WireVanish, 0);
    let mut flasher = connect(&unit, true).unwrap();
    let data = [0x5A; 0x1_0000];
    let failed = flasher.write_bin_to_flash(0x20000, &data, &mut DefaultProgressCallback);
    assert!(failed.is_err());
    assert!(!unit.port_path().exists());
}

#[test]
fn a_unit_in_a_boot_loop_never_joins() {
    let unit = unit(Fault::FirmwareBootLoop, 0);
    crate::bench::flash(&unit, &regions());
    let first = boot_until(&unit, "Rebooting...");
    assert!(first.contains("Guru Meditation Error"), "{first}");
    let mut port = open(unit.port_path());
    // The start that came while the port was opened may have been heard in part.
    let second = [(); 2].map(|()| read_until(&mut port, "Rebooting...")).concat();
    assert!(second.contains("rst:0xc (SW_CPU_RESET)"), "{second}");
    assert!(!second.contains("wifi:"), "{second}");
}

#[rstest]
#[case(Fault::FlashStuckBit)]
#[case(Fault::FlashWeakSector)]
#[case(Fault::FlashEraseFailed)]
fn a_defect_of_the_flash_fails_the_clients_verification(
    #[case] fault: Fault,
    #[values(0, 1, 77)] seed: u64,
) {
    let unit = unit(fault, seed);
    let mut flasher = connect(&unit, true).unwrap();
    let failed = regions().iter().any(|region| {
        flasher
            .write_bin_to_flash(region.offset, &region.data, &mut DefaultProgressCallback)
            .is_err()
    });
    assert!(failed);
}

/// The port goes at one of the first blocks, whichever the seed says.
#[rstest]
fn the_seed_says_when_the_port_vanishes(#[values(1, 2, 3, 4)] seed: u64) {
    let unit = unit(Fault::WireVanish, seed);
    let mut flasher = connect(&unit, true).unwrap();
    let failed = regions().iter().any(|region| {
        flasher
            .write_bin_to_flash(region.offset, &region.data, &mut DefaultProgressCallback)
            .is_err()
    });
    assert!(failed);
}

#[test]
fn a_flash_chip_of_the_wrong_size_says_so() {
    let unit = unit(Fault::FlashWrongSize, 0);
    let mut flasher = connect(&unit, true).unwrap();
    let size = flasher.device_info().unwrap().flash_size;
    assert_eq!(size, espflash::flasher::FlashSize::_2Mb);
}

#[test]
fn another_chip_and_a_blank_address_are_what_the_client_sees() {
    let wrong = unit(Fault::ChipWrongChip, 0);
    assert_eq!(connect(&wrong, true).unwrap().chip(), Chip::Esp32s2);
    let blank = unit(Fault::ChipWrongMac, 0);
    let info = connect(&blank, true).unwrap().device_info().unwrap();
    assert_eq!(info.mac_address.as_deref(), Some("00:00:00:00:00:00"));
}

#[test]
fn a_chip_that_refuses_the_stub_still_works_without_it() {
    let unit = unit(Fault::ChipStubRefused, 0);
    assert!(connect(&unit, true).is_err());
    // The broken stub took the ROM loader with it: only a reset brings that back.
    unit.lines().reset_into(goldline_simulator::Mode::Download);
    assert!(connect(&unit, false).is_ok());
}

#[rstest]
#[case(Fault::WireDrop)]
#[case(Fault::WireDuplicate)]
#[case(Fault::WireCorrupt)]
fn a_disturbed_wire_breaks_a_transfer_but_never_the_flash_silently(#[case] fault: Fault) {
    let unit = unit(fault, 0);
    // espflash panics on a response of an unexpected length, which a disturbed wire can give it.
    let written = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut flasher = connect(&unit, false)?;
        flasher.write_bin_to_flash(0x20000, &[0x5A; 0x4000], &mut DefaultProgressCallback)
    }));
    assert!(
        !matches!(written, Ok(Ok(()))),
        "16 KB pass more bytes than any stretch without a disturbance"
    );
}

#[test]
fn a_native_usb_vanishes_at_a_reset_and_returns_under_its_name() {
    use goldline_simulator::Mode;
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(chip::ESP32C3);
    config.faults = vec![Fault::ChipUsbVanishes];
    config.link = Some(folder.path().join("ttyACM0"));
    let unit = start(config);
    let device = std::fs::read_link(unit.port_path()).unwrap();
    let mut port = open(unit.port_path());
    unit.lines().reset_into(Mode::Download);
    // The hang-up is the event to wait for; a read that ends otherwise is only too early.
    let mut byte = [0];
    while !port.read(&mut byte).is_err_and(|error| error.kind() != ErrorKind::TimedOut) {}
    drop(port);
    let started = Instant::now();
    while std::fs::read_link(unit.port_path()).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "{device:?} did not return");
        std::thread::yield_now();
    }
    assert_eq!(connect(&unit, true).unwrap().chip(), Chip::Esp32c3);
}
