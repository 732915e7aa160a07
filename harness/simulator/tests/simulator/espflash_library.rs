//! espflash's library, which was written for real chips.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use espflash::flasher::FlashSize;
use espflash::target::{Chip, DefaultProgressCallback};
use goldline_simulator::chip::Model;
use goldline_simulator::world::Silence;
use goldline_simulator::{Config, LinkError, Simulator, StartError, chip};
use md5::{Digest, Md5};
use rstest::rstest;

use crate::bench::{connect, start};

fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + i / 251) as u8).collect()
}

#[rstest]
fn it_knows_every_chip(
    #[values(
        (chip::ESP32, Chip::Esp32),
        (chip::ESP32S2, Chip::Esp32s2),
        (chip::ESP32S3, Chip::Esp32s3),
        (chip::ESP32C2, Chip::Esp32c2),
        (chip::ESP32C3, Chip::Esp32c3),
        (chip::ESP32C6, Chip::Esp32c6),
        (chip::ESP32H2, Chip::Esp32h2)
    )]
    (model, chip): (&'static Model, Chip),
    #[values(true, false)] stub: bool,
) {
    let simulator = start(Config::new(model));
    let mut flasher = connect(&simulator, stub).unwrap();
    assert_eq!(flasher.chip(), chip);
    let info = flasher.device_info().unwrap();
    assert_eq!(info.mac_address.as_deref(), Some("24:0a:c4:00:01:10"));
    let revision = (u32::from(model.revision / 100), u32::from(model.revision % 100));
    assert_eq!(info.revision, Some(revision));
    assert_eq!(info.flash_size, FlashSize::_4Mb);
    let data = sample(0x4321);
    flasher.write_bin_to_flash(0x10000, &data, &mut DefaultProgressCallback).unwrap();
}

#[rstest]
#[case(2, FlashSize::_2Mb)]
#[case(8, FlashSize::_8Mb)]
#[case(16, FlashSize::_16Mb)]
fn it_sees_the_flash_size(#[case] megabytes: u32, #[case] size: FlashSize) {
    let mut config = Config::new(chip::ESP32C3);
    config.flash_size = megabytes << 20;
    let simulator = start(config);
    let mut flasher = connect(&simulator, true).unwrap();
    assert_eq!(flasher.device_info().unwrap().flash_size, size);
}

#[test]
fn it_writes_verifies_and_reads_back_with_its_stub() {
    let simulator = start(Config::new(chip::ESP32));
    let mut flasher = connect(&simulator, true).unwrap();
    let data = sample(0x1_2344);
    flasher.write_bin_to_flash(0x10000, &data, &mut DefaultProgressCallback).unwrap();
    let digest = flasher.checksum_md5(0x10000, data.len() as u32).unwrap();
    assert_eq!(digest.to_be_bytes(), Md5::digest(&data)[..]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("back.bin");
    flasher.read_flash(0x10000, data.len() as u32, 0x1000, 1, file.clone()).unwrap();
    assert!(fs::read(file).unwrap() == data);
    flasher.erase_region(0x10000, 0x1000).unwrap();
    let digest = flasher.checksum_md5(0x10000, 0x1000).unwrap();
    assert_eq!(digest.to_be_bytes(), Md5::digest([0xFF; 0x1000])[..]);
}

#[test]
fn it_writes_and_verifies_without_a_stub() {
    let simulator = start(Config::new(chip::ESP32));
    let mut flasher = connect(&simulator, false).unwrap();
    // The last step of a write without stub restarts the chip, so nothing follows it here.
    flasher.write_bin_to_flash(0x10000, &sample(0x2345), &mut DefaultProgressCallback).unwrap();
}

#[test]
fn a_paced_line_takes_the_time_of_its_baud_rate() {
    let mut config = Config::new(chip::ESP32);
    config.paced = true;
    let simulator = start(config);
    let mut flasher = connect(&simulator, false).unwrap();
    flasher.change_baud(460_800).unwrap();
    // Without a stub nothing is deflated; with their padding, 64 KB are 64 blocks of 1 KB.
    let data = sample(0x1_0000);
    let started = Instant::now();
    flasher.write_bin_to_flash(0x10000, &data, &mut DefaultProgressCallback).unwrap();
    let took = started.elapsed().as_secs_f64();
    let wire = data.len() as f64 * 10.0 / 460_800.0;
    assert!(took > wire, "{took} s is less than the wire's {wire} s");
}

#[test]
fn a_client_that_died_in_a_frame_does_not_keep_the_next_one_out() {
    use std::io::Write;
    let simulator = start(Config::new(chip::ESP32));
    for _ in 0..3 {
        let mut port = crate::bench::open(simulator.port_path());
        port.write_all(&[0xC0, 0x00, 0x08, 0x24, 0x00, 0xDB]).unwrap();
        drop(port);
        assert_eq!(connect(&simulator, true).unwrap().chip(), Chip::Esp32);
    }
}

#[test]
fn a_port_has_the_name_that_was_asked_for_until_its_unit_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(chip::ESP32);
    config.link = Some(folder.path().join("ttyUnit0"));
    let simulator = start(config.clone());
    assert_eq!(simulator.port_path(), config.link.as_deref().unwrap());
    assert_eq!(connect(&simulator, true).unwrap().chip(), Chip::Esp32);
    let second = Simulator::start(config, Arc::new(Silence));
    assert!(matches!(second, Err(StartError::Link(LinkError::InUse { .. }))));
    drop(simulator);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_was_flashed_into_a_file_is_there_for_the_next_unit() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(chip::ESP32C3);
    config.flash_file = Some(folder.path().join("flash.bin"));
    let data = sample(0x1234);
    let first = start(config.clone());
    connect(&first, true)
        .unwrap()
        .write_bin_to_flash(0x20000, &data, &mut DefaultProgressCallback)
        .unwrap();
    drop(first);
    let second = start(config);
    let digest = connect(&second, true).unwrap().checksum_md5(0x20000, data.len() as u32).unwrap();
    assert_eq!(digest.to_be_bytes(), Md5::digest(&data)[..]);
}

#[test]
fn erasing_takes_as_long_as_on_a_real_chip_where_that_is_asked_for() {
    let mut config = Config::new(chip::ESP32);
    config.timed_erase = true;
    let simulator = start(config);
    let mut flasher = connect(&simulator, true).unwrap();
    let started = Instant::now();
    flasher.erase_region(0x1_0000, 0x1_4000).unwrap();
    // A block and four sectors.
    assert!(started.elapsed() >= Duration::from_millis(150 + 4 * 45));
}
